/* SPDX-License-Identifier: MIT */
/* vit.c: pre-norm transformer block (Dosovitskiy et al. 2021): attention, then an MLP, biases
 * everywhere. Variants: queries, keys and values from one layer or from three; a factor for each
 * channel of both branches (layer scale, Touvron et al. 2021); an MLP whose values are gated
 * (SwiGLU, Shazeer 2020). */
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
    const int64_t d = width, inner = layout->gated ? 2 * hidden : hidden, three = 3 * d;
    const char *const parts[3] = {layout->query, layout->key, layout->value};
    block->eps = layout->eps;
    block->act = layout->act;
    block->gated = layout->gated;
    tsr_load_layer(l, prefix, layout->norm1, 1, &d, &block->norm1_gamma, &block->norm1_beta);
    if (layout->qkv_weight) {
        tsr_load_weight(l, prefix, layout->qkv_weight, 2, (int64_t[]){three, d}, &block->qkv);
        tsr_load_weight(l, prefix, layout->qkv_bias, 1, &three, &block->qkv_bias);
    }
    for (int i = 0; i < 3 && !layout->qkv_weight; ++i)
        tsr_load_layer(l, prefix, parts[i], 2, (int64_t[]){d, d}, &block->layer[i],
                       &block->layer_bias[i]);
    tsr_load_layer(l, prefix, layout->proj, 2, (int64_t[]){d, d}, &block->proj, &block->proj_bias);
    tsr_load_layer(l, prefix, layout->norm2, 1, &d, &block->norm2_gamma, &block->norm2_beta);
    tsr_load_layer(l, prefix, layout->fc1, 2, (int64_t[]){inner, d}, &block->fc1, &block->fc1_bias);
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

static tsr_tensor *norm1(tsr_run *r, const tsr_vit_block *w, const tsr_tensor *x) {
    return tsr_layer_norm(
        r, x, &(tsr_norm_spec){.gamma = w->norm1_gamma, .beta = w->norm1_beta, .eps = w->eps});
}

enum { QUERY, KEY, VALUE };
/* Parts first .. last of what the block's attention takes of y, the output of norm1: [B, N, D]
 * each. */
static void project(tsr_run *r, const tsr_vit_block *w, const tsr_tensor *y, int first, int last,
                    tsr_tensor *out[3]) {
    const int64_t d = tsr_cols(y);
    if (w->qkv) y = tsr_linear(r, y, w->qkv, &(tsr_epilogue){.bias = w->qkv_bias}); /* [B, N, 3D] */
    for (int i = first; i <= last; ++i)
        out[i] = w->qkv ? tsr_slice_cols(r, y, i * d, d)
                        : tsr_linear(r, y, w->layer[i], &(tsr_epilogue){.bias = w->layer_bias[i]});
}

static tsr_tensor *run_mlp(tsr_run *r, const tsr_vit_block *w, const tsr_tensor *y,
                           const tsr_tensor *residual) {
    y = tsr_linear(r, y, w->fc1,
                   &(tsr_epilogue){.bias = w->fc1_bias, .act = w->gated ? TSR_ACT_NONE : w->act});
    if (w->gated) {
        const int64_t hidden = tsr_cols(y) / 2;
        const tsr_tensor *gate = tsr_unary(r, tsr_slice_cols(r, y, 0, hidden), w->act);
        y = tsr_binary(r, gate, tsr_slice_cols(r, y, hidden, hidden), TSR_BINARY_MUL);
    }
    return tsr_linear(r, y, w->fc2,
                      &(tsr_epilogue){.bias = w->fc2_bias,
                                      .gate = w->scale2 ? tsr_from_weight(r, w->scale2) : NULL,
                                      .residual = residual});
}

/* The block for rows first .. first + count - 1 of x, which see all of it. */
static tsr_tensor *run_rows(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                            const tsr_attention_spec *attention, int64_t first, int64_t count) {
    const tsr_scope scope = tsr_scope_open(r);
    tsr_tensor *part[3];

    project(r, w, norm1(r, w, x), QUERY, VALUE, part); /* [B, N, D] */
    if (count != x->dim[1]) {
        part[QUERY] = tsr_slice_rows(r, part[QUERY], first, count);
        x = tsr_slice_rows(r, x, first, count);
    }
    tsr_tensor *y = tsr_attention(r, part[QUERY], part[KEY], part[VALUE], attention);
    x = tsr_linear(r, y, w->proj,
                   &(tsr_epilogue){.bias = w->proj_bias,
                                   .gate = w->scale1 ? tsr_from_weight(r, w->scale1) : NULL,
                                   .residual = x}); /* [B, count, D] */

    const tsr_norm_spec norm2 = {.gamma = w->norm2_gamma, .beta = w->norm2_beta, .eps = w->eps};
    x = run_mlp(r, w, tsr_layer_norm(r, x, &norm2), x);
    return tsr_scope_close(r, scope, x);
}

tsr_tensor *tsr_vit_block_run(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                              const tsr_attention_spec *attention) {
    return run_rows(r, w, x, attention, 0, x->dim[1]);
}

tsr_tensor *tsr_vit_blocks_run(tsr_run *r, const tsr_vit_block *w, int depth, int heads,
                               tsr_tensor *x, int64_t first, int64_t count) {
    const tsr_attention_spec attention = {.heads = heads};
    for (int i = 0; i + 1 < depth; ++i)
        x = tsr_vit_block_run(r, &w[i], x, &attention);
    return run_rows(r, &w[depth - 1], x, &attention, first, count);
}

tsr_tensor *tsr_vit_block_keys(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x) {
    const tsr_scope scope = tsr_scope_open(r);
    tsr_tensor *part[3];
    project(r, w, norm1(r, w, x), KEY, KEY, part);
    return tsr_scope_close(r, scope, part[KEY]);
}

tsr_tensor *tsr_vit_block_attention(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x, int heads,
                                    int64_t queries) {
    const tsr_scope scope = tsr_scope_open(r);
    tsr_tensor *part[3];
    project(r, w, norm1(r, w, x), QUERY, KEY, part);
    tsr_tensor *q = queries == x->dim[1] ? part[QUERY] : tsr_slice_rows(r, part[QUERY], 0, queries);
    tsr_tensor *y = tsr_softmax(r, tsr_attention_scores(r, q, part[KEY], heads, 0));
    return tsr_scope_close(r, scope, y);
}
