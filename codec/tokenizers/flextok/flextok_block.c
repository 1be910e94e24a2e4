/* SPDX-License-Identifier: MIT */
/* flextok_block.c: x += gate * attention(norm(x)), x += gate * mlp(norm(x)).
 *
 * Norms are layer norms of eps 1e-5 without weights, also the one over each head's channels of q
 * and k. The logits' scale is 8 / head width, which is 1 / sqrt only where the width is 64.
 *
 * Queries and keys are one product and one norm. Values are another: in fast precision attention
 * takes them as f16 from the product that makes them, while a norm reads f32. */
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

tsr_status tsr_flextok_block_join(tsr_context *ctx, tsr_weights *weights, tsr_flextok_block *b) {
    tsr_status status = tsr_join_weights(ctx, weights, b->wq, b->wk, &b->joined, &b->wqk);
    if (!status)
        status =
            tsr_join_weights(ctx, weights, b->wq_bias, b->wk_bias, &b->joined_bias, &b->wqk_bias);
    return status;
}

/* The norm of each head's channels: [B, N, 2D] seen as [B*N*2*heads, D/heads]. */
static tsr_tensor *norm_heads(tsr_run *r, tsr_tensor *qk, int heads) {
    const tsr_tensor whole = *qk;
    const int64_t n = 2 * (int64_t)heads;
    qk = tsr_reshape(r, qk, 2, (int64_t[]){tsr_rows(qk) * n, tsr_cols(qk) / n});
    qk = tsr_layer_norm(r, qk, &(tsr_norm_spec){.eps = eps});
    return tsr_reshape(r, qk, whole.rank, whole.dim);
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
    call->qk = project(r, y, w->wqk, w->wqk_bias);                        /* [B, N, 2D] */
    if (spec->qk_norm) call->qk = norm_heads(r, call->qk, spec->heads);
    const tsr_tensor *v = project(r, y, w->wv, w->wv_bias);
    /* From here on for the rows that are computed. */
    if (call->count) x = tsr_slice_rows(r, x, call->start, call->count);
    y = call->attend(r, call, call->qk, v);
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
