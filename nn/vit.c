/* SPDX-License-Identifier: MIT */
/* vit.c: pre-norm transformer block (Dosovitskiy et al. 2021): attention, then an MLP, biases
 * everywhere. Variants: queries, keys and values from one layer or from three; a factor for each
 * channel of both branches (layer scale, Touvron et al. 2021); an MLP whose values are gated
 * (SwiGLU, Shazeer 2020); root mean square norms; rotary positions; windows. */
#include "vit.h"

#include <stdio.h>

const tsr_vit_layout tsr_layout_openclip = {.norm1 = "ln_1",
                                            .qkv_weight = "attn.in_proj_weight",
                                            .qkv_bias = "attn.in_proj_bias",
                                            .proj = "attn.out_proj",
                                            .norm2 = "ln_2",
                                            .fc1 = "mlp.c_fc",
                                            .fc2 = "mlp.c_proj",
                                            .eps = 1e-5f,
                                            .act = TSR_ACT_GELU};

void tsr_vit_block_load(tsr_weight_loader *l, const tsr_vit_layout *layout, const char *prefix,
                        int64_t width, int64_t hidden, tsr_vit_block *block) {
    const int64_t d = width, inner = layout->gated && !layout->up ? 2 * hidden : hidden,
                  three = 3 * d;
    const char *const parts[3] = {layout->query, layout->key, layout->value};
    block->eps = layout->eps;
    block->act = layout->act;
    block->gated = layout->gated;
    block->rms = layout->rms;
    tsr_load_layer(l, prefix, layout->norm1, 1, &d, &block->norm1_gamma,
                   layout->rms ? NULL : &block->norm1_beta);
    if (layout->qkv_weight) {
        tsr_load_weight(l, prefix, layout->qkv_weight, 2, (int64_t[]){three, d}, &block->qkv);
        tsr_load_weight(l, prefix, layout->qkv_bias, 1, &three, &block->qkv_bias);
    }
    for (int i = 0; i < 3 && !layout->qkv_weight; ++i)
        tsr_load_layer(l, prefix, parts[i], 2, (int64_t[]){d, d}, &block->layer[i],
                       &block->layer_bias[i]);
    tsr_load_layer(l, prefix, layout->proj, 2, (int64_t[]){d, d}, &block->proj, &block->proj_bias);
    tsr_load_layer(l, prefix, layout->norm2, 1, &d, &block->norm2_gamma,
                   layout->rms ? NULL : &block->norm2_beta);
    tsr_load_layer(l, prefix, layout->fc1, 2, (int64_t[]){inner, d}, &block->fc1, &block->fc1_bias);
    if (layout->up)
        tsr_load_layer(l, prefix, layout->up, 2, (int64_t[]){hidden, d}, &block->up,
                       &block->up_bias);
    tsr_load_layer(l, prefix, layout->fc2, 2, (int64_t[]){d, hidden}, &block->fc2,
                   &block->fc2_bias);
    if (!layout->scale1) return;
    tsr_load_weight(l, prefix, layout->scale1, 1, &d, &block->scale1);
    tsr_load_weight(l, prefix, layout->scale2, 1, &d, &block->scale2);
}

tsr_status tsr_vit_count(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                         const char *path, int most, int *depth) {
    char name[256];
    for (*depth = 0; *depth <= most; ++*depth) {
        snprintf(name, sizeof name, "%s%d.ln_1.weight", prefix, *depth);
        if (!tsr_weights_find(weights, name)) break;
    }
    if (*depth >= 1 && *depth <= most) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: tensors %sN.ln_1.weight: wanted 1 to %d, got %s",
                    path, prefix, most, *depth ? "more" : "none");
}

static tsr_tensor *norm(tsr_run *r, const tsr_vit_block *w, const tsr_tensor *x, tsr_weight *gamma,
                        tsr_weight *beta) {
    return tsr_layer_norm(
        r, x, &(tsr_norm_spec){.gamma = gamma, .beta = beta, .eps = w->eps, .rms = w->rms});
}

