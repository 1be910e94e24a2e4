/* SPDX-License-Identifier: MIT */
/* constant.c: numbers that are known when a program is written down, such as the matrices of a
 * transform: a recording uploads them once. */
#include "rowwise.h"

static void reference(const tsr_call *call) {
    memcpy(call->out[0]->data, call->table, call->table_bytes);
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_elements(call->out[0]);
    /* One row of n words is copied. */
    const struct {
        uint32_t box[11];
        divisor n1, n2;
    } push = {{1, 1, (uint32_t)n, 0, 0, (uint32_t)n, 1, 0, 0, (uint32_t)n, 1},
              divisor_of(1),
              divisor_of((uint32_t)n)};
    *d = (tsr_gpu_dispatch){.variant = "movement"};
    dispatch_push(d, &push, sizeof push);
    dispatch_bind(d, BIND_TABLE);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static const tsr_op op_constant = {.name = "constant", .reference = reference, .gpu = gpu};

tsr_tensor *tsr_constant(tsr_run *r, tsr_dtype dtype, int rank, const int64_t *dim,
                         const void *values) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    if (dtype != TSR_DTYPE_F32 && dtype != TSR_DTYPE_I32)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "constant: wanted dtype F32 or I32, got %s",
                            tsr_dtype_name(dtype));
    tsr_tensor *y = tsr_run_new(r, dtype, rank, dim);
    if (!want_words(r, "constant", y, 1)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_constant,
                     .out = {y},
                     .out_count = 1,
                     .table = values,
                     .table_bytes = (size_t)tsr_elements(y) * 4};
    tsr_run_emit(r, &call);
    return y;
}
