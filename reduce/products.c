/* SPDX-License-Identifier: MIT */
/* products.c: rows against rows on the cpu. */
#include "products.h"
#include "../compute/cpu/gemm_bytes.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A block of rows and of columns: rows stay in the second-level cache while all columns pass. */
enum {
    ROWS = 48,
    FEW_ROWS = 24,
    COLUMNS = 384,
    PAIR = 192,   /* rows that meet as many others: twice a whole number of panels */
    FEW_SETS = 6, /* with fewer sets than that half as many rows meet */
    ROWS_OF_TILE = 96,
    COLUMNS_OF_TILE = 192,
    LINE = 64,
    PANEL_MOST = 64,
    LANES = 16,
    CHUNK = 64 /* numbers that are rounded together */
};

typedef struct pack_work {
    const tsr_gemm_kernels *gemm;
    const float *x;
    float *panels;
    int64_t stride, n, dim, step;
    const double *length;
} pack_work;

TSR_CLONES static void divide(float *panel, int64_t dim, int64_t columns, const double *scale) {
    for (int64_t i = 0; i < dim; ++i)
        for (int64_t j = 0; j < columns; ++j)
            panel[i * columns + j] = (float)((double)panel[i * columns + j] * scale[j]);
}

static void pack_tile(void *arg, int64_t tile, int worker) {
    const pack_work *w = arg;
    const int64_t from = tile * w->step, n = w->n - from < w->step ? w->n - from : w->step;
    (void)worker;
    w->gemm->pack(w->panels + from * w->dim, w->x + from * w->stride, w->dim, n, 1, w->stride);
    if (!w->length) return;
    double scale[PANEL_MOST] = {0};
    for (int64_t j = 0; j < n; ++j)
        scale[j] = w->length[from + j] > 0 ? 1 / w->length[from + j] : 0;
    divide(w->panels + from * w->dim, w->dim, w->step, scale);
}

/* The first cache line in memory that is a line longer. */
static float *aligned(float *p) {
    return p ? (float *)(((uintptr_t)p + LINE - 1) / LINE * LINE) : NULL;
}

void tsr_products_open(tsr_operation *o, tsr_products *p, const float *x, int64_t stride, int64_t n,
                       int64_t dim, const double *length) {
    const tsr_gemm_kernels *gemm = tsr_gemm_select(tsr_operation_device(o));
    const int64_t floats = (int64_t)tsr_gemm_panel_floats(gemm, dim, n) + LINE;
    float *panels = aligned(tsr_operation_take_raw(o, floats, sizeof *panels, "packed rows"));
    *p = (tsr_products){.o = o, .gemm = gemm, .panels = panels, .n = n, .dim = dim};
    if (o->status) return;
    pack_work w = {gemm, x, panels, stride, n, dim, gemm->cols, length};
    tsr_parallel(o->ctx, (n + w.step - 1) / w.step, pack_tile, &w);
}

/* ---- all at once ---- */

typedef struct product_work {
    const tsr_products *p;
    tsr_gemm_panels panels;
    const float *a;
    int64_t stride, count, down;
    float *y;
} product_work;

/* Down first: all rows pass over the same columns, which are so read from memory once. */
static void product_tile(void *arg, int64_t tile, int worker) {
    const product_work *w = arg;
    const int64_t n = w->p->n, first = tile % w->down * ROWS_OF_TILE,
                  from = tile / w->down * COLUMNS_OF_TILE;
    const int64_t rows = w->count - first < ROWS_OF_TILE ? w->count - first : ROWS_OF_TILE;
    const int64_t to = n - from < COLUMNS_OF_TILE ? n : from + COLUMNS_OF_TILE;
    (void)worker;
    w->p->gemm->product(w->a + first * w->stride, w->stride, rows, &w->panels, from, to,
                        w->y + first * n + from, n);
}

void tsr_products_all(const tsr_products *p, const float *a, int64_t stride, int64_t count,
                      float *y) {
    if (p->o->status || count < 1) return;
    product_work w = {p, {p->panels, p->dim, p->n, p->dim, false}, a, stride, count, 0, y};
    w.down = (count + ROWS_OF_TILE - 1) / ROWS_OF_TILE;
    tsr_parallel(p->o->ctx, w.down * ((p->n + COLUMNS_OF_TILE - 1) / COLUMNS_OF_TILE), product_tile,
                 &w);
}

/* ---- block by block ---- */

typedef struct visit_work {
    const tsr_products *p;
    tsr_gemm_panels panels;
    const float *a;
    int64_t stride, count, rows;
    float *block; /* of each worker: [ROWS, COLUMNS] */
    tsr_block_fn fn;
    void *arg;
} visit_work;

