/* SPDX-License-Identifier: MIT */
/* bench_report.h: rows of `tessera bench` as text, and the file of --report. */
#ifndef TOOLS_BENCH_REPORT_H
#define TOOLS_BENCH_REPORT_H

#include "out_file.h"

/* Prints the heads of the columns, or one row. With times of a GPU's ops the five slowest follow.
 */
void bench_row_head(FILE *to);
void bench_row_print(FILE *to, const char *json);

/* A report while it is being written: JSON, and beside it a text with .txt behind its name. */
typedef struct bench_report {
    out_file json, text;
    char text_path[4200];
    json_out out;
    int rows;
} bench_report;

/* Begins both files with versions, machine, devices and clocks. Each returns -1, or the exit code
 * after it has told the failure. `model` and `filter` may be NULL. */
int bench_report_open(tool *t, bench_report *r, const char *path, const char *model,
                      const char *filter);
void bench_report_row(bench_report *r, const char *json);
/* Ends both; `error` says why rows are missing, NULL: none are. */
int bench_report_close(tool *t, bench_report *r, const char *error);

#endif
