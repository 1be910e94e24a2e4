/* SPDX-License-Identifier: MIT */
/* half_double.c: feature maps twice as large (every pixel four times) or half as large (the mean of
 * four pixels). */
#include "rowwise.h"

enum { HALVE }; /* p.i */

typedef struct view {
    const float *x;
    float *y;
    int64_t h, w, c, oh, ow; /* of x, and of y */
    bool halve;
} view;

static view get_view(const tsr_call *call) {
    const int64_t *x = call->in[0]->dim, *y = call->out[0]->dim;
    return (view){call->in[0]->data,    call->out[0]->data, x[1], x[2], x[3], y[1], y[2],
                  call->p.i[HALVE] != 0};
}

static void row(const view *v, int64_t at) { /* of y */
    int64_t b = at / v->oh, oy = at % v->oh, c = v->c;
    float *y = v->y + at * v->ow * c;
    int64_t iy = v->halve ? oy * 2 : oy / 2;
    const float *x = v->x + (b * v->h + iy) * v->w * c;
    for (int64_t ox = 0; ox < v->ow; ++ox, y += c) {
        if (!v->halve) {
            memcpy(y, x + ox / 2 * c, (size_t)c * sizeof *y);
            continue;
        }
        const float *a = x + ox * 2 * c, *below = a + v->w * c;
        for (int64_t i = 0; i < c; ++i)
            y[i] = ((a[i] + a[c + i]) + (below[i] + below[c + i])) * 0.25f;
    }
}

static void reference(const tsr_call *call) {
    view v = get_view(call);
    for (int64_t at = 0; at < call->out[0]->dim[0] * v.oh; ++at)
        row(&v, at);
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    row(arg, t);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    view v = get_view(call);
    tsr_parallel(tsr_device_context(device), call->out[0]->dim[0] * v.oh, tile, &v);
    return TSR_OK;
}

enum { QUAD = 4 }; /* channels that an invocation takes where they are a multiple of it */

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    view v = get_view(call);
    const bool quads = v.c % QUAD == 0;
    const int64_t unit = quads ? QUAD : 1, n = tsr_elements(call->out[0]) / unit;
    *d = (tsr_gpu_dispatch){.variant = "half_double",
                            .spec = {quads, is_half(call->in[0]), is_half(call->out[0])},
                            .spec_count = 3};
    struct {
        uint32_t n, h, w, c, oh, ow, halve;
        divisor by_c, by_ow, by_oh;
    } push = {(uint32_t)n,
              (uint32_t)v.h,
              (uint32_t)v.w,
              (uint32_t)(v.c / unit),
              (uint32_t)v.oh,
              (uint32_t)v.ow,
              v.halve,
              divisor_of((uint32_t)(v.c / unit)),
              divisor_of((uint32_t)v.ow),
              divisor_of((uint32_t)v.oh)};
    dispatch_push(d, &push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static uint32_t halves(const tsr_call *call, const tsr_gpu_caps *caps) {
    (void)caps;
    return get_view(call).c % QUAD ? 0 : half_in(0) | half_out(0);
}

static const tsr_op op_half_double = {.name = "half_double",
                                      .reference = reference,
                                      .cpu = cpu,
                                      .gpu = gpu,
                                      .halves = halves,
                                      .carries = TSR_CARRIES_ROUNDED};

static tsr_tensor *emit(tsr_run *r, const char *what, const tsr_tensor *x, bool halve) {
    if (!want_tensor(r, what, x, TSR_DTYPE_F32, 4)) return tsr_run_failed(r);
    int64_t dim[4] = {x->dim[0], x->dim[1] * 2, x->dim[2] * 2, x->dim[3]};
    if (halve) {
        char got[96];
        if (x->dim[1] < 2 || x->dim[2] < 2)
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted at least 2 x 2 pixels, got %s",
                                what, tsr_shape_text(x, got, sizeof got));
        dim[1] = x->dim[1] / 2;
        dim[2] = x->dim[2] / 2;
    }
    if (!want_size(r, what, 4, dim)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_half_double, .in = {x}, .in_count = 1, .out_count = 1};
    call.p.i[HALVE] = halve;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 4, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}

tsr_tensor *tsr_double(tsr_run *r, const tsr_tensor *x) {
    return emit(r, "double", x, false);
}

tsr_tensor *tsr_halve(tsr_run *r, const tsr_tensor *x) {
    return emit(r, "halve", x, true);
}
