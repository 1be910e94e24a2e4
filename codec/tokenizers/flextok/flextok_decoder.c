/* SPDX-License-Identifier: MIT */
/* flextok_decoder.c: ids to the velocity of a rectified flow.
 *
 *   ids ─► codes ─► linear, + positions, dropped tokens, null condition ─► tokens
 *   noisy latents ─► patches + positions ─┐
 *                               tokens ───┴─► transformer, modulated by the time ─► head ─► v
 *
 * Everything that depends on the ids or on the time alone happens once, on the host: tokens
 * (flextok_tokens.c) and modulation (flextok_time.c). What is left is one program for each step.
 *
 * Its rows: the patches of all pictures' conditional passes, of their unconditional ones, then the
 * tokens likewise. So there are two groups of rows, each with its own modulation, and every weight
 * is read once for both passes of all pictures. Attention takes the rows of one pass of one
 * picture: tables of row numbers bring them there and back. */
#include "flextok_decoder.h"
#include "../../../compute/arena.h"
#include "flextok_grid.h"
#include "flextok_time.h"
#include "flextok_tokens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one step ---- */

typedef struct step_call { /* what one walk through the program is for */
    int64_t count, patches;
    int passes;
    int64_t tokens[2]; /* of each pass */
    bool last_rows;
    int blocks[8]; /* traced: whose outputs are shown; -1 ends the list */
    bool traced;
} step_call;

typedef struct step_run {
    const tsr_flextok *m;
    const step_call *call;
    tsr_tensor *const *bias, *const
                                 *rows; /* for each pass: [B, n] and I32 [B, n], n = P + tokens */
    const tsr_tensor *back;             /* I32 [all rows] */
} step_run;

/* Rows of one kind to [B, n, D] of one pass. With one picture and one pass they are that already.
 */
static tsr_tensor *gather_pass(tsr_run *r, const step_run *s, const tsr_tensor *x, int pass) {
    if (s->call->count * s->call->passes == 1)
        return tsr_reshape(r, x, 3, (int64_t[]){1, tsr_rows(x), tsr_cols(x)});
    const tsr_tensor *flat = tsr_reshape(r, x, 2, (int64_t[]){tsr_rows(x), tsr_cols(x)});
    return tsr_gather_rows(r, flat, s->rows[pass]);
}

static tsr_tensor *attend(tsr_run *r, const tsr_flextok_block_call *call, const tsr_tensor *qk,
                          const tsr_tensor *v) {
    const step_run *s = call->user;
    const step_call *c = s->call;
    const int64_t d = tsr_cols(v);
    const bool last = call->count != 0; /* queries are patches, which come first in a picture */
    tsr_attention_spec spec = {.heads = s->m->config.decoder.trunk.heads,
                               .channels = d,
                               .k_at = d,
                               .count = last ? c->patches : 0};
    spec.scale = 8.0f / (float)(d / spec.heads);
    tsr_tensor *all = NULL;
    for (int pass = 0; pass < c->passes; ++pass) {
        spec.key_bias = s->bias[pass];
        const tsr_tensor *own = gather_pass(r, s, qk, pass);
        tsr_tensor *y = tsr_attention(r, own, own, gather_pass(r, s, v, pass), &spec);
        y = tsr_reshape(r, y, 3, (int64_t[]){1, tsr_rows(y), d}); /* of [B, n, D'] */
        all = all ? tsr_concat_rows(r, all, y) : y;
    }
    if (last || c->count * c->passes == 1) return all;
    all = tsr_reshape(r, all, 2, (int64_t[]){tsr_rows(all), d});
    all = tsr_gather_rows(r, all, s->back);
    return tsr_reshape(r, all, 3, (int64_t[]){1, tsr_rows(all), d});
}

enum { IN_PATCHES, IN_POSITIONS, IN_TOKENS, IN_MODULATION, IN_BIAS, IN_ROWS = 6, IN_BACK = 8, INS };

/* in: patches [1, B*P, p*p*C], positions [P, D'], tokens [1, .., D'], modulation [.., D'], for both
 * passes key bias and rows, rows back. out: velocities [1, passes*B*P, p*p*C], then traced ones. */
