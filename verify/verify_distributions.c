/* SPDX-License-Identifier: MIT */
/* verify_distributions.c: golden cases of numbers of sets of features, and of MS-SSIM. */
#include "verify_picture.h"

#include <tessera/statistics.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- features ---- */

typedef struct rows {
    float *values;
    int64_t count, columns;
} rows;

/* The array called `name`: a file or made by the rule. */
static tsr_tensor input(tsr_verify *v, const char *name) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    if (!entry) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", name);
    if (v->status) return (tsr_tensor){0};
    return cJSON_HasObjectItem(entry, "file") ? tsr_verify_array(v, entry, TSR_DTYPE_F32)
                                              : tsr_synthetic_input(v, name);
}

/* One set: a name, or a list of names whose rows follow each other. */
static rows read_rows(tsr_verify *v, const cJSON *names) {
    const cJSON *item = cJSON_IsArray(names) ? names->child : names;
    rows all = {0};
    for (; item; item = cJSON_IsArray(names) ? item->next : NULL) {
        const char *name = cJSON_GetStringValue(item);
        const tsr_tensor t = input(v, name ? name : "");
        if (v->status) return all;
        const int64_t columns = tsr_cols(&t), count = tsr_elements(&t) / columns;
        if (all.count && columns != all.columns) tsr_verify_refuse(v, "inputs: columns differ");
        float *more = tsr_verify_take(v, (all.count + count) * columns, sizeof *more, "features");
        if (!more) return all;
        if (all.count) memcpy(more, all.values, (size_t)(all.count * columns) * sizeof *more);
        memcpy(more + all.count * columns, t.data, (size_t)(count * columns) * sizeof *more);
        all = (rows){more, all.count + count, columns};
    }
    return all;
}

static void read_sets(tsr_verify *v, int count, rows *sets) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "inputs");
    if (cJSON_GetArraySize(list) != count) tsr_verify_refuse(v, "inputs: wanted %d sets", count);
    for (int i = 0; i < count; ++i)
        sets[i] = v->status ? (rows){0} : read_rows(v, cJSON_GetArrayItem(list, i));
    if (count == 2 && sets[0].columns != sets[1].columns)
        tsr_verify_refuse(v, "inputs: wanted sets of equally many columns");
}

static void number(tsr_verify *v, const char *output, double value) {
    tsr_verify_f64(v, output, &value, 1, (int64_t[]){1});
}

/* ---- Frechet distance ---- */

static void statistics(tsr_verify *v, const rows *a) {
    const int64_t d = a->columns;
    if (!tsr_verify_output(v, "cov1")) return;
    double *mean = tsr_verify_take(v, d, sizeof *mean, "mean");
    double *covariance = tsr_verify_take(v, d * d, sizeof *covariance, "covariance");
    if (!v->status)
        v->status = tsr_feature_statistics(v->ctx, a->values, (uint64_t)a->count, (uint64_t)d, mean,
                                           covariance);
    tsr_verify_f64(v, "mean1", mean, 1, (int64_t[]){d});
    tsr_verify_f64(v, "cov1", covariance, 2, (int64_t[]){d, d});
}

void tsr_verify_frechet(tsr_verify *v) {
    rows s[2];
    tsr_frechet f;
    read_sets(v, 2, s);
    if (!v->status)
        v->status = tsr_frechet_distance(v->ctx, s[0].values, (uint64_t)s[0].count, s[1].values,
                                         (uint64_t)s[1].count, (uint64_t)s[0].columns, &f);
    if (v->status) return;
    number(v, "mean_term", f.mean_term);
    number(v, "trace1", f.trace1);
    number(v, "trace2", f.trace2);
    number(v, "trace_sqrt", f.trace_sqrt);
    number(v, "distance", f.distance);
    statistics(v, &s[0]);
}

/* ---- KID, Inception Score, precision and recall ---- */

void tsr_verify_kid(tsr_verify *v) {
    rows s[2];
    tsr_spread kid;
    const int64_t subsets = (int64_t)tsr_verify_number(v->run, "subsets", 0);
    const int64_t size = (int64_t)tsr_verify_number(v->run, "subset_size", 0);
    const uint32_t seed = (uint32_t)tsr_verify_number(v->run, "rng_seed", 0);
    if (subsets < 1 || subsets > 1000 || size < 2 || size > 1000)
        tsr_verify_refuse(v, "subsets: wanted 1 to 1000 of 2 to 1000 rows");
    read_sets(v, 2, s);
    if (v->status) return;
    double *each = tsr_verify_take(v, subsets, sizeof *each, "subsets");
    uint32_t *drawn = tsr_verify_take(v, subsets * size * 2, sizeof *drawn, "subsets");
    int32_t *part = tsr_verify_take(v, subsets * size, sizeof *part, "subsets");
    if (!v->status)
        v->status = tsr_kid(v->ctx, s[0].values, (uint64_t)s[0].count, s[1].values,
                            (uint64_t)s[1].count, (uint64_t)s[0].columns, (uint32_t)subsets,
                            (uint32_t)size, seed, &kid, each, drawn);
    for (int set = 0; set < 2 && !v->status; ++set) {
        for (int64_t i = 0; i < subsets * size; ++i)
            part[i] = (int32_t)drawn[(i / size * 2 + set) * size + i % size];
        tsr_verify_i32(v, set ? "rows2" : "rows1", part, 2, (int64_t[]){subsets, size});
    }
    tsr_verify_f64(v, "per_subset", each, 1, &subsets);
    number(v, "mean", kid.mean);
    number(v, "std", kid.deviation);
}

