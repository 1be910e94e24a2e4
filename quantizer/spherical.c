/* SPDX-License-Identifier: MIT */
/* spherical.c: cosine k-means with plain means. Scores are a device's, everything that decides
 * between equals is float64 on the host. */
#include "spherical.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 32, RELEASED_FIRST = 12 };

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += (double)a[i] * b[i];
    return sum;
}

/* Looks at every centroid; parallel and scaled ones tie exactly, since nothing is rounded to f32.
 * *margin: by how much the cosine is above the next. */
static int32_t decide(const float *x, const float *centroids, const double *length, int64_t k,
                      int64_t dim, float *margin) {
    const double own = sqrt(dot(x, x, dim));
    double best = -INFINITY, second = -INFINITY;
    int32_t label = 0;
    for (int64_t c = 0; c < k; ++c) {
        const double cosine =
            length[c] > 0 ? dot(x, centroids + c * dim, dim) / length[c] : 0; /* times |x| */
        if (cosine > best) {
            second = best;
            best = cosine;
            label = (int32_t)c;
        } else if (cosine > second) {
            second = cosine;
        }
    }
    *margin = own > 0 ? (float)((best - second) / own) : 0;
    return label;
}

tsr_status tsr_spherical_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                                const float *centroids, int64_t k, int32_t *labels, float *margins,
                                float *distances) {
    tsr_vq_pass pass;
    tsr_status status = tsr_vq_pass_open(device, &pass, k, dim, TSR_METRIC_COSINE, 0, false);
    if (status) return status;
    double *length = tsr_alloc(tsr_device_context(device), (size_t)k, sizeof *length,
                               "cosine clusters: lengths");
    if (!length) status = TSR_ERROR_MEMORY;
    bool zero = false; /* the device takes what has no direction for the origin, nearer than a right
                          angle */
    for (int64_t c = 0; c < k && !status; ++c) {
        length[c] = sqrt(dot(centroids + c * dim, centroids + c * dim, dim));
        zero |= !(length[c] > 0);
    }
    if (!status) tsr_vq_pass_set_codes(&pass, centroids);
    const double near = tsr_vq_tie_bound(dim, 1, 1);
    for (int64_t first = 0; first < n && !status; first += pass.rows) {
        const int64_t count = n - first < pass.rows ? n - first : pass.rows;
        status = tsr_vq_pass_run(&pass, x + first * dim, count);
        for (int64_t i = 0; i < count && !status; ++i) {
            const float *row = x + (first + i) * dim;
            int32_t label = pass.ids[i];
            /* on the unit sphere a squared distance is twice the cosine's */
            float margin = k > 1 ? pass.margin[i] / 2 : 2;
            if (k > 1 && (zero || !(pass.margin[i] >= near)))
                label = decide(row, centroids, length, k, dim, &margin);
            labels[first + i] = label;
            if (margins) margins[first + i] = margin;
            if (!distances) continue;
            const double lengths = sqrt(dot(row, row, dim)) * length[label];
            distances[first + i] =
                lengths > 0 ? (float)(1 - dot(row, centroids + label * dim, dim) / lengths) : 1;
        }
    }
    free(length);
    tsr_vq_pass_close(&pass);
    return status;
}

typedef struct sum_work {
    const float *unit; /* [n, dim] */
    const int32_t *labels;
    double *sums; /* [k, dim] */
    int64_t n, dim, k;
} sum_work;

/* One range of columns, all rows in order: the same sums for every thread count. */
static void sum_columns(void *arg, int64_t tile, int worker) {
    const sum_work *w = arg;
    (void)worker;
    const int64_t from = tile * COLUMNS;
    const int64_t count = w->dim - from < COLUMNS ? w->dim - from : COLUMNS;
    for (int64_t c = 0; c < w->k; ++c)
        memset(w->sums + c * w->dim + from, 0, sizeof *w->sums * (size_t)count);
    for (int64_t i = 0; i < w->n; ++i) {
        double *sum = w->sums + (int64_t)w->labels[i] * w->dim + from;
        const float *row = w->unit + i * w->dim + from;
        for (int64_t j = 0; j < count; ++j)
            sum[j] += (double)row[j];
    }
}

/* New centroids into `next`; returns how far they all moved. */
static double move(const sum_work *w, const int32_t *counts, const float *centroids, float *next) {
    double moved = 0;
    memcpy(next, centroids, sizeof *next * (size_t)(w->k * w->dim));
    for (int64_t c = 0; c < w->k; ++c)
        for (int64_t j = 0; counts[c] && j < w->dim; ++j) {
            const int64_t at = c * w->dim + j;
            next[at] = (float)(w->sums[at] / counts[c]);
            const double d = (double)next[at] - (double)centroids[at];
            moved += d * d;
        }
    return sqrt(moved);
}

static tsr_status iterate(tsr_device *device, const sum_work *w, uint32_t passes, float *centroids,
                          float *next, tsr_spherical_result *result) {
    tsr_context *ctx = tsr_device_context(device);
    for (result->passes = 0;;) {
        tsr_status status = tsr_spherical_assign(device, w->unit, w->n, w->dim, centroids, w->k,
                                                 result->labels, result->margins, NULL);
        if (status) return status;
        memset(result->counts, 0, sizeof *result->counts * (size_t)w->k);
        for (int64_t i = 0; i < w->n; ++i)
            result->counts[result->labels[i]]++;
        tsr_parallel(ctx, (w->dim + COLUMNS - 1) / COLUMNS, sum_columns, (void *)w);
        const double moved = move(w, result->counts, centroids, next);
        if (++result->passes >= passes || moved < 1e-4) break;
        memcpy(centroids, next, sizeof *next * (size_t)(w->k * w->dim));
    }
    for (int64_t c = 0; c < w->k; ++c) {
        float *code = result->codebook + c * w->dim;
        for (int64_t j = 0; j < w->dim; ++j)
            code[j] = result->counts[c] ? (float)(w->sums[c * w->dim + j] / result->counts[c]) : 0;
    }
    return TSR_OK;
}