static void step_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_flextok *m = model;
    const step_call *c = tsr_run_args(r);
    const tsr_flextok_block_spec *trunk = &m->config.decoder.trunk;
    const step_run s = {m, c, in + IN_BIAS, in + IN_ROWS, in[IN_BACK]};
    const int64_t all = c->passes * c->count * c->patches;
    int made = 1;

    tsr_tensor *x = tsr_linear(r, in[IN_PATCHES], m->decoder.patch,
                               &(tsr_epilogue){.bias = m->decoder.patch_bias}); /* [1, B*P, D'] */
    if (c->traced) out[made++] = x;
    x = tsr_reshape(r, x, 3, (int64_t[]){c->count, c->patches, trunk->dim});
    x = tsr_binary(r, x, in[IN_POSITIONS], TSR_BINARY_ADD);
    if (c->traced) out[made++] = x;
    x = tsr_reshape(r, x, 3, (int64_t[]){1, c->count * c->patches, trunk->dim});
    if (c->passes == 2) x = tsr_concat_rows(r, x, x);
    x = tsr_concat_rows(r, x, in[IN_TOKENS]); /* [1, T, D'] */
    for (int i = 0; i < trunk->depth; ++i) {
        const tsr_scope scope = tsr_scope_open(r);
        tsr_flextok_block_call call = {.attend = attend, .user = &s, .group_rows = all};
        for (int part = 0; part < TSR_MODULATION_COUNT; ++part)
            call.part[part] =
                tsr_slice_rows(r, in[IN_MODULATION],
                               (i * TSR_MODULATION_COUNT + part) * trunk->groups, trunk->groups);
        if (i + 1 == trunk->depth && c->last_rows) call.count = all;
        x = tsr_flextok_block_run(r, &m->decoder.block[i], trunk, x, &call);
        if (!c->traced) x = tsr_scope_close(r, scope, x);
        if (c->traced && i == 0) {
            out[made++] = tsr_slice_cols(r, call.qk, 0, trunk->dim);
            out[made++] = tsr_slice_cols(r, call.qk, trunk->dim, trunk->dim);
        }
        for (int j = 0; c->traced && c->blocks[j] >= 0; ++j)
            if (c->blocks[j] == i) out[made++] = x;
    }
    if (!c->last_rows) x = tsr_slice_rows(r, x, 0, all);
    tsr_norm_spec norm = {.eps = 1e-5f};
    if (m->config.decoder.head_modulated) {
        const int64_t at = (int64_t)trunk->depth * TSR_MODULATION_COUNT * trunk->groups;
        norm.shift = tsr_slice_rows(r, in[IN_MODULATION], at, 1);
        norm.scale = tsr_slice_rows(r, in[IN_MODULATION], at + 1, 1);
    }
    x = tsr_layer_norm(r, x, &norm);
    out[0] = tsr_linear(r, x, m->decoder.head, &(tsr_epilogue){.bias = m->decoder.head_bias});
}

/* ---- a batch of pictures ---- */

/* A batch: pictures whose tokens collapsed to the same number of rows. */
typedef struct batch {
    const tsr_flextok *m;
    const tsr_flextok_trace *trace;
    int64_t count, height, width, patches;
    int steps;
    bool guided;
    float *patched;   /* [B, P, p*p*C] of x */
    float *positions; /* [P, D'] */
    float *tokens;    /* [B * tokens of pass 0 + B * tokens of pass 1, D'] */
    int64_t token_rows[2];
    float *bias[2];    /* [B, P + tokens] */
    int32_t *rows[2];  /* [B, P + tokens], for both passes in one */
    int32_t *alone[2]; /* [B, P + tokens], for passes one by one */
    int32_t *back, *back_alone[2];
    float *velocity;    /* [2 * B, P, p*p*C] */
    tsr_scratch memory; /* of all these */
    tsr_flextok_times times;
} batch;

/* Where the rows of pass `pass`, picture by picture, lie among all rows of `passes` passes; `back`
 * is filled from `from` on with the inverse. */
