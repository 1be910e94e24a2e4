/* SPDX-License-Identifier: MIT */
/* text_fidelity.c: how much text survives: what a recogniser reads in a reconstruction against what
 * is written there. */
#include "../compute/threads.h"
#include "operator.h"
#include "text_distance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct compare_work {
    const tsr_text_rows *rows;
    char *workspace; /* one piece of `bytes` for each worker */
    size_t bytes;
    int32_t *distance;      /* [rows] */
    double *ned;            /* [rows] distance / length of the longer text; 0 of two empty texts */
    tsr_word_scores *words; /* [rows] or NULL */
} compare_work;

static void compare_row(void *arg, int64_t i, int worker) {
    const compare_work *w = arg;
    const tsr_text a = w->rows->rows[i].reference, b = w->rows->rows[i].prediction;
    void *workspace = w->workspace + (size_t)worker * w->bytes;
    const int64_t longest = a.count > b.count ? a.count : b.count;
    w->distance[i] = (int32_t)tsr_edit_distance(a, b, workspace);
    w->ned[i] = longest ? (double)w->distance[i] / (double)longest : 0;
    if (w->words) w->words[i] = tsr_compare_words(a, b, workspace);
}

/* Compares all rows; `words` asks for words, too. */
static compare_work compare_rows(tsr_operation *o, const tsr_text_rows *rows, bool words) {
    const int64_t n = rows->count, threads = o->status ? 1 : tsr_thread_count(o->ctx);
    compare_work w = {.rows = rows,
                      .bytes = (tsr_text_workspace(rows->longest) + 15) & ~(size_t)15};
    w.workspace = tsr_operation_take(o, threads, w.bytes, "comparing texts");
    w.distance = tsr_operation_take(o, n, sizeof *w.distance, "distances");
    w.ned = tsr_operation_take(o, n, sizeof *w.ned, "distances");
    if (words) w.words = tsr_operation_take(o, n, sizeof *w.words, "word scores");
    if (!o->status) tsr_parallel(o->ctx, n, compare_row, &w);
    return w;
}

static void read_rows(tsr_operation *o, tsr_text_rows *rows) {
    const char *path = tsr_operation_text(o, "rows");
    if (!o->status) o->status = tsr_text_rows_read(o->ctx, path, rows);
}

#define ROWS_PARAMETER                                                                             \
    { "rows", TSR_PARAMETER_FILE, NULL, 0, 0, NULL, "file of JSON lines: texts and predictions" }

/* ---- TokBench ---- */

/* Means over rows by the size of their text; bin b is edges[b] <= ratio < edges[b+1]. */
static void trace_bins(tsr_operation *o, const compare_work *w, const int32_t *accuracy) {
    int count = 0;
    const double *edges = tsr_operation_list(o, "edges", &count);
    const int64_t bins = count - 1;
    if (!o->status && bins < 1)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "edges: wanted 2 or more, got %d", count);
    for (int i = 0; i + 1 < count && !o->status; ++i)
        if (!(edges[i] < edges[i + 1]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "edges: wanted rising numbers, got %.10g before %.10g", edges[i],
                               edges[i + 1]);
    int32_t *rows = tsr_operation_take(o, bins, sizeof *rows, "bins");
    double *acc = tsr_operation_take(o, bins + 1, sizeof *acc, "bins");
    double *ned = tsr_operation_take(o, bins + 1, sizeof *ned, "bins");
    if (o->status) return;
    for (int64_t i = 0; i < w->rows->count; ++i)
        for (int64_t b = 0; b < bins; ++b) {
            const double ratio = w->rows->rows[i].ratio; /* NaN is in no bin */
            if (!(ratio >= edges[b] && ratio < edges[b + 1])) continue;
            rows[b]++;
            acc[b] += accuracy[i];
            ned[b] += 1 - w->ned[i];
        }
    for (int64_t b = 0; b < bins; ++b) { /* 0 / 0: NaN, which the headline then is, too */
        acc[b] /= (double)rows[b];
        ned[b] /= (double)rows[b];
        acc[bins] += acc[b] / (double)bins;
        ned[bins] += ned[b] / (double)bins;
    }
    tsr_operation_trace_i32(o, "bin_counts", rows, bins);
    tsr_operation_trace_f64(o, "t_acc", acc, bins + 1);
    tsr_operation_trace_f64(o, "t_ned", ned, bins + 1);
}

static void text_fidelity_tokbench(tsr_operation *o) {
    tsr_text_rows rows = {0};
    read_rows(o, &rows);
    const compare_work w = compare_rows(o, &rows, false);
    const int64_t n = rows.count;
    int32_t *accuracy = tsr_operation_take(o, n, sizeof *accuracy, "accuracy");
    double *similarity = tsr_operation_take(o, n, sizeof *similarity, "similarity");
    double acc = 0, ned = 0;
    const int32_t count = (int32_t)n;
    for (int64_t i = 0; i < n && !o->status; ++i) {
        accuracy[i] = w.distance[i] == 0;
        similarity[i] = 1 - w.ned[i];
        acc += accuracy[i];
        ned += similarity[i];
    }
    acc /= (double)n;
    ned /= (double)n;
    trace_bins(o, &w, accuracy);
    tsr_operation_trace_i32(o, "rows", &count, 1);
    tsr_operation_trace_f64(o, "instance_mean_acc", &acc, 1);
    tsr_operation_trace_f64(o, "instance_mean_one_minus_ned", &ned, 1);
    tsr_operation_trace_i32(o, "distance", w.distance, n);
    tsr_operation_trace_i32(o, "accuracy", accuracy, n);
    tsr_operation_trace_f64(o, "one_minus_ned", similarity, n);
    tsr_text_rows_close(&rows);
}

