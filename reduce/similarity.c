/* SPDX-License-Identifier: MIT */
/* similarity.c: rows against rows. One side is a weight of a linear layer, which the device packs
 * or uploads once; the other side passes tile by tile. */
#include "similarity.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"
#include "../ops/ops.h"

#include <math.h>
#include <string.h>

enum {
    TILE_VALUES = 1 << 21,
    TILE_LEAST = 64,
    TILE_MOST = 1024,
    TILE_CPU = 256,
    STAGE_ROWS = 64,
    VISIT_ROWS = 16,
    MEAN_COLUMNS = 128
};

/* ---- staging ---- */

typedef struct stage_work {
    const float *x;
    float *to;
    const float *mean; /* NULL: divide by the length */
    double *length;    /* squared, or NULL */
    int64_t n, dim;
} stage_work;

static void stage_tile(void *arg, int64_t tile, int worker) {
    const stage_work *w = arg;
    (void)worker;
    for (int64_t i = tile * STAGE_ROWS; i < w->n && i < (tile + 1) * STAGE_ROWS; ++i) {
        const float *row = w->x + i * w->dim;
        float *to = w->to + i * w->dim;
        if (w->mean)
            for (int64_t j = 0; j < w->dim; ++j)
                to[j] = row[j] - w->mean[j];
        else {
            const double square = tsr_dot(row, row, w->dim);
            const double scale = square > 0 ? 1 / sqrt(square) : 0;
            for (int64_t j = 0; j < w->dim; ++j)
                to[j] = (float)((double)row[j] * scale);
        }
        if (w->length) w->length[i] = tsr_dot(to, to, w->dim);
    }
}

/* Lengths alone, not squared. */
static void length_tile(void *arg, int64_t tile, int worker) {
    const stage_work *w = arg;
    (void)worker;
    for (int64_t i = tile * STAGE_ROWS; i < w->n && i < (tile + 1) * STAGE_ROWS; ++i)
        w->length[i] = sqrt(tsr_dot(w->x + i * w->dim, w->x + i * w->dim, w->dim));
}

static void stage(tsr_operation *o, const stage_work *w) {
    if (o->status) return;
    tsr_parallel(o->ctx, (w->n + STAGE_ROWS - 1) / STAGE_ROWS, stage_tile, (void *)w);
}

void tsr_unit_rows(tsr_operation *o, const float *x, int64_t n, int64_t dim, float *unit) {
    stage(o, &(stage_work){.x = x, .to = unit, .n = n, .dim = dim});
}

typedef struct mean_work {
    const float *x;
    int64_t n, dim;
    float *mean;
} mean_work;

TSR_CLONES static void add_row(double *sum, const float *row, int64_t n) {
    for (int64_t j = 0; j < n; ++j)
        sum[j] += (double)row[j];
}

/* One range of columns, all rows in order: the same sums for every thread count. */
static void mean_tile(void *arg, int64_t tile, int worker) {
    const mean_work *w = arg;
    const int64_t from = tile * MEAN_COLUMNS;
    const int64_t n = w->dim - from < MEAN_COLUMNS ? w->dim - from : MEAN_COLUMNS;
    double sum[MEAN_COLUMNS] = {0};
    (void)worker;
    for (int64_t i = 0; i < w->n; ++i)
        add_row(sum, w->x + i * w->dim + from, n);
    for (int64_t j = 0; j < n; ++j)
        w->mean[from + j] = (float)(sum[j] / (double)w->n);
}

void tsr_mean_of_columns(tsr_operation *o, const float *x, int64_t n, int64_t dim, float *mean) {
    if (o->status) return;
    tsr_parallel(o->ctx, (dim + MEAN_COLUMNS - 1) / MEAN_COLUMNS, mean_tile,
                 &(mean_work){x, n, dim, mean});
}

static void begin(tsr_operation *o, tsr_similarity *s, tsr_similarity_kind kind, int64_t n,
                  int64_t dim) {
    *s = (tsr_similarity){.o = o, .kind = kind, .n = n, .dim = dim};
    s->device = tsr_operation_device(o);
    if (o->status) return; /* n may be 0 then */
    s->tile = TILE_VALUES / n / TILE_LEAST * TILE_LEAST;
    s->tile = s->tile < TILE_LEAST ? TILE_LEAST : s->tile > TILE_MOST ? TILE_MOST : s->tile;
    /* A tile costs a device a submission, and the cpu nothing. */
    if (!o->status && tsr_device_is_plain_cpu(s->device) && s->tile > TILE_CPU) s->tile = TILE_CPU;
    if (s->tile > n) s->tile = n;
}

