/* SPDX-License-Identifier: MIT */
/* gather.c: rows of a table by id, and columns by a list of ids. The cpu device sees the ids when
 * the op is called and refuses bad ones by value; on vulkan ids are known only later and rows are
 * clamped, columns outside give 0, so that nothing outside the operands is ever read. */
#include "rowwise.h"

enum { P_COLUMNS };

static int64_t clamp(int64_t i, int64_t n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void gather_row(const tsr_call *c, int64_t n) {
    const tsr_tensor *table = c->in[0];
    int64_t cols = tsr_cols(table);
    int64_t row = clamp(((const int32_t *)c->in[1]->data)[n], tsr_rows(table));
    memcpy((uint32_t *)c->out[0]->data + n * cols, (const uint32_t *)table->data + row * cols,
           (size_t)cols * 4);
}

static void gather_cols(const tsr_call *c, int64_t n) {
    int64_t cols = tsr_cols(c->in[0]), count = tsr_elements(c->in[1]);
    const uint32_t *x = (const uint32_t *)c->in[0]->data + n * cols;
    const int32_t *ids = c->in[1]->data;
    uint32_t *y = (uint32_t *)c->out[0]->data + n * count;
    for (int64_t j = 0; j < count; ++j)
        y[j] = ids[j] >= 0 && ids[j] < cols ? x[ids[j]] : 0;
}

static void do_row(const tsr_call *c, int64_t n) {
    if (c->p.i[P_COLUMNS])
        gather_cols(c, n);
    else
        gather_row(c, n);
}

static void reference(const tsr_call *call) {
    for (int64_t n = 0; n < tsr_rows(call->out[0]); ++n)
        do_row(call, n);
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const tsr_call *c = arg;
    int64_t rows = tsr_rows(c->out[0]), step = rows_per_tile(tsr_cols(c->out[0]));
    for (int64_t n = t * step; n < rows && n < (t + 1) * step; ++n)
        do_row(c, n);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    int64_t step = rows_per_tile(tsr_cols(call->out[0]));
    tsr_parallel(tsr_device_context(device), tile_count(tsr_rows(call->out[0]), step), tile,
                 (void *)call);
    return TSR_OK;
}

enum { QUAD = 4 };

/* True for rows of whole words of four elements. */
static bool in_quads(const tsr_call *call) {
    return !call->p.i[P_COLUMNS] && tsr_cols(call->out[0]) % QUAD == 0;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const bool columns = call->p.i[P_COLUMNS], quads = in_quads(call);
    const int64_t unit = quads ? QUAD : 1, cols = tsr_cols(call->out[0]) / unit;
    const int64_t n = tsr_elements(call->out[0]) / unit;
    struct { /* elements of the output, its columns, and what ids must stay below */
        uint32_t n, out_cols, end, columns;
        divisor cols;
    } push = {(uint32_t)n, (uint32_t)cols,
              (uint32_t)(columns ? tsr_cols(call->in[0]) : tsr_rows(call->in[0])), columns,
              divisor_of((uint32_t)cols)};
    *d = (tsr_gpu_dispatch){
        .variant = "gather", .spec = {quads, is_half(call->out[0])}, .spec_count = 2};
    dispatch_push(d, &push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_IN + 1);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static uint32_t halves(const tsr_call *call, const tsr_gpu_caps *caps) {
    (void)caps;
    return in_quads(call) ? half_out(0) : 0;
}

static const tsr_op op_gather = {
    .name = "gather", .reference = reference, .cpu = cpu, .gpu = gpu, .halves = halves};

static tsr_tensor *emit(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids, bool columns,
                        int rank, const int64_t *dim) {
    tsr_call call = {.op = &op_gather, .in = {x, ids}, .in_count = 2, .out_count = 1};
    call.p.i[P_COLUMNS] = columns;
    call.out[0] = tsr_run_new(r, x->dtype, rank, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}

tsr_tensor *tsr_gather_rows(tsr_run *r, const tsr_tensor *table, const tsr_tensor *ids) {
    if (!want_words(r, "gather_rows: table", table, 2) ||
        !want_tensor(r, "gather_rows: ids", ids, TSR_DTYPE_I32, 1))
        return tsr_run_failed(r);
    if (ids->rank >= TSR_MAX_RANK)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "gather_rows: ids: wanted at most %d dimensions, got %d",
                            TSR_MAX_RANK - 1, ids->rank);
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, ids->dim, sizeof dim);
    dim[ids->rank] = tsr_cols(table);
    if (!want_size(r, "gather_rows", ids->rank + 1, dim) ||
        !want_ids(r, "gather_rows", ids, 0, tsr_rows(table)))
        return tsr_run_failed(r);
    return emit(r, table, ids, false, ids->rank + 1, dim);
}

tsr_tensor *tsr_gather_cols(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids) {
    if (!want_words(r, "gather_cols: x", x, 1) ||
        !want_tensor(r, "gather_cols: ids", ids, TSR_DTYPE_I32, 1))
        return tsr_run_failed(r);
    if (ids->rank != 1)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "gather_cols: ids: wanted 1 dimension, got %d",
                            ids->rank);
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = ids->dim[0];
    if (!want_size(r, "gather_cols", x->rank, dim) ||
        !want_ids(r, "gather_cols", ids, -1, tsr_cols(x)))
        return tsr_run_failed(r);
    return emit(r, x, ids, true, x->rank, dim);
}
