/* SPDX-License-Identifier: MIT */
/* distributions.c: KID, Inception Score, precision and recall, as torch-fidelity has them, in
 * float64. */
#include <tessera/statistics.h>

#include "../compute/arena.h"
#include "../compute/threads.h"
#include "matrix64.h"

#include <math.h>
#include <stdlib.h>

static tsr_status check(tsr_context *ctx, const char *what, const float *x, uint64_t rows,
                        uint64_t columns) {
    if (!x || rows < 1 || columns < 1 || columns > 1 << 16 || rows > INT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted rows of 1 to 65536 columns, got %llu of %llu", what,
                        (unsigned long long)rows, (unsigned long long)columns);
    for (uint64_t i = 0; i < rows * columns; ++i)
        if (!isfinite(x[i]))
            return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: row %llu: wanted finite values, got %g",
                            what, (unsigned long long)(i / columns), (double)x[i]);
    return TSR_OK;
}

static tsr_spread spread_of(const double *parts, uint32_t count) {
    tsr_spread s = {.parts = count};
    for (uint32_t i = 0; i < count; ++i)
        s.mean += parts[i] / count;
    for (uint32_t i = 0; i < count; ++i)
        s.deviation += (parts[i] - s.mean) * (parts[i] - s.mean) / count;
    s.deviation = sqrt(s.deviation);
    return s;
}

/* ---- KID ---- */

typedef struct kid_job {
    tsr_context *ctx;
    uint32_t size;
    uint64_t columns;
    double *a, *b, *k; /* [size, columns] twice, [size, size] */
} kid_job;

static void gather(const float *from, const uint32_t *rows, uint32_t size, uint64_t columns,
                   double *to) {
    for (uint32_t i = 0; i < size; ++i)
        for (uint64_t j = 0; j < columns; ++j)
            *to++ = (double)from[rows[i] * columns + j];
}

/* Sum of the kernel over all pairs of x and y; without_self leaves i = j out. */
static tsr_status kernel_sum(const kid_job *j, const double *x, const double *y, bool without_self,
                             double *sum) {
    const int64_t n = j->size, d = (int64_t)j->columns;
    for (int64_t i = 0; i < n * n; ++i)
        j->k[i] = 0;
    const tsr_status status =
        tsr_matrix64_multiply(j->ctx, tsr_matrix64_of(x, n, d),
                              tsr_matrix64_turned(tsr_matrix64_of(y, n, d)), 1, false, j->k, n);
    *sum = 0;
    for (int64_t i = 0; i < n * n && !status; ++i) {
        const double t = j->k[i] / (double)d + 1;
        if (!without_self || i / n != i % n) *sum += t * t * t;
    }
    return status;
}

static tsr_status kid_subset(const kid_job *j, double *kid) {
    const double m = j->size;
    double aa, bb, ab;
    tsr_status status = kernel_sum(j, j->a, j->a, true, &aa);
    if (!status) status = kernel_sum(j, j->b, j->b, true, &bb);
    if (!status) status = kernel_sum(j, j->a, j->b, false, &ab);
    if (!status) *kid = (aa + bb) / (m * (m - 1)) - 2 * ab / (m * m);
    return status;
}

