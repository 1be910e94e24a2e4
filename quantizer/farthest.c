/* SPDX-License-Identifier: MIT */
/* farthest.c: max-min picks of rows by their direction. */
#include "spherical.h"
#include "../compute/sums.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>

enum { TILE = 256, EXACT_MOST = 64 };
static const double PICKED = -4; /* below every distance 1 - cosine */

/* ---- the first pick ---- */

/* Sample row j of m. */
static int64_t sampled(const tsr_farthest *f, int64_t j, int64_t m) {
    return (int64_t)((__uint128_t)(uint64_t)j * (uint64_t)f->n / (uint64_t)m);
}

/* 1 - cosine of a sample row to its nearest other one; rows of zeros are no rows. */
static double nearest_other(const tsr_farthest *f, int64_t j, int64_t m) {
    const float *row = f->unit + sampled(f, j, m) * f->dim;
    double most = -1;
    for (int64_t i = 0; i < m; ++i) {
        const float *other = f->unit + sampled(f, i, m) * f->dim;
        const double cosine = i == j ? -1 : tsr_dot(row, other, f->dim);
        if (cosine > most) most = cosine;
    }
    return 1 - most;
}

/* Squared distances to the nearest other row, by a device: rows are their own codes, so that the
 * second nearest is the nearest other one. */
static tsr_status measure(tsr_device *device, const float *rows, int64_t m, int64_t dim,
                          float *apart) {
    tsr_vq_pass pass = {0};
    tsr_status status = tsr_vq_pass_open(device, &pass, m, dim, TSR_METRIC_COSINE, 0, false);
    if (!status) tsr_vq_pass_set_codes(&pass, rows);
    for (int64_t first = 0; first < m && !status; first += pass.rows) {
        const int64_t count = m - first < pass.rows ? m - first : pass.rows;
        status = tsr_vq_pass_run(&pass, rows + first * dim, count);
        for (int64_t i = 0; i < count && !status; ++i)
            apart[first + i] = pass.margin[i];
    }
    tsr_vq_pass_close(&pass);
    return status;
}

/* Of rows within rounding of the farthest, the first of which are looked at, the truly farthest. */
static int64_t decide(const tsr_farthest *f, const float *apart, int64_t m) {
    const double bound = 2 * tsr_vq_tie_bound(f->dim, 1, 1);
    double most = -1, best = -1;
    int64_t pick = 0;
    int looked = 0;
    for (int64_t j = 0; j < m; ++j)
        if (apart[j] > most) most = apart[j];
    for (int64_t j = 0; j < m && looked < EXACT_MOST; ++j) {
        if (apart[j] < most - bound) continue;
        const double exact = nearest_other(f, j, m);
        ++looked;
        if (exact > best) {
            best = exact;
            pick = sampled(f, j, m);
        }
    }
    return pick;
}

static tsr_status pick_first(tsr_device *device, tsr_farthest *f, int64_t *pick) {
    const int64_t m = f->n < TSR_FARTHEST_FIRST ? f->n : TSR_FARTHEST_FIRST;
    *pick = 0;
    if (m == 1) return TSR_OK;
    float *rows =
        tsr_alloc(f->ctx, (size_t)m * (size_t)f->dim, sizeof *rows, "farthest rows: sample");
    float *apart = tsr_alloc(f->ctx, (size_t)m, sizeof *apart, "farthest rows: distances");
    tsr_status status = rows && apart ? TSR_OK : TSR_ERROR_MEMORY;
    for (int64_t j = 0; j < m && !status; ++j)
        for (int64_t i = 0; i < f->dim; ++i)
            rows[j * f->dim + i] = f->unit[sampled(f, j, m) * f->dim + i];
    if (!status) status = measure(device, rows, m, f->dim, apart);
    for (int64_t j = 0; j < m && !status; ++j)
        if (!(tsr_dot(rows + j * f->dim, rows + j * f->dim, f->dim) > 0)) apart[j] = -1;
    if (!status) *pick = decide(f, apart, m);
    free(rows);
    free(apart);
    return status;
}

/* ---- the others ---- */

/* Rows of one tile against the newest pick. */
static void approach_tile(void *arg, int64_t tile, int worker) {
    const tsr_farthest *f = arg;
    const float *pick = f->unit + f->rows[f->count - 1] * f->dim;
    (void)worker;
    for (int64_t i = tile * TILE; i < f->n && i < (tile + 1) * TILE; ++i) {
        const double distance = 1 - tsr_dot(f->unit + i * f->dim, pick, f->dim);
        if (distance < f->nearest[i]) f->nearest[i] = distance;
    }
}

static void take(tsr_farthest *f, int64_t row) {
    f->rows[f->count++] = row;
    tsr_parallel(f->ctx, (f->n + TILE - 1) / TILE, approach_tile, f);
    f->nearest[row] = PICKED;
}

tsr_status tsr_farthest_open(tsr_device *device, tsr_farthest *f, const float *unit, int64_t n,
                             int64_t dim) {
    *f = (tsr_farthest){.ctx = tsr_device_context(device), .unit = unit, .n = n, .dim = dim};
    if (n < 1 || dim < 1)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT,
                        "farthest rows: wanted a row of a number, got %lld of %lld", (long long)n,
                        (long long)dim);
    f->nearest = tsr_alloc(f->ctx, (size_t)n, sizeof *f->nearest, "farthest rows: distances");
    f->rows = tsr_alloc(f->ctx, (size_t)n, sizeof *f->rows, "farthest rows: picks");
    if (!f->nearest || !f->rows) return TSR_ERROR_MEMORY;
    /* A row of zeros is at 1 from every pick, and would be picked again and again. */
    for (int64_t i = 0; i < n; ++i)
        f->nearest[i] = tsr_dot(unit + i * dim, unit + i * dim, dim) > 0 ? INFINITY : PICKED / 2;
    int64_t first;
    const tsr_status status = pick_first(device, f, &first);
    if (!status) take(f, first);
    return status;
}

void tsr_farthest_pick(tsr_farthest *f, int64_t count) {
    for (count = count < f->n ? count : f->n; f->count < count;) {
        int64_t best = 0;
        for (int64_t i = 1; i < f->n; ++i)
            if (f->nearest[i] > f->nearest[best]) best = i;
        take(f, best);
    }
}

void tsr_farthest_close(tsr_farthest *f) {
    free(f->nearest);
    free(f->rows);
    *f = (tsr_farthest){0};
}
