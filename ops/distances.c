/* SPDX-License-Identifier: MIT */
/* distances.c: squared distances of all pairs of rows, as sums of squared differences: equal rows
 * are at 0, and the error is a share of the distance, however far from the origin the rows are. */
#include "rowwise.h"

static float square_distance(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return (float)sum;
}

static void do_row(const tsr_call *call, int64_t i) {
    const int64_t n = tsr_rows(call->in[1]), cols = tsr_cols(call->in[0]);
    const float *a = (const float *)call->in[0]->data + i * cols, *b = call->in[1]->data;
    float *y = (float *)call->out[0]->data + i * n;
    for (int64_t j = 0; j < n; ++j)
        y[j] = square_distance(a, b + j * cols, cols);
}

static void reference(const tsr_call *call) {
    for (int64_t i = 0; i < tsr_rows(call->in[0]); ++i)
        do_row(call, i);
}

static void tile(void *arg, int64_t i, int worker) {
    (void)worker;
    do_row(arg, i);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_parallel(tsr_device_context(device), tsr_rows(call->in[0]), tile, (void *)call);
    return TSR_OK;
}

enum { TILE = 32 }; /* as in the shader */

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t m = tsr_rows(call->in[0]), n = tsr_rows(call->in[1]),
                  cols = tsr_cols(call->in[0]);
    const uint32_t push[3] = {(uint32_t)m, (uint32_t)n, (uint32_t)cols};
    if (8 * cols > LOOP_LIMIT) return 0; /* a thread makes 8 numbers */
    *d = (tsr_gpu_dispatch){.variant = "distances"};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_IN + 1);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(m, TILE) * tile_count(n, TILE));
    return 1;
}

static double work(const tsr_call *call) {
    return (double)tsr_elements(call->out[0]) * (double)tsr_cols(call->in[0]);
}

static const tsr_op op_distances = {
    .name = "distances", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

tsr_tensor *tsr_square_distances(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b) {
    if (!want_tensor(r, "distances: a", a, TSR_DTYPE_F32, 2) ||
        !want_tensor(r, "distances: b", b, TSR_DTYPE_F32, 2))
        return tsr_run_failed(r);
    const int64_t dim[2] = {tsr_rows(a), tsr_rows(b)};
    char text[96];
    if (a->rank != 2 || b->rank != 2 || tsr_cols(a) != tsr_cols(b))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "distances: b: wanted [N, %lld], got %s",
                            (long long)tsr_cols(a), tsr_shape_text(b, text, sizeof text));
    if (!want_size(r, "distances", 2, dim)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_distances, .in = {a, b}, .in_count = 2, .out_count = 1};
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 2, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
