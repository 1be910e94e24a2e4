/* SPDX-License-Identifier: MIT */
/* codes.c: tokens as codes of a codebook, hard or soft; and how many codes to take. */
#define TESSERA_EXPERIMENTAL
#include "../compute/threads.h"
#include "../quantizer/quantizer.h"
#include "../quantizer/spherical.h"
#include "operator.h"
#include "recorded.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- codebooks ---- */

typedef struct codebook {
    const float *codes; /* [count, dim] */
    int64_t count, dim;
} codebook;

/* The codebook of the parameter "codebook", or else of the column "codes". */
static codebook find_codebook(tsr_operation *o) {
    if (!tsr_operation_has(o, "codebook")) {
        const tsr_token_array codes = tsr_operation_table(o, "codes", 2);
        return (codebook){codes.data, codes.dim[0], codes.dim[1]};
    }
    const char *path = tsr_operation_text(o, "codebook");
    float *codes = NULL;
    uint32_t stages = 0, count = 0, dim = 0;
    int cosine;
    if (!o->status)
        o->status = tsr_codebook_read(o->ctx, path, &codes, &stages, &count, &dim, &cosine);
    if (!o->status && stages != 1)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "codebook: %s: wanted 1 stage, got %u", path,
                           stages);
    float *own = tsr_operation_take(o, (int64_t)count * dim, sizeof *own, "codebook");
    if (own) memcpy(own, codes, (size_t)count * dim * sizeof *own);
    free(codes);
    return (codebook){own, count, dim};
}

#define CODEBOOK_PARAMETER                                                                         \
    {                                                                                              \
        "codebook", TSR_PARAMETER_FILE, NULL, 0, 0, NULL,                                          \
            "file of the codebook; or give the column codes"                                       \
    }

static int32_t *every_token(tsr_operation *o) {
    int32_t *map = tsr_operation_take(o, o->in->count, sizeof *map, "map");
    for (int64_t i = 0; i < o->in->count && map; ++i)
        map[i] = (int32_t)i;
    return map;
}

/* Every token stays where it is; `features` [k, channels] take the place of the old ones. */
static void replace_features(tsr_operation *o, int64_t channels, const float *features) {
    tsr_operation_replace(o, every_token(o), o->in->count, channels, features,
                          o->in->grid[0] ? o->in->grid : NULL);
}

/* ---- nearest code ---- */

typedef struct nearest_work {
    const float *x, *codes;
    int64_t dim, count;
    int32_t *ids;
    const float *margin;
    double *distance; /* squared, to the code */
    double code_length;
} nearest_work;

/* Where f32 cannot tell the two best codes apart, float64 looks at all of them. */
static void settle_row(void *arg, int64_t i, int worker) {
    const nearest_work *w = arg;
    const float *row = w->x + i * w->dim;
    (void)worker;
    double least = tsr_square_distance(row, w->codes + w->ids[i] * w->dim, w->dim);
    const double bound = tsr_vq_tie_bound(w->dim, sqrt(tsr_dot(row, row, w->dim)), w->code_length);
    if (w->count > 1 && !((double)w->margin[i] >= bound))
        for (int64_t c = 0; c < w->count; ++c) {
            const double d = tsr_square_distance(row, w->codes + c * w->dim, w->dim);
            if (d < least || (d == least && c < w->ids[i])) {
                least = d;
                w->ids[i] = (int32_t)c;
            }
        }
    w->distance[i] = least;
}

static double longest_row(const codebook *b) {
    double most = 0;
    for (int64_t c = 0; c < b->count; ++c)
        most = fmax(most, tsr_dot(b->codes + c * b->dim, b->codes + c * b->dim, b->dim));
    return sqrt(most);
}

