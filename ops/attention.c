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
enum { HEADS, SCALE, MASK, PREFIX, FIRST, AT }; /* p.i, but p.f[SCALE]; AT + Q .. AT + V */

/* What a call computes with, of one kind of rows: q, k or v may be some columns of longer rows. */
typedef struct part {
    const float *data;       /* on the host: row 0 of batch item 0, channel 0 of head 0 */
    int64_t first;           /* the element that is */
    int64_t rows, row, item; /* rows used of a batch item; elements from row to row, item to item */
} part;

static part part_of(const tsr_call *c, int i) {
    const tsr_tensor *t = c->in[i];
    part p = {.rows = t->dim[1], .row = tsr_cols(t), .first = c->p.i[AT + i]};
    p.item = p.rows * p.row;
    if (i == Q) {
        p.rows = c->out[0]->dim[1];
        p.first += c->p.i[FIRST] * p.row;
    }
    if (t->data) p.data = (const float *)t->data + p.first;
    return p;
}

/* How many keys row i sees: always the first ones. */
static int64_t visible(const tsr_call *c, int64_t i, int64_t nq, int64_t nk) {
    int64_t n = nk, prefix = c->p.i[PREFIX];
    if (c->p.i[MASK] == TSR_MASK_CAUSAL) n = i + 1 + nk - nq;
    if (c->p.i[MASK] == TSR_MASK_CAUSAL_LAST) n = i < prefix ? prefix : i + 1;
    return n < 0 ? 0 : n > nk ? nk : n;
}

static void reference_row(const tsr_call *c, int64_t b, int64_t h, int64_t i) {
    const part pq = part_of(c, Q), pk = part_of(c, K), pv = part_of(c, V);
    int64_t d = tsr_cols(c->out[0]), width = d / c->p.i[HEADS], nk = pk.rows;
    int64_t n = visible(c, i, pq.rows, nk);
    const float *q = pq.data + b * pq.item + i * pq.row + h * width;
    const float *k = pk.data + b * pk.item + h * width;
    const float *v = pv.data + b * pv.item + h * width;
    const float *bias = c->in[KEY_BIAS] ? (const float *)c->in[KEY_BIAS]->data + b * nk : NULL;
    float *y = (float *)c->out[0]->data + (b * pq.rows + i) * d + h * width;
    float max = -INFINITY, sum = 0;
    memset(y, 0, (size_t)width * sizeof *y);
    /* Two passes over the keys, so that no row of scores has to be kept. */
    for (int pass = 0; pass < 2; ++pass)
        for (int64_t j = 0; j < n; ++j) {
            float s = 0;
            for (int64_t l = 0; l < width; ++l)
                s += q[l] * k[j * pk.row + l];
            s = s * c->p.f[SCALE] + (bias ? bias[j] : 0.0f);
            if (s == -INFINITY) continue;
            if (pass == 0) {
                max = s > max || s != s ? s : max;
                continue;
            }
            float e = expf(s - max);
            sum += e;
            for (int64_t l = 0; l < width; ++l)
                y[l] += e * v[j * pv.row + l];
        }
    for (int64_t l = 0; l < width; ++l)
        y[l] = sum == 0 ? 0 : y[l] / sum;
}

static void reference(const tsr_call *c) {
    for (int64_t b = 0; b < c->out[0]->dim[0]; ++b)
        for (int64_t h = 0; h < c->p.i[HEADS]; ++h)
            for (int64_t i = 0; i < c->out[0]->dim[1]; ++i)
                reference_row(c, b, h, i);
}

/* ---- cpu -------------------------------------------------------------------------------- */

typedef struct job {
    const tsr_call *c;
    const tsr_gemm_kernels *g;
    part q, k, v;
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
    int64_t item = j->item + index / j->heads, channel = index % j->heads * j->width;
    const float *k = j->k.data + item * j->k.item + channel;
    const float *v = j->v.data + item * j->v.item + channel;
    j->g->pack(j->keys + (size_t)index * j->keys_floats, k, j->width, j->nk, 1, j->k.row);
    j->g->pack(j->values + (size_t)index * j->values_floats, v, j->nk, j->width, j->v.row, 1);
}