tsr_status tsr_kid(tsr_context *ctx, const float *a, uint64_t rows_a, const float *b,
                   uint64_t rows_b, uint64_t columns, uint32_t subsets, uint32_t size,
                   uint32_t seed, tsr_spread *kid, double *per_subset, uint32_t *drawn) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_status status = check(ctx, "kid", a, rows_a, columns);
    if (!status) status = check(ctx, "kid", b, rows_b, columns);
    if (status) return status;
    const uint64_t smaller = rows_a < rows_b ? rows_a : rows_b;
    if (!size) size = smaller < 1000 ? (uint32_t)smaller : 1000;
    if (!subsets) subsets = 100;
    if (size < 2 || size > smaller)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "kid: subset: wanted 2 to %llu rows, got %u",
                        (unsigned long long)smaller, size);
    tsr_scratch scratch = {.ctx = ctx};
    kid_job j = {.ctx = ctx, .size = size, .columns = columns};
    j.a = tsr_scratch_take(&scratch, (size_t)size * columns, sizeof *j.a, "kid: rows");
    j.b = tsr_scratch_take(&scratch, (size_t)size * columns, sizeof *j.b, "kid: rows");
    j.k = tsr_scratch_take(&scratch, (size_t)size * size, sizeof *j.k, "kid: kernel");
    uint32_t *order_a = tsr_scratch_take(&scratch, rows_a, sizeof *order_a, "kid: order");
    uint32_t *order_b = tsr_scratch_take(&scratch, rows_b, sizeof *order_b, "kid: order");
    double *values = tsr_scratch_take(&scratch, subsets, sizeof *values, "kid: values");
    tsr_random_state random;
    tsr_random_state_seed(&random, seed);
    status = scratch.status;
    for (uint32_t s = 0; s < subsets && !status; ++s) {
        tsr_random_state_permutation(&random, (uint32_t)rows_a, order_a);
        tsr_random_state_permutation(&random, (uint32_t)rows_b, order_b);
        gather(a, order_a, size, columns, j.a);
        gather(b, order_b, size, columns, j.b);
        for (uint32_t i = 0; drawn && i < size; ++i) {
            drawn[(size_t)s * 2 * size + i] = order_a[i];
            drawn[(size_t)s * 2 * size + size + i] = order_b[i];
        }
        status = kid_subset(&j, &values[s]);
        if (per_subset) per_subset[s] = values[s];
    }
    if (!status) *kid = spread_of(values, subsets);
    tsr_scratch_free(&scratch);
    return status;
}

/* ---- Inception Score ---- */

/* Logarithms of the probabilities of one row. */
static void log_softmax(const float *logits, uint64_t classes, double *log_p) {
    double most = (double)logits[0], sum = 0;
    for (uint64_t i = 1; i < classes; ++i)
        if ((double)logits[i] > most) most = (double)logits[i];
    for (uint64_t i = 0; i < classes; ++i)
        sum += exp((double)logits[i] - most);
    for (uint64_t i = 0; i < classes; ++i)
        log_p[i] = (double)logits[i] - most - log(sum);
}

tsr_status tsr_inception_score(tsr_context *ctx, const float *logits, uint64_t rows,
                               uint64_t classes, uint32_t splits, uint32_t seed, tsr_spread *score,
                               double *per_split, uint32_t *order) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_status status = check(ctx, "inception score", logits, rows, classes);
    if (!splits) splits = 10;
    if (!status && rows < splits)
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                          "inception score: wanted at least %u rows for as many parts, got %llu",
                          splits, (unsigned long long)rows);
    if (status) return status;
    tsr_scratch scratch = {.ctx = ctx};
    uint32_t *at = tsr_scratch_take(&scratch, rows, sizeof *at, "inception score: order");
    double *log_p = tsr_scratch_take(&scratch, classes, sizeof *log_p, "inception score: row");
    double *mean = tsr_scratch_take(&scratch, classes, sizeof *mean, "inception score: mean");
    double *parts = tsr_scratch_take(&scratch, splits, sizeof *parts, "inception score: parts");
    status = scratch.status;
    tsr_random_state random;
    tsr_random_state_seed(&random, seed);
    if (!status) tsr_random_state_permutation(&random, (uint32_t)rows, at);
    for (uint32_t s = 0; s < splits && !status; ++s) {
        const uint64_t first = s * rows / splits, end = (s + 1) * rows / splits;
        const double n = (double)(end - first);
        double entropy = 0, cross = 0; /* sums of p log p, and of q log q */
        for (uint64_t c = 0; c < classes; ++c)
            mean[c] = 0;
        for (uint64_t r = first; r < end; ++r) {
            log_softmax(logits + at[r] * classes, classes, log_p);
            for (uint64_t c = 0; c < classes; ++c) {
                entropy += exp(log_p[c]) * log_p[c];
                mean[c] += exp(log_p[c]) / n;
            }
        }
        for (uint64_t c = 0; c < classes; ++c)
            cross += mean[c] > 0 ? mean[c] * log(mean[c]) : 0;
        parts[s] = exp(entropy / n - cross);
        if (per_split) per_split[s] = parts[s];
    }
    for (uint64_t i = 0; i < rows && order && !status; ++i)
        order[i] = at[i];
    if (!status) *score = spread_of(parts, splits);
    tsr_scratch_free(&scratch);
    return status;
}

/* ---- precision and recall ---- */

