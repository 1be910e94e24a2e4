/* SPDX-License-Identifier: MIT */
/* attention.c: softmax(scale q k^T + mask) v for each head.
 *
 * On the cpu the keys and values of a batch item are packed for each head (gemm.h), then blocks of
 * query rows are worked through one by one: scores, softmax, product with the values. A block's
 * scores stay in the second-level cache. Keys behind the mask are not computed; inside a block they
 * weigh exactly 0 (their values must be finite all the same: 0 times infinity is NaN). */
#include "../compute/op.h"
#include "../compute/cpu/gemm.h"
#include "ops.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, KEY_BIAS, OPERANDS };
enum { HEADS, SCALE, MASK, PREFIX }; /* p.i, but p.f[SCALE] */

/* How many keys row i sees: always the first ones. */
static int64_t visible(const tsr_call *c, int64_t i, int64_t nq, int64_t nk) {
    int64_t n = nk, prefix = c->p.i[PREFIX];
    if (c->p.i[MASK] == TSR_MASK_CAUSAL) n = i + 1 + nk - nq;
    if (c->p.i[MASK] == TSR_MASK_CAUSAL_LAST) n = i < prefix ? prefix : i + 1;
    return n < 0 ? 0 : n > nk ? nk : n;
}

static void reference_row(const tsr_call *c, int64_t b, int64_t h, int64_t i) {
    int64_t nq = c->in[Q]->dim[1], nk = c->in[K]->dim[1], d = tsr_cols(c->in[Q]);
    int64_t width = d / c->p.i[HEADS], n = visible(c, i, nq, nk);
    const float *q = (const float *)c->in[Q]->data + (b * nq + i) * d + h * width;
    const float *k = (const float *)c->in[K]->data + b * nk * d + h * width;
    const float *v = (const float *)c->in[V]->data + b * nk * d + h * width;
    const float *bias = c->in[KEY_BIAS] ? (const float *)c->in[KEY_BIAS]->data + b * nk : NULL;
    float *y = (float *)c->out[0]->data + (b * nq + i) * d + h * width;
    float max = -INFINITY, sum = 0;
    memset(y, 0, (size_t)width * sizeof *y);
    /* Two passes over the keys, so that no row of scores has to be kept. */
    for (int pass = 0; pass < 2; ++pass)
        for (int64_t j = 0; j < n; ++j) {
            float s = 0;
            for (int64_t l = 0; l < width; ++l)
                s += q[l] * k[j * d + l];
            s = s * c->p.f[SCALE] + (bias ? bias[j] : 0.0f);
            if (s == -INFINITY) continue;
            if (pass == 0) {
                max = s > max || s != s ? s : max;
                continue;
            }
            float e = expf(s - max);
            sum += e;
            for (int64_t l = 0; l < width; ++l)
                y[l] += e * v[j * d + l];
        }
    for (int64_t l = 0; l < width; ++l)
        y[l] = sum == 0 ? 0 : y[l] / sum;
}

static void reference(const tsr_call *c) {
    for (int64_t b = 0; b < c->in[Q]->dim[0]; ++b)
        for (int64_t h = 0; h < c->p.i[HEADS]; ++h)
            for (int64_t i = 0; i < c->in[Q]->dim[1]; ++i)
                reference_row(c, b, h, i);
}

/* ---- cpu -------------------------------------------------------------------------------- */

typedef struct job {
    const tsr_call *c;
    const tsr_gemm_kernels *g;
    int64_t heads, width, nq, nk, d;
    int64_t item;                 /* the first batch item of this round */
    float *keys, *values, *score; /* score: one block for each worker */
    size_t keys_floats, values_floats, score_floats;
    int64_t block, blocks, score_stride;
} job;

/* One (batch item, head): keys as columns, values as rows. */
static void pack_tile(void *arg, int64_t index, int worker) {
    (void)worker;
    const job *j = arg;
    int64_t at = (j->item + index / j->heads) * j->nk * j->d + index % j->heads * j->width;
    const float *k = (const float *)j->c->in[K]->data + at;
    const float *v = (const float *)j->c->in[V]->data + at;
    j->g->pack(j->keys + (size_t)index * j->keys_floats, k, j->width, j->nk, 1, j->d);
    j->g->pack(j->values + (size_t)index * j->values_floats, v, j->nk, j->width, j->d, 1);
}

