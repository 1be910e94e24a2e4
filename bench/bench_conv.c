/* SPDX-License-Identifier: MIT */
/* bench_conv.c: the layers convolutional autoencoders are made of, for a picture of 256 x 256: on
 * every device, and convolutions on the cpu beside oneDNN called directly on the whole picture with
 * all threads and its own padding. */
#include "bench.h"
#include "../compute/cpu/onednn_conv.h"
#include "../ops/ops.h"
#include "../compute/threads.h"
#include "../compute/weights.h"
#include <stdlib.h>

typedef struct shape {
    const char *name;
    int64_t size, c, n; /* pixels each way */
    int kernel, stride;
    bool upsample;
} shape;

static const shape shapes[] = {
    {"conv2d 256x256x3 to 128", 256, 3, 128, 3, 1, false},
    {"conv2d 256x256x128 to 128", 256, 128, 128, 3, 1, false},
    {"conv2d 256x256x256 to 128", 256, 256, 128, 3, 1, false},
    {"conv2d 128x128x256 to 256", 128, 256, 256, 3, 1, false},
    {"conv2d 64x64x512 to 512", 64, 512, 512, 3, 1, false},
    {"conv2d 32x32x512 to 512", 32, 512, 512, 3, 1, false},
    {"conv2d 16x16x512 to 512", 16, 512, 512, 3, 1, false},
    {"conv2d 256x256x128 to 3", 256, 128, 3, 3, 1, false},
    {"conv2d 256x256x128 to 128 stride 2", 256, 128, 128, 3, 2, false},
    {"conv2d 32x32x512 to 512 doubled", 32, 512, 512, 3, 1, true},
    {"conv2d 128x128x256 to 256 doubled", 128, 256, 256, 3, 1, true},
};

typedef struct layer {
    tsr_weight *w;
    tsr_conv_spec spec;
} layer;

static void fn_conv(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    out[0] = tsr_conv2d(r, in[0], l->w, &l->spec);
}

static int64_t out_size(const shape *s) {
    return s->upsample ? 2 * s->size : s->size / s->stride;
}

/* ---- oneDNN called directly ---- */

#ifdef TESSERA_WITH_ONEDNN

typedef struct rival {
    tsr_onednn_conv *conv;
    const float *x;
    float *y;
    void *scratch;
} rival;

static tsr_status rival_body(void *arg) {
    rival *r = arg;
    tsr_onednn_conv_run(r->conv, r->x, r->y, r->scratch);
    return tsr_onednn_conv_status(NULL, r->conv);
}

static tsr_status bench_rival(tsr_bencher *b, const shape *s, tsr_bench_row row, const float *x,
                              const float *w, float *y) {
    int64_t top = s->stride == 1 ? s->kernel / 2 : 0, size = out_size(s);
    tsr_onednn_conv_shape f = {.h = s->size,
                               .w = s->size,
                               .c = s->c,
                               .n = s->n,
                               .kh = s->kernel,
                               .kw = s->kernel,
                               .stride = s->stride,
                               .oh = size,
                               .ow = size,
                               .top = top,
                               .left = top,
                               .threads = tsr_thread_count(b->ctx)};
    rival r = {.x = x, .y = y};
    tsr_status status = tsr_onednn_conv_open(b->ctx, &r.conv, w, &f, NULL);
    if (status) return status;
    size_t bytes = tsr_onednn_conv_scratch_bytes(r.conv) + 64;
    if ((r.scratch = aligned_alloc(64, bytes)))
        status = tsr_bench_time(b, &row, rival_body, &r);
    else
        status =
            tsr_fail(b->ctx, TSR_ERROR_MEMORY, "oneDNN scratch: wanted %zu bytes, got none", bytes);
    tsr_onednn_conv_close(&r.conv);
    free(r.scratch);
    return status;
}

#endif

/* ---- ours ---- */

