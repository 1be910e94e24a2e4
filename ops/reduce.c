/* SPDX-License-Identifier: MIT */
/* reduce.c: sum, mean, maximum, its place, and sum of squares over the last dimension. NaN counts
 * as the greatest value; of equal maxima the first one wins. */
#include <math.h>

#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { P_KIND };

static bool greater(float a, float b) {
    return a > b || (isnan(a) && !isnan(b));
}

static int64_t find_max(const float *x, int64_t cols) {
    int64_t best = 0;
    for (int64_t i = 1; i < cols; ++i)
        if (greater(x[i], x[best])) best = i;
    return best;
}

static void reference(const tsr_call *call) {
    const float *x = call->in[0]->data;
    int64_t rows = tsr_rows(call->in[0]), cols = tsr_cols(call->in[0]);
    tsr_reduction kind = (tsr_reduction)call->p.i[P_KIND];
    for (int64_t n = 0; n < rows; ++n, x += cols) {
        if (kind == TSR_REDUCE_ARGMAX) {
            ((int32_t *)call->out[0]->data)[n] = (int32_t)find_max(x, cols);
            continue;
        }
        double sum = 0;
        for (int64_t i = 0; i < cols; ++i)
            sum += kind == TSR_REDUCE_SUMSQ ? (double)x[i] * x[i] : x[i];
        if (kind == TSR_REDUCE_MEAN) sum /= (double)cols;
        ((float *)call->out[0]->data)[n] =
            kind == TSR_REDUCE_MAX ? x[find_max(x, cols)] : (float)sum;
    }
}

/* As find_max: the maximum in lanes first, then the first place that has it. */
TSR_CLONES static int64_t find_max_fast(const float *x, int64_t cols) {
    float lane[LANES];
    int nan = 0;
    for (int j = 0; j < LANES; ++j)
        lane[j] = -INFINITY;
    int64_t whole = cols / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j) {
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
            nan |= x[i + j] != x[i + j];
        }
    for (int64_t i = whole; i < cols; ++i) {
        lane[0] = x[i] > lane[0] ? x[i] : lane[0];
        nan |= x[i] != x[i];
    }
    for (int j = 1; j < LANES; ++j)
        lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
    int64_t i = 0;
    while (nan ? x[i] == x[i] : x[i] != lane[0])
        ++i;
    return i;
}

TSR_CLONES static float sum_row(const float *x, int64_t cols) {
    int64_t whole = cols / LANES * LANES;
    float lane[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j)
            lane[j] += x[i + j];
    for (int64_t i = whole; i < cols; ++i)
        lane[i - whole] += x[i];
    return lanes_total(lane);
}

TSR_CLONES static float sumsq_row(const float *x, int64_t cols) {
    int64_t whole = cols / LANES * LANES;
    float lane[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j)
            lane[j] += x[i + j] * x[i + j];
    for (int64_t i = whole; i < cols; ++i)
        lane[i - whole] += x[i] * x[i];
    return lanes_total(lane);
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const tsr_call *c = arg;
    int64_t rows = tsr_rows(c->in[0]), cols = tsr_cols(c->in[0]), step = rows_per_tile(cols);
    float *f = c->out[0]->data;
    int32_t *ids = c->out[0]->data;
    for (int64_t n = t * step; n < rows && n < (t + 1) * step; ++n) {
        const float *x = (const float *)c->in[0]->data + n * cols;
        switch ((tsr_reduction)c->p.i[P_KIND]) {
        case TSR_REDUCE_SUM:
            f[n] = sum_row(x, cols);
            break;
        case TSR_REDUCE_MEAN:
            f[n] = sum_row(x, cols) / (float)cols;
            break;
        case TSR_REDUCE_SUMSQ:
            f[n] = sumsq_row(x, cols);
            break;
        case TSR_REDUCE_MAX:
            f[n] = x[find_max_fast(x, cols)];
            break;
        case TSR_REDUCE_ARGMAX:
            ids[n] = (int32_t)find_max_fast(x, cols);
            break;
        }
    }
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
    if (cols / threads > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){.variant = "reduce"};
    d->spec[d->spec_count++] = threads;
    d->spec[d->spec_count++] = (uint32_t)call->p.i[P_KIND];
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(rows, GROUP_THREADS / threads));
    return 1;
}

static const tsr_op op_reduce = {.name = "reduce", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_tensor *tsr_reduce(tsr_run *r, const tsr_tensor *x, tsr_reduction kind) {
    if (!want_tensor(r, "reduce: x", x, TSR_DTYPE_F32, 1)) return tsr_run_failed(r);
    if ((int)kind < TSR_REDUCE_SUM || kind > TSR_REDUCE_SUMSQ)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "reduce: kind: wanted 0..%d, got %d",
                            TSR_REDUCE_SUMSQ, (int)kind);
    tsr_call call = {.op = &op_reduce, .in = {x}, .in_count = 1, .out_count = 1};
    call.p.i[P_KIND] = (int32_t)kind;
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = 1;
    call.out[0] =
        tsr_run_new(r, kind == TSR_REDUCE_ARGMAX ? TSR_DTYPE_I32 : TSR_DTYPE_F32, x->rank, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
