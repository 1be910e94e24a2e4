/* SPDX-License-Identifier: MIT */
/* flextok_block.c: x += gate * attention(norm(x)), x += gate * mlp(norm(x)).
 *
 * Norms are layer norms of eps 1e-5 without weights, also the one over each head's channels of q
 * and k. The logits' scale is 8 / head width, which is 1 / sqrt only where the width is 64. */
#include "flextok_block.h"

static const float eps = 1e-5f;

tsr_status tsr_flextok_block_want(const tsr_wanted *wanted, const char *prefix,
                                  const tsr_flextok_block_spec *spec, tsr_flextok_block *b) {
    const int64_t d = spec->dim, h = spec->hidden;
    const struct {
        const char *part;
        int64_t dim[2];
        bool bias;
        tsr_weight **weight, **bias_where;
    } layers[] = {
        {"attn.wq", {d, d}, spec->qkv_bias, &b->wq, &b->wq_bias},
        {"attn.wk", {d, d}, spec->qkv_bias, &b->wk, &b->wk_bias},
        {"attn.wv", {d, d}, spec->qkv_bias, &b->wv, &b->wv_bias},
        {"attn.proj", {d, d}, spec->proj_bias, &b->proj, &b->proj_bias},
        {"mlp.fc1", {h, d}, spec->mlp_bias, &b->fc1, &b->fc1_bias},
        {"mlp.fc2", {d, h}, spec->mlp_bias, &b->fc2, &b->fc2_bias},
        {"mlp.fc3", {h, d}, spec->mlp_bias, &b->fc3, &b->fc3_bias},
        {"adaLN_modulation.1",
         {(int64_t)spec->groups * TSR_MODULATION_COUNT * d, d},
         true,
         &b->modulation,
         &b->modulation_bias},
    };
    const int count = sizeof layers / sizeof *layers;
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && !status; ++i) {
        if (layers[i].weight == &b->fc3 && !spec->gated_mlp) continue;
        if (layers[i].weight == &b->modulation && !spec->groups) continue;
        status = tsr_want_layer(wanted, prefix, layers[i].part, 2, layers[i].dim, layers[i].bias,
                                layers[i].weight, layers[i].bias_where);
    }
    return status;
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
    if (call->count) { /* from here on for the rows that are wanted */
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
