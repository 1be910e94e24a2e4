/* SPDX-License-Identifier: MIT */
/* frechet.c: the Frechet distance of two sets of features. A set is its mean, the trace of its
 * covariance S and a factor F [r, columns] with S = F^T F: the centred rows where there are fewer
 * of them than columns, else Cholesky's. tr sqrt(S1 S2) is then the sum of the singular values of
 * F1 F2^T, of which nothing is unsymmetric or complex. */
#include <tessera/statistics.h>

#include "matrix64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 512, FEW = 2048 };

typedef struct set {
    int64_t rows, columns, factor_rows;
    double *mean, *factor, trace;
} set;

static void close_set(set *s) {
    free(s->mean);
    free(s->factor);
}

static tsr_status check(tsr_context *ctx, const float *x, uint64_t rows, uint64_t columns) {
    if (!x || rows < 2 || columns < 1 || columns > 1 << 16 || rows > (uint64_t)1 << 40)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "frechet: wanted at least 2 rows of 1 to 65536 columns, got %llu of %llu",
                        (unsigned long long)rows, (unsigned long long)columns);
    for (uint64_t i = 0; i < rows * columns; ++i)
        if (!isfinite(x[i]))
            return tsr_fail(ctx, TSR_ERROR_MODEL,
                            "frechet: row %llu: wanted finite features, got %g",
                            (unsigned long long)(i / columns), (double)x[i]);
    return TSR_OK;
}

/* Means in two passes: the second adds what rounding left. */
static void take_mean(const float *x, int64_t rows, int64_t columns, double *mean) {
    memset(mean, 0, (size_t)columns * sizeof *mean);
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
            mean[j] += (double)x[i * columns + j];
    for (int64_t j = 0; j < columns; ++j)
        mean[j] /= (double)rows;
}

/* Centred rows first .. first + count - 1, times scale. */
static void centre(const float *x, const double *mean, int64_t first, int64_t count,
                   int64_t columns, double scale, double *to) {
    x += first * columns;
    for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < columns; ++j)
            *to++ = ((double)*x++ - mean[j]) * scale;
}

/* Covariance [columns, columns], rows in chunks one after the other. */
static tsr_status take_covariance(tsr_context *ctx, const float *x, int64_t rows, int64_t columns,
                                  const double *mean, double *s) {
    double *chunk = tsr_alloc(ctx, (size_t)(CHUNK * columns), sizeof *chunk, "frechet: rows");
    tsr_status status = chunk ? TSR_OK : TSR_ERROR_MEMORY;
    memset(s, 0, (size_t)(columns * columns) * sizeof *s);
    for (int64_t i = 0; i < rows && !status; i += CHUNK) {
        const int64_t n = rows - i < CHUNK ? rows - i : CHUNK;
        centre(x, mean, i, n, columns, 1, chunk);
        const tsr_matrix64 c = tsr_matrix64_of(chunk, n, columns);
        status = tsr_matrix64_multiply(ctx, tsr_matrix64_turned(c), c, 1, true, s, columns);
    }
    for (int64_t i = 0; i < columns; ++i)
        for (int64_t j = 0; j <= i; ++j)
            s[j * columns + i] = s[i * columns + j] /= (double)(rows - 1);
    free(chunk);
    return status;
}

/* Cholesky's factor of the covariance in s->factor, in its place: F = L^T. */
static tsr_status factorise(tsr_context *ctx, set *s) {
    const int64_t d = s->columns;
    s->trace = 0;
    for (int64_t i = 0; i < d; ++i)
        s->trace += s->factor[i * d + i];
    s->factor_rows = d;
    const tsr_status status = tsr_matrix64_cholesky(ctx, s->factor, d);
    for (int64_t i = 0; i < d; ++i)
        for (int64_t j = 0; j < i; ++j) {
            s->factor[j * d + i] = s->factor[i * d + j];
            s->factor[i * d + j] = 0;
        }
    return status;
}

static tsr_status open_set(tsr_context *ctx, const float *x, int64_t rows, int64_t columns,
                           set *s) {
    const int64_t factor_rows = rows < columns ? rows : columns;
    *s = (set){.rows = rows, .columns = columns, .factor_rows = factor_rows};
    s->mean = tsr_alloc(ctx, (size_t)columns, sizeof *s->mean, "frechet: mean");
    s->factor =
        tsr_alloc(ctx, (size_t)(factor_rows * columns), sizeof *s->factor, "frechet: factor");
    if (!s->mean || !s->factor) return TSR_ERROR_MEMORY;
    take_mean(x, rows, columns, s->mean);
    if (rows >= columns) {
        const tsr_status status = take_covariance(ctx, x, rows, columns, s->mean, s->factor);
        return status ? status : factorise(ctx, s);
    }
    centre(x, s->mean, 0, rows, columns, 1 / sqrt((double)(rows - 1)), s->factor);
    for (int64_t i = 0; i < rows * columns; ++i)
        s->trace += s->factor[i] * s->factor[i];
    return TSR_OK;
}

