/* SPDX-License-Identifier: MIT */
/* Any bytes as report.json: what is accepted is within its limits and is drawn, and no text of it
 * becomes markup. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "tools/html_out.c"
#include "tools/plot_pen.c"
#include "tools/plot_svg.c"
#include "tools/report_data.c"
#include "tools/report_fields.c"
#include "tools/report_plots.c"
#include "tools/report_tables.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void draw(const report_data *r, FILE *file) {
    report_part p = {.file = file, .r = r};
    report_looks(&p);
    report_table(&p);
    report_rate_plots(&p);
    report_text_plots(&p);
    report_face_plots(&p);
    report_code_plots(&p);
    report_protocol(&p);
}

static void look_at(const report_data *r) {
    if (r->metric_count > REPORT_METRICS || r->candidate_count > REPORT_CANDIDATES) abort();
    for (int i = 0; i < r->candidate_count; ++i) {
        const report_candidate *c = &r->candidates[i];
        if (!c->name || !c->series || !c->summary || c->codes.codes > REPORT_BINS) abort();
        if (c->codes.used < 0 || c->text.bins.count > REPORT_BINS) abort();
    }
    for (int i = 0; i < r->picture_count; ++i)
        for (int k = 0; k < r->pictures[i].count; ++k)
            if (r->pictures[i].cells[k].candidate >= r->candidate_count) abort();
}

static void read_one(const uint8_t *data, size_t size) {
    char error[1200] = "";
    report_data *r = report_data_read(data, size, error, sizeof error);
    if (!r) {
        if (!*error) abort();
        return;
    }
    look_at(r);
    char *page = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&page, &length);
    if (file) draw(r, file);
    if (file && fclose(file) == 0 && strstr(page, "<script")) abort();
    free(page);
    report_data_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_one(data, size);
    alloc_fail_at(size % 16);
    read_one(data, size);
    alloc_fail_at(-1);
    return 0;
}
