/* SPDX-License-Identifier: MIT */
/* bench_gemm.c: linear layers of ViT shapes on every device, beside the plain C reference and
 * beside oneDNN called directly on the whole shape with all threads: the better of its own weight
 * layout and ours, found by trying both. Ours includes copying the result out of the run. */
#include "bench.h"
#include "../compute/cpu/onednn.h"
#include "../ops/ops.h"
#include "../compute/threads.h"
#include "../compute/weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct shape {
    const char *name; /* rows x k x n */
    int64_t m, k, n;
    tsr_activation act;
} shape;

static const shape shapes[] = {
    {"linear 256x192x576", 256, 192, 576, TSR_ACT_NONE},
    {"linear 256x192x768", 256, 192, 768, TSR_ACT_NONE},
    {"linear 256x768x192", 256, 768, 192, TSR_ACT_NONE},
    {"linear 512x384x1536", 512, 384, 1536, TSR_ACT_NONE},
    {"linear 256x768x768", 256, 768, 768, TSR_ACT_NONE},
    {"linear 256x768x3072", 256, 768, 3072, TSR_ACT_NONE},
    {"linear 256x768x3072 gelu", 256, 768, 3072, TSR_ACT_GELU},
    {"linear 256x3072x768", 256, 3072, 768, TSR_ACT_NONE},
    {"linear 512x1024x1024", 512, 1024, 1024, TSR_ACT_NONE},
    {"linear 577x1024x4096", 577, 1024, 4096, TSR_ACT_NONE}, /* CLIP ViT-L/14 at 336 pixels */
    {"linear 4096x768x768", 4096, 768, 768, TSR_ACT_NONE},
};

typedef struct layer {
    tsr_weight *w;
    tsr_activation act;
} layer;

static void fn_linear(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    out[0] = tsr_linear(r, in[0], l->w, &(tsr_epilogue){.act = l->act});
}

#ifdef TESSERA_WITH_ONEDNN

typedef struct rival {
    tsr_onednn *product;
    const float *x;
    float *y;
    int64_t rows;
    void *scratch;
} rival;

static void rival_close(rival *r) {
    tsr_onednn_close(&r->product);
    free(r->scratch);
}

static tsr_status rival_open(tsr_bencher *b, rival *r, const shape *s, const float *w, bool plain) {
    tsr_onednn_shape form = {s->m, s->k, s->n, tsr_thread_count(b->ctx), plain, false};
    tsr_status status = tsr_onednn_open(b->ctx, &r->product, w, form);
    if (status) return status;
    size_t bytes = (tsr_onednn_scratch_bytes(r->product) + 64) / 64 * 64;
    r->rows = s->m;
    r->scratch = aligned_alloc(64, bytes);
    if (r->scratch) return TSR_OK;
    tsr_onednn_close(&r->product);
    return tsr_fail(b->ctx, TSR_ERROR_MEMORY, "oneDNN scratch: wanted %zu bytes, got none", bytes);
}

static tsr_status rival_body(void *arg) {
    rival *r = arg;
    tsr_onednn_product(r->product, r->x, r->rows, r->y, r->scratch);
    return tsr_onednn_status(NULL, r->product);
}

static double rival_best(rival *r) {
    double best = 1e30;
    for (int i = 0; i < 6; ++i) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        if (rival_body(r)) return 1e30;
        clock_gettime(CLOCK_MONOTONIC, &b);
        double t = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        if (t < best) best = t;
    }
    return best;
}

static tsr_status bench_rival(tsr_bencher *b, const shape *s, const float *x, const float *w,
                              float *y) {
    rival r[2] = {{.x = x, .y = y}, {.x = x, .y = y}};
    tsr_bench_row row = {.name = s->name,
                         .by = "onednn",
                         .flops = 2.0 * (double)(s->m * s->k * s->n),
                         .bytes = 4.0 * (double)(s->m * s->k + s->k * s->n + s->m * s->n)};
    tsr_status status = rival_open(b, &r[0], s, w, false);
    if (status) return status;
    if ((status = rival_open(b, &r[1], s, w, true))) {
        rival_close(&r[0]);
        return status;
    }
    rival *best = rival_best(&r[0]) < rival_best(&r[1]) ? &r[0] : &r[1];
    status = tsr_bench_time(b, &row, rival_body, best);
    rival_close(&r[0]);
    rival_close(&r[1]);
    return status;
}

#endif

static tsr_status bench_shape(tsr_bencher *b, const shape *s) {
    tsr_weights *weights = NULL;
    layer l = {.act = s->act};
    float *x = tsr_bench_floats(b->ctx, (size_t)(s->m * s->k), 1);
    float *w = tsr_bench_floats(b->ctx, (size_t)(s->k * s->n), 2);
    float *y = tsr_alloc(b->ctx, (size_t)(s->m * s->n), sizeof *y, "benchmark result");
    tsr_status status = x && w && y ? tsr_weights_open(b->ctx, &weights) : TSR_ERROR_MEMORY;
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (const int64_t[]){s->m, s->k});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (const int64_t[]){s->m, s->n});
    tsr_tensor wt = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (const int64_t[]){s->n, s->k});
    if (!status) status = tsr_weights_add(b->ctx, weights, "w", &wt);
    if (!status) status = tsr_weights_get(b->ctx, weights, "w", 2, wt.dim, &l.w);
    if (!status) {
        tsr_bench_case c = {.name = s->name,
                            .fn = fn_linear,
                            .model = &l,
                            .flops = 2.0 * (double)(s->m * s->k * s->n),
                            .bytes = 4.0 * (double)(s->m * s->k + s->k * s->n + s->m * s->n),
                            .in = &in,
                            .in_count = 1,
                            .out = &out,
                            .out_count = 1};
        status = tsr_bench_program(b, &c);
    }
#ifdef TESSERA_WITH_ONEDNN
    if (!status && s->act == TSR_ACT_NONE && tsr_bench_wants_cpu(b))
        status = bench_rival(b, s, x, w, y);
#endif
    tsr_weights_close(&weights);
    free(x);
    free(w);
    free(y);
    return status;
}

tsr_status tsr_bench_suite_gemm(tsr_bencher *b) {
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !status; ++i)
        if (tsr_bench_wants(b, shapes[i].name)) status = bench_shape(b, &shapes[i]);
    return status;
}
