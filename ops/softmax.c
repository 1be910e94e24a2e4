/* SPDX-License-Identifier: MIT */
/* softmax.c: exp(x - max) / sum over the last dimension. A row that is -infinity throughout (every
 * key masked) gives zeros; a row with NaN or +infinity gives NaN. */
#include <math.h>

#include "rowwise.h"
#include "../compute/activation.h"
#include "../compute/cpu/simd.h"

/* Every element is -infinity or NaN. (Not `if (isnan(x[i])) fill = NAN` in the loop: gcc 12 at -O3
 * makes a maximum of it, which loses the NaN.) */
static void masked_row(const float *x, float *y, int64_t cols) {
    int nan = 0;
    for (int64_t i = 0; i < cols; ++i)
        nan |= x[i] != x[i];
    for (int64_t i = 0; i < cols; ++i)
        y[i] = nan ? NAN : 0.0f;
}

static void reference(const tsr_call *call) {
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    int64_t rows = tsr_rows(call->in[0]), cols = tsr_cols(call->in[0]);
    for (int64_t n = 0; n < rows; ++n, x += cols, y += cols) {
        float most = -INFINITY;
        double sum = 0;
        for (int64_t i = 0; i < cols; ++i)
            if (x[i] > most) most = x[i];
        if (most == -INFINITY) {
            masked_row(x, y, cols);
            continue;
        }
        for (int64_t i = 0; i < cols; ++i)
            sum += exp((double)x[i] - most);
        for (int64_t i = 0; i < cols; ++i)
            y[i] = (float)(exp((double)x[i] - most) / sum);
    }
}

TSR_CLONES static void softmax_row(const float *restrict x, float *restrict y, int64_t cols) {
    int64_t whole = cols / LANES * LANES;
    float lane[LANES], sums[LANES] = {0};
    for (int j = 0; j < LANES; ++j)
        lane[j] = -INFINITY;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (int64_t i = whole; i < cols; ++i)
        lane[i - whole] = x[i] > lane[i - whole] ? x[i] : lane[i - whole];
    float most = lane[0];
    for (int j = 1; j < LANES; ++j)
        most = lane[j] > most ? lane[j] : most;
    if (most == -INFINITY) {
        masked_row(x, y, cols);
        return;
    }
    for (int64_t i = 0; i < cols; ++i)
        y[i] = tsr_fast_exp(x[i] - most);
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j)
            sums[j] += y[i + j];
    for (int64_t i = whole; i < cols; ++i)
        sums[i - whole] += y[i];
    float sum = lanes_total(sums);
    for (int64_t i = 0; i < cols; ++i)
        y[i] /= sum;
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const tsr_call *c = arg;
    int64_t rows = tsr_rows(c->in[0]), cols = tsr_cols(c->in[0]), step = rows_per_tile(cols);
    for (int64_t n = t * step; n < rows && n < (t + 1) * step; ++n)
        softmax_row((const float *)c->in[0]->data + n * cols, (float *)c->out[0]->data + n * cols,
                    cols);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    int64_t tiles = tile_count(tsr_rows(call->in[0]), rows_per_tile(tsr_cols(call->in[0])));
    tsr_parallel(tsr_device_context(device), tiles, tile, (void *)call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    int64_t rows = tsr_rows(call->in[0]), cols = tsr_cols(call->in[0]);
    uint32_t threads = row_threads(cols), push[2] = {(uint32_t)rows, (uint32_t)cols};
    if (cols / threads * 3 > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){.variant = "softmax"};
    d->spec[d->spec_count++] = threads;
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(rows, GROUP_THREADS / threads));
    return 1;
}

static const tsr_op op_softmax = {
    .name = "softmax", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_tensor *tsr_softmax(tsr_run *r, const tsr_tensor *x) {
    if (!want_tensor(r, "softmax: x", x, TSR_DTYPE_F32, 1)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_softmax, .in = {x}, .in_count = 1, .out_count = 1};
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, x->dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