static void block_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    const tsr_call *c = j->c;
    int64_t pair = index / j->blocks, i0 = index % j->blocks * j->block;
    int64_t b = j->item + pair / j->heads, h = pair % j->heads;
    int64_t rows = j->nq - i0 < j->block ? j->nq - i0 : j->block;
    const float *q = j->q.data + b * j->q.item + i0 * j->q.row + h * j->width;
    const float *bias = c->in[KEY_BIAS] ? (const float *)c->in[KEY_BIAS]->data + b * j->nk : NULL;
    float *y = (float *)c->out[0]->data + (b * j->nq + i0) * j->d + h * j->width;
    float *score = j->score + (size_t)worker * j->score_floats;
    /* Masks only grow with the row, or are the prefix: the last row or the first sees the most. */
    int64_t first = visible(c, i0, j->nq, j->nk);
    int64_t last = visible(c, i0 + rows - 1, j->nq, j->nk);
    int64_t keys = first > last ? first : last;
    int64_t whole = (keys + j->g->cols - 1) / j->g->cols * j->g->cols;
    tsr_gemm_panels panels = {j->keys + (size_t)pair * j->keys_floats, j->width, j->nk, j->width,
                              false};
    j->g->product(q, j->q.row, rows, &panels, 0, whole, score, j->score_stride);
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
             .q = part_of(c, Q),
             .k = part_of(c, K),
             .v = part_of(c, V),
             .heads = c->p.i[HEADS],
             .width = tsr_cols(c->out[0]) / c->p.i[HEADS],
             .nq = c->out[0]->dim[1],
             .nk = c->in[K]->dim[1],
             .d = tsr_cols(c->out[0])};
    int64_t batch = c->out[0]->dim[0];
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

typedef struct push {
    uint32_t batch, nq, nk, d, heads, prefix;
    float scale;
    uint32_t q_first, q_row, q_item, k_first, k_row, v_first, v_row;
} push;

enum { LOCAL, SUBGROUP, TM, TK, TC, WIDE, MASKED, BIASED, WIDTH, HALVES, BODY }; /* constants */

/* Whether all addresses are multiples of `unit` elements. */
static bool aligned(const tsr_call *c, int64_t unit) {
    bool all = tsr_cols(c->out[0]) / c->p.i[HEADS] % unit == 0;
    for (int i = Q; i <= V; ++i)
        all = all && tsr_cols(c->in[i]) % unit == 0 && c->p.i[AT + i] % unit == 0;
    return all;
}

/* What all bodies are told. */
static void describe(const tsr_call *c, tsr_gpu_dispatch *d) {
    const part q = part_of(c, Q), k = part_of(c, K), v = part_of(c, V);
    const push push = {.batch = (uint32_t)c->out[0]->dim[0],
                       .nq = (uint32_t)q.rows,
                       .nk = (uint32_t)k.rows,
                       .d = (uint32_t)tsr_cols(c->out[0]),
                       .heads = (uint32_t)c->p.i[HEADS],
                       .prefix = (uint32_t)c->p.i[PREFIX],
                       .scale = c->p.f[SCALE],
                       .q_first = (uint32_t)q.first,
                       .q_row = (uint32_t)q.row,
                       .q_item = (uint32_t)q.item,
                       .k_first = (uint32_t)k.first,
                       .k_row = (uint32_t)k.row,
                       .v_first = (uint32_t)v.first,
                       .v_row = (uint32_t)v.row};
    uint32_t half = 0;
    for (int i = Q; i <= V; ++i)
        half |= (uint32_t)(c->in[i]->dtype == TSR_DTYPE_F16) << i;
    half |= (uint32_t)(c->out[0]->dtype == TSR_DTYPE_F16) << 3;
    *d = (tsr_gpu_dispatch){.push_bytes = sizeof push,
                            .bind = {Q, K, V, c->in[KEY_BIAS] ? KEY_BIAS : Q, 8},
                            .bind_count = 5};
    memcpy(d->push, &push, sizeof push);
    d->spec[WIDE] = aligned(c, 4);
    d->spec[MASKED] = (uint32_t)c->p.i[MASK];
    d->spec[BIASED] = c->in[KEY_BIAS] != NULL;
    d->spec[WIDTH] = (uint32_t)(tsr_cols(c->out[0]) / c->p.i[HEADS]);
    d->spec[HALVES] = half;
}

static void set_groups(tsr_gpu_dispatch *d, int64_t groups) {
    d->groups[0] = groups > 65535 ? 65535 : (uint32_t)groups;
    d->groups[1] = d->groups[2] = 1;
}

/* Software drivers: subgroups and broadcasts. */
static int gpu_broadcast(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    const int64_t s = caps->subgroup_size, nq = c->out[0]->dim[1], nk = c->in[K]->dim[1];
    const int64_t width = d->spec[WIDTH], words = (width + 3) / 4;
    /* Words of four channels in a lane, keys in a lane, query rows of a subgroup. */
    const int64_t tc = (words + s - 1) / s, tk = s <= 8 ? 4 : 1, tm = tc > 16 ? 2 : tc > 2 ? 4 : 8;
    const int64_t turns = nk / (s * tk) * words + nk + words;
    if (turns > 50000 || tc > 32) return 0; /* the limit on loop iterations */
    d->variant = caps->int64 && d->spec[WIDE] ? "attention_sg64" : "attention_sg"; /* wide.glsl */
    d->spec[LOCAL] = d->spec[SUBGROUP] = (uint32_t)s;
    d->spec[TM] = (uint32_t)tm;
    d->spec[TK] = (uint32_t)tk;
    d->spec[TC] = (uint32_t)tc;
    d->spec_count = BODY;
    d->full_subgroups = true;
    set_groups(d, c->out[0]->dim[0] * c->p.i[HEADS] * ((nq + tm - 1) / tm));
    return 1;
}

