/* SPDX-License-Identifier: MIT */
/* report_run.h: the measuring half of a report: candidates one after the other, each kept in a
 * folder of its own when it is finished, so that an interrupted run goes on. */
#ifndef TOOLS_REPORT_RUN_H
#define TOOLS_REPORT_RUN_H

#include "measure_options.h"

/* What `tessera report` was asked for. */
typedef struct report_order {
    const char *originals, *folder;
    const char *const *paths; /* [path_count] candidates that exist already */
    int path_count;
    bool pictures; /* write both sides of each pair, for the page */
    bool force;    /* candidates of other settings are made anew */
    const measure_meaning *meaning;
    content *content;           /* text and faces, open; NULL: none */
    const char *const *command; /* [command_count] the whole command line */
    int command_count;
} report_order;

/* Encodes, decodes and measures whatever is not there yet, and writes report.json, report.csv and
 * pictures.csv into the folder. Returns -1 and whether pictures failed in *failed (an exit code),
 * or the exit code after it has told the failure. */
int report_run(tool *t, const report_order *order, int *failed);

#endif
