/* SPDX-License-Identifier: MIT */
/* vit.h: the transformer block that ViT-like models share. */
#ifndef NN_VIT_H
#define NN_VIT_H

#include "../ops/ops.h"
#include "load_weights.h"

/* Weights of a block of width D whose MLP is H wide. */
typedef struct tsr_vit_block {
    tsr_weight *norm1_gamma, *norm1_beta; /* [D]; rms: no beta */
    tsr_weight *qkv, *qkv_bias;           /* [3D, D], [3D]; NULL: the three layers below */
    tsr_weight *layer[3], *layer_bias[3]; /* query, key, value: [D, D], [D] */
    tsr_weight *proj, *proj_bias;         /* [D, D], [D] */
    tsr_weight *norm2_gamma, *norm2_beta; /* [D]; rms: no beta */
    tsr_weight *fc1, *fc1_bias;           /* [H, D], [H]; gated: [2H, D], [2H] */
    tsr_weight *up, *up_bias;             /* gated by fc1: [H, D], [H]; or NULL */
    tsr_weight *fc2, *fc2_bias;           /* [D, H], [D] */
    tsr_weight *scale1, *scale2;          /* [D] factors of the branches' channels; NULL: none */
    float eps;                            /* of the norms */
    tsr_activation act;                   /* between fc1 and fc2; gated: of the gate */
    bool gated; /* fc1 gives gates, then values, unless `up` gives those: act(gate) * value */
    bool rms;   /* norms are root mean square norms */
} tsr_vit_block;

/* How a published model names the tensors of its blocks, and what its numbers are. A layer is a
 * name that ".weight" and ".bias" follow. */
typedef struct tsr_vit_layout {
    const char *norm1, *proj, *norm2, *fc1, *fc2; /* layers */
    const char *qkv_weight, *qkv_bias;            /* joined: whole names; or NULL and */
    const char *query, *key, *value;              /* three layers */
    const char *scale1, *scale2;                  /* layer scale: whole names; NULL: none */
    float eps;                                    /* of the norms */
    tsr_activation act;                           /* between fc1 and fc2 */
    bool gated;                                   /* SwiGLU */
    const char *up; /* gated: the layer of values; NULL: fc1 has them behind the gates */
    bool rms;       /* root mean square norms, without biases */
} tsr_vit_layout;
/* OpenCLIP's: ln_1.weight, attn.in_proj_weight, ...; eps 1e-5, exact GELU. */
extern const tsr_vit_layout tsr_layout_openclip;

/* Loads every tensor of a block of width D and an MLP of `hidden` channels, each name beginning
 * with `prefix`. */
void tsr_vit_block_load(tsr_weight_loader *loader, const tsr_vit_layout *layout, const char *prefix,
                        int64_t width, int64_t hidden, tsr_vit_block *block);
/* Counts OpenCLIP's blocks, whose names begin with <prefix>0., <prefix>1. and so on. Errors: MODEL
 * unless there are 1 to `most`. */
tsr_status tsr_vit_count(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                         const char *path, int most, int *depth);
/* How the rows of a block see each other. */
typedef struct tsr_vit_attention {
    tsr_attention_spec spec; /* heads and mask */
    /* Rotary positions (Su et al. 2021): queries and keys become q * cosines + q[swap] * sines.
     * NULL: none. */
    const tsr_tensor *cosines, *sines; /* [N, D] */
    const tsr_tensor *swap;            /* I32 [D] */
    /* Windows: rows see the rows of their own window alone. NULL: all rows. */
    const tsr_tensor *windows; /* I32 [W, L] row of [B N] at each place of each window */
    const tsr_tensor *empty;   /* [W, L] -INFINITY where a place holds no row of its window, or 0 */
    const tsr_tensor *places;  /* I32 [B N] place in [W L] of each row */
} tsr_vit_attention;
/* Runs a block: x [B, N, D] -> [B, N, D]. */
tsr_tensor *tsr_vit_block_attend(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                                 const tsr_vit_attention *attention);
/* Runs a block whose rows see each other by heads and mask alone: x [B, N, D] -> [B, N, D]. */
tsr_tensor *tsr_vit_block_run(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x,
                              const tsr_attention_spec *attention);
/* Runs `depth` blocks in a row without a mask: x [B, N, D] -> rows first .. first + count - 1 of
 * the result, [B, count, D]. The last block computes these rows alone. */
tsr_tensor *tsr_vit_blocks_run(tsr_run *r, const tsr_vit_block *w, int depth, int heads,
                               tsr_tensor *x, int64_t first, int64_t count);
/* Keys of a block before they are split into heads, bias included: x [B, N, D] -> [B, N, D]. The
 * block itself is not run. */
tsr_tensor *tsr_vit_block_keys(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x);
/* Probabilities of a block's attention without a mask, of the queries of the first `queries` rows:
 * x [B, N, D] -> [B, heads, queries, N]. The block itself is not run. */
tsr_tensor *tsr_vit_block_attention(tsr_run *r, const tsr_vit_block *w, tsr_tensor *x, int heads,
                                    int64_t queries);

#endif
