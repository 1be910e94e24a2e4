/* SPDX-License-Identifier: MIT */
/* flextok_block.h: the transformer block of FlexTok and its relatives: affine-free norms, normed
 * queries and keys, a gated MLP, and modulation by a time embedding (adaLN) where there is one. */
#ifndef CODEC_FLEXTOK_BLOCK_H
#define CODEC_FLEXTOK_BLOCK_H

#include "../../../ops/ops.h"
#include "../../../nn/join_weights.h"
#include "../../../nn/load_weights.h"

typedef struct tsr_flextok_block_spec { /* what all blocks of a trunk share */
    int64_t dim, hidden;                /* D, H */
    int depth, heads;
    bool qkv_bias, proj_bias, mlp_bias;
    bool gated_mlp; /* fc2(silu(fc1 x) * fc3 x) instead of fc2(silu(fc1 x)) */
    bool qk_norm;
    int groups; /* of rows with a modulation of their own; 0: no modulation */
} tsr_flextok_block_spec;

typedef struct tsr_flextok_block {
    tsr_weight *wq, *wk, *wv, *wq_bias, *wk_bias, *wv_bias; /* [D, D], [D] */
    tsr_weight *proj, *proj_bias;                           /* [D, D], [D] */
    tsr_weight *fc1, *fc3, *fc1_bias, *fc3_bias;            /* [H, D], [H] */
    tsr_weight *fc2, *fc2_bias;                             /* [D, H], [D] */
    tsr_weight *modulation, *modulation_bias;               /* [groups*6*D, D], [groups*6*D] */
    tsr_weight *wqk, *wqk_bias;                             /* [2D, D], [2D]: wq, then wk */
    tsr_joined joined, joined_bias;                         /* what those are made of */
} tsr_flextok_block;

/* Loads every tensor of a block: <prefix>attn.wq.weight, ... */
void tsr_flextok_block_load(tsr_weight_loader *loader, const char *prefix,
                            const tsr_flextok_block_spec *spec, tsr_flextok_block *block);
/* Joins what is run as one product: once, after loading, with a block that is not moved any more
 * and outlives `weights`. Errors: ARGUMENT, MEMORY. */
tsr_status tsr_flextok_block_join(tsr_context *ctx, tsr_weights *weights, tsr_flextok_block *block);

/* Parts of a modulation vector, in the order of the file. */
enum {
    TSR_MODULATION_GATE_ATTN,
    TSR_MODULATION_GATE_MLP,
    TSR_MODULATION_SHIFT_ATTN,
    TSR_MODULATION_SCALE_ATTN,
    TSR_MODULATION_SHIFT_MLP,
    TSR_MODULATION_SCALE_MLP,
    TSR_MODULATION_COUNT
};

/* One call of a block. */
typedef struct tsr_flextok_block_call {
    /* Computes softmax attention of the queries that are wanted (start, count) over keys and
     * values; the caller's. qk [B, N, 2D]: of each row its query, then its key; v [B, N, D]. */
    tsr_tensor *(*attend)(tsr_run *r, const struct tsr_flextok_block_call *call,
                          const tsr_tensor *qk, const tsr_tensor *v);
    const void *user;
    const tsr_tensor *part[TSR_MODULATION_COUNT]; /* [groups, D] each, or all NULL. Default: NULL */
    int64_t group_rows; /* rows of x in the first group; used with modulation. Default: 0 */
    /* Rows start .. start + count - 1 of each batch item are computed; count 0: every row. Queries,
     * keys and values are made from every row. Default: 0, 0 */
    int64_t start, count;
    tsr_tensor *qk; /* filled by the call: queries and keys after their norm, [B, N, 2D] */
} tsr_flextok_block_call;

/* Runs a block: x [B, N, D] -> [B, N or count, D]. Activations stay until the run ends, or until a
 * scope ends that the caller opened. */
tsr_tensor *tsr_flextok_block_run(tsr_run *r, const tsr_flextok_block *w,
                                  const tsr_flextok_block_spec *spec, tsr_tensor *x,
                                  tsr_flextok_block_call *call);

#endif
