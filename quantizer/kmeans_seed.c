/* SPDX-License-Identifier: MIT */
/* kmeans_seed.c: k-means++ seeding on the host's threads. It is one pass over the sample for each
 * code, most of it skipped, with nothing for a GPU to gain at the sizes it is limited to. */
#include "quantizer.h"
#include "rng.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8, SAMPLE_LEAST = 65536, SAMPLE_OF_CODE = 16 };

typedef struct work {
    const float *x;
    int64_t dim, m;
    int64_t *row;       /* [m] rows of x in the sample */
    float *unit;        /* [m, dim] those rows normalised; NULL for Euclid */
    const float *codes; /* [k, dim] seeds so far */
    int64_t newest;
    float *apart;     /* [k] squared distance of the newest seed to each one before */
    float *weight;    /* [m] squared distance to the nearest seed */
    int32_t *nearest; /* [m] that seed */
    double *tile_sum;
} work;

static const float *row_of(const work *w, int64_t j) {
    return w->unit ? w->unit + j * w->dim : w->x + w->row[j] * w->dim;
}

/* Fixed lanes let the compiler use vectors without changing the order of additions. */
static inline float squared_distance(const float *x, const float *code, int64_t dim) {
    float lane[LANES] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (int l = 0; l < LANES; ++l) {
            float d = x[i + l] - code[i + l];
            lane[l] += d * d;
        }
    for (; i < dim; ++i) {
        float d = x[i] - code[i];
        rest += d * d;
    }
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7])) + rest;
}

static void unit_tile(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    (void)worker;
    int64_t last = (tile + 1) * TSR_DRAW_TILE < w->m ? (tile + 1) * TSR_DRAW_TILE : w->m;
    for (int64_t j = tile * TSR_DRAW_TILE; j < last; ++j) {
        const float *x = w->x + w->row[j] * w->dim;
        double sum = 0;
        for (int64_t i = 0; i < w->dim; ++i)
            sum += (double)x[i] * x[i];
        double scale = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t i = 0; i < w->dim; ++i)
            w->unit[j * w->dim + i] = (float)(x[i] * scale);
    }
}

/* A row whose seed is at least twice as far from the newest one as from the row cannot be nearer to
 * the newest (triangle inequality; on squares a factor of 4, with room for rounding): most rows
 * need no distance. */
TSR_CLONES static void distance_tile(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    (void)worker;
    const float *code = w->codes + w->newest * w->dim;
    int64_t last = (tile + 1) * TSR_DRAW_TILE < w->m ? (tile + 1) * TSR_DRAW_TILE : w->m;
    for (int64_t j = tile * TSR_DRAW_TILE; j < last; ++j) {
        if (w->newest && w->apart[w->nearest[j]] >= 4.001f * w->weight[j]) continue;
        float d = squared_distance(row_of(w, j), code, w->dim);
        if (d >= w->weight[j]) continue;
        w->weight[j] = d;
        w->nearest[j] = (int32_t)w->newest;
    }
    w->tile_sum[tile] = tsr_draw_tile_sum(w->weight, w->m, tile);
}

TSR_CLONES static void measure_apart(const work *w) {
    for (int64_t c = 0; c < w->newest; ++c)
        w->apart[c] =
            squared_distance(w->codes + c * w->dim, w->codes + w->newest * w->dim, w->dim);
}

double tsr_draw_tile_sum(const float *weight, int64_t n, int64_t tile) {
    int64_t last = (tile + 1) * TSR_DRAW_TILE < n ? (tile + 1) * TSR_DRAW_TILE : n;
    double sum = 0;
    for (int64_t i = tile * TSR_DRAW_TILE; i < last; ++i)
        sum += weight[i];
    return sum;
}

