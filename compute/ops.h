/* SPDX-License-Identifier: MIT */
/* ops.h: the operations model functions are written with. Each lives in ops/<op>.c: shape check, C
 * reference, fast cpu path, GPU dispatch. B is the batch, N rows (tokens), D channels. All
 * arithmetic is f32 with f32 accumulation; ties go to the lowest index. Every op returns a new
 * tensor owned by the run; on bad shapes the run fails with the op's name, wanted and got. */
#ifndef COMPUTE_OPS_H
#define COMPUTE_OPS_H

#include "device.h"
#include "weights.h"

/* ---- matrix products ------------------------------------------------------------------- */

typedef enum tsr_activation { /* numbers are shared with the shaders */
                              TSR_ACT_NONE = 0,
                              TSR_ACT_GELU,      /* exact, with erf */
                              TSR_ACT_GELU_TANH, /* 0.5x(1+tanh(sqrt(2/pi)(x+0.044715x^3))) */
                              TSR_ACT_SILU,
                              TSR_ACT_RELU,
                              TSR_ACT_TANH,
                              TSR_ACT_SIGMOID
} tsr_activation;

typedef struct tsr_epilogue { /* y = residual + gate * act(x W^T + bias) */
    tsr_weight *bias;         /* [N] or NULL */
    tsr_activation act;
    const tsr_tensor *gate;     /* [N] or [B, N] (one row for each batch item), or NULL */
    int64_t gate_rows;          /* not 0: gate is [G, N], each row for this many rows of x one after
                                   the other, the last for all that remain */
    const tsr_tensor *residual; /* the output's shape, or NULL */
} tsr_epilogue;

/* x [..., K], w [N, K] -> [..., N]. epilogue may be NULL. */
tsr_tensor *tsr_linear(tsr_run *r, const tsr_tensor *x, tsr_weight *w,
                       const tsr_epilogue *epilogue);

typedef enum tsr_mask {
    TSR_MASK_NONE = 0,
    TSR_MASK_CAUSAL,     /* row i sees columns <= i (+ Nk - Nq) */
    TSR_MASK_CAUSAL_LAST /* the first `prefix` rows see columns < prefix; row i >= prefix sees
                            columns <= i: FlexTok's register mask */
} tsr_mask;

typedef struct tsr_attention_spec {
    int heads;   /* head h uses channels [h*D/heads, (h+1)*D/heads) */
    float scale; /* 0 = 1/sqrt(head width) */
    tsr_mask mask;
    int64_t prefix;             /* for CAUSAL_LAST */
    const tsr_tensor *key_bias; /* [B, Nk] added to the logits of each key, or NULL; -INFINITY
                                   drops a key. A row without any key gives 0. */
} tsr_attention_spec;

/* q [B, Nq, D], k [B, Nk, D], v [B, Nk, D] -> [B, Nq, D]. */
tsr_tensor *tsr_attention(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k, const tsr_tensor *v,
                          const tsr_attention_spec *spec);

typedef enum tsr_metric { TSR_METRIC_EUCLID = 0, TSR_METRIC_COSINE } tsr_metric;

/* Nearest code with the argmax fused: x [N, D], codes [K, D] -> ids I32 [N]; *margin (may be NULL)
 * gets F32 [N]: second best minus best squared distance (0 for K = 1). COSINE l2-normalises both
 * sides first. The N x K matrix is never stored. */
tsr_tensor *tsr_nearest_code(tsr_run *r, const tsr_tensor *x, const tsr_tensor *codes,
                             tsr_metric metric, tsr_tensor **margin);

/* ---- rows ------------------------------------------------------------------------------ */

typedef struct tsr_norm_spec {
    tsr_weight *gamma, *beta; /* [D] or NULL (1 and 0) */
    float eps;
    const tsr_tensor *scale, *shift; /* [D] or [B, D]: y = norm * (1 + scale) + shift; or NULL */
    int64_t group_rows; /* not 0: scale and shift are [G, D], each row for this many rows of x one
                           after the other, the last for all that remain */
} tsr_norm_spec;
tsr_tensor *tsr_layer_norm(tsr_run *r, const tsr_tensor *x, const tsr_norm_spec *spec);
tsr_tensor *tsr_softmax(tsr_run *r, const tsr_tensor *x); /* over the last dimension */