static void number_rows(const batch *b, int pass, int passes, int32_t *rows, int32_t *back,
                        int64_t from) {
    const int64_t patches = b->patches, tokens = b->token_rows[pass];
    int64_t first_token = passes * b->count * patches;
    if (pass == 1 && passes == 2) first_token += b->count * b->token_rows[0];
    const int64_t first_patch = passes == 2 ? pass * b->count * patches : 0;
    for (int64_t i = 0; i < b->count; ++i)
        for (int64_t j = 0; j < patches + tokens; ++j, ++rows, ++from) {
            *rows = (int32_t)(j < patches ? first_patch + i * patches + j
                                          : first_token + i * tokens + j - patches);
            back[*rows] = (int32_t)from;
        }
}

static tsr_status batch_rows(batch *b) {
    const int64_t n[2] = {b->patches + b->token_rows[0], b->patches + b->token_rows[1]};
    const int passes = b->guided ? 2 : 1;
    b->back =
        tsr_scratch_take(&b->memory, (size_t)(b->count * (n[0] + n[1])), sizeof *b->back, "rows");
    for (int i = 0; i < passes; ++i) {
        const size_t size = (size_t)(b->count * n[i]);
        b->rows[i] = tsr_scratch_take(&b->memory, size, sizeof *b->back, "rows");
        b->alone[i] = tsr_scratch_take(&b->memory, size, sizeof *b->back, "rows");
        b->back_alone[i] = tsr_scratch_take(&b->memory, size, sizeof *b->back, "rows");
        if (b->memory.status) return b->memory.status;
        number_rows(b, i, passes, b->rows[i], b->back, i ? b->count * n[0] : 0);
        number_rows(b, i, 1, b->alone[i], b->back_alone[i], 0);
    }
    return TSR_OK;
}

/* Runs the program for passes `first` .. `first + passes - 1`. */
static tsr_status run_passes(batch *b, int first, int passes, const float *modulation,
                             tsr_flextok_traced *traced) {
    const tsr_flextok *m = b->m;
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim, channels = c->patch * c->patch * c->channels;
    step_call call = {.count = b->count,
                      .patches = b->patches,
                      .passes = passes,
                      .last_rows = (m->savings & TSR_FLEXTOK_LAST_ROWS) && !traced,
                      .blocks = {-1},
                      .traced = traced != NULL};
    int64_t token_rows = 0, before = first ? b->count * b->token_rows[0] : 0, all = 0;
    int64_t variant = passes | (int64_t)call.last_rows << 2 | (int64_t)call.traced << 3;
    tsr_tensor in[INS];
    for (int i = 0; i < 2; ++i) { /* an absent pass repeats the one there is, and is never read */
        const int pass = i < passes ? first + i : first;
        const int64_t n = b->patches + b->token_rows[pass];
        call.tokens[i] = b->token_rows[pass];
        in[IN_BIAS + i] =
            tsr_host_tensor(TSR_DTYPE_F32, b->bias[pass], 2, (int64_t[]){b->count, n});
        in[IN_ROWS + i] =
            tsr_host_tensor(TSR_DTYPE_I32, passes == 2 ? b->rows[pass] : b->alone[pass], 2,
                            (int64_t[]){b->count, n});
        if (i < passes) {
            token_rows += b->count * b->token_rows[pass];
            all += b->count * n;
        }
    }
    in[IN_BACK] =
        tsr_host_tensor(TSR_DTYPE_I32, passes == 2 ? b->back : b->back_alone[first], 1, &all);
    in[IN_PATCHES] = tsr_host_tensor(TSR_DTYPE_F32, b->patched, 3,
                                     (int64_t[]){1, b->count * b->patches, channels});
    in[IN_POSITIONS] = tsr_host_tensor(TSR_DTYPE_F32, b->positions, 2, (int64_t[]){b->patches, d});
    in[IN_TOKENS] =
        tsr_host_tensor(TSR_DTYPE_F32, b->tokens + before * d, 3, (int64_t[]){1, token_rows, d});
    in[IN_MODULATION] = tsr_host_tensor(TSR_DTYPE_F32, (void *)modulation, 2,
                                        (int64_t[]){tsr_flextok_time_rows(c), d});
    tsr_tensor out[TSR_MAX_IO];
    out[0] = tsr_host_tensor(TSR_DTYPE_F32, b->velocity + first * b->count * b->patches * channels,
                             3, (int64_t[]){1, passes * b->count * b->patches, channels});
    tsr_status status = TSR_OK;
    if (traced)
        status = tsr_flextok_traced_open(traced, m, b->count, b->patches, token_rows / b->count,
                                         first == 1, call.blocks, out + 1);
    for (int i = 0; traced && call.blocks[i] >= 0; ++i)
        variant |= (int64_t)1 << (4 + call.blocks[i] % 48);
    const tsr_program program = {.fn = step_program,
                                 .model = m,
                                 .args = &call,
                                 .variant = variant,
                                 .name = "flextok decoder",
                                 .pictures = true};
    if (!status)
        status = tsr_execute(m->device, &program, in, INS, out, 1 + (traced ? traced->count : 0));
    return status;
}

