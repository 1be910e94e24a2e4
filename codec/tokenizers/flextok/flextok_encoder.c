/* SPDX-License-Identifier: MIT */
/* flextok_encoder.c: latents to registers.
 *
 *   latents [C, h, w] ─► patches ─► + positions ─┐
 *                                    registers ──┴─► transformer ─► registers' norm, linear ─► z
 *
 * Patches see patches alone, register i sees all patches and registers 0 .. i. So the first k
 * registers do not depend on the others, and k registers are enough for k ids. To ids a program
 * goes on with FSQ, and begins with the autoencoder, which takes so few tiles at a time as its
 * larger maps ask for. */
#include "flextok_encoder.h"
#include "../../../compute/arena.h"
#include "../../../nn/pieces.h"
#include "flextok_grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the model ---- */

typedef struct encoder_call { /* what one walk through the model is for */
    int64_t patches, k;
    int64_t ids, tiles; /* to ids: of so many registers; tiles at once in the autoencoder */
    bool last_rows;     /* the last block makes registers only */
    int blocks[8];      /* traced: whose outputs are shown; -1 ends the list */
    int traced;
} encoder_call;

typedef struct encoder_run {
    const tsr_flextok *m;
    encoder_call call;
} encoder_run;

static tsr_tensor *attend(tsr_run *r, const tsr_flextok_block_call *call, const tsr_tensor *qk,
                          const tsr_tensor *v) {
    const encoder_run *e = call->user;
    const int64_t d = tsr_cols(v);
    const int heads = e->m->config.encoder.trunk.heads;
    /* Registers alone: each sees everything before it, and itself. */
    return tsr_attention(
        r, qk, qk, v,
        &(tsr_attention_spec){.heads = heads,
                              .scale = 8.0f / (float)(d / heads),
                              .mask = call->count ? TSR_MASK_CAUSAL : TSR_MASK_CAUSAL_LAST,
                              .prefix = call->count ? 0 : e->call.patches,
                              .channels = d,
                              .k_at = d,
                              .first = call->start,
                              .count = call->count});
}

/* in: patches [B, P, p*p*C], positions [P, D]. out: z [B, k, L], then what is traced. */
static void encoder_program(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    const tsr_flextok *m = model;
    const tsr_flextok_block_spec *trunk = &m->config.encoder.trunk;
    const encoder_call *c = tsr_run_args(r);
    const encoder_run e = {m, *c};
    int made = 1;

    tsr_tensor *x = tsr_linear(r, in[0], m->encoder.patch,
                               &(tsr_epilogue){.bias = m->encoder.patch_bias}); /* [B, P, D] */
    if (c->traced) out[made++] = x;
    x = tsr_binary(r, x, in[1], TSR_BINARY_ADD);
    if (c->traced) out[made++] = x;
    tsr_tensor *registers =
        tsr_slice_rows(r, tsr_from_weight(r, m->encoder.registers), 0, c->k); /* [k, D] */
    x = tsr_concat_rows(r, x, registers);                                     /* [B, P+k, D] */
    for (int i = 0; i < trunk->depth; ++i) {
        const tsr_scope scope = tsr_scope_open(r);
        const bool last = i + 1 == trunk->depth && c->last_rows;
        tsr_flextok_block_call call = {
            .attend = attend, .user = &e, .start = last ? c->patches : 0, .count = last ? c->k : 0};
        x = tsr_flextok_block_run(r, &m->encoder.block[i], trunk, x, &call);
        if (!c->traced) x = tsr_scope_close(r, scope, x);
        if (c->traced && i == 0) {
            out[made++] = tsr_slice_cols(r, call.qk, 0, trunk->dim);
            out[made++] = tsr_slice_cols(r, call.qk, trunk->dim, trunk->dim);
        }
        for (int j = 0; c->traced && c->blocks[j] >= 0; ++j)
            if (c->blocks[j] == i) out[made++] = x;
    }
    if (!c->last_rows) x = tsr_slice_rows(r, x, c->patches, c->k);
    x = tsr_layer_norm(r, x, &(tsr_norm_spec){.eps = 1e-5f}); /* [B, k, D] */
    out[0] = tsr_linear(r, x, m->encoder.head, &(tsr_epilogue){.bias = m->encoder.head_bias});
}

/* Scaled means of pictures F32 [b, H, W, 3] as patches [b, P, p*p*C]. */
static tsr_tensor *patches_of(tsr_run *r, void *model, tsr_tensor *x) {
    const tsr_flextok *m = model;
    const int64_t channels = m->config.channels, p = m->config.patch, b = x->dim[0];
    const int64_t *most = m->config.encoder.positions.max, patches = most[0] * most[1];
    x = tsr_slice_cols(r, tsr_vae_encode_run(r, m->vae, x), 0, channels); /* [b, h, w, C] */
    x = tsr_scale(r, x, (float)m->config.vae.scaling_factor, 0);
    if (p > 1) { /* elements in the order (channel, y, x), then (y, x, channel) */
        const int64_t h = most[0] * p, w = most[1] * p;
        x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){b, h * w, channels}));
        x = tsr_patchify(r, tsr_reshape(r, x, 4, (int64_t[]){b, channels, h, w}), (int)p);
        x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){b * patches, channels, p * p}));
    }
    return tsr_reshape(r, x, 3, (int64_t[]){b, patches, p * p * channels});
}