const tsr_operator tsr_operator_text_fidelity_tokbench = {
    .info = {.name = "text-fidelity-tokbench",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says how much text is still read right, by the size of the text",
             .formula = "accuracy = (prediction = text); 1 - NED = 1 - Levenshtein / length of the "
                        "longer, on code points; means over the rows of each bin "
                        "edges[b] <= ratio < edges[b+1]; headline = plain mean of the bins' means",
             .source = "TokBench (wjf5203/TokBench @ a77070c)",
             .differs = "the published code divides by zero where both texts are empty; here that "
                        "is a match. Rows of each bin are counted; an empty bin is NaN, as "
                        "published, and so is the headline then. Rows outside all bins are in the "
                        "means over instances alone",
             .cost = "length^2 / 64 steps a row",
             .columns = NULL},
    .parameters = {ROWS_PARAMETER,
                   {"edges", TSR_PARAMETER_LIST, "0.02+0.03+0.04+1", 0, 1e9, NULL,
                    "edges of the bins; 512 pixels: 0.01+0.02+0.03+1, 1024: 0.005+0.01+0.02+1"}},
    .apply = text_fidelity_tokbench,
};

/* ---- pages of text ---- */

/* Traces value [rows], and its means over the rows of each group as "<name>_by_group". */
static void trace_scores(tsr_operation *o, const tsr_text_rows *rows, const char *name,
                         const double *value) {
    double *mean = tsr_operation_take(o, rows->group_count, sizeof *mean, "means");
    int32_t *count = tsr_operation_take(o, rows->group_count, sizeof *count, "means");
    if (o->status) return;
    for (int64_t i = 0; i < rows->count; ++i) {
        mean[rows->rows[i].group] += value[i];
        count[rows->rows[i].group]++;
    }
    for (int g = 0; g < rows->group_count; ++g)
        mean[g] /= (double)count[g];
    char by_group[TSR_TOKEN_NAME];
    snprintf(by_group, sizeof by_group, "%s_by_group", name);
    tsr_operation_trace_f64(o, name, value, rows->count);
    tsr_operation_trace_f64(o, by_group, mean, rows->group_count);
}

/* How many rows were scored against the text of each name: "rows_against_<name>". */
static void trace_references(tsr_operation *o, const tsr_text_rows *rows) {
    int32_t *count = tsr_operation_take(o, rows->reference_count, sizeof *count, "references");
    for (int64_t i = 0; i < rows->count && count; ++i)
        count[rows->rows[i].reference_name]++;
    for (int r = 0; r < rows->reference_count && r < 8 && count; ++r) {
        const char *from = rows->reference_names[r];
        char name[TSR_TOKEN_NAME];
        snprintf(name, sizeof name, "rows_against_%s", *from ? from : "unnamed");
        for (char *c = name; *c; ++c)
            if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *c))
                *c = '_';
        tsr_operation_trace_i32(o, name, &count[r], 1);
    }
}

static void text_distance_ocr(tsr_operation *o) {
    tsr_text_rows rows = {0};
    read_rows(o, &rows);
    const compare_work w = compare_rows(o, &rows, true);
    const int64_t n = rows.count;
    const int32_t count = (int32_t)n;
    int32_t *group = tsr_operation_take(o, n, sizeof *group, "groups");
    double *value = tsr_operation_take(o, 4 * n, sizeof *value, "scores");
    for (int64_t i = 0; i < n && !o->status; ++i) {
        group[i] = rows.rows[i].group;
        value[i] = w.words[i].precision;
        value[n + i] = w.words[i].recall;
        value[2 * n + i] = w.words[i].f;
        value[3 * n + i] = w.words[i].bleu;
    }
    tsr_operation_trace_i32(o, "rows", &count, 1);
    trace_references(o, &rows);
    tsr_operation_trace_i32(o, "group", group, n);
    tsr_operation_trace_i32(o, "distance", w.distance, n);
    trace_scores(o, &rows, "edit_dist", w.ned);
    trace_scores(o, &rows, "precision", value);
    trace_scores(o, &rows, "recall", value + n);
    trace_scores(o, &rows, "f_measure", value + 2 * n);
    trace_scores(o, &rows, "bleu", value + 3 * n);
    tsr_text_rows_close(&rows);
}

const tsr_operator tsr_operator_text_distance_ocr = {
    .info = {.name = "text-distance-ocr",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says how far pages that were read are from pages that were written",
             .formula = "edit_dist = Levenshtein / length of the longer, on code points; "
                        "precision, recall and F = 2PR / (P + R) of the sets of words between "
                        "whitespace; BLEU-4 of the page as one sentence, equal weights, no "
                        "smoothing. Means over groups, numbered as they first come",
             .source = "DeepSeek-OCR critique (dududuck00/DeepSeekOCR @ ea8bf00)",
             .differs = "the published code scores pages of different experiments against "
                        "different texts; here the rows scored against each named text are "
                        "counted (rows_against_<name>). An empty prediction has precision 0, not "
                        "none. Chinese is not split into words",
             .cost = "length^2 / 64 steps and a sort of words a row",
             .columns = NULL},
    .parameters = {ROWS_PARAMETER},
    .apply = text_distance_ocr,
};
