/* SPDX-License-Identifier: MIT */
/* vq.c: nearest code of each row, chunk by chunk. */
#include "quantizer.h"
#include "../compute/cpu/simd.h"
#include "../compute/sums.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_VALUES = 1 << 22, CHUNK_LEAST = 64, CHUNK_MOST = 16384, TILE_ROWS = 256 };

int64_t tsr_vq_chunk_rows(int64_t dim) {
    int64_t rows = CHUNK_VALUES / (dim > 0 ? dim : 1) / CHUNK_LEAST * CHUNK_LEAST;
    return rows < CHUNK_LEAST ? CHUNK_LEAST : rows > CHUNK_MOST ? CHUNK_MOST : rows;
}

double tsr_vq_tie_bound(int64_t dim, double row_length, double code_length) {
    double sum = row_length + code_length;
    return 2.0 * (double)(dim + 4) * 0x1p-24 * sum * sum;
}

/* ---- checking ---- */

typedef struct check_work {
    const float *x;
    int64_t n, dim;
    int64_t *bad; /* [tiles] first bad element or -1 */
} check_work;

static void check_tile(void *arg, int64_t tile, int worker) {
    const check_work *w = arg;
    (void)worker;
    int64_t first = tile * TILE_ROWS * w->dim, last = first + TILE_ROWS * w->dim;
    if (last > w->n * w->dim) last = w->n * w->dim;
    w->bad[tile] = -1;
    for (int64_t i = first; i < last; ++i)
        if (!(fabsf(w->x[i]) <= TSR_VQ_MAX_VALUE)) {
            w->bad[tile] = i;
            return;
        }
}

tsr_status tsr_vq_check(tsr_context *ctx, const char *what, const float *x, int64_t n,
                        int64_t dim) {
    int64_t tiles = (n + TILE_ROWS - 1) / TILE_ROWS;
    int64_t *bad = tsr_alloc(ctx, (size_t)tiles, sizeof *bad, what);
    if (!bad) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, tiles, check_tile, &(check_work){x, n, dim, bad});
    tsr_status status = TSR_OK;
    for (int64_t t = 0; t < tiles && !status; ++t)
        if (bad[t] >= 0)
            status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                              "%s: row %lld, column %lld: wanted a number within +-%g, got %g",
                              what, (long long)(bad[t] / dim), (long long)(bad[t] % dim),
                              (double)TSR_VQ_MAX_VALUE, (double)x[bad[t]]);
    free(bad);
    return status;
}

/* ---- a pass ---- */

tsr_status tsr_vq_pass_open(tsr_device *device, tsr_vq_pass *pass, int64_t k, int64_t dim,
                            tsr_metric metric, int64_t rows, bool sums) {
    tsr_context *ctx = tsr_device_context(device);
    *pass = (tsr_vq_pass){.device = device, .metric = metric, .k = k, .dim = dim};
    if (k < 1 || k > INT32_MAX || dim < 1 || dim > INT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "codebook: size: wanted 1x1 to 2147483647x2147483647, got %lldx%lld",
                        (long long)k, (long long)dim);
    pass->rows = rows > 0 ? rows : tsr_vq_chunk_rows(dim);
    size_t r = (size_t)pass->rows, d = (size_t)dim, c = (size_t)k * d;
    if ((pass->codes = tsr_alloc(ctx, c, sizeof(float), "codebook")) &&
        (pass->shift = tsr_alloc(ctx, d, sizeof(float), "codebook: mean")) &&
        (pass->x = tsr_alloc(ctx, r * d, sizeof(float), "codebook: chunk of rows")) &&
        (pass->ids = tsr_alloc(ctx, r, sizeof(int32_t), "codebook: ids")) &&
        (pass->margin = tsr_alloc(ctx, r, sizeof(float), "codebook: margins")) &&
        (pass->distance = tsr_alloc(ctx, r, sizeof(double), "codebook: distances")) &&
        (!sums ||
         ((pass->sums = tsr_alloc(ctx, c, sizeof(float), "codebook: sums")) &&
          (pass->counts = tsr_alloc(ctx, (size_t)k, sizeof(int32_t), "codebook: counts")))))
        return TSR_OK;
    tsr_vq_pass_close(pass);
    return TSR_ERROR_MEMORY;
}

void tsr_vq_pass_close(tsr_vq_pass *pass) {
    /* Recordings are keyed by the pass's address, which the next one may have too. */
    if (pass->device) tsr_device_forget(pass->device, pass);
    free(pass->codes);
    free(pass->shift);
    free(pass->x);
    free(pass->ids);
    free(pass->margin);
    free(pass->distance);
    free(pass->sums);
    free(pass->counts);
    *pass = (tsr_vq_pass){0};
}

/* Stages one row and returns its length afterwards. */
static inline double stage(const tsr_vq_pass *p, const float *from, float *to) {
    if (p->metric == TSR_METRIC_COSINE) {
        double sum = tsr_dot(from, from, p->dim), scale = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t i = 0; i < p->dim; ++i)
            to[i] = (float)(from[i] * scale);
        return sum > 0 ? 1 : 0;
    }
    for (int64_t i = 0; i < p->dim; ++i)
        to[i] = from[i] - p->shift[i];
    return sqrt(tsr_dot(to, to, p->dim));
}