static tsr_status velocity(void *user, int step, const float *x, float *vc, float *vu) {
    batch *b = user;
    const tsr_flextok_config *c = &b->m->config;
    const bool plain = !(b->m->savings & TSR_FLEXTOK_ONE_PASS) || b->trace;
    const float *modulation;
    tsr_status status = tsr_flextok_times_get(&b->times, b->m, step, b->steps, &modulation);
    tsr_flextok_patchify(c, x, b->count, b->height, b->width, b->patched);
    const int passes = vu ? 2 : 1;
    if (!plain && !status) status = run_passes(b, 0, passes, modulation, NULL);
    for (int i = 0; plain && i < passes && !status; ++i) {
        tsr_flextok_traced traced = {0};
        const bool now = b->trace && step == b->steps;
        traced.trace = b->trace;
        status = run_passes(b, i, 1, modulation, now ? &traced : NULL);
        if (now && !status && i == 0) tsr_flextok_times_show(&b->times, b->m, b->trace);
        tsr_flextok_traced_close(&traced, !status);
    }
    if (status) return status;
    const int64_t channels = c->patch * c->patch * c->channels;
    tsr_flextok_unpatchify(c, b->velocity, b->count, b->height, b->width, vc);
    if (vu)
        tsr_flextok_unpatchify(c, b->velocity + b->count * b->patches * channels, b->count,
                               b->height, b->width, vu);
    return TSR_OK;
}

/* ---- sampling ---- */

/* Fills tokens and key bias of a batch from the pictures' and the null condition's tokens. */
static tsr_status batch_tokens(batch *b, const tsr_flextok_tokens *own, const int64_t *member,
                               const tsr_flextok_tokens *null) {
    const int64_t d = b->m->config.decoder.trunk.dim;
    const int passes = b->guided ? 2 : 1;
    b->token_rows[0] = own[member[0]].rows;
    b->token_rows[1] = b->guided ? null->rows : 0;
    const int64_t rows = b->count * (b->token_rows[0] + b->token_rows[1]);
    float *to = b->tokens =
        tsr_scratch_take(&b->memory, (size_t)(rows * d), sizeof *to, "decoder: tokens");
    for (int pass = 0; pass < passes; ++pass) {
        const int64_t n = b->patches + b->token_rows[pass];
        b->bias[pass] =
            tsr_scratch_take(&b->memory, (size_t)(b->count * n), sizeof(float), "decoder: bias");
        if (b->memory.status) return b->memory.status;
        for (int64_t i = 0; i < b->count; ++i) {
            const tsr_flextok_tokens *t = pass ? null : &own[member[i]];
            memcpy(to, t->values, (size_t)(t->rows * d) * sizeof *to);
            to += t->rows * d;
            b->bias[pass][i * n + n - 1] = logf((float)t->last_count);
        }
    }
    return TSR_OK;
}