enum { QUERY, KEY, VALUE };
/* What the block's attention takes, [B, N, D] each: a tensor of its own, or the columns from `at`
 * on of the joint product [B, N, 3D]. */
typedef struct attended {
    tsr_tensor *x;
    int64_t at;
} attended;

/* Parts first .. last of what attention takes of y, the output of norm1. */
static void project(tsr_run *r, const tsr_vit_block *w, tsr_tensor *y, int first, int last,
                    attended out[3]) {
    const int64_t d = tsr_cols(y);
    if (w->qkv) y = tsr_linear(r, y, w->qkv, &(tsr_epilogue){.bias = w->qkv_bias});
    for (int i = first; i <= last; ++i)
        out[i] = w->qkv ? (attended){y, i * d}
                        : (attended){tsr_linear(r, y, w->layer[i],
                                                &(tsr_epilogue){.bias = w->layer_bias[i]}),
                                     0};
}

/* A part as a tensor of its own, [B, N, d]. */
static tsr_tensor *alone(tsr_run *r, attended part, int64_t d) {
    return tsr_cols(part.x) == d ? part.x : tsr_slice_cols(r, part.x, part.at, d);
}

static tsr_tensor *run_mlp(tsr_run *r, const tsr_vit_block *w, const tsr_tensor *x,
                           const tsr_tensor *residual) {
    const bool joined = w->gated && !w->up; /* gates and values come from one layer */
    const tsr_epilogue first = {.bias = w->fc1_bias, .act = joined ? TSR_ACT_NONE : w->act};
    tsr_tensor *y = tsr_linear(r, x, w->fc1, &first);
    if (w->up) {
        const tsr_tensor *value = tsr_linear(r, x, w->up, &(tsr_epilogue){.bias = w->up_bias});
        y = tsr_binary(r, y, value, TSR_BINARY_MUL);
    } else if (joined) {
        const int64_t hidden = w->fc2->tensor.dim[1];
        const tsr_tensor *gate = tsr_unary(r, tsr_slice_cols(r, y, 0, hidden), w->act);
        y = tsr_binary(r, gate, tsr_slice_cols(r, y, hidden, hidden), TSR_BINARY_MUL);
    }
    return tsr_linear(r, y, w->fc2,
                      &(tsr_epilogue){.bias = w->fc2_bias,
                                      .gate = w->scale2 ? tsr_from_weight(r, w->scale2) : NULL,
                                      .residual = residual});
}

static tsr_tensor *rotate(tsr_run *r, const tsr_vit_attention *a, tsr_tensor *x) {
    if (!a->cosines) return x;
    tsr_tensor *turned = tsr_gather_cols(r, x, a->swap);
    turned = tsr_binary(r, turned, a->sines, TSR_BINARY_MUL);
    return tsr_binary(r, tsr_binary(r, x, a->cosines, TSR_BINARY_MUL), turned, TSR_BINARY_ADD);
}

/* Attention inside windows: rows are brought together window by window, and back. */
static tsr_tensor *attend_windows(tsr_run *r, const tsr_vit_attention *a,
                                  const tsr_attention_spec *whole, attended part[3]) {
    const int64_t batch = part[QUERY].x->dim[0], rows = part[QUERY].x->dim[1];
    tsr_attention_spec spec = *whole;
    spec.key_bias = a->empty;
    tsr_tensor *in[3]; /* [W, L, D or 3D] */
    for (int i = QUERY; i <= VALUE; ++i) {
        const int64_t flat[2] = {batch * rows, tsr_cols(part[i].x)};
        in[i] = i && part[i].x == part[QUERY].x
                    ? in[QUERY]
                    : tsr_gather_rows(r, tsr_reshape(r, part[i].x, 2, flat), a->windows);
    }
    tsr_tensor *y = tsr_attention(r, in[QUERY], in[KEY], in[VALUE], &spec);
    y = tsr_reshape(r, y, 2, (int64_t[]){y->dim[0] * y->dim[1], y->dim[2]});
    return tsr_reshape(r, tsr_gather_rows(r, y, a->places), 3,
                       (int64_t[]){batch, rows, tsr_cols(y)});
}