void tsr_spherical_unit(const float *x, int64_t n, int64_t dim, float *unit) {
    for (int64_t i = 0; i < n; ++i) {
        const float *row = x + i * dim;
        const double length = sqrt(dot(row, row, dim));
        for (int64_t j = 0; j < dim; ++j)
            unit[i * dim + j] = length > 0 ? (float)(row[j] / length) : 0;
    }
}

static tsr_status check(tsr_context *ctx, int64_t n, int64_t dim, int64_t k, uint32_t passes) {
    if (k >= 1 && k <= n && n <= INT32_MAX && dim >= 1 && passes >= 1) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "cosine clusters: wanted 1 to %lld of them and a pass, got %lld and %u",
                    (long long)n, (long long)k, passes);
}

tsr_status tsr_spherical_kmeans_unit(tsr_device *device, const float *unit, int64_t n, int64_t dim,
                                     int64_t k, uint32_t passes, float *centroids,
                                     tsr_spherical_result *result) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_status status = check(ctx, n, dim, k, passes);
    if (status) return status;
    float *next = tsr_alloc(ctx, (size_t)k * (size_t)dim, sizeof *next, "cosine clusters: means");
    double *sums = tsr_alloc(ctx, (size_t)k * (size_t)dim, sizeof *sums, "cosine clusters: sums");
    const sum_work w = {unit, result->labels, sums, n, dim, k};
    status = next && sums ? iterate(device, &w, passes, centroids, next, result) : TSR_ERROR_MEMORY;
    free(next);
    free(sums);
    return status;
}

tsr_status tsr_spherical_kmeans(tsr_device *device, const float *x, int64_t n, int64_t dim,
                                int64_t k, uint32_t passes, float *centroids,
                                tsr_spherical_result *result) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_status status = check(ctx, n, dim, k, passes);
    if (status) return status;
    float *unit = tsr_alloc(ctx, (size_t)n * (size_t)dim, sizeof *unit, "cosine clusters: rows");
    if (!unit) return TSR_ERROR_MEMORY;
    tsr_spherical_unit(x, n, dim, unit);
    status = tsr_spherical_kmeans_unit(device, unit, n, dim, k, passes, centroids, result);
    free(unit);
    return status;
}

double tsr_spherical_distortion(const tsr_spherical_result *r, int64_t k, int64_t dim,
                                double square) {
    double left = square;
    for (int64_t c = 0; c < k; ++c)
        left -= r->counts[c] * dot(r->codebook + c * dim, r->codebook + c * dim, dim);
    return left > 0 ? left : 0;
}

double tsr_spherical_cosine(const tsr_spherical_result *r, int64_t k, int64_t dim, int64_t n) {
    double sum = 0;
    for (int64_t c = 0; c < k; ++c)
        sum += r->counts[c] * sqrt(dot(r->codebook + c * dim, r->codebook + c * dim, dim));
    return sum / (double)n;
}

tsr_status tsr_spherical_canonical(tsr_context *ctx, int64_t n, int64_t dim, int64_t k,
                                   tsr_spherical_result *result) {
    const size_t bytes = sizeof(float) * (size_t)dim;
    int32_t *to = tsr_alloc(ctx, (size_t)k, sizeof *to, "canonical labels");
    int32_t *counts = tsr_alloc(ctx, (size_t)k, sizeof *counts, "canonical labels: counts");
    float *codes =
        tsr_alloc(ctx, (size_t)k * (size_t)dim, sizeof *codes, "canonical labels: codes");
    tsr_status status = to && counts && codes ? TSR_OK : TSR_ERROR_MEMORY;
    int32_t next = 0;
    for (int64_t c = 0; c < k && !status; ++c)
        to[c] = -1;
    for (int64_t i = 0; i < n && !status; ++i) {
        int32_t *label = &result->labels[i];
        if (to[*label] < 0) to[*label] = next++;
        *label = to[*label];
    }
    for (int64_t c = 0; c < k && !status; ++c) {
        if (to[c] < 0) to[c] = next++;
        counts[to[c]] = result->counts[c];
        memcpy(codes + to[c] * dim, result->codebook + c * dim, bytes);
    }
    if (!status) {
        memcpy(result->counts, counts, sizeof *counts * (size_t)k);
        memcpy(result->codebook, codes, bytes * (size_t)k);
    }
    free(to);
    free(counts);
    free(codes);
    return status;
}

/* First greatest second difference, each difference rounded to f32. */
static int64_t sharpest(const float *d, int64_t count) {
    int64_t best = 0;
    float most = -INFINITY;
    for (int64_t i = 0; i + 2 < count; ++i) {
        const float before = d[i + 1] - d[i], after = d[i + 2] - d[i + 1], bend = after - before;
        if (bend > most) {
            most = bend;
            best = i;
        }
    }
    return best;
}

int64_t tsr_elbow(const float *distortions, int64_t count, int64_t first_k) {
    return count < 3 ? first_k : first_k + 1 + sharpest(distortions, count);
}

int64_t tsr_elbow_released(const float *distortions, int64_t count) {
    const int64_t k = sharpest(distortions, count) + 4;
    return k > RELEASED_FIRST ? k : RELEASED_FIRST;
}