/* A workgroup of attention_tile. */
typedef struct score_tile {
    int64_t lanes, across; /* its lanes, and how many of them lie side by side */
    int64_t each;          /* rows of a lane */
    int64_t keys, words;   /* keys, and words of four channels, of a lane */
} score_tile;

enum { LANES = 128, DEPTH = 16 };

static int64_t shared_bytes(const score_tile *t) {
    const int64_t rows = t->lanes / t->across * t->each, block = t->keys * t->across;
    const int64_t scores = rows * (block + 4), chunks = (rows + block) * (DEPTH + 4);
    const int64_t wide = t->across * t->words * 4, values = wide > 256 ? 4 * wide : 1024;
    return ((scores > chunks ? scores : chunks) + values + rows + LANES) * 4;
}

/* Wide heads, and devices with little shared memory, take fewer rows at a time. Heads above 256
 * channels take twice as many lanes where there are so many, so that their scores are made once.
 * All take 64 keys at a time, and give the same bits. */
static score_tile choose_tile(const tsr_gpu_caps *caps, int64_t nq, int64_t width) {
    score_tile t = {LANES, 8, nq <= 16 ? 1 : nq <= 32 ? 2 : 4, 8, 4};
    const score_tile whole = {2 * LANES, 32, t.each, 2, 4};
    if (width > 256 && caps->max_workgroup >= 2 * LANES &&
        shared_bytes(&whole) <= caps->max_shared_bytes)
        return whole;
    if (width <= 64) t.words = width <= 32 ? 1 : 2;
    if (width > 128 || shared_bytes(&t) > caps->max_shared_bytes) {
        t.across = 16;
        t.keys = 4;
    }
    return t;
}

/* Any device: tiles in shared memory. */
static int gpu_tile(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    const int64_t nq = c->out[0]->dim[1], nk = c->in[K]->dim[1], width = d->spec[WIDTH];
    const score_tile t = choose_tile(caps, nq, width);
    const int64_t rows = t.lanes / t.across * t.each, block = t.keys * t.across;
    const int64_t wide = t.across * t.words * 4, cuts = (width + wide - 1) / wide;
    const int64_t turns =
        (nk + block - 1) / block *
        ((width + DEPTH - 1) / DEPTH * ((rows + block) * DEPTH / 4 / LANES + 1) + block / 4 + 16);
    if (shared_bytes(&t) > caps->max_shared_bytes || (caps->software && turns > 50000)) return 0;
    d->variant = "attention_tile";
    d->spec[LOCAL] = (uint32_t)t.lanes;
    d->spec[SUBGROUP] = 1;
    d->spec[TM] = (uint32_t)t.each;
    d->spec[TK] = (uint32_t)t.keys;
    d->spec[TC] = (uint32_t)t.words;
    d->spec[BODY] = (uint32_t)t.across;
    d->spec[BODY + 1] = (uint32_t)(t.lanes / t.across);
    d->spec_count = BODY + 2;
    set_groups(d, c->out[0]->dim[0] * c->p.i[HEADS] * cuts * ((nq + rows - 1) / rows));
    return 1;
}

/* Devices with matrix units: f16 operands. */
static int gpu_matrix(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    enum { WAVES = 4, ROWS = 16, DEEPEST = 128, ROOMY = 64 << 10 };
    const uint32_t width = d->spec[WIDTH], depth = (width + 15) / 16 * 16;
    const uint32_t lanes = caps->matrix_subgroup;
    const uint32_t keys = caps->max_shared_bytes >= ROOMY ? 64 : 32, pitch = depth / 8 + 1;
    const uint32_t area = pitch > keys / 8 + 1 ? pitch : keys / 8 + 1; /* q, then weights */
    const uint32_t bytes = 2 * keys * pitch * 16 + WAVES * ROWS * (area * 16 + (keys + 4) * 4 + 4);
    for (int i = 0; i < 3; ++i)
        if (!lanes || !caps->matrix[i] || ROWS % caps->matrix[i]) return 0;
    if (!caps->fp16 || !caps->subgroup_ops || !aligned(c, 8) || width > DEEPEST || lanes > 64 ||
        WAVES * lanes > caps->max_workgroup || bytes > caps->max_shared_bytes)
        return 0;
    d->variant = "attention_coopmat";
    d->spec[LOCAL] = WAVES * lanes;
    d->spec[SUBGROUP] = lanes;
    memcpy(d->spec + BODY, caps->matrix, sizeof caps->matrix);
    d->spec[BODY + 3] = keys;
    d->spec[BODY + 4] = depth;
    d->spec_count = BODY + 5;
    d->full_subgroups = true;
    d->subgroup_size = lanes;
    const int64_t blocks = (c->out[0]->dim[1] + WAVES * ROWS - 1) / (WAVES * ROWS);
    set_groups(d, c->out[0]->dim[0] * c->p.i[HEADS] * blocks);
    return 1;
}