static void block_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    const tsr_call *c = j->c;
    int64_t pair = index / j->blocks, i0 = index % j->blocks * j->block;
    int64_t b = j->item + pair / j->heads, h = pair % j->heads;
    int64_t rows = j->nq - i0 < j->block ? j->nq - i0 : j->block;
    int64_t at = (b * j->nq + i0) * j->d + h * j->width;
    const float *q = (const float *)c->in[Q]->data + at;
    const float *bias = c->in[KEY_BIAS] ? (const float *)c->in[KEY_BIAS]->data + b * j->nk : NULL;
    float *y = (float *)c->out[0]->data + at;
    float *score = j->score + (size_t)worker * j->score_floats;
    /* Masks only grow with the row, or are the prefix: the last row or the first sees the most. */
    int64_t first = visible(c, i0, j->nq, j->nk);
    int64_t last = visible(c, i0 + rows - 1, j->nq, j->nk);
    int64_t keys = first > last ? first : last;
    int64_t whole = (keys + j->g->cols - 1) / j->g->cols * j->g->cols;
    tsr_gemm_panels panels = {j->keys + (size_t)pair * j->keys_floats, j->width, j->nk, j->width,
                              false};
    j->g->product(q, j->d, rows, &panels, 0, whole, score, j->score_stride);
    float weight[128];
    for (int64_t r = 0; r < rows; ++r) {
        float *s = score + r * j->score_stride;
        int64_t n = visible(c, i0 + r, j->nq, j->nk);
        float sum = j->g->softmax(s, n, c->p.f[SCALE], bias);
        memset(s + n, 0, (size_t)(keys - n) * sizeof *s);
        weight[r] = sum == 0 ? 0 : 1 / sum;
    }
    panels = (tsr_gemm_panels){j->values + (size_t)pair * j->values_floats, keys, j->width, j->nk,
                               false};
    j->g->product(score, j->score_stride, rows, &panels, 0, j->width, y, j->d);
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t l = 0; l < j->width; ++l)
            y[r * j->d + l] *= weight[r];
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
    int64_t batch = c->in[Q]->dim[0];
    j.block = 48 / j.g->rows * j.g->rows;
    j.blocks = (j.nq + j.block - 1) / j.block;
    j.keys_floats = tsr_gemm_panel_floats(j.g, j.width, j.nk);
    j.values_floats = tsr_gemm_panel_floats(j.g, j.nk, j.width);
    j.score_stride = (j.nk + j.g->cols - 1) / j.g->cols * j.g->cols;
    j.score_floats = (size_t)(j.block * j.score_stride);
    /* As many batch items at a time as fit some megabytes: memory does not grow with the batch. */
    int64_t item_bytes = (int64_t)(j.keys_floats + j.values_floats) * j.heads * 4;
    int64_t items = item_bytes > (8 << 20) ? 1 : (8 << 20) / item_bytes;
    if (items > batch) items = batch;
    size_t pairs = (size_t)(items * j.heads);
    j.keys = tsr_device_scratch(device, pairs * j.keys_floats * sizeof(float));
    j.values = tsr_device_scratch(device, pairs * j.values_floats * sizeof(float));
    j.score =
        tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.score_floats * sizeof(float));
    if (!j.keys || !j.values || !j.score) return TSR_ERROR_MEMORY;
    for (j.item = 0; j.item < batch; j.item += items) {
        int64_t now = batch - j.item < items ? batch - j.item : items;
        tsr_parallel(ctx, now * j.heads, pack_tile, &j);
        tsr_parallel(ctx, now * j.heads * j.blocks, block_tile, &j);
    }
    return TSR_OK;
}

/* ---- vulkan ----------------------------------------------------------------------------- */

static int gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    int64_t batch = c->in[Q]->dim[0], nq = c->in[Q]->dim[1], nk = c->in[K]->dim[1];
    int64_t depth = tsr_cols(c->in[Q]), heads = c->p.i[HEADS], width = depth / heads;
    int64_t words = (width + 3) / 4, s = caps->subgroup_size;
    if (batch * nq * depth > INT32_MAX || batch * nk * depth > INT32_MAX) return 0;
    bool sg = caps->subgroup_ops && caps->allowed(caps->device, "attention_sg");
    if (!sg && !caps->allowed(caps->device, "attention_plain")) return 0;
    /* Words of four channels in a lane, keys in a lane, query rows of a subgroup. */
    int64_t tc = sg ? (words + s - 1) / s : 1, tk = s <= 8 ? 4 : 1;
    int64_t tm = tc > 16 ? 2 : tc > 2 ? 4 : 8;
    bool longs = caps->software && caps->int64 && width % 4 == 0; /* wide.glsl */
    int64_t blocks = (nq + tm - 1) / tm;
    int64_t turns = sg ? nk / (s * tk) * words + nk + words : nk * (words + 1) + words;
    if (turns > 50000 || tc > 32) return 0; /* the limit on loop iterations */
    struct {
        uint32_t batch, nq, nk, d, heads, prefix;
        float scale;
    } push = {(uint32_t)batch, (uint32_t)nq,    (uint32_t)nk,
              (uint32_t)depth, (uint32_t)heads, (uint32_t)c->p.i[PREFIX],
              c->p.f[SCALE]};
    uint32_t waves = !sg || caps->software || 4 * s > caps->max_workgroup ? 1 : 4;
    uint32_t local = sg ? (uint32_t)s * waves : 64;
    uint32_t spec[] = {
        local,          sg ? (uint32_t)s : 1, (uint32_t)tm,           (uint32_t)tk,
        (uint32_t)tc,   width % 4 == 0,       (uint32_t)c->p.i[MASK], c->in[KEY_BIAS] != NULL,
        (uint32_t)width};
    int64_t groups = sg ? (batch * heads * blocks + waves - 1) / waves
                        : (batch * heads * nq * ((width + 15) / 16) + 63) / 64;
    *d = (tsr_gpu_dispatch){.variant = !sg     ? "attention_plain"
                                       : longs ? "attention_sg64"
                                               : "attention_sg",
                            .spec_count = (int)(sizeof spec / sizeof *spec),
                            .groups = {groups > 65535 ? 65535 : (uint32_t)groups, 1, 1},
                            .push_bytes = sizeof push,
                            .bind = {Q, K, V, c->in[KEY_BIAS] ? KEY_BIAS : Q, 8},
                            .bind_count = 5,
                            .full_subgroups = sg};
    memcpy(d->spec, spec, sizeof spec);
    memcpy(d->push, &push, sizeof push);
    return 1;
}