/* Staged rows become a weight of the device. */
static void hand_to_device(tsr_similarity *s) {
    tsr_operation *o = s->o;
    const tsr_tensor columns =
        tsr_host_tensor(TSR_DTYPE_F32, (void *)s->staged, 2, (int64_t[]){s->n, s->dim});
    if (!o->status) o->status = tsr_weights_open(o->ctx, &s->weights);
    if (!o->status) o->status = tsr_weights_add(o->ctx, s->weights, "rows", &columns);
    if (!o->status) s->columns = tsr_weights_find(s->weights, "rows");
}

void tsr_similarity_open(tsr_operation *o, tsr_similarity *s, tsr_similarity_kind kind,
                         const float *x, int64_t n, int64_t dim) {
    begin(o, s, kind, n, dim);
    s->x = s->staged = x;
    if (o->status) return;
    const bool cpu = tsr_device_is_plain_cpu(s->device);
    if (cpu && kind == TSR_SIMILARITY_COSINE) {
        double *length = tsr_operation_take_raw(o, n, sizeof *length, "similarities: lengths");
        if (!o->status)
            tsr_parallel(o->ctx, (n + STAGE_ROWS - 1) / STAGE_ROWS, length_tile,
                         &(stage_work){.x = x, .length = length, .n = n, .dim = dim});
        s->staged = NULL;
        tsr_products_open(o, &s->products, x, dim, n, dim, length);
        return;
    }
    if (kind != TSR_SIMILARITY_DOT) {
        float *staged = tsr_operation_take_raw(o, n * dim, sizeof *staged, "similarities: rows");
        if (kind == TSR_SIMILARITY_SQUARE_DISTANCE) {
            s->mean = tsr_operation_take(o, dim, sizeof *s->mean, "similarities: mean");
            s->length = tsr_operation_take(o, n, sizeof *s->length, "similarities: lengths");
            tsr_mean_of_columns(o, x, n, dim, s->mean);
        }
        stage(o, &(stage_work){x, staged, s->mean, s->length, n, dim});
        s->staged = staged;
    }
    if (cpu)
        tsr_products_open(o, &s->products, s->staged, dim, n, dim, NULL);
    else
        hand_to_device(s);
}

void tsr_similarity_open_rows(tsr_operation *o, tsr_similarity *s, const float *x, int64_t stride,
                              int64_t n, int64_t dim, const double *length) {
    begin(o, s, TSR_SIMILARITY_DOT, n, dim);
    if (!o->status && tsr_device_is_plain_cpu(s->device)) {
        tsr_products_open(o, &s->products, x, stride, n, dim, length);
        return;
    }
    float *staged = tsr_operation_take_raw(o, n * dim, sizeof *staged, "similarities: rows");
    for (int64_t i = 0; i < n && !o->status; ++i)
        for (int64_t j = 0; j < dim; ++j)
            staged[i * dim + j] =
                length[i] > 0 ? (float)((double)x[i * stride + j] / length[i]) : 0;
    s->staged = staged;
    hand_to_device(s);
}

void tsr_similarity_close(tsr_similarity *s) {
    /* Recordings are keyed by the weights' address, which the next ones may have too. */
    if (s->weights) tsr_device_forget(s->device, s->weights);
    tsr_weights_close(&s->weights);
    s->columns = NULL;
}

/* ---- products ---- */

static void product(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    tsr_weight *columns = tsr_weights_at((tsr_weights *)model, 0);
    out[0] = tsr_linear(r, in[0], columns, &(tsr_epilogue){.exact = true});
}

typedef struct finish_work {
    const tsr_similarity *s;
    const double *length; /* [count] */
    float *y;
} finish_work;

static void finish_row(void *arg, int64_t i, int worker) {
    const finish_work *w = arg;
    const double *length = w->s->length;
    float *y = w->y + i * w->s->n;
    (void)worker;
    for (int64_t j = 0; j < w->s->n; ++j) {
        const double d = w->length[i] + length[j] - 2 * (double)y[j];
        y[j] = d > 0 ? (float)d : 0;
    }
}