/* SEED; LaVIT divides rows, not codes, by their length. */
static void nearest_code(tsr_operation *o) {
    const codebook b = find_codebook(o);
    const int64_t n = o->in->count, dim = o->in->channels;
    const float *x = o->in->features;
    if (!o->status && b.dim != dim)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "codes: wanted the %lld channels of the tokens, got %lld",
                           (long long)dim, (long long)b.dim);
    if (!o->status) o->status = tsr_vq_check(o->ctx, "nearest-code: tokens", x, n, dim);
    if (!o->status) o->status = tsr_vq_check(o->ctx, "nearest-code: codes", b.codes, b.count, dim);
    if (tsr_operation_is(o, "rule", "cos")) {
        float *unit = tsr_operation_take(o, n * dim, sizeof *unit, "unit rows");
        tsr_unit_rows(o, x, n, dim, unit);
        x = unit;
    }
    int32_t *ids = tsr_operation_take(o, n, sizeof *ids, "ids");
    float *margin = tsr_operation_take(o, n, sizeof *margin, "margins");
    double *distance = tsr_operation_take(o, n, sizeof *distance, "distances");
    tsr_device *device = tsr_operation_device(o);
    if (o->status) return;
    o->status =
        tsr_vq_assign(device, x, n, dim, b.codes, b.count, TSR_METRIC_EUCLID, 0, ids, margin, NULL);
    if (o->status) return;
    tsr_parallel(o->ctx, n, settle_row,
                 &(nearest_work){x, b.codes, dim, b.count, ids, margin, distance, longest_row(&b)});
    double error = 0;
    for (int64_t i = 0; i < n; ++i)
        error += distance[i];
    tsr_operation_trace_f64(o, "squared_error", &error, 1);
    tsr_operation_trace_f32(o, "margin", margin, n);
    if (tsr_operation_is(o, "features", "codes")) {
        float *features = tsr_operation_take(o, n * dim, sizeof *features, "codes");
        for (int64_t i = 0; i < n && features; ++i)
            memcpy(features + i * dim, b.codes + ids[i] * dim, (size_t)dim * sizeof *features);
        replace_features(o, dim, features);
    } else
        tsr_operation_keep(o, every_token(o), n);
    tsr_operation_attach(o, "ids", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, &n, ids);
}

/* By how much the nearest code must be nearer than the next, for each row: [n]; tsr_vq_tie_bound.
 */
static tsr_tensor *tie_bounds(tsr_recorded *x, tsr_tensor *rows, tsr_tensor *codes) {
    const double share = tsr_vq_tie_bound(x->channels, 1, 0);
    tsr_tensor *power = tsr_reduce(x->run, codes, TSR_REDUCE_SUMSQ); /* [count, 1] */
    power = tsr_reduce(x->run, tsr_reshape(x->run, power, 1, (int64_t[]){tsr_elements(power)}),
                       TSR_REDUCE_MAX); /* [1] */
    tsr_tensor *own = tsr_reshape(x->run, tsr_reduce(x->run, rows, TSR_REDUCE_SUMSQ), 1, &x->count);
    /* (|row| + |code|)^2 is at most twice the sum of their squares. */
    return tsr_scale(x->run, tsr_binary(x->run, own, power, TSR_BINARY_ADD), (float)(2 * share), 0);
}

static int32_t *every_row(tsr_recorded *x) {
    int32_t *map = tsr_operation_take(x->o, x->count, sizeof *map, "map");
    for (int64_t i = 0; i < x->count && map; ++i)
        map[i] = (int32_t)i;
    return map;
}

/* The codebook as a tensor, whose rows are as wide as the features. */
static tsr_tensor *record_codebook(tsr_recorded *x) {
    codebook b = {0};
    if (tsr_operation_has(x->o, "codebook")) {
        b = find_codebook(x->o);
        if (x->o->status) tsr_recorded_decline(x);
    } else {
        const tsr_token_array codes = tsr_recorded_table(x, "codes", 2);
        b = (codebook){codes.data, codes.dim[0], codes.dim[1]};
    }
    if (!x->declined && (b.dim != x->channels ||
                         tsr_vq_check(x->o->ctx, "nearest-code: codes", b.codes, b.count, b.dim)))
        tsr_recorded_decline(x);
    return x->declined
               ? NULL
               : tsr_constant(x->run, TSR_DTYPE_F32, 2, (int64_t[]){b.count, b.dim}, b.codes);
}

void tsr_record_nearest_code(tsr_recorded *x) {
    tsr_tensor *codes = record_codebook(x), *margin;
    if (x->declined) return;
    tsr_tensor *rows =
        tsr_operation_is(x->o, "rule", "cos") ? tsr_recorded_unit(x, x->features) : x->features;
    tsr_tensor *ids = tsr_nearest_code(x->run, rows, codes, NULL, TSR_METRIC_EUCLID, &margin);
    tsr_tensor *taken = tsr_gather_rows(x->run, codes, ids);
    tsr_tensor *error = tsr_reduce(x->run, tsr_binary(x->run, rows, taken, TSR_BINARY_SUB),
                                   TSR_REDUCE_SUMSQ); /* [n, 1] */
    error = tsr_reduce(x->run, tsr_reshape(x->run, error, 1, &x->count), TSR_REDUCE_SUM);
    /* How far f32 may be off grows with the rows themselves; the host bounds it row by row. */
    tsr_recorded_margins(x, tsr_binary(x->run, margin, tie_bounds(x, rows, codes), TSR_BINARY_SUB),
                         0);
    tsr_recorded_trace(x, "squared_error", TSR_ARRAY_F64, error);
    tsr_recorded_trace(x, "margin", TSR_ARRAY_F32, margin);
    if (tsr_operation_is(x->o, "features", "codes")) {
        int32_t *map = every_row(x);
        tsr_recorded_replace(x, map, taken, x->grid[0] ? x->grid : NULL);
    } else
        tsr_recorded_keep_all(x);
    tsr_recorded_attach(x, "ids", ids);
}