void tsr_vq_pass_set_codes(tsr_vq_pass *p, const float *codes) {
    for (int64_t i = 0; p->metric == TSR_METRIC_EUCLID && i < p->dim; ++i) {
        double mean = 0;
        for (int64_t c = 0; c < p->k; ++c)
            mean += codes[c * p->dim + i];
        p->shift[i] = (float)(mean / (double)p->k);
    }
    p->code_length = 0;
    for (int64_t c = 0; c < p->k; ++c) {
        double length = stage(p, codes + c * p->dim, p->codes + c * p->dim);
        if (length > p->code_length) p->code_length = length;
    }
}

static void nearest(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_nearest_code(r, in[0], in[1], NULL, TSR_METRIC_EUCLID, &out[1]);
}

static void nearest_and_sum(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    nearest(r, model, in, out);
    out[2] = tsr_segment_sum(r, in[0], out[0], in[1]->dim[0], &out[3]);
}

typedef struct row_work {
    tsr_vq_pass *pass;
    const float *x; /* NULL: measure distances, else stage */
    int64_t n;
} row_work;

/* Staging leaves each row's length in `distance` until the true distance replaces it. */
TSR_CLONES static void row_tile(void *arg, int64_t tile, int worker) {
    const row_work *w = arg;
    const tsr_vq_pass *p = w->pass;
    (void)worker;
    int64_t last = (tile + 1) * TILE_ROWS < w->n ? (tile + 1) * TILE_ROWS : w->n;
    for (int64_t i = tile * TILE_ROWS; i < last; ++i) {
        float *row = p->x + i * p->dim;
        if (w->x) {
            p->distance[i] = stage(p, w->x + i * p->dim, row);
            continue;
        }
        p->distance[i] = tsr_square_distance(row, p->codes + (int64_t)p->ids[i] * p->dim, p->dim);
    }
}

tsr_status tsr_vq_pass_run(tsr_vq_pass *p, const float *x, int64_t n) {
    tsr_context *ctx = tsr_device_context(p->device);
    int64_t tiles = (n + TILE_ROWS - 1) / TILE_ROWS;
    p->error = 0;
    if (n == 0) {
        if (p->sums) memset(p->sums, 0, sizeof(float) * (size_t)(p->k * p->dim));
        if (p->counts) memset(p->counts, 0, sizeof(int32_t) * (size_t)p->k);
        return TSR_OK;
    }
    tsr_parallel(ctx, tiles, row_tile, &(row_work){p, x, n});
    tsr_tensor in[2] = {
        tsr_host_tensor(TSR_DTYPE_F32, p->x, 2, (int64_t[]){n, p->dim}),
        tsr_host_tensor(TSR_DTYPE_F32, p->codes, 2, (int64_t[]){p->k, p->dim}),
    };
    tsr_tensor out[4] = {
        tsr_host_tensor(TSR_DTYPE_I32, p->ids, 1, &n),
        tsr_host_tensor(TSR_DTYPE_F32, p->margin, 1, &n),
        tsr_host_tensor(TSR_DTYPE_F32, p->sums, 2, (int64_t[]){p->k, p->dim}),
        tsr_host_tensor(TSR_DTYPE_I32, p->counts, 1, &p->k),
    };
    tsr_program program = {.fn = p->sums ? nearest_and_sum : nearest,
                           .model = p,
                           .name = p->sums ? "k-means step" : "nearest code"};
    tsr_status status = tsr_execute(p->device, &program, in, 2, out, p->sums ? 4 : 2);
    if (status) return status;
    for (int64_t i = 0; i < n; ++i) {
        if (p->ids[i] < 0 || p->ids[i] >= p->k)
            return tsr_fail(ctx, TSR_ERROR_DEVICE, "nearest code: wanted an id below %lld, got %d",
                            (long long)p->k, p->ids[i]);
        if (p->k > 1 && !(p->margin[i] >= tsr_vq_tie_bound(p->dim, p->distance[i], p->code_length)))
            p->near_ties++;
    }
    tsr_parallel(ctx, tiles, row_tile, &(row_work){p, NULL, n});
    for (int64_t i = 0; i < n; ++i)
        p->error += p->distance[i];
    return TSR_OK;
}

tsr_status tsr_vq_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                         const float *codes, int64_t k, tsr_metric metric, int64_t chunk,
                         int32_t *ids, float *margins, uint64_t *near_ties) {
    tsr_vq_pass pass;
    tsr_status status = tsr_vq_pass_open(device, &pass, k, dim, metric, chunk, false);
    if (status) return status;
    tsr_vq_pass_set_codes(&pass, codes);
    for (int64_t first = 0; first < n && !status; first += pass.rows) {
        int64_t count = n - first < pass.rows ? n - first : pass.rows;
        status = tsr_vq_pass_run(&pass, x + first * dim, count);
        if (status) break;
        memcpy(ids + first, pass.ids, sizeof *ids * (size_t)count);
        if (margins) memcpy(margins + first, pass.margin, sizeof *margins * (size_t)count);
    }
    if (near_ties) *near_ties = pass.near_ties;
    tsr_vq_pass_close(&pass);
    return status;
}