typedef enum tsr_reduction {
    TSR_REDUCE_SUM = 0,
    TSR_REDUCE_MEAN,
    TSR_REDUCE_MAX,
    TSR_REDUCE_ARGMAX,
    TSR_REDUCE_SUMSQ
} tsr_reduction;
/* Over the last dimension: [..., D] -> [..., 1]; ARGMAX gives I32. NaN counts as the greatest. */
tsr_tensor *tsr_reduce(tsr_run *r, const tsr_tensor *x, tsr_reduction kind);

/* ---- feature maps: [B, H, W, C], channels last ------------------------------------------- */

/* A picture [B, C, H, W] becomes a feature map by tsr_transpose of its reshape [B, C, H*W]; a
 * feature map is rows for the ops above, too: a reshape to [B, H*W, C] makes it attention's. */

#define TSR_CONV_MAX_KERNEL 16
typedef struct tsr_conv_spec {    /* y = residual + act(conv(x) + bias) */
    tsr_weight *bias;             /* [N] or NULL */
    int stride;                   /* 1 to 16, both ways; 0 = 1 */
    int top, left, bottom, right; /* rows and columns of zeros around the input, below the kernel */
    bool upsample;                /* the input is doubled both ways first (nearest), never stored */
    tsr_activation act;
    const tsr_tensor *residual; /* the output's shape, or NULL */
} tsr_conv_spec;

/* x [B, H, W, C], w [N, C, kh, kw] (as PyTorch stores it; kernels up to 16 x 16)
 * -> [B, (H' - kh) / stride + 1, (W' - kw) / stride + 1, N], where H' = top + H + bottom (2H with
 * upsample). spec NULL = no bias, no padding, stride 1. */
tsr_tensor *tsr_conv2d(tsr_run *r, const tsr_tensor *x, tsr_weight *w, const tsr_conv_spec *spec);

typedef struct tsr_group_norm_spec {
    tsr_weight *gamma, *beta; /* [C] or NULL (1 and 0) */
    int groups;               /* divides C; 0 = 32 */
    float eps;
    tsr_activation act; /* of the result */
} tsr_group_norm_spec;

/* x [B, ..., C]: mean and variance of each batch item over all positions and C / groups channels.
 * Two passes: no loss of digits where the mean is large. */
tsr_tensor *tsr_group_norm(tsr_run *r, const tsr_tensor *x, const tsr_group_norm_spec *spec);

/* Every pixel four times: [B, H, W, C] -> [B, 2H, 2W, C]. Before a convolution let that do it. */
tsr_tensor *tsr_double(tsr_run *r, const tsr_tensor *x);
/* The mean of 2 x 2 pixels: -> [B, H / 2, W / 2, C]; an odd last row or column is left out. */
tsr_tensor *tsr_halve(tsr_run *r, const tsr_tensor *x);

/* ---- pointwise ------------------------------------------------------------------------- */

tsr_tensor *tsr_unary(tsr_run *r, const tsr_tensor *x, tsr_activation act);
typedef enum tsr_binary_kind {
    TSR_BINARY_ADD = 0,
    TSR_BINARY_SUB,
    TSR_BINARY_MUL,
    TSR_BINARY_DIV,
    TSR_BINARY_MIN,
    TSR_BINARY_MAX
} tsr_binary_kind;
/* b has a's shape, or repeats over a's leading dimensions (b's elements divide a's, trailing
 * dimensions equal). */
tsr_tensor *tsr_binary(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b, tsr_binary_kind kind);
tsr_tensor *tsr_scale(tsr_run *r, const tsr_tensor *x, float multiply, float add);

/* ---- movement -------------------------------------------------------------------------- */

