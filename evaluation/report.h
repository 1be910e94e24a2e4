/* SPDX-License-Identifier: MIT */
/* report.h: the inside of a report, for the files that write and read it. */
#ifndef EVALUATION_REPORT_H
#define EVALUATION_REPORT_H

#include <cjson/cJSON.h>

#include "measurement.h"

#define TSR_REPORT_SCHEMA "tessera.report/1"

struct tsr_report {
    tsr_context *ctx;
    char *program, *path, *created, *device;
    uint64_t hash, originals, seed;
    int threads;
    cJSON *command; /* an array of texts, or NULL */
    cJSON *extras;  /* an object: what was attached to the report */
    int count, room;
    struct tsr_report_entry {
        tsr_measurement *m;
        cJSON *command, *extras;
    } * candidates;
};

/* Makes room for a candidate and gives `m` to it. Errors: MEMORY; then `m` is closed. */
tsr_status tsr_report_take(tsr_report *report, tsr_measurement *m, cJSON *command, cJSON *extras);

#endif
