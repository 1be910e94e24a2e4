/* SPDX-License-Identifier: MIT */
/* vit.c: pre-norm transformer block (Dosovitskiy et al. 2021): attention, then a GELU MLP four
 * times as wide, biases everywhere. */
#include "vit.h"

#include <stdio.h>

const tsr_vit_layout tsr_layout_openclip = {
    .name = {"ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias",
             "attn.out_proj.weight", "attn.out_proj.bias", "ln_2.weight", "ln_2.bias",
             "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"},
    .eps = 1e-5f,
    .act = TSR_ACT_GELU};

void tsr_vit_block_load(tsr_weight_loader *loader, const tsr_vit_layout *layout, const char *prefix,
                        int64_t width, tsr_vit_block *block) {
    const int64_t d = width;
    const struct {
        int rank;
        int64_t dim[2];
        tsr_weight **where;
    } tensors[TSR_VIT_BLOCK_TENSORS] = {
        {1, {d}, &block->norm1_gamma},  {1, {d}, &block->norm1_beta}, {2, {3 * d, d}, &block->qkv},
        {1, {3 * d}, &block->qkv_bias}, {2, {d, d}, &block->proj},    {1, {d}, &block->proj_bias},
        {1, {d}, &block->norm2_gamma},  {1, {d}, &block->norm2_beta}, {2, {4 * d, d}, &block->fc1},
        {1, {4 * d}, &block->fc1_bias}, {2, {d, 4 * d}, &block->fc2}, {1, {d}, &block->fc2_bias},
    };
    block->eps = layout->eps;
    block->act = layout->act;
    for (int i = 0; i < TSR_VIT_BLOCK_TENSORS; ++i)
        tsr_load_weight(loader, prefix, layout->name[i], tensors[i].rank, tensors[i].dim,
                        tensors[i].where);
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

/* The block for rows first .. first + count - 1 of x, which see all of it. */
static tsr_tensor *run_rows(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                            const tsr_attention_spec *attention, int64_t first, int64_t count) {
    const int64_t d = tsr_cols(x);
    const tsr_scope scope = tsr_scope_open(r);

    tsr_norm_spec norm = {.gamma = w->norm1_gamma, .beta = w->norm1_beta, .eps = w->eps};
    tsr_tensor *y = tsr_layer_norm(r, x, &norm);                        /* [B, N, D] */
    y = tsr_linear(r, y, w->qkv, &(tsr_epilogue){.bias = w->qkv_bias}); /* [B, N, 3D] */
    tsr_tensor *q = tsr_slice_cols(r, y, 0, d);
    tsr_tensor *k = tsr_slice_cols(r, y, d, d);
    tsr_tensor *v = tsr_slice_cols(r, y, 2 * d, d);
    if (count != x->dim[1]) {
        q = tsr_slice_rows(r, q, first, count);
        x = tsr_slice_rows(r, x, first, count);
    }
    y = tsr_attention(r, q, k, v, attention); /* [B, count, D] */
    x = tsr_linear(r, y, w->proj, &(tsr_epilogue){.bias = w->proj_bias, .residual = x});

    norm = (tsr_norm_spec){.gamma = w->norm2_gamma, .beta = w->norm2_beta, .eps = w->eps};
    y = tsr_layer_norm(r, x, &norm);
    y = tsr_linear(r, y, w->fc1, &(tsr_epilogue){.bias = w->fc1_bias, .act = w->act});
    x = tsr_linear(r, y, w->fc2, &(tsr_epilogue){.bias = w->fc2_bias, .residual = x});
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