const tsr_operator tsr_operator_nearest_code = {
    .info = {.name = "nearest-code",
             .kind = TSR_OPERATOR_QUANTISE,
             .about = "gives each token the id of the nearest code",
             .formula = "id_i = argmin_j |z_i - c_j|^2, z_i the features, with rule=cos divided "
                        "by their length; codes are used as they are. The ids become the column "
                        "ids",
             .source = "SEED (AILab-CVC/SEED @ 93b3cf4), LaVIT (jy0205/LaVIT @ 8cde9b4)",
             .differs = "the published code expands the square in f32, so that two codes of nearly "
                        "the same distance may change places; here such rows are decided in "
                        "float64, and equal distances go to the lowest id",
             .cost = "N K D multiply-adds for K codes; no N x K matrix",
             .columns = "codes"},
    .parameters = {CODEBOOK_PARAMETER,
                   {"rule", TSR_PARAMETER_CHOICE, "l2", 0, 0, "l2|cos",
                    "whether tokens are divided by their length first"},
                   {"features", TSR_PARAMETER_CHOICE, "tokens", 0, 0, "tokens|codes",
                    "whether tokens keep their features or take those of the code"}},
    .apply = nearest_code,
    .record = tsr_record_nearest_code,
};

/* ---- soft tokens ---- */

typedef struct soft_work {
    const float *logits; /* [n, count] */
    const codebook *codes;
    double tau;
    int64_t top;     /* 0: all codes */
    int32_t *ids;    /* [n, top] */
    float *weights;  /* [n, top] */
    float *features; /* [n, dim] */
    double *sum;     /* [threads, dim] */
    double *share;   /* [threads, count] */
} soft_work;

/* The `top` greatest shares, the lowest code first among equals: ids [top], rescaled to sum 1. */
static void take_top(double *share, int64_t count, int64_t top, int32_t *ids, float *weights) {
    int64_t taken = 0;
    double sum = 0;
    for (int64_t c = 0; c < count; ++c) {
        if (taken == top && !(share[c] > share[ids[taken - 1]])) continue;
        int64_t at = taken < top ? taken++ : taken - 1;
        for (; at > 0 && share[c] > share[ids[at - 1]]; --at)
            ids[at] = ids[at - 1];
        ids[at] = (int32_t)c;
    }
    for (int64_t t = 0; t < top; ++t)
        sum += share[ids[t]];
    for (int64_t t = 0; t < top; ++t)
        weights[t] = (float)(share[ids[t]] / sum);
}

static void soft_row(void *arg, int64_t i, int worker) {
    const soft_work *w = arg;
    const int64_t count = w->codes->count, dim = w->codes->dim;
    const float *logits = w->logits + i * count;
    double *share = w->share + worker * count, *sum = w->sum + worker * dim, most = -INFINITY;
    double all = 0;
    for (int64_t c = 0; c < count; ++c)
        most = fmax(most, w->tau * (double)logits[c]);
    for (int64_t c = 0; c < count; ++c) {
        share[c] = exp(w->tau * (double)logits[c] - most);
        all += share[c];
    }
    for (int64_t c = 0; c < count; ++c)
        share[c] /= all;
    memset(sum, 0, (size_t)dim * sizeof *sum);
    if (w->top) take_top(share, count, w->top, w->ids + i * w->top, w->weights + i * w->top);
    for (int64_t t = 0; t < (w->top ? w->top : count); ++t) {
        const int64_t c = w->top ? w->ids[i * w->top + t] : t;
        const double p = w->top ? (double)w->weights[i * w->top + t] : share[c];
        for (int64_t j = 0; j < dim; ++j)
            sum[j] += p * (double)w->codes->codes[c * dim + j];
    }
    for (int64_t j = 0; j < dim; ++j)
        w->features[i * dim + j] = (float)sum[j];
}

