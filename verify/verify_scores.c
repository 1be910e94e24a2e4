/* SPDX-License-Identifier: MIT */
/* verify_scores.c: golden cases of text distances, size bins, the use of a codebook and the
 * alignment of faces. */
#include <tessera/scores.h>

#include "verify_picture.h"

#include "../metrics/face_align.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

static const char *text_of(tsr_verify *v, const cJSON *pair, const char *field) {
    return tsr_verify_text(v, pair, field);
}

static tsr_text_score compare(tsr_verify *v, const cJSON *pair, int ignore_case) {
    tsr_text_score score = {0};
    const char *truth = text_of(v, pair, "gt"), *read = text_of(v, pair, "pred");
    if (!v->status) v->status = tsr_text_compare(v->ctx, truth, read, ignore_case, &score);
    return score;
}

void tsr_verify_text_pairs(tsr_verify *v) {
    enum { DISTANCE, LENGTH_GT, LENGTH_PRED, EXACT, LOWER, NUMBERS };
    static const char *const names[] = {"distance", "length_gt", "length_pred", "exact",
                                        "exact_lower"};
    const cJSON *pairs = cJSON_GetObjectItemCaseSensitive(v->run, "pairs"), *pair;
    const int64_t n = cJSON_GetArraySize(pairs);
    int32_t *numbers = tsr_verify_take(v, NUMBERS * n, sizeof *numbers, "texts");
    double *ned = tsr_verify_take(v, n, sizeof *ned, "texts");
    tsr_text_totals totals = {0};
    int64_t i = 0;
    cJSON_ArrayForEach(pair, pairs) {
        const tsr_text_score s = compare(v, pair, 0), lower = compare(v, pair, 1);
        if (v->status) return;
        numbers[DISTANCE * n + i] = (int32_t)s.distance;
        numbers[LENGTH_GT * n + i] = (int32_t)s.length;
        numbers[LENGTH_PRED * n + i] = (int32_t)s.read_length;
        numbers[EXACT * n + i] = s.exact;
        numbers[LOWER * n + i] = lower.exact;
        ned[i++] = s.similarity;
        tsr_text_totals_add(&totals, &s);
    }
    const tsr_text_rates rates = tsr_text_totals_rates(&totals);
    for (int k = 0; k < NUMBERS && !v->status; ++k)
        tsr_verify_i32(v, names[k], numbers + k * n, 1, &n);
    tsr_verify_f64(v, "ned", ned, 1, &n);
    tsr_verify_f64(v, "accuracy", &rates.accuracy, 1, (int64_t[]){1});
    tsr_verify_f64(v, "mean_ned", &rates.similarity, 1, (int64_t[]){1});
}

void tsr_verify_text_corpus(tsr_verify *v) {
    const cJSON *pair;
    tsr_text_totals totals = {0};
    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(v->run, "pairs")) {
        const tsr_text_score s = compare(v, pair, 0);
        tsr_text_totals_add(&totals, &s);
    }
    const tsr_text_rates rates = tsr_text_totals_rates(&totals);
    tsr_verify_f64(v, "cer", &rates.cer, 1, (int64_t[]){1});
    tsr_verify_f64(v, "wer", &rates.wer, 1, (int64_t[]){1});
}

/* ---- bins ---- */

static const double *input_doubles(tsr_verify *v, const char *name, int64_t *count) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    if (!entry) tsr_verify_refuse(v, "inputs: wanted %s, got none", name);
    return v->status ? NULL : tsr_verify_doubles(v, entry, count);
}

/* Means of one score, under its name and "<name>_mean". */
static void compare_means(tsr_verify *v, const char *name, const tsr_bin_means *means, int count) {
    double mean[TSR_SIZE_BINS_MOST];
    char macro_name[64];
    for (int i = 0; i < count; ++i)
        mean[i] = tsr_bin_means_of(means, i);
    const double macro = tsr_bin_means_macro(means, count);
    snprintf(macro_name, sizeof macro_name, "%s_mean", name);
    tsr_verify_f64(v, name, mean, 1, (int64_t[]){count});
    tsr_verify_f64(v, macro_name, &macro, 1, (int64_t[]){1});
}

static tsr_size_bins read_edges(tsr_verify *v) {
    const cJSON *edges = cJSON_GetObjectItemCaseSensitive(v->run, "edges"), *edge;
    tsr_size_bins bins = {.count = cJSON_GetArraySize(edges) - 1}, known;
    const char *name = tsr_verify_name(v), *dash = strrchr(name, '-');
    if (bins.count < 1 || bins.count > TSR_SIZE_BINS_MOST) {
        tsr_verify_refuse(v, "edges: wanted 2 to %d, got %d", TSR_SIZE_BINS_MOST + 1,
                          bins.count + 1);
        return (tsr_size_bins){0};
    }
    int i = 0;
    cJSON_ArrayForEach(edge, edges) bins.edges[i++] = edge->valuedouble;
    /* The benchmark's edges are built in, too. */
    const int setting = dash ? atoi(dash + 1) : 0, faces = !strncmp(name, "face", 4);
    if (!tsr_size_bins_tokbench(setting, faces, &known))
        tsr_verify_line(
            v, "edges",
            known.count == bins.count &&
                !memcmp(known.edges, bins.edges, (size_t)(bins.count + 1) * sizeof *bins.edges),
            "built-in edges of setting %d", setting);
    return bins;
}

