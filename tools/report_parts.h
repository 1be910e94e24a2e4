/* SPDX-License-Identifier: MIT */
/* report_parts.h: the sections of a report page; each writes HTML to the page's file, and nothing
 * where the report has nothing for it. */
#ifndef TOOLS_REPORT_PARTS_H
#define TOOLS_REPORT_PARTS_H

#include <stdio.h>

#include "plot.h"
#include "report_data.h"

typedef struct report_part {
    FILE *file;
    const report_data *r;
    int look[REPORT_CANDIDATES]; /* of the candidate's series: colour and marker */
    int series_count;
} report_part;

/* Numbers of a candidate that no metric has. */
typedef enum report_other {
    REPORT_TEXT_ACC,
    REPORT_TEXT_NED,
    REPORT_FACE_SIM,
    REPORT_OTHERS
} report_other;
/* NaN where it was not measured. */
report_mean report_other_number(const report_candidate *c, report_other what);

/* Gives every series its look, in the order in which they come. */
void report_looks(report_part *p);

/* report_tables.c */
void report_table(const report_part *p);
void report_codes_table(const report_part *p);
void report_protocol(const report_part *p);

/* report_plots.c */
void report_legend(const report_part *p);
void report_rate_plots(const report_part *p);
void report_text_plots(const report_part *p);
void report_face_plots(const report_part *p);
void report_code_plots(const report_part *p);

/* What a plot has on its x axis: bits per pixel, tokens a picture, or pixels per character (of a
 * face). */
typedef enum report_plot_over {
    REPORT_OVER_BITS,
    REPORT_OVER_TOKENS,
    REPORT_OVER_SIZE
} report_plot_over;
enum { REPORT_TIP = 320 };
/* What a plot is made of, freed at once. */
typedef struct report_plot_parts {
    plot_point *points;
    plot_series *series;
    char (*tips)[REPORT_TIP];
} report_plot_parts;
/* One plot by itself; it refers to the report. */
typedef struct report_plot {
    plot plot;
    report_plot_parts parts;
    char unit[160];
} report_plot;
/* Makes the plot of a metric by its name, of t_acc, t_ned or f_sim. NULL, or why there is none;
 * free with report_plot_free in any case. */
const char *report_plot_make(const report_part *p, const char *number, report_plot_over over,
                             report_plot *made);
void report_plot_free(report_plot *made);

/* True if the report has a section of that kind. */
bool report_has_rates(const report_data *r);
bool report_has_text(const report_data *r);
bool report_has_faces(const report_data *r);
bool report_has_codes(const report_data *r);

/* A number for people: as many digits as its metric is given with; "–" for NaN, "∞". */
const char *report_number(double v, char text[40]);
/* 1,234,567 */
const char *report_whole(double v, char text[40]);
/* Two values as "24.1–25.3", with as many digits as report_number. */
const char *report_range(double low, double high, char text[100]);

#endif
