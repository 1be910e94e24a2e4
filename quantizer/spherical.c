/* SPDX-License-Identifier: MIT */
/* spherical.c: cosine k-means with plain means. Scores are a device's, everything that decides
 * between equals is float64 on the host. */
#include "spherical.h"
#include "../compute/arena.h"
#include "../compute/cpu/gemm.h"
#include "../compute/cpu/simd.h"
#include "../compute/sums.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 64, ROWS = 192, RELEASED_FIRST = 12 };

/* ---- labels ---------------------------------------------------------------------------------- */

/* What spares a row its look at the centroids (Hamerly 2010, for directions): the cosine to its own
 * was above every other by `gap`, and between two unit rows a cosine changes by no more than one of
 * them moves. */
typedef struct bounds {
    float *gap;            /* [n] after errors of rounding; <= 0: the row looks */
    float *direction;      /* [k, dim] of the centroids at the last look */
    double *drift;         /* [k] how far each has moved since */
    double greatest, next; /* of drift */
    bool known;            /* there was a look before */
} bounds;

/* Rows that look for their centroid, and what they find. */
typedef struct labelling {
    const float *x; /* [n, dim] */
    int64_t n, dim, k;
    bool unit;                  /* rows have the length 1, or 0 */
    const float *centroids;     /* [k, dim] */
    double *length;             /* [k] of the centroids */
    int32_t *labels;            /* [n] */
    float *margins, *distances; /* [n] or NULL */
    /* on the cpu */
    const tsr_gemm_kernels *gemm;
    tsr_gemm_panels panels; /* centroids divided by their length */
    float *half;            /* [k], rounded up to panels: 0, and infinity past k */
    float *picked;          /* [workers, ROWS, dim] rows of a tile that look */
    bounds *bounds;         /* of those who label several times; NULL: every row looks */
} labelling;

/* Looks at every centroid; parallel and scaled ones tie exactly, since nothing is rounded to f32.
 * *margin: by how much the cosine is above the next. */