/* in: tiles U8 [B, H, W, 3] or patches [B, P, p*p*C]. out: z and bounded values [B, k, L], ids [B,
 * k]. */
static void ids_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_flextok *m = model;
    const encoder_call *c = tsr_run_args(r);
    tsr_tensor *from[2] = {in[0], tsr_from_weight(r, m->encoder.position_rows)};
    if (in[0]->dtype == TSR_DTYPE_U8)
        from[0] = tsr_run_pieces(r, tsr_from_bytes(r, in[0], 2, -1, false), c->tiles, patches_of,
                                 (void *)(uintptr_t)model);
    encoder_program(r, model, from, out);
    if (c->ids < c->k) out[0] = tsr_slice_rows(r, out[0], 0, c->ids);
    const tsr_fsq_result q = tsr_fsq_encode(r, out[0], m->config.levels, m->config.level_count);
    out[1] = q.bounded;
    out[2] = q.ids;
}

/* ---- running it ---- */

/* The call for k registers, and the variant of a program that it makes. */
static encoder_call call_of(const tsr_flextok *m, int64_t patches, int64_t k, bool traced,
                            int64_t *variant) {
    /* Without the saving all registers are computed and the first k returned. */
    const bool whole = !(m->savings & TSR_FLEXTOK_FIRST_K) || traced;
    const encoder_call call = {.patches = patches,
                               .k = whole ? m->config.registers : k,
                               .last_rows = (m->savings & TSR_FLEXTOK_LAST_ROWS) && !traced,
                               .blocks = {-1},
                               .traced = traced};
    *variant = call.k | (int64_t)call.last_rows << 20 | (int64_t)traced << 21;
    return call;
}

enum { MAX_TRACED = 12 };

typedef struct traced {
    char name[MAX_TRACED][32];
    float *data[MAX_TRACED];
    int count;
} traced;

/* Makes `rows` rows of D an output that is shown as `name`; nothing after a failure of `memory`. */
static void trace_rows(const tsr_flextok *m, traced *t, const char *name, int64_t count,
                       int64_t rows, tsr_scratch *memory, tsr_tensor *out) {
    const int64_t d = m->config.encoder.trunk.dim;
    float *data = tsr_scratch_take(memory, (size_t)(count * rows * d), sizeof *data, "trace");
    if (!data) return;
    snprintf(t->name[t->count], sizeof t->name[0], "%s", name);
    t->data[t->count++] = data;
    out[t->count] = tsr_host_tensor(TSR_DTYPE_F32, data, 3, (int64_t[]){count, rows, d});
}

/* Adds what the trace asks for to the outputs after out[0], and the traced blocks to the call.
 * Returns what this adds to the program's variant. */
static int64_t trace_program(const tsr_flextok *m, const tsr_flextok_trace *trace, int64_t count,
                             encoder_call *call, traced *t, tsr_scratch *memory, tsr_tensor *out) {
    static const char *const first[] = {"enc.patch", "enc.pos", "enc.block.0.q", "enc.block.0.k"};
    const int64_t all = call->patches + call->k;
    int64_t variant = 0;
    for (int i = 0; i < 4; ++i)
        trace_rows(m, t, first[i], count, i < 2 ? call->patches : all, memory, out);
    for (int i = 0, n = 0; i < m->config.encoder.trunk.depth && n < 7; ++i) {
        char name[32];
        snprintf(name, sizeof name, "enc.block.%d", i);
        if (!tsr_flextok_sees(trace, name)) continue;
        call->blocks[n++] = i;
        call->blocks[n] = -1;
        variant |= (int64_t)1 << (22 + i % 40);
        trace_rows(m, t, name, count, all, memory, out);
    }
    return variant;
}

static tsr_status check_tokens(const tsr_flextok *m, int64_t k) {
    if (k >= 1 && k <= m->config.registers) return TSR_OK;
    return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "%s: tokens: wanted 1 to %lld, got %lld", m->path,
                    (long long)m->config.registers, (long long)k);
}