/* y [count, n] by the device. */
static void device_product(tsr_similarity *s, const float *a, int64_t count, float *y) {
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (void *)a, 2, (int64_t[]){count, s->dim});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){count, s->n});
    const tsr_program program = {.fn = product, .model = s->weights, .name = "similarities"};
    s->o->status = tsr_execute(s->device, &program, &in, 1, &out, 1);
}

/* a: staged rows. length: their squared lengths, for squared distances. */
static void compare(tsr_similarity *s, const float *a, const double *length, int64_t count,
                    float *y) {
    tsr_operation *o = s->o;
    if (o->status || count < 1) return;
    if (s->products.gemm)
        tsr_products_all(&s->products, a, s->dim, count, y);
    else
        device_product(s, a, count, y);
    if (!o->status && s->kind == TSR_SIMILARITY_SQUARE_DISTANCE)
        tsr_parallel(o->ctx, count, finish_row, &(finish_work){s, length, y});
}

/* Room for rows that are asked for by index or from outside. */
static float *gathered(tsr_similarity *s) {
    if (!s->gathered)
        s->gathered = tsr_operation_take_raw(s->o, s->tile * s->dim, sizeof *s->gathered,
                                             "similarities: rows");
    return s->gathered;
}

int64_t tsr_similarity_rows(tsr_similarity *s, int64_t first, float *y) {
    const int64_t count = s->n - first < s->tile ? s->n - first : s->tile;
    if (s->o->status) return 0;
    if (s->staged)
        compare(s, s->staged + first * s->dim, s->length ? s->length + first : NULL, count, y);
    else
        tsr_similarity_others(s, s->x + first * s->dim, count, y);
    return s->o->status ? 0 : count;
}

void tsr_similarity_picked(tsr_similarity *s, const int32_t *index, int64_t count, float *y) {
    double length[TILE_MOST];
    if (s->o->status || !gathered(s)) return;
    const float *from = s->staged ? s->staged : s->x;
    for (int64_t i = 0; i < count; ++i) {
        memcpy(s->gathered + i * s->dim, from + index[i] * s->dim, (size_t)s->dim * sizeof(float));
        length[i] = s->length ? s->length[index[i]] : 0;
    }
    if (!s->staged) tsr_unit_rows(s->o, s->gathered, count, s->dim, s->gathered);
    compare(s, s->gathered, length, count, y);
}

void tsr_similarity_others(tsr_similarity *s, const float *a, int64_t count, float *y) {
    double length[TILE_MOST];
    if (s->kind != TSR_SIMILARITY_DOT) {
        if (s->o->status || !gathered(s)) return;
        stage(s->o, &(stage_work){a, s->gathered, s->mean, s->mean ? length : NULL, count, s->dim});
        a = s->gathered;
    }
    compare(s, a, length, count, y);
}

/* ---- block by block ---- */

typedef struct visit_work {
    tsr_block_fn fn;
    void *arg;
    tsr_block whole; /* of a tile */
} visit_work;

static void visit_part(void *arg, int64_t part, int worker) {
    const visit_work *w = arg;
    tsr_block b = w->whole;
    (void)worker;
    b.first += part * VISIT_ROWS;
    b.y += part * VISIT_ROWS * b.ld;
    b.rows = b.rows - part * VISIT_ROWS < VISIT_ROWS ? b.rows - part * VISIT_ROWS : VISIT_ROWS;
    w->fn(w->arg, &b);
}

void tsr_similarity_visit(tsr_similarity *s, const float *a, int64_t stride, int64_t count,
                          tsr_block_fn fn, void *arg) {
    tsr_operation *o = s->o;
    if (s->products.gemm) {
        tsr_products_visit(&s->products, a, stride, count, fn, arg);
        return;
    }
    float *tile = tsr_operation_take_raw(o, s->tile * s->n, sizeof *tile, "similarities");
    for (int64_t first = 0; first < count && gathered(s) && !o->status; first += s->tile) {
        const int64_t rows = count - first < s->tile ? count - first : s->tile;
        for (int64_t i = 0; i < rows; ++i)
            memcpy(s->gathered + i * s->dim, a + (first + i) * stride,
                   (size_t)s->dim * sizeof(float));
        compare(s, s->gathered, NULL, rows, tile);
        visit_work w = {fn, arg, {first, rows, 0, s->n, s->n, tile}};
        if (!o->status) tsr_parallel(o->ctx, (rows + VISIT_ROWS - 1) / VISIT_ROWS, visit_part, &w);
    }
}