static void visit_rows(void *arg, int64_t tile, int worker) {
    const visit_work *w = arg;
    tsr_block b = {.first = tile * w->rows, .ld = COLUMNS};
    b.rows = w->count - b.first < w->rows ? w->count - b.first : w->rows;
    b.y = w->block + (int64_t)worker * ROWS * COLUMNS;
    for (; b.from < w->p->n; b.from += COLUMNS) {
        b.columns = w->p->n - b.from < COLUMNS ? w->p->n - b.from : COLUMNS;
        w->p->gemm->product(w->a + b.first * w->stride, w->stride, b.rows, &w->panels, b.from,
                            b.from + b.columns, b.y, b.ld);
        w->fn(w->arg, &b);
    }
}

void tsr_products_visit(const tsr_products *p, const float *a, int64_t stride, int64_t count,
                        tsr_block_fn fn, void *arg) {
    tsr_operation *o = p->o;
    const int64_t floats = (int64_t)tsr_thread_count(o->ctx) * ROWS * COLUMNS + LINE;
    float *block = aligned(tsr_operation_take_raw(o, floats, sizeof *block, "block of products"));
    if (o->status || count < 1) return;
    visit_work w = {.p = p,
                    .panels = {p->panels, p->dim, p->n, p->dim, false},
                    .a = a,
                    .stride = stride,
                    .count = count,
                    .rows = count < 32 * ROWS ? FEW_ROWS : ROWS,
                    .block = block,
                    .fn = fn,
                    .arg = arg};
    tsr_parallel(o->ctx, (count + w.rows - 1) / w.rows, visit_rows, &w);
}

/* ---- pairs ---- */

typedef struct pair_work {
    void (*product)(const void *side, const tsr_block *block); /* fills in its y */
    const void *side;
    float *block;           /* of each worker: [ROWS, COLUMNS] */
    int64_t n, set;         /* rows, and of them in a set: a whole number of panels */
    int64_t players, round; /* sets, an even number; < 0: each against itself */
    tsr_block_fn fn;
    void *arg;
} pair_work;

/* Which two sets meet in a round: one stays at its place, the others move around in a circle. */
static void meet(const pair_work *w, int64_t at, int64_t *one, int64_t *other) {
    const int64_t turn = w->players - 1;
    *one = w->round < 0 ? at : at ? (w->round + at) % turn : turn;
    *other = w->round < 0 ? at : (w->round - at + turn) % turn;
}

static void visit_pair(void *arg, int64_t at, int worker) {
    const pair_work *w = arg;
    const int64_t n = w->n, set = w->set;
    int64_t one, other;
    meet(w, at, &one, &other);
    if (one * set >= n || other * set >= n) return;
    const int64_t end = n - one * set < set ? n : (one + 1) * set;
    tsr_block b = {.from = other * set, .ld = COLUMNS};
    b.columns = n - b.from < set ? n - b.from : set;
    b.y = w->block + (int64_t)worker * ROWS * COLUMNS;
    for (b.first = one * set; b.first < end; b.first += ROWS) {
        b.rows = end - b.first < ROWS ? end - b.first : ROWS;
        w->product(w->side, &b);
        w->fn(w->arg, &b);
    }
}

/* All pairs of n rows, once, by `product` of `side`. */
static void visit_all_pairs(tsr_operation *o, int64_t n, pair_work w) {
    const int64_t floats = (int64_t)tsr_thread_count(o->ctx) * ROWS * COLUMNS + LINE;
    w.n = n;
    w.set = n < FEW_SETS * PAIR ? PAIR / 2 : PAIR;
    const int64_t sets = (n + w.set - 1) / w.set;
    w.players = (sets + 1) / 2 * 2;
    w.round = -1;
    w.block = aligned(tsr_operation_take_raw(o, floats, sizeof(float), "block of products"));
    if (o->status) return;
    tsr_parallel(o->ctx, sets, visit_pair, &w);
    for (w.round = 0; w.round < w.players - 1; ++w.round)
        tsr_parallel(o->ctx, w.players / 2, visit_pair, &w);
}

static void multiply_floats(const void *side, const tsr_block *b) {
    const visit_work *v = side;
    v->p->gemm->product(v->a + b->first * v->stride, v->stride, b->rows, &v->panels, b->from,
                        b->from + b->columns, b->y, b->ld);
}