/* AiT. */
static void soft_tokens(tsr_operation *o) {
    const tsr_token_array logits =
        tsr_operation_column(o, "logits", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
    const codebook b = find_codebook(o);
    const int64_t n = o->in->count, top = tsr_operation_integer(o, "top");
    if (!o->status && logits.dim[1] != b.count)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "logits: wanted one for each of the %lld codes, got %lld",
                           (long long)b.count, (long long)logits.dim[1]);
    if (!o->status && top > b.count)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "top: wanted at most the %lld codes, got %lld",
                           (long long)b.count, (long long)top);
    if (o->status) return;
    const int threads = tsr_thread_count(o->ctx);
    soft_work w = {.logits = logits.data, .codes = &b, .top = top};
    w.tau = tsr_operation_number(o, "tau");
    w.ids = tsr_operation_take(o, n * top, sizeof *w.ids, "ids");
    w.weights = tsr_operation_take(o, n * top, sizeof *w.weights, "weights");
    w.features = tsr_operation_take(o, n * b.dim, sizeof *w.features, "features");
    w.sum = tsr_operation_take(o, threads * b.dim, sizeof *w.sum, "sums");
    w.share = tsr_operation_take(o, threads * b.count, sizeof *w.share, "shares");
    if (o->status) return;
    tsr_parallel(o->ctx, n, soft_row, &w);
    replace_features(o, b.dim, w.features);
    if (!top) return;
    tsr_operation_attach(o, "ids", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, top},
                         w.ids);
    tsr_operation_attach(o, "weights", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, top},
                         w.weights);
}

const tsr_operator tsr_operator_soft_tokens = {
    .info = {.name = "soft-tokens",
             .kind = TSR_OPERATOR_QUANTISE,
             .about = "gives each token the mean of the codes, weighted by its logits",
             .formula = "p = softmax(tau logits_i); x_i = sum_j p_j c_j. With top = m: the m "
                        "greatest p alone, rescaled to sum 1; the columns ids and weights hold "
                        "them",
             .source = "AiT (SwinTransformer/AiT @ 3527d50)",
             .differs = NULL,
             .cost = "N K D multiply-adds for K codes; with top = m N K + N m D",
             .columns = "logits codes"},
    .parameters = {CODEBOOK_PARAMETER,
                   {"tau", TSR_PARAMETER_NUMBER, "1", 1e-6, 1e6, NULL,
                    "sharpness: logits are multiplied by it"},
                   {"top", TSR_PARAMETER_INTEGER, "0", 0, 65536, NULL,
                    "number of codes of a token; 0: all"}},
    .apply = soft_tokens,
};

/* ---- number of clusters ---- */

/* VQToken. */
static void cluster_count(tsr_operation *o) {
    int count = 0;
    const double *list = tsr_operation_list(o, "distortions", &count);
    const int64_t from = tsr_operation_integer(o, "from");
    const bool published = tsr_operation_is(o, "variant", "published");
    float *distortions = tsr_operation_take(o, count, sizeof *distortions, "distortions");
    if (!o->status && count < 3)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "distortions: wanted at least 3, got %d", count);
    if (!o->status && published && from != 12)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "from: wanted 12, which variant=published has built in, got %lld",
                           (long long)from);
    if (o->status) return;
    for (int i = 0; i < count; ++i)
        distortions[i] = (float)list[i];
    const int32_t k = (int32_t)(published ? tsr_elbow_released(distortions, count)
                                          : tsr_elbow(distortions, count, from));
    tsr_operation_trace_i32(o, "k", &k, 1);
}

const tsr_operator tsr_operator_cluster_count = {
    .info = {.name = "cluster-count",
             .kind = TSR_OPERATOR_PLAN,
             .about = "chooses the number of clusters from how their distortion falls",
             .formula = "K = the number whose second difference d[K-1] - 2 d[K] + d[K+1] of the "
                        "distortions is greatest, the first of equal ones",
             .source = "VQToken (Hai-chao-Zhang/VQToken @ 019f89f)",
             .differs = "the published code uses the place in the list, which starts at 12, as if "
                        "it started at 3, K = max(argmax + 4, 12); variant=published does that",
             .cost = "one pass over the list",
             .columns = NULL},
    .parameters = {{"distortions", TSR_PARAMETER_LIST, NULL, 0, 1e30, NULL,
                    "of from, from + 1, ... clusters"},
                   {"from", TSR_PARAMETER_INTEGER, "12", 1, 2147483, NULL,
                    "number of clusters of the first distortion"},
                   {"variant", TSR_PARAMETER_CHOICE, "elbow", 0, 0, "elbow|published",
                    "which number is taken"}},
    .apply = cluster_count,
};