static bool takes_matrix(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    return caps->allowed(caps->device, "attention_coopmat") && gpu_matrix(c, caps, d);
}

/* Software drivers have slow shared memory, and compile each matrix for itself. */
static bool takes_broadcast(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    return caps->software && caps->subgroup_ops && caps->allowed(caps->device, "attention_sg") &&
           gpu_broadcast(c, caps, d);
}

static int gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    for (int i = Q; i <= V; ++i) /* the shaders count in 32 bits */
        if (tsr_elements(c->in[i]) > INT32_MAX) return 0;
    if (tsr_elements(c->out[0]) > INT32_MAX) return 0;
    describe(c, d);
    if (takes_broadcast(c, caps, d) || takes_matrix(c, caps, d)) return 1;
    return caps->allowed(caps->device, "attention_tile") ? gpu_tile(c, caps, d) : 0;
}

/* What reads the result rounds it anyway. q, k and v are rounded by matrix units alone: elsewhere
 * f16 would cost ids and save little. */
static uint32_t halves(const tsr_call *c, const tsr_gpu_caps *caps) {
    tsr_gpu_dispatch d;
    describe(c, &d);
    const uint32_t result = aligned(c, 8) ? 1u << TSR_CALL_TENSORS : 0;
    if (takes_broadcast(c, caps, &d) || !takes_matrix(c, caps, &d)) return result;
    return result | 1u << Q | 1u << K | 1u << V;
}

static double work(const tsr_call *c) { /* scores, and their sums of values */
    return 2.0 * (double)tsr_elements(c->out[0]) * (double)c->in[K]->dim[1];
}

static const tsr_op op_attention = {.name = "attention",
                                    .reference = reference,
                                    .cpu = cpu,
                                    .gpu = gpu,
                                    .halves = halves,
                                    .work = work};

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
    const int64_t d = spec->channels ? spec->channels : q->dim[2];
    const int64_t at[3] = {spec->q_at, spec->k_at, spec->v_at};
    for (int i = Q; i <= V; ++i)
        if (all[i]->rank != 3 || all[i]->dim[0] != q->dim[0] ||
            (i != Q && all[i]->dim[1] != k->dim[1]) || (!spec->channels && all[i]->dim[2] != d))
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                                "attention: %s: wanted [%lld, %lld, %lld], got %s", names[i],
                                (long long)q->dim[0], (long long)k->dim[1], (long long)d,
                                tsr_shape_text(all[i], got, sizeof got));
    for (int i = Q; i <= V; ++i)
        if (d < 1 || at[i] < 0 || at[i] > INT32_MAX || at[i] + d > all[i]->dim[2])
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                                "attention: %s: wanted %lld channels from channel %lld on, got "
                                "rows of %lld",
                                names[i], (long long)d, (long long)at[i],
                                (long long)all[i]->dim[2]);
    const int64_t nq = spec->count ? spec->count : q->dim[1];
    if (nq < 1 || spec->first < 0 || spec->first > INT32_MAX || spec->first + nq > q->dim[1])
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "attention: queries: wanted rows within 0..%lld, got %lld from %lld on",
                            (long long)q->dim[1] - 1, (long long)nq, (long long)spec->first);
    if (spec->heads < 1 || d % spec->heads)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "attention: heads: wanted a divisor of %lld channels, got %d",
                            (long long)d, spec->heads);
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
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, 3, (int64_t[]){q->dim[0], nq, d});
    tsr_call c = {.op = &op_attention,
                  .in = {q, k, v, spec->key_bias},
                  .out = {y},
                  .in_count = OPERANDS,
                  .out_count = 1};
    c.p.i[HEADS] = spec->heads;
    c.p.f[SCALE] = spec->scale != 0 ? spec->scale : 1 / sqrtf((float)(d / spec->heads));
    c.p.i[MASK] = spec->mask;
    c.p.i[PREFIX] = (int32_t)spec->prefix;
    c.p.i[FIRST] = (int32_t)spec->first;
    for (int i = Q; i <= V; ++i)
        c.p.i[AT + i] = (int32_t)at[i];
    tsr_run_emit(r, &c);
    return y;
}
