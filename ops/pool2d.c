/* SPDX-License-Identifier: MIT */
/* pool2d.c: windows of feature maps become their maximum, their mean, or a binomial root mean
 * square. Only places inside the map count. */
#include <math.h>

#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { P_KIND, P_SIZE, P_STRIDE, P_TOP, P_LEFT }; /* p.i */

typedef struct view {
    const float *x;
    float *y;
    int64_t h, w, c, oh, ow; /* of x, and of y */
    int64_t size, stride, top, left;
    tsr_pool_kind kind;
} view;

static view get_view(const tsr_call *call) {
    const int64_t *x = call->in[0]->dim, *y = call->out[0]->dim;
    const int32_t *p = call->p.i;
    return (view){call->in[0]->data,
                  call->out[0]->data,
                  x[1],
                  x[2],
                  x[3],
                  y[1],
                  y[2],
                  p[P_SIZE],
                  p[P_STRIDE],
                  p[P_TOP],
                  p[P_LEFT],
                  (tsr_pool_kind)p[P_KIND]};
}

/* ---- a place of y: C channels ---- */

TSR_CLONES static void take_max(float *y, const float *x, int64_t c) {
    for (int64_t i = 0; i < c; ++i) /* NaN stays */
        y[i] = x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
}

TSR_CLONES static void take_sum(float *y, const float *x, int64_t c) {
    for (int64_t i = 0; i < c; ++i)
        y[i] += x[i];
}

TSR_CLONES static void take_square(float *y, const float *x, float f, int64_t c) {
    for (int64_t i = 0; i < c; ++i)
        y[i] += f * x[i] * x[i];
}

TSR_CLONES static void finish_square(float *y, int64_t c) {
    for (int64_t i = 0; i < c; ++i)
        y[i] = sqrtf(y[i] + 1e-12f);
}

static void place(const view *v, const float *image, int64_t oy, int64_t ox, float *y) {
    int64_t top = oy * v->stride - v->top, left = ox * v->stride - v->left, count = 0;
    for (int64_t ky = 0; ky < v->size; ++ky)
        for (int64_t kx = 0; kx < v->size; ++kx) {
            int64_t iy = top + ky, ix = left + kx;
            if (iy < 0 || ix < 0 || iy >= v->h || ix >= v->w) continue;
            const float *x = image + (iy * v->w + ix) * v->c;
            if (v->kind == TSR_POOL2D_BINOMIAL) {
                if (!count++) memset(y, 0, (size_t)v->c * sizeof *y);
                take_square(y, x, (float)((ky == 1 ? 2 : 1) * (kx == 1 ? 2 : 1)) / 16.0f, v->c);
            } else if (!count++)
                memcpy(y, x, (size_t)v->c * sizeof *y);
            else if (v->kind == TSR_POOL2D_MAX)
                take_max(y, x, v->c);
            else
                take_sum(y, x, v->c);
        }
    if (v->kind == TSR_POOL2D_BINOMIAL) finish_square(y, v->c);
    for (int64_t i = 0; i < v->c && v->kind == TSR_POOL2D_MEAN; ++i)
        y[i] /= (float)count;
}

static void row(const view *v, int64_t at) { /* of y */
    const float *image = v->x + at / v->oh * v->h * v->w * v->c;
    for (int64_t ox = 0; ox < v->ow; ++ox)
        place(v, image, at % v->oh, ox, v->y + (at * v->ow + ox) * v->c);
}

/* ---- the op ---- */

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

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    view v = get_view(call);
    int64_t n = tsr_elements(call->out[0]);
    *d = (tsr_gpu_dispatch){.variant = "pool2d"};
    d->spec[d->spec_count++] = (uint32_t)v.kind;
    uint32_t push[] = {(uint32_t)n,     (uint32_t)v.h,   (uint32_t)v.w,    (uint32_t)v.c,
                       (uint32_t)v.oh,  (uint32_t)v.ow,  (uint32_t)v.size, (uint32_t)v.stride,
                       (uint32_t)v.top, (uint32_t)v.left};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static double work(const tsr_call *call) {
    return (double)tsr_elements(call->out[0]) * call->p.i[P_SIZE] * call->p.i[P_SIZE];
}

static const tsr_op op_pool2d = {
    .name = "pool2d", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

/* Windows along a side of `length` places; 0: one of them has no place inside. */
static int64_t windows(int64_t length, int before, int after, const tsr_pool_spec *s, int stride) {
    int64_t rest = length + before + after - s->size;
    if (rest < 0 && !(s->ceil && length > 0)) return 0;
    int64_t n = rest < 0 ? 1 : (rest + (s->ceil ? stride - 1 : 0)) / stride + 1;
    if (s->ceil && n > 1 && (n - 1) * stride >= length + before) --n; /* starts in the padding */
    return (n - 1) * stride < length + before ? n : 0;
}

tsr_tensor *tsr_pool2d(tsr_run *r, const tsr_tensor *x, const tsr_pool_spec *s) {
    if (!want_tensor(r, "pool2d: x", x, TSR_DTYPE_F32, 4)) return tsr_run_failed(r);
    const int stride = s->stride ? s->stride : s->size;
    const int most = s->size - 1;
    if (s->size < 1 || s->size > 128 || stride < 1 || stride > 128 || s->top < 0 || s->top > most ||
        s->left < 0 || s->left > most || s->bottom < 0 || s->bottom > most || s->right < 0 ||
        s->right > most || (s->kind == TSR_POOL2D_BINOMIAL && s->size != 3))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "pool2d: wanted windows of 1..128 (binomial: 3) and less padding, got "
                            "size %d, stride %d",
                            s->size, stride);
    int64_t dim[4] = {x->dim[0], windows(x->dim[1], s->top, s->bottom, s, stride),
                      windows(x->dim[2], s->left, s->right, s, stride), x->dim[3]};
    char got[96];
    if (!dim[1] || !dim[2])
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "pool2d: wanted a map that holds a window of %d, got %s", s->size,
                            tsr_shape_text(x, got, sizeof got));
    if (!want_size(r, "pool2d", 4, dim)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_pool2d, .in = {x}, .in_count = 1, .out_count = 1};
    call.p.i[P_KIND] = (int32_t)s->kind;
    call.p.i[P_SIZE] = s->size;
    call.p.i[P_STRIDE] = stride;
    call.p.i[P_TOP] = s->top;
    call.p.i[P_LEFT] = s->left;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 4, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