static int32_t decide(const labelling *l, const float *x, float *margin) {
    const double own = sqrt(tsr_dot(x, x, l->dim));
    double best = -INFINITY, second = -INFINITY;
    int32_t label = 0;
    for (int64_t c = 0; c < l->k; ++c) {
        const double cosine = l->length[c] > 0
                                  ? tsr_dot(x, l->centroids + c * l->dim, l->dim) / l->length[c]
                                  : 0; /* times |x| */
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

/* Takes the label of row i, whose cosine is `margin` above the next in f32. */
static void take_label(const labelling *l, int64_t i, int32_t label, float margin) {
    /* Twice the error of a product of two unit rows in f32, which were rounded themselves. */
    const double near = 2.1 * (double)(l->dim + 8) * 0x1p-24;
    const float *row = l->x + i * l->dim;
    if (l->k == 1)
        margin = 2;
    else if (!(margin >= near))
        label = decide(l, row, &margin);
    l->labels[i] = label;
    if (l->bounds) l->bounds->gap[i] = (float)((double)margin - 2 * near);
    if (l->margins) l->margins[i] = margin;
    if (!l->distances) return;
    const double lengths = sqrt(tsr_dot(row, row, l->dim)) * l->length[label];
    l->distances[i] =
        lengths > 0 ? (float)(1 - tsr_dot(row, l->centroids + label * l->dim, l->dim) / lengths)
                    : 1;
}

/* Whether row i has to look, now that the centroids have drifted. */
static bool must_look(const labelling *l, int64_t i) {
    bounds *b = l->bounds;
    if (!b || !b->known) return true;
    const double own = b->drift[l->labels[i]];
    const double other = own < b->greatest ? b->greatest : b->next;
    /* the last term is more than the rounding to f32 */
    b->gap[i] = (float)((double)b->gap[i] - own - other - 0x1p-22);
    return b->gap[i] <= 0;
}

/* tsr_tile_fn: rows of one tile against all centroids. */
static void label_tile(void *arg, int64_t tile, int worker) {
    const labelling *l = arg;
    const int64_t from = tile * ROWS, rows = l->n - from < ROWS ? l->n - from : ROWS;
    const float *x = l->x + from * l->dim;
    tsr_code_best best[ROWS];
    int32_t index[ROWS];
    int64_t count = 0;
    for (int64_t i = 0; i < rows; ++i)
        if (must_look(l, from + i)) index[count++] = (int32_t)i;
    if (count == 0) return;
    if (count < rows) {
        float *picked = l->picked + worker * ROWS * l->dim;
        for (int64_t i = 0; i < count; ++i)
            memcpy(picked + i * l->dim, x + index[i] * l->dim, sizeof *x * (size_t)l->dim);
        x = picked;
    }
    for (int64_t i = 0; i < count; ++i)
        best[i] = (tsr_code_best){-INFINITY, -INFINITY, 0};
    l->gemm->nearest(x, l->dim, count, &l->panels, l->half, 0, l->k, true, best);
    for (int64_t i = 0; i < count; ++i) {
        const float *row = x + i * l->dim;
        const double own = l->unit ? 1 : sqrt(tsr_dot(row, row, l->dim));
        const double apart = (double)best[i].best - (double)best[i].second;
        /* Rows of lengths that f32 products do not bear are looked at again. */
        const bool plain = own > 1e-15 && own < 1e18;
        take_label(l, from + index[i], best[i].id, plain ? (float)(apart / own) : 0);
    }
}

/* The same by a device's nearest codes. */
static tsr_status label_by_device(tsr_device *device, const labelling *l) {
    tsr_vq_pass pass;
    tsr_status status = tsr_vq_pass_open(device, &pass, l->k, l->dim, TSR_METRIC_COSINE, 0, false);
    if (status) return status;
    bool zero = false; /* the device takes what has no direction for the origin, nearer than a right
                          angle */
    for (int64_t c = 0; c < l->k; ++c)
        zero |= !(l->length[c] > 0);
    tsr_vq_pass_set_codes(&pass, l->centroids);
    for (int64_t first = 0; first < l->n && !status; first += pass.rows) {
        const int64_t count = l->n - first < pass.rows ? l->n - first : pass.rows;
        status = tsr_vq_pass_run(&pass, l->x + first * l->dim, count);
        /* on the unit sphere a squared distance is twice the cosine's; its error, too */
        for (int64_t i = 0; i < count && !status; ++i)
            take_label(l, first + i, pass.ids[i], zero ? 0 : pass.margin[i] / 2);
    }
    tsr_vq_pass_close(&pass);
    return status;
}

/* Notes how far centroid c has moved. */
static void note_drift(bounds *b, int64_t c, double square) {
    b->drift[c] = sqrt(square);
    if (c == 0) b->greatest = b->next = 0;
    if (b->drift[c] >= b->greatest) {
        b->next = b->greatest;
        b->greatest = b->drift[c];
    } else if (b->drift[c] > b->next) {
        b->next = b->drift[c];
    }
}

/* unit [k, dim]: their directions, in place of those before. */
static void pack_centroids(labelling *l, float *unit, float *panels, double *length) {
    const int64_t cols = l->gemm->cols;
    for (int64_t c = 0; c < l->k; ++c) {
        double square = 0;
        for (int64_t j = 0; j < l->dim; ++j) {
            const int64_t at = c * l->dim + j;
            const float now = length[c] > 0 ? (float)((double)l->centroids[at] / length[c]) : 0;
            const double d = (double)now - (double)unit[at];
            square += d * d;
            unit[at] = now;
        }
        if (l->bounds) note_drift(l->bounds, c, square);
    }
    l->gemm->pack(panels, unit, l->dim, l->k, 1, l->dim);
    l->panels = (tsr_gemm_panels){panels, l->dim, l->k, l->dim, false};
    for (int64_t c = 0; c < (l->k + cols - 1) / cols * cols; ++c)
        l->half[c] = c < l->k ? 0 : INFINITY;
}

static tsr_status label(tsr_device *device, labelling *l) {
    tsr_context *ctx = tsr_device_context(device);
    const size_t k = (size_t)l->k, dim = (size_t)l->dim;
    tsr_scratch s = {.ctx = ctx};
    l->length = tsr_scratch_take(&s, k, sizeof *l->length, "cosine clusters: lengths");
    for (size_t c = 0; c < k && !s.status; ++c)
        l->length[c] = sqrt(tsr_dot(l->centroids + c * dim, l->centroids + c * dim, l->dim));
    tsr_status status = s.status;
    if (!status && !tsr_device_is_plain_cpu(device)) status = label_by_device(device, l);
    if (!status && tsr_device_is_plain_cpu(device)) {
        l->gemm = tsr_gemm_select(device);
        const size_t wide = tsr_gemm_panel_floats(l->gemm, 1, l->k);
        float *unit = l->bounds ? l->bounds->direction
                                : tsr_scratch_take(&s, k * dim, sizeof *unit, "directions");
        const size_t buffers = l->bounds ? (size_t)tsr_thread_count(ctx) * ROWS : 0;
        l->picked = tsr_scratch_take_raw(&s, buffers * dim, sizeof *l->picked, "rows that look");
        float *panels = tsr_scratch_take_raw(&s, wide * dim, sizeof *panels, "packed centroids");
        l->half = tsr_scratch_take_raw(&s, wide, sizeof *l->half, "packed centroids");
        if (!(status = s.status)) {
            pack_centroids(l, unit, panels, l->length);
            tsr_parallel(ctx, (l->n + ROWS - 1) / ROWS, label_tile, l);
            if (l->bounds) l->bounds->known = true;
        }
    }
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_spherical_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                                const float *centroids, int64_t k, int32_t *labels, float *margins,
                                float *distances) {
    if (k < 1 || dim < 1)
        return tsr_fail(tsr_device_context(device), TSR_ERROR_ARGUMENT,
                        "cosine clusters: wanted a centroid of a number, got %lld of %lld",
                        (long long)k, (long long)dim);
    return label(device, &(labelling){.x = x,
                                      .n = n,
                                      .dim = dim,
                                      .k = k,
                                      .centroids = centroids,
                                      .labels = labels,
                                      .margins = margins,
                                      .distances = distances});
}

/* ---- means ----------------------------------------------------------------------------------- */

typedef struct sum_work {
    const float *unit; /* [n, dim] */
    int64_t n, dim, k;
    const int32_t *labels; /* [n] */
    int32_t *summed;       /* [n] cluster whose sum has the row, or -1 */
    int32_t *changed;      /* [n] rows that are to change theirs, ascending ... */
    int64_t changes;       /* ... so many */
    double *sums;          /* [k, dim] */
} sum_work;

TSR_CLONES static void add_row(double *sum, const float *row, double sign, int64_t n) {
    for (int64_t j = 0; j < n; ++j)
        sum[j] += sign * (double)row[j];
}

/* tsr_tile_fn: one range of columns, all rows in order: the same sums for every thread count. */
static void sum_columns(void *arg, int64_t tile, int worker) {
    const sum_work *w = arg;
    const int64_t from = tile * COLUMNS;
    const int64_t count = w->dim - from < COLUMNS ? w->dim - from : COLUMNS;
    (void)worker;
    for (int64_t at = 0; at < w->changes; ++at) {
        const int64_t i = w->changed[at], left = w->summed[i];
        const float *row = w->unit + i * w->dim + from;
        if (left >= 0) add_row(w->sums + left * w->dim + from, row, -1, count);
        add_row(w->sums + w->labels[i] * w->dim + from, row, 1, count);
    }
}

/* Sums follow the labels: rows leave one sum and join another. `anew` forgets all sums first. */
static void follow_labels(tsr_context *ctx, sum_work *w, bool anew) {
    if (anew) memset(w->sums, 0, sizeof *w->sums * (size_t)(w->k * w->dim));
    w->changes = 0;
    for (int64_t i = 0; i < w->n; ++i) {
        if (anew) w->summed[i] = -1;
        if (w->summed[i] != w->labels[i]) w->changed[w->changes++] = (int32_t)i;
    }
    tsr_parallel(ctx, (w->dim + COLUMNS - 1) / COLUMNS, sum_columns, w);
    memcpy(w->summed, w->labels, sizeof *w->summed * (size_t)w->n);
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

static tsr_status iterate(tsr_device *device, sum_work *w, bounds *bounds, uint32_t passes,
                          float *centroids, float *next, tsr_spherical_result *result) {
    tsr_context *ctx = tsr_device_context(device);
    labelling l = {.x = w->unit,
                   .n = w->n,
                   .dim = w->dim,
                   .k = w->k,
                   .unit = true,
                   .centroids = centroids,
                   .labels = result->labels,
                   .margins = result->margins,
                   .bounds = bounds};
    for (result->passes = 0;;) {
        const tsr_status status = label(device, &l);
        if (status) return status;
        memset(result->counts, 0, sizeof *result->counts * (size_t)w->k);
        for (int64_t i = 0; i < w->n; ++i)
            result->counts[result->labels[i]]++;
        follow_labels(ctx, w, result->passes == 0);
        const double moved = move(w, result->counts, centroids, next);
        if (++result->passes >= passes || moved < 1e-4) break;
        memcpy(centroids, next, sizeof *next * (size_t)(w->k * w->dim));
    }
    if (result->passes > 1) follow_labels(ctx, w, true);
    for (int64_t c = 0; c < w->k; ++c) {
        float *code = result->codebook + c * w->dim;
        for (int64_t j = 0; j < w->dim; ++j)
            code[j] = result->counts[c] ? (float)(w->sums[c * w->dim + j] / result->counts[c]) : 0;
    }
    return TSR_OK;
}

/* ---- clustering ------------------------------------------------------------------------------ */

typedef struct unit_work {
    const float *x;
    int64_t n, dim;
    float *unit;
} unit_work;

static void unit_tile(void *arg, int64_t tile, int worker) {
    const unit_work *w = arg;
    (void)worker;
    for (int64_t i = tile * ROWS; i < w->n && i < (tile + 1) * ROWS; ++i) {
        const float *row = w->x + i * w->dim;
        const double length = sqrt(tsr_dot(row, row, w->dim));
        for (int64_t j = 0; j < w->dim; ++j)
            w->unit[i * w->dim + j] = length > 0 ? (float)(row[j] / length) : 0;
    }
}

void tsr_spherical_unit(tsr_context *ctx, const float *x, int64_t n, int64_t dim, float *unit) {
    tsr_parallel(ctx, (n + ROWS - 1) / ROWS, unit_tile, &(unit_work){x, n, dim, unit});
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
    const size_t rows = (size_t)n, values = (size_t)k * (size_t)dim;
    tsr_scratch s = {.ctx = ctx};
    float *next = tsr_scratch_take(&s, values, sizeof *next, "cosine clusters: means");
    sum_work w = {.unit = unit, .n = n, .dim = dim, .k = k, .labels = result->labels};
    w.sums = tsr_scratch_take(&s, values, sizeof *w.sums, "cosine clusters: sums");
    w.summed = tsr_scratch_take(&s, rows, sizeof *w.summed, "cosine clusters: labels");
    w.changed = tsr_scratch_take(&s, rows, sizeof *w.changed, "cosine clusters: labels");
    /* Margins are those of the last pass: then every row looks. */
    const bool bounded = !result->margins && tsr_device_is_plain_cpu(device);
    bounds b = {0};
    if (bounded) {
        b.gap = tsr_scratch_take(&s, rows, sizeof *b.gap, "cosine clusters: gaps");
        b.direction = tsr_scratch_take(&s, values, sizeof(float), "directions");
        b.drift = tsr_scratch_take(&s, (size_t)k, sizeof(double), "cosine clusters: drift");
    }
    status = s.status ? s.status
                      : iterate(device, &w, bounded ? &b : NULL, passes, centroids, next, result);
    tsr_scratch_free(&s);
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
    tsr_spherical_unit(ctx, x, n, dim, unit);
    status = tsr_spherical_kmeans_unit(device, unit, n, dim, k, passes, centroids, result);
    free(unit);
    return status;
}

double tsr_spherical_distortion(const tsr_spherical_result *r, int64_t k, int64_t dim,
                                double square) {
    double left = square;
    for (int64_t c = 0; c < k; ++c)
        left -= r->counts[c] * tsr_dot(r->codebook + c * dim, r->codebook + c * dim, dim);
    return left > 0 ? left : 0;
}

double tsr_spherical_cosine(const tsr_spherical_result *r, int64_t k, int64_t dim, int64_t n) {
    double sum = 0;
    for (int64_t c = 0; c < k; ++c)
        sum += r->counts[c] * sqrt(tsr_dot(r->codebook + c * dim, r->codebook + c * dim, dim));
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