int64_t tsr_draw(const float *weight, int64_t n, const double *tile_sum, double u) {
    int64_t tiles = (n + TSR_DRAW_TILE - 1) / TSR_DRAW_TILE, tile = -1;
    double total = 0;
    for (int64_t t = 0; t < tiles; ++t)
        total += tile_sum[t];
    if (!(total > 0)) return -1;
    double target = u * total, sum = 0;
    for (int64_t t = 0; t < tiles; ++t) {
        if (!(tile_sum[t] > 0)) continue;
        tile = t; /* the last tile with weight stands when rounding leads past the end */
        if (target < sum + tile_sum[t]) break;
        sum += tile_sum[t];
    }
    int64_t found = -1;
    int64_t last = (tile + 1) * TSR_DRAW_TILE < n ? (tile + 1) * TSR_DRAW_TILE : n;
    for (int64_t i = tile * TSR_DRAW_TILE; i < last; ++i) {
        if (!(weight[i] > 0)) continue;
        found = i;
        sum += weight[i];
        if (target < sum) break;
    }
    return found;
}

tsr_status tsr_kmeans_seed(tsr_context *ctx, const float *x, int64_t n, int64_t dim,
                           const tsr_kmeans_settings *settings, float *codes) {
    int64_t k = settings->codes;
    uint64_t stream = 8 * settings->stream;
    int64_t m = k > INT64_MAX / SAMPLE_OF_CODE ? n : k * SAMPLE_OF_CODE;
    if (m < SAMPLE_LEAST) m = SAMPLE_LEAST;
    if (m > n) m = n;
    int64_t tiles = (m + TSR_DRAW_TILE - 1) / TSR_DRAW_TILE;
    work w = {.x = x, .dim = dim, .m = m, .codes = codes};
    bool cosine = settings->metric == TSR_METRIC_COSINE;
    tsr_status status = TSR_OK;
    if (!(w.row = tsr_alloc(ctx, (size_t)m, sizeof *w.row, "k-means++: sample")) ||
        !(w.apart = tsr_alloc(ctx, (size_t)k, sizeof *w.apart, "k-means++: distances")) ||
        !(w.weight = tsr_alloc(ctx, (size_t)m, sizeof *w.weight, "k-means++: distances")) ||
        !(w.nearest = tsr_alloc(ctx, (size_t)m, sizeof *w.nearest, "k-means++: seeds")) ||
        !(w.tile_sum = tsr_alloc(ctx, (size_t)tiles, sizeof *w.tile_sum, "k-means++: sums")) ||
        (cosine &&
         !(w.unit = tsr_alloc(ctx, (size_t)m * (size_t)dim, sizeof *w.unit, "k-means++: sample"))))
        status = TSR_ERROR_MEMORY;
    for (int64_t j = 0; j < m && !status; ++j) {
        /* One row of each of m equal stretches; with m == n each stretch is one row. */
        int64_t first = (int64_t)((__uint128_t)j * (uint64_t)n / (uint64_t)m);
        int64_t next = (int64_t)((__uint128_t)(j + 1) * (uint64_t)n / (uint64_t)m);
        double u = tsr_random_unit(settings->seed, stream + TSR_DRAW_SAMPLE, (uint64_t)j);
        w.row[j] = first + (int64_t)(u * (double)(next - first));
        w.weight[j] = FLT_MAX;
    }
    if (!status && cosine) tsr_parallel(ctx, tiles, unit_tile, &w);
    for (int64_t c = 0; c < k && !status; ++c) {
        double u = tsr_random_unit(settings->seed, stream + TSR_DRAW_SEED, (uint64_t)c);
        int64_t j = c ? tsr_draw(w.weight, m, w.tile_sum, u) : (int64_t)(u * (double)m);
        /* Fewer different rows than codes: the rest repeat rows and stay unused. */
        if (j < 0) j = (int64_t)(u * (double)m);
        memcpy(codes + c * dim, row_of(&w, j), sizeof *codes * (size_t)dim);
        w.newest = c;
        measure_apart(&w);
        tsr_parallel(ctx, tiles, distance_tile, &w);
        if (settings->progress &&
            settings->progress(settings->progress_user, "k-means++", (uint64_t)c + 1, (uint64_t)k))
            status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "k-means++: stopped at code %lld of %lld",
                              (long long)c + 1, (long long)k);
    }
    free(w.row);
    free(w.weight);
    free(w.tile_sum);
    free(w.nearest);
    free(w.apart);
    free(w.unit);
    return status;
}