void tsr_verify_bins(tsr_verify *v) {
    const tsr_size_bins bins = read_edges(v);
    const cJSON *name;
    int64_t n = 0, same = 0;
    const double *ratio = input_doubles(v, "ratio", &n);
    int32_t *bin = tsr_verify_take(v, n, sizeof *bin, "bins"), counts[TSR_SIZE_BINS_MOST] = {0};
    for (int64_t i = 0; i < n && !v->status; ++i) {
        bin[i] = tsr_size_bins_find(&bins, ratio[i]);
        if (bin[i] >= 0) counts[bin[i]]++;
    }
    tsr_verify_i32(v, "bin", bin, 1, &n);
    tsr_verify_i32(v, "count", counts, 1, (int64_t[]){bins.count});
    cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(v->run, "inputs")) {
        const char *text = cJSON_GetStringValue(name);
        if (!text || !strcmp(text, "ratio")) continue;
        const double *score = input_doubles(v, text, &same);
        tsr_bin_means means = {0};
        if (!v->status && same != n) tsr_verify_refuse(v, "%s: wanted as many as ratios", text);
        for (int64_t i = 0; i < n && !v->status; ++i)
            tsr_bin_means_add(&means, bin[i], score[i]);
        compare_means(v, text, &means, bins.count);
    }
}

/* ---- use of a codebook ---- */

void tsr_verify_codebook(tsr_verify *v) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", "ids");
    const uint32_t codes = (uint32_t)tsr_verify_number(v->run, "codes", 0);
    tsr_code_use *use = NULL;
    if (!entry) tsr_verify_refuse(v, "inputs: wanted ids, got none");
    const tsr_tensor ids = entry ? tsr_verify_array(v, entry, TSR_DTYPE_I32) : (tsr_tensor){0};
    if (!v->status) v->status = tsr_code_use_open(v->ctx, codes, &use);
    for (int64_t i = 0; i < ids.dim[0] && !v->status; ++i)
        v->status = tsr_code_use_add(use, (const uint32_t *)ids.data + i * ids.dim[1],
                                     (uint32_t)ids.dim[1]);
    int32_t *histogram = tsr_verify_take(v, codes, sizeof *histogram, "histogram");
    if (!v->status) {
        tsr_code_use_summary s;
        tsr_code_use_summarise(use, &s);
        for (uint32_t i = 0; i < codes; ++i)
            histogram[i] = (int32_t)tsr_code_use_counts(use)[i];
        const double used = s.used;
        tsr_verify_i32(v, "histogram", histogram, 1, (int64_t[]){codes});
        tsr_verify_f64(v, "used", &used, 1, (int64_t[]){1});
        tsr_verify_f64(v, "usage", &s.usage, 1, (int64_t[]){1});
        tsr_verify_f64(v, "entropy_bits", &s.entropy_bits, 1, (int64_t[]){1});
        tsr_verify_f64(v, "perplexity", &s.perplexity, 1, (int64_t[]){1});
        tsr_verify_f64(v, "mean_picture_perplexity", &s.picture_perplexity, 1, (int64_t[]){1});
    }
    tsr_code_use_close(&use);
}

/* ---- alignment of faces ---- */

void tsr_verify_align(tsr_verify *v) {
    const tsr_face_template *to = strcmp(tsr_verify_text(v, v->run, "template"), "sphereface")
                                      ? &tsr_face_arcface
                                      : &tsr_face_sphereface;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "points");
    double points[5][2] = {{0}}, matrix[2][3] = {{0}};
    int width = 0, height = 0;
    uint8_t *rgb = tsr_verify_picture(v, tsr_verify_text(v, v->run, "input"), &width, &height);
    for (int i = 0; i < 10 && !v->status; ++i) {
        const cJSON *number = cJSON_GetArrayItem(cJSON_GetArrayItem(list, i / 2), i % 2);
        if (!cJSON_IsNumber(number)) tsr_verify_refuse(v, "points: wanted five pairs");
        if (number) points[i / 2][i % 2] = number->valuedouble;
    }
    const int64_t dim[3] = {to->height, to->width, 3}, bytes = dim[0] * dim[1] * dim[2];
    uint8_t *crop = tsr_verify_take(v, bytes, 1, "crop");
    if (!v->status) tsr_face_similarity(to, points, matrix);
    tsr_verify_f64(v, "matrix", matrix[0], 2, (int64_t[]){2, 3});
    if (!v->status) tsr_face_warp(rgb, width, height, matrix, crop, to->width, to->height);
    tsr_verify_u8(v, "crop", crop, 3, dim);
    /* With the stored matrix every byte follows. */
    const cJSON *stored = tsr_verify_output(v, "matrix"), *whole = tsr_verify_output(v, "crop");
    int64_t count = 0;
    const double *exact = stored ? tsr_verify_doubles(v, stored, &count) : NULL;
    if (exact && count == 6 && whole) {
        memcpy(matrix, exact, sizeof matrix);
        tsr_face_warp(rgb, width, height, matrix, crop, to->width, to->height);
        tsr_verify_hash_line(v, "crop_fnv1a64", tsr_verify_hash(v, whole, "fnv1a64"),
                             tsr_verify_fnv(crop, (size_t)bytes));
    }
    free(rgb);
}