void tsr_products_visit_pairs(const tsr_products *p, const float *a, int64_t stride,
                              tsr_block_fn fn, void *arg) {
    const visit_work side = {
        .p = p, .panels = {p->panels, p->dim, p->n, p->dim, false}, .a = a, .stride = stride};
    visit_all_pairs(p->o, p->n, (pair_work){multiply_floats, &side, .fn = fn, .arg = arg});
}

/* ---- bytes ---- */

typedef struct round_work {
    tsr_byte_rows *r;
    const float *x;
    int64_t stride, dim;
    const double *length;
    float most; /* greatest magnitude of a byte */
} round_work;

/* Greatest magnitude: that of the greatest bits without sign, since integers have a maximum that
 * vectors know. */
TSR_CLONES static float greatest(const float *x, int64_t n) {
    int32_t most = 0;
    for (int64_t i = 0; i < n; ++i) {
        int32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    float value;
    memcpy(&value, &most, sizeof value);
    return value;
}

/* Bytes of CHUNK numbers x * per_step, their sum added to `total` and their squared errors in steps
 * to `lane`. Plain loops, one for each: compilers make vectors of them. */
static inline __attribute__((always_inline)) void
round_chunk(const float *x, float per_step, int8_t *to, float *lane, int32_t *total) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float near[CHUNK];
    int32_t whole[CHUNK];
    for (int l = 0; l < CHUNK; ++l)
        near[l] = (x[l] * per_step + magic) - magic;
    for (int l = 0; l < CHUNK; ++l)
        whole[l] = (int32_t)near[l];
    for (int l = 0; l < CHUNK; ++l)
        to[l] = (int8_t)whole[l];
    for (int l = 0; l < CHUNK; ++l)
        near[l] = x[l] * per_step - near[l];
    for (int at = 0; at < CHUNK; at += LANES)
        for (int l = 0; l < LANES; ++l)
            lane[l] += near[at + l] * near[at + l];
    for (int at = 0; at < CHUNK; at += LANES)
        for (int l = 0; l < LANES; ++l)
            total[l] += whole[at + l];
}

/* Bytes of x * per_step and their sum; returns the sum of their squared errors in steps. */
TSR_CLONES static float round_row(const float *x, int64_t n, float per_step, int8_t *to,
                                  int32_t *sum) {
    float lane[LANES] = {0};
    int32_t total[LANES] = {0};
    int64_t i = 0;
    for (; i + CHUNK <= n; i += CHUNK)
        round_chunk(x + i, per_step, to + i, lane, total);
    if (i < n) {
        float rest[CHUNK] = {0};
        int8_t bytes[CHUNK];
        memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
        round_chunk(rest, per_step, bytes, lane, total);
        memcpy(to + i, bytes, (size_t)(n - i));
    }
    for (int l = 1; l < LANES; ++l) {
        lane[0] += lane[l];
        total[0] += total[l];
    }
    *sum = total[0];
    return lane[0];
}

static void round_tile(void *arg, int64_t tile, int worker) {
    const round_work *w = arg;
    tsr_byte_rows *r = w->r;
    (void)worker;
    for (int64_t i = tile * ROWS; i < r->n && i < (tile + 1) * ROWS; ++i) {
        const float *x = w->x + i * w->stride;
        const float highest = greatest(x, w->dim);
        /* Rows that f32 cannot scale are zeros, and wrong by their length, 1. */
        const bool plain = highest > 1e-30f && w->length[i] > 0;
        const double left = (double)round_row(x, w->dim, plain ? w->most / highest : 0,
                                              r->bytes + i * r->depth, &r->sum[i]);
        const double step = plain ? (double)highest / (double)w->most / w->length[i] : 0;
        memset(r->bytes + i * r->depth + w->dim, 0, (size_t)(r->depth - w->dim));
        r->step[i] = (float)step;
        /* The errors themselves are known to 2^-24 of 127 steps. */
        const double unknown = sqrt((double)w->dim) * 2e-5;
        r->error[i] = plain              ? (float)(step * (sqrt(left) * 1.001 + unknown) + 1e-6)
                      : w->length[i] > 0 ? 1.0f
                                         : 0.0f;
    }
}

bool tsr_products_have_bytes(tsr_operation *o, int64_t dim) {
    const tsr_device *device = tsr_operation_device(o);
    return !o->status && dim <= TSR_BYTES_DEPTH_MOST && tsr_device_is_plain_cpu(device) &&
           tsr_byte_select(device);
}

