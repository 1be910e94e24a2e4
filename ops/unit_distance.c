/* SPDX-License-Identifier: MIT */
/* unit_distance.c: the weighted squared distance of two unit vectors at each place of two maps.
 * Built without contraction: the unit vectors are rounded before they are subtracted, so that equal
 * ones have distance 0. */
#include <math.h>

#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { X, W, OPERANDS };
enum { P_EPS }; /* p.f */

static void reference(const tsr_call *call) {
    int64_t rows = tsr_rows(call->in[X]) / 2, c = tsr_cols(call->in[X]);
    const float *a = call->in[X]->data, *b = a + rows * c, *w = call->in[W]->data;
    float *y = call->out[0]->data;
    for (int64_t n = 0; n < rows; ++n, a += c, b += c) {
        double la = 0, lb = 0, sum = 0;
        for (int64_t i = 0; i < c; ++i) {
            la += (double)a[i] * a[i];
            lb += (double)b[i] * b[i];
        }
        la = sqrt(la) + (double)call->p.f[P_EPS];
        lb = sqrt(lb) + (double)call->p.f[P_EPS];
        for (int64_t i = 0; i < c; ++i)
            sum += w[i] * (a[i] / la - b[i] / lb) * (a[i] / la - b[i] / lb);
        y[n] = (float)sum;
    }
}

TSR_CLONES static float distance(const float *a, const float *b, const float *w, int64_t c,
                                 float eps) {
    float la[LANES] = {0}, lb[LANES] = {0}, sum[LANES] = {0};
    int64_t whole = c / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j) {
            la[j] += a[i + j] * a[i + j];
            lb[j] += b[i + j] * b[i + j];
        }
    for (int64_t i = whole; i < c; ++i) {
        la[i - whole] += a[i] * a[i];
        lb[i - whole] += b[i] * b[i];
    }
    float fa = 1 / (sqrtf(lanes_total(la)) + eps), fb = 1 / (sqrtf(lanes_total(lb)) + eps);
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j) {
            float d = a[i + j] * fa - b[i + j] * fb;
            sum[j] += w[i + j] * d * d;
        }
    for (int64_t i = whole; i < c; ++i) {
        float d = a[i] * fa - b[i] * fb;
        sum[i - whole] += w[i] * d * d;
    }
    return lanes_total(sum);
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const tsr_call *call = arg;
    int64_t rows = tsr_rows(call->in[X]) / 2, c = tsr_cols(call->in[X]), step = rows_per_tile(c);
    const float *a = call->in[X]->data, *b = a + rows * c, *w = call->in[W]->data;
    float *y = call->out[0]->data;
    for (int64_t n = t * step; n < rows && n < (t + 1) * step; ++n)
        y[n] = distance(a + n * c, b + n * c, w, c, call->p.f[P_EPS]);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    int64_t tiles = tile_count(tsr_rows(call->in[X]) / 2, rows_per_tile(tsr_cols(call->in[X])));
    tsr_parallel(tsr_device_context(device), tiles, tile, (void *)call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    int64_t rows = tsr_rows(call->in[X]) / 2, cols = tsr_cols(call->in[X]);
    uint32_t threads = row_threads(cols);
    if (cols / threads > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){.variant = "unit_distance"};
    struct {
        uint32_t rows, cols;
        float eps;
    } push = {(uint32_t)rows, (uint32_t)cols, call->p.f[P_EPS]};
    d->spec[d->spec_count++] = threads;
    dispatch_push(d, &push, sizeof push);
    for (int i = 0; i < OPERANDS; ++i)
        dispatch_bind(d, BIND_IN + i);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(rows, GROUP_THREADS / threads));
    return 1;
}

static double work(const tsr_call *call) {
    return 6 * (double)tsr_elements(call->in[X]) / 2;
}

static const tsr_op op_unit_distance = {
    .name = "unit_distance", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

tsr_tensor *tsr_unit_distance(tsr_run *r, const tsr_tensor *x, tsr_weight *w, float eps) {
    if (!want_tensor(r, "unit_distance: x", x, TSR_DTYPE_F32, 4)) return tsr_run_failed(r);
    if (x->dim[0] % 2 || tsr_elements(&w->tensor) != tsr_cols(x)) {
        char got[96], weights[96];
        return tsr_run_fail(
            r, TSR_ERROR_ARGUMENT,
            "unit_distance: wanted pairs of maps and a weight for each channel, got "
            "%s and %s",
            tsr_shape_text(x, got, sizeof got),
            tsr_shape_text(&w->tensor, weights, sizeof weights));
    }
    tsr_call call = {.op = &op_unit_distance, .in_count = OPERANDS, .out_count = 1};
    call.in[X] = x;
    call.in[W] = tsr_from_weight(r, w);
    call.p.f[P_EPS] = eps;
    call.out[0] =
        tsr_run_new(r, TSR_DTYPE_F32, 3, (int64_t[]){x->dim[0] / 2, x->dim[1], x->dim[2]});
    tsr_run_emit(r, &call);
    return call.out[0];
}
