/* SPDX-License-Identifier: MIT */
/* depthwise.c: a convolution of each channel by itself. */
#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { STRIDE, TOP, LEFT }; /* p.i */
enum { MOST_SIDE = 16 };

typedef struct view {
    const float *x, *kernel, *bias;
    float *y;
    int64_t h, w, c, oh, ow, kh, kw; /* of x, of y, of the kernel */
    int64_t stride, top, left;
} view;

static view get_view(const tsr_call *call) {
    const int64_t *x = call->in[0]->dim, *y = call->out[0]->dim, *k = call->in[1]->dim;
    return (view){.x = call->in[0]->data,
                  .kernel = call->in[1]->data,
                  .bias = call->in[2]->data,
                  .y = call->out[0]->data,
                  .h = x[1],
                  .w = x[2],
                  .c = x[3],
                  .oh = y[1],
                  .ow = y[2],
                  .kh = k[0],
                  .kw = k[1],
                  .stride = call->p.i[STRIDE],
                  .top = call->p.i[TOP],
                  .left = call->p.i[LEFT]};
}

/* y += x * kernel over channels. */
TSR_CLONES static void add_products(float *y, const float *x, const float *kernel, int64_t c) {
    for (int64_t i = 0; i < c; ++i)
        y[i] += x[i] * kernel[i];
}

static void plain_products(float *y, const float *x, const float *kernel, int64_t c) {
    for (int64_t i = 0; i < c; ++i)
        y[i] += x[i] * kernel[i];
}

static void row(const view *v, int64_t at,
                void (*add)(float *, const float *, const float *, int64_t)) {
    const int64_t b = at / v->oh, iy = at % v->oh * v->stride - v->top;
    float *y = v->y + at * v->ow * v->c;
    for (int64_t ox = 0; ox < v->ow; ++ox, y += v->c) {
        const int64_t ix = ox * v->stride - v->left;
        memcpy(y, v->bias, (size_t)v->c * sizeof *y);
        for (int64_t ky = 0; ky < v->kh; ++ky) {
            if (iy + ky < 0 || iy + ky >= v->h) continue;
            for (int64_t kx = 0; kx < v->kw; ++kx)
                if (ix + kx >= 0 && ix + kx < v->w)
                    add(y, v->x + ((b * v->h + iy + ky) * v->w + ix + kx) * v->c,
                        v->kernel + (ky * v->kw + kx) * v->c, v->c);
        }
    }
}

static void reference(const tsr_call *call) {
    const view v = get_view(call);
    for (int64_t at = 0; at < call->out[0]->dim[0] * v.oh; ++at)
        row(&v, at, plain_products);
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    row(arg, t, add_products);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    view v = get_view(call);
    tsr_parallel(tsr_device_context(device), call->out[0]->dim[0] * v.oh, tile, &v);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const view v = get_view(call);
    const int64_t n = tsr_elements(call->out[0]);
    *d = (tsr_gpu_dispatch){.variant = "depthwise"};
    const uint32_t push[] = {(uint32_t)n,     (uint32_t)v.h,    (uint32_t)v.w,     (uint32_t)v.c,
                             (uint32_t)v.oh,  (uint32_t)v.ow,   (uint32_t)v.kh,    (uint32_t)v.kw,
                             (uint32_t)v.top, (uint32_t)v.left, (uint32_t)v.stride};
    dispatch_push(d, push, sizeof push);
    for (int i = 0; i < 3; ++i)
        dispatch_bind(d, BIND_IN + i);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static const tsr_op op_depthwise = {
    .name = "depthwise", .reference = reference, .cpu = cpu, .gpu = gpu};

static bool want_spec(tsr_run *r, const tsr_tensor *x, const tsr_tensor *kernel,
                      const tsr_tensor *bias, const tsr_depthwise_spec *s) {
    char got[96];
    if (kernel->rank != 3 || kernel->dim[0] > MOST_SIDE || kernel->dim[1] > MOST_SIDE ||
        kernel->dim[2] != x->dim[3] || tsr_elements(bias) != x->dim[3]) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "depthwise: wanted a kernel [1..16, 1..16, %lld] and as many biases, got %s",
                     (long long)x->dim[3], tsr_shape_text(kernel, got, sizeof got));
        return false;
    }
    const int64_t kh = kernel->dim[0], kw = kernel->dim[1];
    if (s->stride < 1 || s->stride > 16 || s->top < 0 || s->left < 0 || s->bottom < 0 ||
        s->right < 0 || s->top >= kh || s->bottom >= kh || s->left >= kw || s->right >= kw ||
        s->top + x->dim[1] + s->bottom < kh || s->left + x->dim[2] + s->right < kw) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "depthwise: wanted stride 1..16, padding below the kernel and a map not "
                     "smaller than it, got %s",
                     tsr_shape_text(x, got, sizeof got));
        return false;
    }
    return true;
}

tsr_tensor *tsr_depthwise(tsr_run *r, const tsr_tensor *x, const tsr_tensor *kernel,
                          const tsr_tensor *bias, const tsr_depthwise_spec *spec) {
    tsr_depthwise_spec s = spec ? *spec : (tsr_depthwise_spec){0};
    if (!s.stride) s.stride = 1;
    if (!want_tensor(r, "depthwise", x, TSR_DTYPE_F32, 4) ||
        !want_tensor(r, "depthwise: kernel", kernel, TSR_DTYPE_F32, 3) ||
        !want_tensor(r, "depthwise: bias", bias, TSR_DTYPE_F32, 1) ||
        !want_spec(r, x, kernel, bias, &s))
        return tsr_run_failed(r);
    const int64_t dim[4] = {
        x->dim[0], (s.top + x->dim[1] + s.bottom - kernel->dim[0]) / s.stride + 1,
        (s.left + x->dim[2] + s.right - kernel->dim[1]) / s.stride + 1, x->dim[3]};
    if (!want_size(r, "depthwise", 4, dim)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_depthwise, .in = {x, kernel, bias}, .in_count = 3, .out_count = 1};
    call.p.i[STRIDE] = s.stride;
    call.p.i[TOP] = s.top;
    call.p.i[LEFT] = s.left;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 4, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
