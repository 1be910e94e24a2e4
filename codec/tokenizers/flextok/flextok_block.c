/* SPDX-License-Identifier: MIT */
/* flextok_block.c: x += gate * attention(norm(x)), x += gate * mlp(norm(x)).
 *
 * Norms are layer norms of eps 1e-5 without weights, also the one over each head's channels of q
 * and k. The logits' scale is 8 / head width, which is 1 / sqrt only where the width is 64. */
#include "flextok_block.h"

static const float eps = 1e-5f;

void tsr_flextok_block_load(tsr_weight_loader *l, const char *prefix,
                            const tsr_flextok_block_spec *spec, tsr_flextok_block *b) {
    const int64_t d = spec->dim, square[2] = {d, d}, up[2] = {spec->hidden, d},
                  down[2] = {d, spec->hidden};
    const int64_t modulation[2] = {(int64_t)spec->groups * TSR_MODULATION_COUNT * d, d};
    const bool qkv = spec->qkv_bias, mlp = spec->mlp_bias;
    tsr_load_layer(l, prefix, "attn.wq", 2, square, &b->wq, qkv ? &b->wq_bias : NULL);
    tsr_load_layer(l, prefix, "attn.wk", 2, square, &b->wk, qkv ? &b->wk_bias : NULL);
    tsr_load_layer(l, prefix, "attn.wv", 2, square, &b->wv, qkv ? &b->wv_bias : NULL);
    tsr_load_layer(l, prefix, "attn.proj", 2, square, &b->proj,
                   spec->proj_bias ? &b->proj_bias : NULL);
    tsr_load_layer(l, prefix, "mlp.fc1", 2, up, &b->fc1, mlp ? &b->fc1_bias : NULL);
    tsr_load_layer(l, prefix, "mlp.fc2", 2, down, &b->fc2, mlp ? &b->fc2_bias : NULL);
    if (spec->gated_mlp)
        tsr_load_layer(l, prefix, "mlp.fc3", 2, up, &b->fc3, mlp ? &b->fc3_bias : NULL);
    if (spec->groups)
        tsr_load_layer(l, prefix, "adaLN_modulation.1", 2, modulation, &b->modulation,
                       &b->modulation_bias);
}

/* The norm of each head's channels: [B, N, D] seen as [B*N*heads, D/heads]. */
static tsr_tensor *norm_heads(tsr_run *r, tsr_tensor *x, int heads) {
    const tsr_tensor whole = *x;
    x = tsr_reshape(r, x, 2, (int64_t[]){tsr_rows(x) * heads, tsr_cols(x) / heads});
    x = tsr_layer_norm(r, x, &(tsr_norm_spec){.eps = eps});
    return tsr_reshape(r, x, whole.rank, whole.dim);
}

static tsr_tensor *project(tsr_run *r, const tsr_tensor *x, tsr_weight *w, tsr_weight *bias) {
    return tsr_linear(r, x, w, &(tsr_epilogue){.bias = bias});
}

tsr_tensor *tsr_flextok_block_run(tsr_run *r, const tsr_flextok_block *w,
                                  const tsr_flextok_block_spec *spec, tsr_tensor *x,
                                  tsr_flextok_block_call *call) {
    const tsr_tensor *const *part = call->part;
    const int64_t rows = call->group_rows;

    tsr_tensor *y = tsr_layer_norm(r, x,
                                   &(tsr_norm_spec){.eps = eps,
                                                    .scale = part[TSR_MODULATION_SCALE_ATTN],
                                                    .shift = part[TSR_MODULATION_SHIFT_ATTN],
                                                    .group_rows = rows}); /* [B, N, D] */
    tsr_tensor *k = project(r, y, w->wk, w->wk_bias);
    tsr_tensor *v = project(r, y, w->wv, w->wv_bias);
    if (call->count) { /* from here on for the rows that are computed */
        y = tsr_slice_rows(r, y, call->start, call->count);
        x = tsr_slice_rows(r, x, call->start, call->count);
    }
    tsr_tensor *q = project(r, y, w->wq, w->wq_bias);
    if (spec->qk_norm) {
        q = norm_heads(r, q, spec->heads);
        k = norm_heads(r, k, spec->heads);
    }
    call->q = q;
    call->k = k;
    y = call->attend(r, call, q, k, v);
    x = tsr_linear(r, y, w->proj,
                   &(tsr_epilogue){.bias = w->proj_bias,
                                   .gate = part[TSR_MODULATION_GATE_ATTN],
                                   .gate_rows = rows,
                                   .residual = x});

    y = tsr_layer_norm(r, x,
                       &(tsr_norm_spec){.eps = eps,
                                        .scale = part[TSR_MODULATION_SCALE_MLP],
                                        .shift = part[TSR_MODULATION_SHIFT_MLP],
                                        .group_rows = rows});
    tsr_tensor *h =
        tsr_linear(r, y, w->fc1, &(tsr_epilogue){.bias = w->fc1_bias, .act = TSR_ACT_SILU});
    if (spec->gated_mlp) /* [B, N, H] times the other half, in its epilogue */
        h = tsr_linear(r, y, w->fc3,
                       &(tsr_epilogue){.bias = w->fc3_bias, .gate = h, .gate_rows = 1});
    return tsr_linear(r, h, w->fc2,
                      &(tsr_epilogue){.bias = w->fc2_bias,
                                      .gate = part[TSR_MODULATION_GATE_MLP],
                                      .gate_rows = rows,
                                      .residual = x});
}