/* The block for rows first .. first + count - 1 of x, which see all of it. */
static tsr_tensor *run_rows(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                            const tsr_vit_attention *a, int64_t first, int64_t count) {
    const tsr_scope scope = tsr_scope_open(r);
    const int64_t d = tsr_cols(x);
    attended part[3];
    tsr_tensor *y;

    project(r, w, norm(r, w, x, w->norm1_gamma, w->norm1_beta), QUERY, VALUE, part);
    for (int i = QUERY; i <= KEY && a->cosines; ++i)
        part[i] = (attended){rotate(r, a, alone(r, part[i], d)), 0};
    if (a->windows && a->cosines) part[VALUE] = (attended){alone(r, part[VALUE], d), 0};
    tsr_attention_spec spec = a->spec;
    spec.channels = d;
    spec.q_at = part[QUERY].at;
    spec.k_at = part[KEY].at;
    spec.v_at = part[VALUE].at;
    if (count != x->dim[1]) {
        spec.first = first;
        spec.count = count;
        x = tsr_slice_rows(r, x, first, count);
    }
    if (a->windows)
        y = attend_windows(r, a, &spec, part);
    else
        y = tsr_attention(r, part[QUERY].x, part[KEY].x, part[VALUE].x, &spec);
    x = tsr_linear(r, y, w->proj,
                   &(tsr_epilogue){.bias = w->proj_bias,
                                   .gate = w->scale1 ? tsr_from_weight(r, w->scale1) : NULL,
                                   .residual = x}); /* [B, count, D] */
    x = run_mlp(r, w, norm(r, w, x, w->norm2_gamma, w->norm2_beta), x);
    return tsr_scope_close(r, scope, x);
}

tsr_tensor *tsr_vit_block_attend(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                                 const tsr_vit_attention *attention) {
    return run_rows(r, w, x, attention, 0, x->dim[1]);
}

tsr_tensor *tsr_vit_block_run(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                              const tsr_attention_spec *attention) {
    const tsr_vit_attention a = {.spec = *attention};
    return run_rows(r, w, x, &a, 0, x->dim[1]);
}

tsr_tensor *tsr_vit_blocks_run(tsr_run *r, const tsr_vit_block *w, int depth, int heads,
                               tsr_tensor *x, int64_t first, int64_t count) {
    const tsr_vit_attention attention = {.spec = {.heads = heads}};
    for (int i = 0; i + 1 < depth; ++i)
        x = tsr_vit_block_attend(r, &w[i], x, &attention);
    return run_rows(r, &w[depth - 1], x, &attention, first, count);
}

tsr_tensor *tsr_vit_block_keys(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x) {
    const tsr_scope scope = tsr_scope_open(r);
    attended part[3];
    project(r, w, norm(r, w, x, w->norm1_gamma, w->norm1_beta), KEY, KEY, part);
    return tsr_scope_close(r, scope, alone(r, part[KEY], tsr_cols(x)));
}

tsr_tensor *tsr_vit_block_attention(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x, int heads,
                                    int64_t queries) {
    const tsr_scope scope = tsr_scope_open(r);
    attended part[3];
    project(r, w, norm(r, w, x, w->norm1_gamma, w->norm1_beta), QUERY, KEY, part);
    tsr_tensor *q = alone(r, part[QUERY], tsr_cols(x)), *k = alone(r, part[KEY], tsr_cols(x));
    if (queries != x->dim[1]) q = tsr_slice_rows(r, q, 0, queries);
    tsr_tensor *y = tsr_softmax(r, tsr_attention_scores(r, q, k, heads, 0));
    return tsr_scope_close(r, scope, y);
}
