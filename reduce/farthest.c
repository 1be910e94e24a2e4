/* SPDX-License-Identifier: MIT */
/* farthest.c: the row that is most alone, and max-min picks of rows by their direction. */
#include "farthest.h"
#include "../compute/sums.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 256 };
static const double PICKED = -4; /* below every distance 1 - cosine */

/* ---- the first pick ---- */

double tsr_direction_distance(const float *a, const float *b, int64_t dim) {
    /* For copies the root of a square, which is exact. */
    const double lengths = sqrt(tsr_dot(a, a, dim) * tsr_dot(b, b, dim));
    const double distance = lengths > 0 ? 1 - tsr_dot(a, b, dim) / lengths : 1;
    return distance > 0 ? distance : 0;
}

int32_t tsr_most_isolated(tsr_operation *o, const tsr_row_view *rows, bool directions,
                          double *apart) {
    const int64_t n = rows->n;
    int32_t pick = 0;
    *apart = 0;
    if (n < 2) return pick;
    int32_t *match = tsr_operation_take_raw(o, n, sizeof *match, "nearest rows");
    float *cosine = tsr_operation_take_raw(o, n, sizeof *cosine, "nearest rows");
    tsr_isolated_matches(o, rows, match, cosine);
    if (o->status) return pick;
    float least = INFINITY;
    for (int64_t i = 0; i < n; ++i) {
        const float *row = rows->x + i * rows->stride;
        if (match[i] < 0) continue;
        if (directions && !(tsr_dot(row, row, rows->dim) > 0)) cosine[i] = INFINITY;
        least = fminf(least, cosine[i]);
    }
    double most = -1; /* cosines were rounded: those near the least are compared in float64 */
    for (int64_t i = 0; i < n; ++i) {
        if (cosine[i] > least + 0x1p-22f) continue;
        const double d = tsr_direction_distance(rows->x + i * rows->stride,
                                                rows->x + match[i] * rows->stride, rows->dim);
        if (d > most) {
            most = d;
            pick = (int32_t)i;
        }
    }
    *apart = most;
    return pick;
}

/* Sample row j of m. */
static int64_t sampled(const tsr_farthest *f, int64_t j, int64_t m) {
    return (int64_t)((__uint128_t)(uint64_t)j * (uint64_t)f->n / (uint64_t)m);
}

static tsr_status pick_first(tsr_device *device, tsr_farthest *f, int64_t *pick) {
    const int64_t m = f->n < TSR_FARTHEST_FIRST ? f->n : TSR_FARTHEST_FIRST;
    tsr_operation o = {.ctx = f->ctx, .device = &device, .scratch = {.ctx = f->ctx}};
    tsr_row_view view = {f->unit, f->dim, m, f->dim};
    double apart;
    if (m < f->n) {
        float *rows = tsr_operation_take_raw(&o, m * f->dim, sizeof *rows, "farthest rows: sample");
        for (int64_t j = 0; j < m && !o.status; ++j)
            memcpy(rows + j * f->dim, f->unit + sampled(f, j, m) * f->dim,
                   (size_t)f->dim * sizeof *rows);
        view.x = rows;
    }
    const int32_t found = o.status ? 0 : tsr_most_isolated(&o, &view, true, &apart);
    *pick = sampled(f, found, m);
    tsr_scratch_free(&o.scratch);
    return o.status;
}

/* ---- the others ---- */

/* Rows of one tile against the newest pick. */
static void approach_tile(void *arg, int64_t tile, int worker) {
    const tsr_farthest *f = arg;
    const float *pick = f->unit + f->rows[f->count - 1] * f->dim;
    (void)worker;
    const double error = TSR_DOT_F32_ERROR(f->dim) * 1.001; /* unit rows are about that long */
    for (int64_t i = tile * TILE; i < f->n && i < (tile + 1) * TILE; ++i) {
        const float *row = f->unit + i * f->dim;
        if (1 - (double)tsr_dot_f32(row, pick, f->dim) - error >= f->nearest[i]) continue;
        const double distance = 1 - tsr_dot(row, pick, f->dim);
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
