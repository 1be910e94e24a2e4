/* SPDX-License-Identifier: MIT */
/* unfold_frames.c: frames of a clip beside each other, as the taps of a convolution over time. */
#include "rowwise.h"

enum { FRAMES, MADE, TAPS, STRIDE, FRONT, TWICE, ZEROS }; /* p.i */
enum { MOST_TAPS = 16 };

typedef struct view {
    const float *x;
    float *y;
    int64_t frames, made, places, c, taps; /* places: rows times columns */
    const int32_t *p;
} view;

static view get_view(const tsr_call *call) {
    const tsr_tensor *x = call->in[0], *y = call->out[0];
    const int32_t *p = call->p.i;
    return (view){.x = x->data,
                  .y = y->data,
                  .frames = p[FRAMES],
                  .made = p[MADE],
                  .places = tsr_elements(x) / x->dim[0] / tsr_cols(x),
                  .c = tsr_cols(x),
                  .taps = p[TAPS],
                  .p = p};
}

/* Tap k of frame `at` of the result; NULL: zeros. */
static const float *tap(const view *v, int64_t at, int64_t k) {
    int64_t i = at % v->made * v->p[STRIDE] + k - v->p[FRONT];
    if (v->p[ZEROS] && (i < 0 || i >= v->frames << v->p[TWICE])) return NULL;
    i = i < 0 ? 0 : i >> v->p[TWICE];
    return v->x + (at / v->made * v->frames + i) * v->places * v->c;
}

static void reference(const tsr_call *call) {
    const view v = get_view(call);
    for (int64_t e = 0; e < tsr_elements(call->out[0]); ++e) {
        const int64_t k = e % v.taps, value = e / v.taps % (v.places * v.c);
        const float *from = tap(&v, e / v.taps / v.places / v.c, k);
        v.y[e] = from ? from[value] : 0;
    }
}

typedef struct job {
    view v;
    int64_t part, parts; /* values of a frame of x in a tile, and how many tiles make a frame */
} job;

/* The kernels over time of all published models have three taps. */
static void three(float *y, const float *a, const float *b, const float *c, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        y[3 * i] = a ? a[i] : 0;
        y[3 * i + 1] = b ? b[i] : 0;
        y[3 * i + 2] = c ? c[i] : 0;
    }
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const job *j = arg;
    const view *v = &j->v;
    const int64_t all = v->places * v->c, at = t / j->parts, first = t % j->parts * j->part;
    const int64_t n = all - first < j->part ? all - first : j->part;
    float *y = v->y + (at * all + first) * v->taps;
    const float *from[MOST_TAPS];
    for (int64_t k = 0; k < v->taps; ++k) {
        from[k] = tap(v, at, k);
        if (from[k]) from[k] += first;
    }
    if (v->taps == 1 && from[0]) {
        memcpy(y, from[0], (size_t)n * sizeof *y);
    } else if (v->taps == 3) {
        three(y, from[0], from[1], from[2], n);
    } else {
        for (int64_t k = 0; k < v->taps; ++k)
            for (int64_t i = 0; i < n; ++i)
                y[i * v->taps + k] = from[k] ? from[k][i] : 0;
    }
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    job j = {.v = get_view(call), .part = 8192};
    j.parts = tile_count(j.v.places * j.v.c, j.part);
    tsr_parallel(tsr_device_context(device), call->out[0]->dim[0] * j.parts, tile, &j);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const view v = get_view(call);
    const int64_t n = tsr_elements(call->out[0]);
    *d = (tsr_gpu_dispatch){.variant = "unfold_frames"};
    const int32_t push[] = {(int32_t)n,  (int32_t)(v.places * v.c),
                            v.p[FRAMES], v.p[MADE],
                            v.p[TAPS],   v.p[STRIDE],
                            v.p[FRONT],  v.p[TWICE],
                            v.p[ZEROS]};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static const tsr_op op_unfold_frames = {
    .name = "unfold_frames", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_tensor *tsr_unfold_frames(tsr_run *r, const tsr_tensor *x, const tsr_frames_spec *spec) {
    const int64_t taps = spec->taps ? spec->taps : 1, stride = spec->stride ? spec->stride : 1;
    char got[96];
    if (!want_tensor(r, "unfold_frames: x", x, TSR_DTYPE_F32, 2)) return tsr_run_failed(r);
    if (spec->frames < 1 || x->dim[0] % spec->frames)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "unfold_frames: x: wanted a multiple of %lld frames, got %s",
                            (long long)spec->frames, tsr_shape_text(x, got, sizeof got));
    if (taps < 1 || taps > MOST_TAPS || stride < 1 || stride > 16)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "unfold_frames: taps and stride: wanted 1 to 16, got %lld and %lld",
                            (long long)taps, (long long)stride);
    const int64_t all = spec->frames << spec->twice;
    const int64_t most = all + (spec->zeros ? MOST_TAPS : 0);
    const int64_t last = (spec->made - 1) * stride + taps - 1 - spec->front;
    if (spec->made < 1 || last >= most)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "unfold_frames: last frame: wanted at most %lld, got %lld",
                            (long long)most - 1, (long long)last);
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[0] = x->dim[0] / spec->frames * spec->made;
    dim[x->rank - 1] *= taps;
    if (!want_size(r, "unfold_frames", x->rank, dim)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_unfold_frames, .in = {x}, .in_count = 1, .out_count = 1};
    call.p.i[FRAMES] = (int32_t)spec->frames;
    call.p.i[MADE] = (int32_t)spec->made;
    call.p.i[TAPS] = (int32_t)taps;
    call.p.i[STRIDE] = (int32_t)stride;
    call.p.i[FRONT] = spec->front;
    call.p.i[TWICE] = spec->twice;
    call.p.i[ZEROS] = spec->zeros;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