static tsr_status bench_shape(tsr_bencher *b, const shape *s) {
    tsr_weights *weights = NULL;
    layer l = {.spec = {.stride = s->stride, .upsample = s->upsample}};
    l.spec.bottom = l.spec.right = s->kernel / 2;
    if (s->stride == 1) l.spec.top = l.spec.left = s->kernel / 2;
    int64_t size = out_size(s), taps = (int64_t)s->kernel * s->kernel;
    int64_t xn = s->size * s->size * s->c, wn = s->n * s->c * taps, yn = size * size * s->n;
    float *x = tsr_bench_floats(b->ctx, (size_t)xn, 1);
    float *w = tsr_bench_floats(b->ctx, (size_t)wn, 2);
    float *y = tsr_alloc(b->ctx, (size_t)yn, sizeof *y, "benchmark result");
    tsr_status status = x && w && y ? tsr_weights_open(b->ctx, &weights) : TSR_ERROR_MEMORY;
    tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_F32, x, 4, (const int64_t[]){1, s->size, s->size, s->c});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 4, (const int64_t[]){1, size, size, s->n});
    tsr_tensor wt =
        tsr_host_tensor(TSR_DTYPE_F32, w, 4, (const int64_t[]){s->n, s->c, s->kernel, s->kernel});
    if (!status) status = tsr_weights_add(b->ctx, weights, "w", &wt);
    if (!status) status = tsr_weights_get(b->ctx, weights, "w", 4, wt.dim, &l.w);
    double flops = 2.0 * (double)(yn * s->c * taps), bytes = 4.0 * (double)(xn + wn + yn);
    if (!status) {
        tsr_bench_case c = {.name = s->name,
                            .fn = fn_conv,
                            .model = &l,
                            .flops = flops,
                            .bytes = bytes,
                            .in = &in,
                            .in_count = 1,
                            .out = &out,
                            .out_count = 1,
                            .no_reference = flops > 2e9};
        status = tsr_bench_program(b, &c);
    }
#ifdef TESSERA_WITH_ONEDNN
    if (!status && !s->upsample && tsr_bench_wants_cpu(b))
        status = bench_rival(
            b, s, (tsr_bench_row){.name = s->name, .by = "onednn", .flops = flops, .bytes = bytes},
            x, w, y);
#endif
    tsr_weights_close(&weights);
    free(x);
    free(w);
    free(y);
    return status;
}

/* ---- what stands between convolutions ---- */

static void fn_norm(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_group_norm(r, in[0], &(tsr_group_norm_spec){.eps = 1e-6f, .act = TSR_ACT_SILU});
}

static void fn_halve(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_halve(r, in[0]);
}

static void fn_attention(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_attention(r, in[0], in[0], in[0], &(tsr_attention_spec){.heads = 1});
}

typedef struct plain {
    const char *name;
    tsr_model_fn fn;
    int64_t in[4], out[4]; /* ended by 0 */
    double flops;
} plain;

static const plain plains[] = {
    {"group_norm silu 256x256x128", fn_norm, {1, 256, 256, 128}, {1, 256, 256, 128}, 0},
    {"group_norm silu 32x32x512", fn_norm, {1, 32, 32, 512}, {1, 32, 32, 512}, 0},
    {"halve 256x256x128", fn_halve, {1, 256, 256, 128}, {1, 128, 128, 128}, 0},
    {"attention 1024 h1x512",
     fn_attention,
     {1, 1024, 512},
     {1, 1024, 512},
     4.0 * 1024 * 1024 * 512},
};

static tsr_status bench_plain(tsr_bencher *b, const plain *p) {
    int rank = p->in[3] ? 4 : 3;
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, p->in);
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, p->out);
    size_t xn = (size_t)tsr_elements(&in), yn = (size_t)tsr_elements(&out);
    in.data = tsr_bench_floats(b->ctx, xn, 3);
    out.data = tsr_alloc(b->ctx, yn, sizeof(float), "benchmark result");
    tsr_bench_case c = {.name = p->name,
                        .fn = p->fn,
                        .flops = p->flops,
                        .bytes = 4.0 * (double)(xn + yn),
                        .in = &in,
                        .in_count = 1,
                        .out = &out,
                        .out_count = 1};
    tsr_status status = in.data && out.data ? tsr_bench_program(b, &c) : TSR_ERROR_MEMORY;
    free(in.data);
    free(out.data);
    return status;
}

tsr_status tsr_bench_suite_conv(tsr_bencher *b) {
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !status; ++i)
        if (tsr_bench_wants(b, shapes[i].name)) status = bench_shape(b, &shapes[i]);
    for (size_t i = 0; i < sizeof plains / sizeof *plains && !status; ++i)
        if (tsr_bench_wants(b, plains[i].name)) status = bench_plain(b, &plains[i]);
    return status;
}