typedef struct neighbours_job {
    const float *points, *others; /* others: balls to look for points in, or the same set */
    const double *radius;         /* of others; NULL: radii of points are wanted */
    uint64_t count, columns;      /* of others */
    uint32_t k;
    double *made;    /* [points] radii */
    uint8_t *inside; /* [points] 1: in a ball of others */
    double *nearest; /* [workers, k + 1] */
} neighbours_job;

static double distance(const float *a, const float *b, uint64_t n) {
    double sum = 0;
    for (uint64_t i = 0; i < n; ++i) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sqrt(sum);
}

static void neighbours_tile(void *arg, int64_t p, int worker) {
    const neighbours_job *j = arg;
    const float *x = j->points + (size_t)p * j->columns;
    double *nearest = j->nearest + (size_t)worker * (j->k + 1);
    for (uint32_t i = 0; i <= j->k; ++i)
        nearest[i] = INFINITY;
    for (uint64_t o = 0; o < j->count; ++o) {
        const double d = distance(x, j->others + o * j->columns, j->columns);
        if (j->radius) {
            if (d <= j->radius[o]) {
                j->inside[p] = 1;
                return;
            }
            continue;
        }
        uint32_t at = j->k + 1; /* insertion among the k + 1 smallest, the point itself included */
        while (at && d < nearest[at - 1])
            --at;
        for (uint32_t i = j->k; i > at; --i)
            nearest[i] = nearest[i - 1];
        if (at <= j->k) nearest[at] = d;
    }
    if (!j->radius) j->made[p] = nearest[j->k];
}

/* Share of points inside. */
static double share(tsr_context *ctx, neighbours_job *j, uint64_t points) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < points; ++i)
        j->inside[i] = 0;
    tsr_parallel(ctx, (int64_t)points, neighbours_tile, j);
    for (uint64_t i = 0; i < points; ++i)
        sum += j->inside[i];
    return (double)sum / (double)points;
}

tsr_status tsr_precision_recall_measure(tsr_context *ctx, const float *generated,
                                        uint64_t rows_generated, const float *real,
                                        uint64_t rows_real, uint64_t columns, uint32_t k,
                                        tsr_precision_recall *result, double *radius_generated,
                                        double *radius_real) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!k) k = 3;
    tsr_status status = check(ctx, "precision", generated, rows_generated, columns);
    if (!status) status = check(ctx, "precision", real, rows_real, columns);
    if (!status && (rows_generated <= k || rows_real <= k))
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                          "precision: wanted more than %u rows in both sets, got %llu and %llu", k,
                          (unsigned long long)rows_generated, (unsigned long long)rows_real);
    if (status) return status;
    const uint64_t most = rows_generated > rows_real ? rows_generated : rows_real;
    tsr_scratch scratch = {.ctx = ctx};
    double *rg = tsr_scratch_take(&scratch, rows_generated, sizeof *rg, "precision: radii");
    double *rr = tsr_scratch_take(&scratch, rows_real, sizeof *rr, "precision: radii");
    neighbours_job j = {.columns = columns, .k = k};
    j.inside = tsr_scratch_take(&scratch, most, 1, "precision: places");
    j.nearest = tsr_scratch_take(&scratch, (size_t)tsr_thread_count(ctx) * (k + 1),
                                 sizeof *j.nearest, "precision: neighbours");
    status = scratch.status;
    if (!status) {
        j.points = j.others = generated, j.count = rows_generated, j.made = rg;
        tsr_parallel(ctx, (int64_t)rows_generated, neighbours_tile, &j);
        j.points = j.others = real, j.count = rows_real, j.made = rr;
        tsr_parallel(ctx, (int64_t)rows_real, neighbours_tile, &j);
        j.points = generated, j.radius = rr; /* others: real */
        result->precision = share(ctx, &j, rows_generated);
        j.points = real, j.others = generated, j.count = rows_generated, j.radius = rg;
        result->recall = share(ctx, &j, rows_real);
        const double sum = result->precision + result->recall;
        result->f_score = 2 * result->precision * result->recall / (sum > 1e-5 ? sum : 1e-5);
        for (uint64_t i = 0; radius_generated && i < rows_generated; ++i)
            radius_generated[i] = rg[i];
        for (uint64_t i = 0; radius_real && i < rows_real; ++i)
            radius_real[i] = rr[i];
    }
    tsr_scratch_free(&scratch);
    return status;
}
