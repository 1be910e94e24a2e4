/* SPDX-License-Identifier: MIT */
/* vit.h: the transformer block that ViT-like models share. */
#ifndef NN_VIT_H
#define NN_VIT_H

#include "../compute/ops.h"
#include "load_weights.h"

typedef struct tsr_vit_block {
    tsr_weight *norm1_gamma, *norm1_beta; /* [D] */
    tsr_weight *qkv, *qkv_bias;           /* [3D, D], [3D] */
    tsr_weight *proj, *proj_bias;         /* [D, D], [D] */
    tsr_weight *norm2_gamma, *norm2_beta; /* [D] */
    tsr_weight *fc1, *fc1_bias;           /* [4D, D], [4D] */
    tsr_weight *fc2, *fc2_bias;           /* [D, 4D], [D] */
    float eps;                            /* of the norms */
    tsr_activation act;                   /* between fc1 and fc2 */
} tsr_vit_block;

/* Finds <prefix>norm1.weight, <prefix>qkv.weight, ... for width D: eps 1e-6, GELU in its tanh form.
 * Errors: MODEL. */
tsr_status tsr_vit_block_load(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                              int64_t width, tsr_vit_block *block);
/* The block as OpenCLIP writes it: names <prefix>ln_1.weight, <prefix>attn.in_proj_weight, ...; eps
 * 1e-5, exact GELU. */
tsr_status tsr_vit_block_want(const tsr_wanted *wanted, const char *prefix, int64_t width,
                              tsr_vit_block *block);
/* How many such blocks there are, <prefix>0. and so on. MODEL unless it is 1 to `most`. */
tsr_status tsr_vit_count(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                         const char *path, int most, int *depth);
/* x [B, N, D] -> [B, N, D]. `attention` gives heads and mask. */
tsr_tensor *tsr_vit_block_run(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                              const tsr_attention_spec *attention);
/* `depth` blocks in a row without a mask, and of their result rows first .. first + count - 1
 * [B, count, D]: the last block makes no others, which changes nothing in these. */
tsr_tensor *tsr_vit_blocks_run(tsr_run *r, const tsr_vit_block *w, int depth, int heads,
                               tsr_tensor *x, int64_t first, int64_t count);

#endif
