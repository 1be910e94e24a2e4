/* SPDX-License-Identifier: MIT */
/* vit.h: the transformer block that ViT-like models share. */
#ifndef NN_VIT_H
#define NN_VIT_H

#include "../ops/ops.h"
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

enum { TSR_VIT_BLOCK_TENSORS = 12 };
/* How a published model names the tensors of its blocks, and what its numbers are. */
typedef struct tsr_vit_layout {
    /* norm1, qkv, proj, norm2, fc1, fc2: for each its weight, then its bias */
    const char *name[TSR_VIT_BLOCK_TENSORS];
    float eps;          /* of the norms */
    tsr_activation act; /* between fc1 and fc2 */
} tsr_vit_layout;
/* OpenCLIP's: ln_1.weight, attn.in_proj_weight, ...; eps 1e-5, exact GELU. */
extern const tsr_vit_layout tsr_layout_openclip;

/* Loads every tensor of a block of width D, each name beginning with `prefix`. */
void tsr_vit_block_load(tsr_weight_loader *loader, const tsr_vit_layout *layout, const char *prefix,
                        int64_t width, tsr_vit_block *block);
/* Counts OpenCLIP's blocks, whose names begin with <prefix>0., <prefix>1. and so on. Errors: MODEL
 * unless there are 1 to `most`. */
tsr_status tsr_vit_count(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                         const char *path, int most, int *depth);
/* Runs a block: x [B, N, D] -> [B, N, D]. `attention` gives heads and mask. */
tsr_tensor *tsr_vit_block_run(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                              const tsr_attention_spec *attention);
/* Runs `depth` blocks in a row without a mask: x [B, N, D] -> rows first .. first + count - 1 of
 * the result, [B, count, D]. The last block computes these rows alone. */
tsr_tensor *tsr_vit_blocks_run(tsr_run *r, const tsr_vit_block *w, int depth, int heads,
                               tsr_tensor *x, int64_t first, int64_t count);

#endif