tsr_status tsr_flextok_encode(const tsr_flextok *m, const float *latents, int64_t count,
                              int64_t height, int64_t width, int64_t k, float *z,
                              const tsr_flextok_trace *trace) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->encoder.trunk.dim, p = c->patch, channels = p * p * c->channels;
    tsr_status status = tsr_flextok_check_grid(m, &c->encoder.positions, height, width);
    if (!status) status = check_tokens(m, k);
    if (status) return status;
    const int64_t rows = height / p, cols = width / p, patches = rows * cols;
    int64_t variant;
    encoder_call call = call_of(m, patches, k, trace != NULL, &variant);
    const int64_t computed = call.k;
    const size_t values = (size_t)(count * computed) * (size_t)c->level_count;
    tsr_scratch s = {.ctx = m->ctx};
    float *patched =
        tsr_scratch_take(&s, (size_t)(count * patches * channels), 4, "encoder: patches");
    float *positions = tsr_scratch_take(&s, (size_t)(patches * d), 4, "encoder: positions");
    float *made = tsr_scratch_take(&s, values, sizeof *made, "encoder: z");
    tsr_tensor out[TSR_MAX_IO];
    traced t = {0};
    out[0] = tsr_host_tensor(TSR_DTYPE_F32, made, 3, (int64_t[]){count, computed, c->level_count});
    if (trace) variant |= trace_program(m, trace, count, &call, &t, &s, out);
    status = s.status ? s.status : tsr_weight_pin(m->ctx, m->encoder.positions);
    if (!status) {
        tsr_flextok_patchify(c, latents, count, height, width, patched);
        tsr_flextok_position_rows(&c->encoder.positions, m->encoder.positions->f32, d, rows, cols,
                                  positions);
        const tsr_program program = {.fn = encoder_program,
                                     .model = m,
                                     .args = &call,
                                     .variant = variant,
                                     .name = "flextok encoder"};
        const tsr_tensor in[] = {
            tsr_host_tensor(TSR_DTYPE_F32, patched, 3, (int64_t[]){count, patches, channels}),
            tsr_host_tensor(TSR_DTYPE_F32, positions, 2, (int64_t[]){patches, d})};
        status = tsr_execute(m->device, &program, in, 2, out, 1 + t.count);
    }
    for (int i = 0; i < t.count && !status; ++i)
        trace->see(trace->user, t.name[i], t.data[i], 3, out[1 + i].dim);
    const size_t row = (size_t)k * (size_t)c->level_count;
    for (int64_t b = 0; b < count && !status; ++b)
        memcpy(z + (size_t)b * row, made + (size_t)(b * computed) * (size_t)c->level_count,
               row * sizeof *z);
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_flextok_encoder_prepare(tsr_flextok *m) {
    const tsr_flextok_positions *p = &m->config.encoder.positions;
    const int64_t d = m->config.encoder.trunk.dim, dim[2] = {p->max[0] * p->max[1], d};
    tsr_status status = tsr_weight_pin(m->ctx, m->encoder.positions);
    if (status) return status;
    m->encoder.own =
        tsr_alloc(m->ctx, (size_t)dim[0], (size_t)d * sizeof(float), "flextok: positions");
    if (!m->encoder.own) return TSR_ERROR_MEMORY;
    tsr_flextok_position_rows(p, m->encoder.positions->f32, d, p->max[0], p->max[1],
                              m->encoder.own);
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, m->encoder.own, 2, dim);
    static const char name[] = "(rows of the encoder's positions)";
    status = tsr_weights_add(m->ctx, m->weights, name, &t);
    return status ? status
                  : tsr_weights_get(m->ctx, m->weights, name, 2, dim, &m->encoder.position_rows);
}

tsr_status tsr_flextok_encode_begin(const tsr_flextok *m, const uint8_t *rgb, const float *latents,
                                    int64_t count, int64_t k, const tsr_flextok_codes *codes,
                                    tsr_flight *flight) {
    const tsr_flextok_config *c = &m->config;
    const int64_t *most = c->encoder.positions.max, p = c->patch, f = tsr_vae_factor(&c->vae);
    const int64_t patches = most[0] * most[1], h = most[0] * p, w = most[1] * p;
    const int64_t channels = p * p * c->channels;
    int64_t variant;
    encoder_call call = call_of(m, patches, k, false, &variant);
    tsr_status status = check_tokens(m, k);
    if (status) return status;
    const tsr_tile_cost cost = tsr_vae_cost(m->vae, false, h * f, w * f);
    call.tiles = tsr_tiles_in_run(m->device, &cost, count);
    call.ids = k;
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)rgb, 4,
                                    (int64_t[]){count, h * f, w * f, 3});
    float *patched = NULL;
    if (latents) {
        patched = tsr_alloc_raw(m->ctx, (size_t)(count * patches), (size_t)channels * sizeof(float),
                                "encoder: patches");
        if (!patched) return TSR_ERROR_MEMORY;
        tsr_flextok_patchify(c, latents, count, h, w, patched);
        in = tsr_host_tensor(TSR_DTYPE_F32, patched, 3, (int64_t[]){count, patches, channels});
    }
    const int64_t shape[3] = {count, k, c->level_count};
    const tsr_tensor out[] = {tsr_host_tensor(TSR_DTYPE_F32, codes->z, 3, shape),
                              tsr_host_tensor(TSR_DTYPE_F32, codes->bounded, 3, shape),
                              tsr_host_tensor(TSR_DTYPE_I32, codes->ids, 2, shape)};
    /* What differs beside shapes: the registers that are computed and that are wanted, the pieces.
     */
    const tsr_program program = {.fn = ids_program,
                                 .model = m,
                                 .args = &call,
                                 .variant = variant | k << 22 | call.tiles << 42,
                                 .name = "flextok to ids"};
    status = tsr_execute_begin(m->device, &program, &in, 1, out, 3, flight);
    free(patched);
    return status;
}