void tsr_byte_rows_make(tsr_operation *o, tsr_byte_rows *r, const float *x, int64_t stride,
                        int64_t n, int64_t dim, const double *length) {
    *r = (tsr_byte_rows){.n = n, .depth = (dim + 3) / 4 * 4};
    r->bytes = tsr_operation_take_raw(o, n * r->depth, 1, "rows of bytes");
    r->sum = tsr_operation_take_raw(o, n, sizeof *r->sum, "rows of bytes");
    r->step = tsr_operation_take(o, n + PANEL_MOST, sizeof *r->step, "rows of bytes");
    r->error = tsr_operation_take_raw(o, n, sizeof *r->error, "rows of bytes");
    if (!o->status)
        tsr_parallel(o->ctx, (n + ROWS - 1) / ROWS, round_tile,
                     &(round_work){r, x, stride, dim, length,
                                   (float)tsr_byte_select(tsr_operation_device(o))->most});
}

tsr_byte_rows tsr_byte_rows_from(const tsr_byte_rows *r, int64_t first, int64_t n) {
    return (tsr_byte_rows){.n = r->n - first < n ? r->n - first : n,
                           .depth = r->depth,
                           .bytes = r->bytes + first * r->depth,
                           .sum = r->sum + first,
                           .step = r->step + first,
                           .error = r->error + first};
}

typedef struct byte_work {
    const tsr_byte_kernels *kernels;
    const tsr_byte_rows *a, *b;
    uint8_t *panels;
    float *block;
    int64_t rows;
    tsr_block_fn fn;
    void *arg;
} byte_work;

static void pack_bytes(void *arg, int64_t tile, int worker) {
    const byte_work *w = arg;
    const int64_t depth = w->b->depth, step = w->kernels->cols, from = tile * step;
    (void)worker;
    w->kernels->pack(w->panels + from * depth, w->b->bytes + from * depth, depth,
                     w->b->n - from < step ? w->b->n - from : step);
}

/* Rows a beside rows b, which are packed. */
static byte_work open_bytes(tsr_operation *o, const tsr_byte_rows *a, const tsr_byte_rows *b) {
    byte_work w = {.a = a, .b = b};
    if (o->status) return w;
    w.kernels = tsr_byte_select(tsr_operation_device(o));
    const int64_t bytes = (int64_t)w.kernels->panel_bytes(b->depth, b->n);
    w.panels = (uint8_t *)aligned(tsr_operation_take_raw(o, bytes / 4 + LINE, 4, "packed bytes"));
    if (!o->status)
        tsr_parallel(o->ctx, (b->n + w.kernels->cols - 1) / w.kernels->cols, pack_bytes, &w);
    return w;
}

static void multiply_bytes(const void *side, const tsr_block *b) {
    const byte_work *w = side;
    const tsr_byte_rows *a = w->a;
    w->kernels->product(a->bytes + b->first * a->depth, a->sum + b->first, b->rows, a->depth,
                        w->panels, w->b->step, b->from, b->from + b->columns, b->y, b->ld);
}

static void visit_bytes(void *arg, int64_t tile, int worker) {
    const byte_work *w = arg;
    tsr_block b = {.first = tile * w->rows, .ld = COLUMNS};
    b.rows = w->a->n - b.first < w->rows ? w->a->n - b.first : w->rows;
    b.y = w->block + (int64_t)worker * ROWS * COLUMNS;
    for (; b.from < w->b->n; b.from += COLUMNS) {
        b.columns = w->b->n - b.from < COLUMNS ? w->b->n - b.from : COLUMNS;
        multiply_bytes(w, &b);
        w->fn(w->arg, &b);
    }
}

void tsr_byte_rows_visit(tsr_operation *o, const tsr_byte_rows *a, const tsr_byte_rows *b,
                         tsr_block_fn fn, void *arg) {
    byte_work w = open_bytes(o, a, b);
    const int64_t floats = (int64_t)tsr_thread_count(o->ctx) * ROWS * COLUMNS + LINE;
    w.block = aligned(tsr_operation_take_raw(o, floats, sizeof(float), "block of products"));
    w.rows = a->n < 32 * ROWS ? FEW_ROWS : ROWS;
    w.fn = fn;
    w.arg = arg;
    if (!o->status) tsr_parallel(o->ctx, (a->n + w.rows - 1) / w.rows, visit_bytes, &w);
}

void tsr_byte_rows_visit_pairs(tsr_operation *o, const tsr_byte_rows *r, tsr_block_fn fn,
                               void *arg) {
    const byte_work side = open_bytes(o, r, r);
    if (!o->status)
        visit_all_pairs(o, r->n, (pair_work){multiply_bytes, &side, .fn = fn, .arg = arg});
}