/* A weight as a tensor operand (positions, tables). */
tsr_tensor *tsr_from_weight(tsr_run *r, tsr_weight *w);
/* Same elements, another shape; no copy. */
tsr_tensor *tsr_reshape(tsr_run *r, const tsr_tensor *x, int rank, const int64_t *dim);
/* x [B, N, D] -> [B, count, D]; copies. */
tsr_tensor *tsr_slice_rows(tsr_run *r, const tsr_tensor *x, int64_t start, int64_t count);
/* x [..., D] -> [..., count]; copies. */
tsr_tensor *tsr_slice_cols(tsr_run *r, const tsr_tensor *x, int64_t start, int64_t count);
/* a [B, Na, D], b [B, Nb, D] or [Nb, D] (repeated for each batch item) -> [B, Na+Nb, D]. */
tsr_tensor *tsr_concat_rows(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b);
/* table [R, D], ids I32 [...] -> [..., D]. An id outside 0..R-1 fails the run on cpu and is
 * clamped on vulkan: check ids before. */
tsr_tensor *tsr_gather_rows(tsr_run *r, const tsr_tensor *table, const tsr_tensor *ids);
/* x [..., D], ids I32 [n] -> [..., n]: y[..., j] = x[..., ids[j]]; id -1 gives 0. */
tsr_tensor *tsr_gather_cols(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids);
/* Last two dimensions exchanged. */
tsr_tensor *tsr_transpose(tsr_run *r, const tsr_tensor *x);
/* image [B, C, H, W] -> [B, (H/p)*(W/p), C*p*p]: patches row by row, inside (channel, y, x). */
tsr_tensor *tsr_patchify(tsr_run *r, const tsr_tensor *x, int patch);
tsr_tensor *tsr_unpatchify(tsr_run *r, const tsr_tensor *x, int channels, int64_t height,
                           int64_t width, int patch);

/* ---- quantizers ------------------------------------------------------------------------ */

#define TSR_FSQ_MAX_LEVELS 16
/* z [..., L] -> bounded [..., L] (tanh-bounded, before rounding, Mentzer et al. 2023), ids I32
 * [...], codes [..., L] (rounded, divided by level/2). 1 to 16 levels of 2 to 1000; channel 0 is
 * the lowest digit of an id. NaN gives digit 0. */
typedef struct tsr_fsq_result {
    tsr_tensor *bounded, *codes, *ids;
} tsr_fsq_result;
tsr_fsq_result tsr_fsq_encode(tsr_run *r, const tsr_tensor *z, const int *levels, int level_count);
/* The second half alone: values that are bounded already -> codes and ids (bounded is NULL). */
tsr_fsq_result tsr_fsq_round(tsr_run *r, const tsr_tensor *bounded, const int *levels,
                             int level_count);
tsr_tensor *tsr_fsq_decode(tsr_run *r, const tsr_tensor *ids, const int *levels, int level_count);

/* Segmented sums for k-means, deterministic: x [N, D], ids I32 [N] -> sums [K, D]; *counts I32 [K].
 * Rows are added in an order that depends on N and K alone. An id of -1 is skipped. */
tsr_tensor *tsr_segment_sum(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids, int64_t k,
                            tsr_tensor **counts);

/* ---- pictures -------------------------------------------------------------------------- */

typedef enum tsr_filter {
    TSR_FILTER_BILINEAR = 0,
    TSR_FILTER_BICUBIC,
    TSR_FILTER_LANCZOS
} tsr_filter;
/* U8 [H, W, C] -> U8 [height, width, C], C 1..4: Pillow's antialiased resampling to the bit
 * (22-bit fixed-point weights, horizontal pass first, each pass rounded to 8 bits). Pillow 13 turns
 * the passes round when the height shrinks and the width grows or shrinks much less; up to 12, and
 * here, horizontal is always first. */
tsr_tensor *tsr_resize(tsr_run *r, const tsr_tensor *x, int64_t height, int64_t width,
                       tsr_filter filter);

#endif
