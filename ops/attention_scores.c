/* SPDX-License-Identifier: MIT */
/* attention_scores.c: scale q k^T for each head, stored. On the cpu keys are packed for each head
 * as in attention.c, and blocks of query rows are products; a shader's thread makes one logit. */
#include "../compute/cpu/gemm.h"
#include "rowwise.h"

#include <math.h>

enum { Q, K };
enum { HEADS, SCALE }; /* p.i, but p.f[SCALE] */

static void reference(const tsr_call *c) {
    const int64_t nq = c->in[Q]->dim[1], nk = c->in[K]->dim[1], d = tsr_cols(c->in[Q]);
    const int64_t heads = c->p.i[HEADS], width = d / heads;
    float *y = c->out[0]->data;
    for (int64_t pair = 0; pair < c->in[Q]->dim[0] * heads; ++pair)
        for (int64_t i = 0; i < nq; ++i)
            for (int64_t j = 0; j < nk; ++j) {
                const int64_t b = pair / heads, at = pair % heads * width;
                const float *q = (const float *)c->in[Q]->data + (b * nq + i) * d + at;
                const float *k = (const float *)c->in[K]->data + (b * nk + j) * d + at;
                float s = 0;
                for (int64_t l = 0; l < width; ++l)
                    s += q[l] * k[l];
                y[(pair * nq + i) * nk + j] = s * c->p.f[SCALE];
            }
}

/* ---- cpu -------------------------------------------------------------------------------- */

typedef struct job {
    const tsr_call *c;
    const tsr_gemm_kernels *g;
    int64_t heads, width, nq, nk, d;
    float *keys; /* panels of one head for each worker */
    size_t keys_floats;
} job;

/* One (batch item, head). */
static void pair_tile(void *arg, int64_t pair, int worker) {
    const job *j = arg;
    const int64_t b = pair / j->heads, at = pair % j->heads * j->width;
    const float *q = (const float *)j->c->in[Q]->data + b * j->nq * j->d + at;
    const float *k = (const float *)j->c->in[K]->data + b * j->nk * j->d + at;
    float *keys = j->keys + (size_t)worker * j->keys_floats;
    float *y = (float *)j->c->out[0]->data + pair * j->nq * j->nk;
    j->g->pack(keys, k, j->width, j->nk, 1, j->d);
    const tsr_gemm_panels panels = {keys, j->width, j->nk, j->width, false};
    j->g->product(q, j->d, j->nq, &panels, 0, j->nk, y, j->nk);
    for (int64_t i = 0; i < j->nq * j->nk; ++i)
        y[i] *= j->c->p.f[SCALE];
}

static tsr_status cpu(tsr_device *device, const tsr_call *c) {
    tsr_context *ctx = tsr_device_context(device);
    job j = {.c = c,
             .g = tsr_gemm_select(device),
             .heads = c->p.i[HEADS],
             .width = tsr_cols(c->in[Q]) / c->p.i[HEADS],
             .nq = c->in[Q]->dim[1],
             .nk = c->in[K]->dim[1],
             .d = tsr_cols(c->in[Q])};
    j.keys_floats = tsr_gemm_panel_floats(j.g, j.width, j.nk);
    j.keys =
        tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.keys_floats * sizeof(float));
    if (!j.keys) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, c->in[Q]->dim[0] * j.heads, pair_tile, &j);
    return TSR_OK;
}

/* ---- vulkan ----------------------------------------------------------------------------- */

static int gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t width = tsr_cols(c->in[Q]) / c->p.i[HEADS];
    struct {
        uint32_t count, nq, nk, d, heads;
        float scale;
    } push = {(uint32_t)tsr_elements(c->out[0]), (uint32_t)c->in[Q]->dim[1],
              (uint32_t)c->in[K]->dim[1],        (uint32_t)tsr_cols(c->in[Q]),
              (uint32_t)c->p.i[HEADS],           c->p.f[SCALE]};
    if (width > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){.variant = "attention_scores"};
    dispatch_push(d, &push, sizeof push);
    dispatch_bind(d, BIND_IN + Q);
    dispatch_bind(d, BIND_IN + K);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(tsr_elements(c->out[0]), GROUP_THREADS));
    return 1;
}

static double work(const tsr_call *c) {
    return (double)tsr_elements(c->in[Q]) * (double)c->in[K]->dim[1];
}

static const tsr_op op_attention_scores = {
    .name = "attention scores", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

/* ---- the public function ---------------------------------------------------------------- */

tsr_tensor *tsr_attention_scores(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k, int heads,
                                 float scale) {
    char got[96];
    if (!want_tensor(r, "attention scores: q", q, TSR_DTYPE_F32, 3) ||
        !want_tensor(r, "attention scores: k", k, TSR_DTYPE_F32, 3))
        return tsr_run_failed(r);
    if (q->rank != 3 || k->rank != 3 || k->dim[0] != q->dim[0] || k->dim[2] != q->dim[2])
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "attention scores: k: wanted [%lld, Nk, %lld] beside q [B, Nq, D], got "
                            "%s",
                            (long long)q->dim[0], (long long)q->dim[q->rank - 1],
                            tsr_shape_text(k, got, sizeof got));
    if (heads < 1 || q->dim[2] % heads)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "attention scores: heads: wanted a divisor of %lld channels, got %d",
                            (long long)q->dim[2], heads);
    const int64_t dim[4] = {q->dim[0], heads, q->dim[1], k->dim[1]};
    if (!want_size(r, "attention scores", 4, dim)) return tsr_run_failed(r);
    tsr_call c = {.op = &op_attention_scores, .in = {q, k}, .in_count = 2, .out_count = 1};
    c.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 4, dim);
    c.p.i[HEADS] = heads;
    c.p.f[SCALE] = scale != 0 ? scale : 1 / sqrtf((float)(q->dim[2] / heads));
    tsr_run_emit(r, &c);
    return c.out[0];
}