static tsr_status decode_batch(const tsr_flextok *m, const tsr_flextok_tokens *own,
                               const int64_t *member, int64_t count, const tsr_flextok_tokens *null,
                               int64_t height, int64_t width, const tsr_flextok_decode_settings *s,
                               tsr_flow_settings *flow, float *x) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim, p = c->patch, channels = p * p * c->channels;
    const int64_t n = c->channels * height * width;
    batch b = {.m = m,
               .trace = s->trace,
               .count = count,
               .height = height,
               .width = width,
               .patches = height / p * (width / p),
               .steps = flow->steps,
               .guided = flow->guidance != 1.0f,
               .memory = {.ctx = m->ctx}};
    const size_t patch_values = (size_t)(count * b.patches * channels);
    tsr_scratch *memory = &b.memory;
    float *own_x = tsr_scratch_take(memory, (size_t)(count * n), sizeof *own_x, "decoder: latents");
    b.patched = tsr_scratch_take(memory, patch_values, sizeof(float), "decoder: patches");
    b.velocity = tsr_scratch_take(memory, 2 * patch_values, sizeof(float), "decoder: velocity");
    b.positions =
        tsr_scratch_take(memory, (size_t)(b.patches * d), sizeof(float), "decoder: positions");
    tsr_status status = batch_tokens(&b, own, member, null);
    if (!status) status = batch_rows(&b);
    if (!status) status = tsr_weight_pin(m->ctx, m->decoder.positions);
    if (!status) {
        tsr_flextok_position_rows(&c->decoder.positions, m->decoder.positions->f32, d, height / p,
                                  width / p, b.positions);
        for (int64_t i = 0; i < count; ++i)
            memcpy(own_x + i * n, x + member[i] * n, (size_t)n * sizeof *x);
        status = tsr_flow_sample(m->ctx, flow, velocity, &b, count, n, own_x);
        flow->progress_done += (uint64_t)flow->steps * (uint64_t)count;
    }
    for (int64_t i = 0; i < count && !status; ++i)
        memcpy(x + member[i] * n, own_x + i * n, (size_t)n * sizeof *x);
    tsr_flextok_times_close(&b.times);
    tsr_scratch_free(&b.memory);
    return status;
}

tsr_status tsr_flextok_decode(const tsr_flextok *m, const uint32_t *ids, const uint32_t *counts,
                              int64_t count, int64_t height, int64_t width,
                              const tsr_flextok_decode_settings *s, float *x) {
    tsr_flow_settings flow = s->flow;
    tsr_status status = tsr_flextok_check_grid(m, &m->config.decoder.positions, height, width);
    if (status) return status;
    tsr_scratch memory = {.ctx = m->ctx};
    tsr_flextok_tokens *own =
        tsr_scratch_take(&memory, (size_t)count, sizeof *own, "decoder: tokens");
    int64_t *member = tsr_scratch_take(&memory, (size_t)count, sizeof *member, "decoder: batch");
    tsr_flextok_tokens null = {0};
    status = memory.status;
    const bool collapse = (m->savings & TSR_FLEXTOK_COLLAPSE) && !s->trace;
    for (int64_t i = 0; i < count && !status; ++i)
        status = tsr_flextok_tokens_make(m, ids + i * m->config.registers, counts[i], false,
                                         collapse, &own[i]);
    if (!status && flow.guidance != 1.0f)
        status = tsr_flextok_tokens_make(m, NULL, 0, true, collapse, &null);
    if (!status && s->trace) status = tsr_flextok_tokens_show(m, ids, counts, count, s->trace);
    /* Pictures with equally many rows make a batch, in their order. */
    for (int64_t i = 0; i < count && !status; ++i) {
        int64_t n = 0;
        if (own[i].done) continue;
        for (int64_t j = i;
             j < count && (n == 0 || (m->savings & TSR_FLEXTOK_ONE_PASS) || s->trace); ++j)
            if (!own[j].done && own[j].rows == own[i].rows) {
                own[j].done = true;
                member[n++] = j;
            }
        status = decode_batch(m, own, member, n, &null, height, width, s, &flow, x);
    }
    for (int64_t i = 0; own && i < count; ++i)
        free(own[i].values);
    free(null.values);
    tsr_scratch_free(&memory);
    return status;
}
