/* SPDX-License-Identifier: MIT */
/* vit.c: pre-norm transformer block (Dosovitskiy et al. 2021): attention, then a GELU MLP four
 * times as wide. LayerNorm eps 1e-6, GELU in its tanh form, biases everywhere. */
#include "vit.h"

#include <stdio.h>

tsr_status tsr_vit_block_load(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                              int64_t width, tsr_vit_block *block) {
    const int64_t d = width;
    const struct {
        const char *name;
        int rank;
        int64_t dim[2];
        tsr_weight **where;
    } wanted[] = {
        {"norm1.weight", 1, {d}, &block->norm1_gamma}, {"norm1.bias", 1, {d}, &block->norm1_beta},
        {"qkv.weight", 2, {3 * d, d}, &block->qkv},    {"qkv.bias", 1, {3 * d}, &block->qkv_bias},
        {"proj.weight", 2, {d, d}, &block->proj},      {"proj.bias", 1, {d}, &block->proj_bias},
        {"norm2.weight", 1, {d}, &block->norm2_gamma}, {"norm2.bias", 1, {d}, &block->norm2_beta},
        {"fc1.weight", 2, {4 * d, d}, &block->fc1},    {"fc1.bias", 1, {4 * d}, &block->fc1_bias},
        {"fc2.weight", 2, {d, 4 * d}, &block->fc2},    {"fc2.bias", 1, {d}, &block->fc2_bias},
    };
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", prefix, wanted[i].name);
        tsr_status status =
            tsr_weights_get(ctx, weights, name, wanted[i].rank, wanted[i].dim, wanted[i].where);
        if (status) return status;
    }
    block->eps = 1e-6f;
    block->act = TSR_ACT_GELU_TANH;
    return TSR_OK;
}

tsr_status tsr_vit_block_want(const tsr_wanted *wanted, const char *prefix, int64_t width,
                              tsr_vit_block *block) {
    const int64_t d = width;
    const struct {
        const char *name;
        int rank;
        int64_t dim[2];
        tsr_weight **where;
    } list[] = {
        {"ln_1.weight", 1, {d}, &block->norm1_gamma},
        {"ln_1.bias", 1, {d}, &block->norm1_beta},
        {"attn.in_proj_weight", 2, {3 * d, d}, &block->qkv},
        {"attn.in_proj_bias", 1, {3 * d}, &block->qkv_bias},
        {"attn.out_proj.weight", 2, {d, d}, &block->proj},
        {"attn.out_proj.bias", 1, {d}, &block->proj_bias},
        {"ln_2.weight", 1, {d}, &block->norm2_gamma},
        {"ln_2.bias", 1, {d}, &block->norm2_beta},
        {"mlp.c_fc.weight", 2, {4 * d, d}, &block->fc1},
        {"mlp.c_fc.bias", 1, {4 * d}, &block->fc1_bias},
        {"mlp.c_proj.weight", 2, {d, 4 * d}, &block->fc2},
        {"mlp.c_proj.bias", 1, {d}, &block->fc2_bias},
    };
    block->eps = 1e-5f;
    block->act = TSR_ACT_GELU;
    tsr_status status = TSR_OK;
    for (unsigned i = 0; i < sizeof list / sizeof *list && !status; ++i)
        status = tsr_want(wanted, prefix, list[i].name, list[i].rank, list[i].dim, list[i].where);
    return status;
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