void tsr_verify_inception_score(tsr_verify *v) {
    rows s;
    tsr_spread score;
    const int64_t splits = (int64_t)tsr_verify_number(v->run, "splits", 10);
    const uint32_t seed = (uint32_t)tsr_verify_number(v->run, "rng_seed", 0);
    if (splits < 1 || splits > 1000) tsr_verify_refuse(v, "splits: wanted 1 to 1000");
    read_sets(v, 1, &s);
    if (v->status) return;
    double *each = tsr_verify_take(v, splits, sizeof *each, "splits");
    uint32_t *order = tsr_verify_take(v, s.count, sizeof *order, "order");
    if (!v->status)
        v->status = tsr_inception_score(v->ctx, s.values, (uint64_t)s.count, (uint64_t)s.columns,
                                        (uint32_t)splits, seed, &score, each, order);
    tsr_verify_i32(v, "order", (const int32_t *)order, 1, &s.count);
    tsr_verify_f64(v, "per_split", each, 1, &splits);
    number(v, "mean", score.mean);
    number(v, "std", score.deviation);
}

void tsr_verify_precision_recall(tsr_verify *v) {
    rows s[2];
    tsr_precision_recall r;
    const uint32_t k = (uint32_t)tsr_verify_number(v->run, "neighbours", 3);
    read_sets(v, 2, s);
    double *generated = tsr_verify_take(v, s[0].count, sizeof *generated, "radii");
    double *real = tsr_verify_take(v, s[1].count, sizeof *real, "radii");
    if (!v->status)
        v->status = tsr_precision_recall_measure(v->ctx, s[0].values, (uint64_t)s[0].count,
                                                 s[1].values, (uint64_t)s[1].count,
                                                 (uint64_t)s[0].columns, k, &r, generated, real);
    if (v->status) return;
    tsr_verify_f64(v, "radius_generated", generated, 1, &s[0].count);
    tsr_verify_f64(v, "radius_real", real, 1, &s[1].count);
    number(v, "precision", r.precision);
    number(v, "recall", r.recall);
    number(v, "f_score", r.f_score);
}

void tsr_verify_random_state(tsr_verify *v) {
    enum { WORDS = 20, LONGEST = 1000 };
    const uint32_t seed = (uint32_t)tsr_verify_number(v->run, "seed", 0);
    int32_t high[WORDS], low[WORDS];
    uint32_t order[LONGEST];
    tsr_random_state state;
    tsr_random_state_seed(&state, seed);
    for (int i = 0; i < WORDS; ++i) {
        const uint32_t word = tsr_random_state_next(&state);
        high[i] = (int32_t)(word >> 16);
        low[i] = (int32_t)(word & 0xFFFF);
    }
    tsr_verify_i32(v, "words_hi", high, 1, (int64_t[]){WORDS});
    tsr_verify_i32(v, "words_lo", low, 1, (int64_t[]){WORDS});
    for (int n = 10; n <= LONGEST; n *= 100) {
        tsr_random_state_seed(&state, seed);
        tsr_random_state_permutation(&state, (uint32_t)n, order);
        tsr_verify_i32(v, n == 10 ? "permutation10" : "permutation1000", (const int32_t *)order, 1,
                       (int64_t[]){n});
    }
}

/* ---- MS-SSIM ---- */

/* The pair by formula; checks the sums of all bytes. */
static void make_pair(tsr_verify *v, int64_t width, int64_t height, uint8_t *a, uint8_t *b) {
    const bool inverted = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v->run, "inverted"));
    double sums[2] = {0};
    for (int64_t i = 0; i < width * height * 3; ++i) {
        const int64_t c = i % 3, x = i / 3 % width, y = i / 3 / width;
        const int64_t r = tsr_verify_formula(x, y, c);
        int64_t d = r + (x * 31 + y * 17 + c * 7 + ((x * y) >> 2)) % 23 - 11;
        d = d < 0 ? 0 : d > 255 ? 255 : d;
        a[i] = (uint8_t)r;
        b[i] = (uint8_t)(inverted ? 255 - d : d);
        sums[0] += a[i];
        sums[1] += b[i];
    }
    if (sums[0] != tsr_verify_number(v->run, "sum_reference", -1) ||
        sums[1] != tsr_verify_number(v->run, "sum_distorted", -1))
        tsr_verify_refuse(v, "sums: wanted those of the formula, got %.0f and %.0f", sums[0],
                          sums[1]);
}

void tsr_verify_ms_ssim(tsr_verify *v) {
    const int64_t width = (int64_t)tsr_verify_number(v->run, "width", 0);
    const int64_t height = (int64_t)tsr_verify_number(v->run, "height", 0);
    if (width < 1 || width > 4096 || height < 1 || height > 4096)
        tsr_verify_refuse(v, "width, height: wanted 1 to 4096");
    if (v->status) return;
    uint8_t *a = tsr_verify_take(v, width * height, 3, "picture");
    uint8_t *b = tsr_verify_take(v, width * height, 3, "picture");
    tsr_structure s;
    if (!v->status) make_pair(v, width, height, a, b);
    if (!v->status) v->status = tsr_structure_measure(v->ctx, a, b, (int)width, (int)height, &s);
    if (v->status) return;
    number(v, "piq", s.ms_ssim_piq);
    if (tsr_verify_output(v, "torchmetrics") || !isnan(s.ms_ssim_torchmetrics))
        number(v, "torchmetrics", s.ms_ssim_torchmetrics);
    number(v, "ssim_wang", s.ssim_gaussian);
    number(v, "ssim_torchmetrics_padded", s.ssim_torchmetrics);
}
