/* SPDX-License-Identifier: MIT */
/* products.c: rows against rows on the cpu. */
#include "products.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <stdint.h>

/* A block of rows and of columns: rows stay in the second-level cache while all columns pass. */
enum {
    ROWS = 48,
    FEW_ROWS = 24,
    COLUMNS = 384,
    ROWS_OF_TILE = 96,
    COLUMNS_OF_TILE = 192,
    LINE = 64,
    PANEL_MOST = 64
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