static tsr_status measure(tsr_context *ctx, const set *a, const set *b, tsr_frechet *f) {
    *f = (tsr_frechet){.rows1 = (uint64_t)a->rows,
                       .rows2 = (uint64_t)b->rows,
                       .columns = (uint64_t)a->columns,
                       .trace1 = a->trace,
                       .trace2 = b->trace,
                       .biased = a->rows < FEW || b->rows < FEW};
    for (int64_t j = 0; j < a->columns; ++j)
        f->mean_term += (a->mean[j] - b->mean[j]) * (a->mean[j] - b->mean[j]);
    double *m = tsr_alloc(ctx, (size_t)(a->factor_rows * b->factor_rows), sizeof *m,
                          "frechet: product of factors");
    if (!m) return TSR_ERROR_MEMORY;
    const tsr_matrix64 fa = tsr_matrix64_of(a->factor, a->factor_rows, a->columns);
    const tsr_matrix64 fb = tsr_matrix64_of(b->factor, b->factor_rows, b->columns);
    tsr_status status =
        tsr_matrix64_multiply(ctx, fa, tsr_matrix64_turned(fb), 1, false, m, b->factor_rows);
    if (!status)
        status = tsr_matrix64_nuclear_norm(ctx, m, a->factor_rows, b->factor_rows, &f->trace_sqrt);
    free(m);
    f->distance = f->mean_term + f->trace1 + f->trace2 - 2 * f->trace_sqrt;
    if (f->distance < 0) f->distance = 0;
    return status;
}

tsr_status tsr_frechet_distance(tsr_context *ctx, const float *a, uint64_t rows_a, const float *b,
                                uint64_t rows_b, uint64_t columns, tsr_frechet *frechet) {
    set one = {0}, two = {0};
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_status status = check(ctx, a, rows_a, columns);
    if (!status) status = check(ctx, b, rows_b, columns);
    if (!status) status = open_set(ctx, a, (int64_t)rows_a, (int64_t)columns, &one);
    if (!status) status = open_set(ctx, b, (int64_t)rows_b, (int64_t)columns, &two);
    if (!status) status = measure(ctx, &one, &two, frechet);
    close_set(&one);
    close_set(&two);
    return status;
}

tsr_status tsr_feature_statistics(tsr_context *ctx, const float *features, uint64_t rows,
                                  uint64_t columns, double *mean, double *covariance) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_status status = check(ctx, features, rows, columns);
    if (status) return status;
    take_mean(features, (int64_t)rows, (int64_t)columns, mean);
    return take_covariance(ctx, features, (int64_t)rows, (int64_t)columns, mean, covariance);
}

static tsr_status open_statistics(tsr_context *ctx, const double *mean, const double *covariance,
                                  int64_t rows, int64_t columns, set *s) {
    *s = (set){.rows = rows, .columns = columns};
    const size_t n = (size_t)columns;
    s->mean = tsr_alloc(ctx, n, sizeof *s->mean, "frechet: mean");
    s->factor = tsr_alloc(ctx, n * n, sizeof *s->factor, "frechet: factor");
    if (!s->mean || !s->factor) return TSR_ERROR_MEMORY;
    memcpy(s->mean, mean, n * sizeof *mean);
    memcpy(s->factor, covariance, n * n * sizeof *covariance);
    for (size_t i = 0; i < n * n; ++i)
        if (!isfinite(covariance[i]) || !isfinite(mean[i / n]))
            return tsr_fail(ctx, TSR_ERROR_MODEL, "frechet: wanted finite statistics, got others");
    return factorise(ctx, s);
}

tsr_status tsr_frechet_statistics(tsr_context *ctx, const double *mean_a,
                                  const double *covariance_a, uint64_t rows_a, const double *mean_b,
                                  const double *covariance_b, uint64_t rows_b, uint64_t columns,
                                  tsr_frechet *frechet) {
    set one = {0}, two = {0};
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!mean_a || !covariance_a || !mean_b || !covariance_b || columns < 1 || columns > 1 << 16)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "frechet: wanted two means and two covariances");
    tsr_status status =
        open_statistics(ctx, mean_a, covariance_a, (int64_t)rows_a, (int64_t)columns, &one);
    if (!status)
        status =
            open_statistics(ctx, mean_b, covariance_b, (int64_t)rows_b, (int64_t)columns, &two);
    if (!status) status = measure(ctx, &one, &two, frechet);
    close_set(&one);
    close_set(&two);
    return status;
}