static double work(const tsr_call *c) { /* scores, and their sums of values */
    return 2.0 * (double)tsr_elements(c->in[Q]) * (double)c->in[K]->dim[1];
}

static const tsr_op op_attention = {
    .name = "attention", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

/* ---- the public function ---------------------------------------------------------------- */

tsr_tensor *tsr_attention(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k, const tsr_tensor *v,
                          const tsr_attention_spec *spec) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    const tsr_tensor *all[OPERANDS] = {q, k, v, spec->key_bias};
    static const char *const names[OPERANDS] = {"q", "k", "v", "key bias"};
    char got[96];
    for (int i = 0; i < OPERANDS; ++i)
        if (all[i] && all[i]->dtype != TSR_DTYPE_F32)
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "attention: %s: wanted F32, got %s",
                                names[i], tsr_dtype_name(all[i]->dtype));
    if (q->rank != 3)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "attention: q: wanted [B, Nq, D], got %s",
                            tsr_shape_text(q, got, sizeof got));
    for (int i = K; i <= V; ++i)
        if (all[i]->rank != 3 || all[i]->dim[0] != q->dim[0] || all[i]->dim[1] != k->dim[1] ||
            all[i]->dim[2] != q->dim[2])
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                                "attention: %s: wanted [%lld, %lld, %lld], got %s", names[i],
                                (long long)q->dim[0], (long long)k->dim[1], (long long)q->dim[2],
                                tsr_shape_text(all[i], got, sizeof got));
    if (spec->heads < 1 || q->dim[2] % spec->heads)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "attention: heads: wanted a divisor of %lld channels, got %d",
                            (long long)q->dim[2], spec->heads);
    if (spec->mask < TSR_MASK_NONE || spec->mask > TSR_MASK_CAUSAL_LAST)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "attention: mask: wanted 0 to %d, got %d",
                            TSR_MASK_CAUSAL_LAST, (int)spec->mask);
    if (spec->mask == TSR_MASK_CAUSAL_LAST && (spec->prefix < 0 || spec->prefix > k->dim[1]))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "attention: prefix: wanted 0 to %lld, got %lld",
                            (long long)k->dim[1], (long long)spec->prefix);
    if (spec->key_bias &&
        (tsr_rows(spec->key_bias) != q->dim[0] || tsr_cols(spec->key_bias) != k->dim[1]))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "attention: key bias: wanted [%lld, %lld], got %s",
                            (long long)q->dim[0], (long long)k->dim[1],
                            tsr_shape_text(spec->key_bias, got, sizeof got));
    if (q->dim[1] > INT32_MAX || k->dim[1] > INT32_MAX)
        return tsr_run_fail(r, TSR_ERROR_TOO_LARGE,
                            "attention: wanted at most %d rows, got %lld and %lld", INT32_MAX,
                            (long long)q->dim[1], (long long)k->dim[1]);
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, 3, q->dim);
    tsr_call c = {.op = &op_attention,
                  .in = {q, k, v, spec->key_bias},
                  .out = {y},
                  .in_count = OPERANDS,
                  .out_count = 1};
    c.p.i[HEADS] = spec->heads;
    c.p.f[SCALE] = spec->scale != 0 ? spec->scale : 1 / sqrtf((float)(q->dim[2] / spec->heads));
    c.p.i[MASK] = spec->mask;
    c.p.i[PREFIX] = (int32_t)spec->prefix;
    tsr_run_emit(r, &c);
    return y;
}
