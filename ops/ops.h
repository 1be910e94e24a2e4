/* SPDX-License-Identifier: MIT */
/* ops.h: the operations model functions are written with. Each lives in <op>.c: shape check, C
 * reference, fast cpu path, GPU dispatch. B is the batch, N rows (tokens), D channels. All
 * arithmetic is f32 with f32 accumulation; ties go to the lowest index. Every op returns a new
 * tensor owned by the run; on bad shapes the run fails with the op's name, wanted and got. */
#ifndef OPS_OPS_H
#define OPS_OPS_H

#include "../compute/activation.h"
#include "../compute/device.h"

/* ---- matrix products ------------------------------------------------------------------- */

/* What follows a product in one op: y = residual + gate * act(x w^T + bias). A struct of zeros does
 * nothing. */
typedef struct tsr_epilogue {
    tsr_weight *bias; /* [N] or NULL */
    tsr_activation act;
    const tsr_tensor *gate;     /* [N] or [B, N] (one row for each batch item), or NULL */
    int64_t gate_rows;          /* not 0: gate is [G, N]; each of its rows serves gate_rows
                                   consecutive rows of x, the last one all that remain */
    const tsr_tensor *residual; /* the output's shape, or NULL */
    bool exact; /* the product stays f32 with TSR_PRECISION_FAST: what it computes decides ids */
} tsr_epilogue;

/* Matrix product: x [..., K], w [N, K] -> x w^T [..., N]. epilogue may be NULL. */
tsr_tensor *tsr_linear(tsr_run *r, const tsr_tensor *x, tsr_weight *w,
                       const tsr_epilogue *epilogue);

/* Computes known products on a device with every form of one kind that its mask allows, for
 * tsr_device_settings.try_matrices. Errors: DEVICE when a value is wrong, those of tsr_execute. */
tsr_status tsr_try_matrices(tsr_device *device, tsr_matrix_trial trial);

/* Which columns (keys) a row (query) of attention sees. */
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
    /* q, k and v may be columns of longer rows, as of the joint product of a layer, which is then
     * given three times: `channels` (D) columns each, from q_at, k_at, v_at on. 0: D is the length
     * of their rows. */
    int64_t channels, q_at, k_at, v_at;
    /* Queries are rows first .. first + count - 1 of each batch item of q; masks count from the
     * first of them. count 0: all rows. */
    int64_t first, count;
} tsr_attention_spec;

/* Multi-head attention, softmax(scale q k^T + key_bias) v (Vaswani et al. 2017): q [B, Nq, D],
 * k [B, Nk, D], v [B, Nk, D] -> [B, Nq, D]. */
tsr_tensor *tsr_attention(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k, const tsr_tensor *v,
                          const tsr_attention_spec *spec);

/* Logits of multi-head attention, scale q k^T: q [B, Nq, D], k [B, Nk, D] -> [B, H, Nq, Nk].
 * tsr_softmax makes of them the probabilities that tsr_attention weighs values with and does not
 * store: for models whose attention is looked at. scale 0: 1/sqrt(head width). */
tsr_tensor *tsr_attention_scores(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k, int heads,
                                 float scale);

typedef enum tsr_metric { TSR_METRIC_EUCLID = 0, TSR_METRIC_COSINE } tsr_metric;

/* Nearest code of each row: x [N, D], codes [K, D] -> ids I32 [N]. *margin becomes F32 [N]: squared
 * distance of the second nearest code less that of the nearest (0 for K = 1); margin may be NULL.
 * COSINE l2-normalises rows and codes first. The N x K matrix is never stored. `squares`, K numbers
 * from tsr_code_squares, spare a GPU adding them up for every few rows; NULL: it does. The cpu
 * device has its own. */
tsr_tensor *tsr_nearest_code(tsr_run *r, const tsr_tensor *x, const tsr_tensor *codes,
                             const tsr_tensor *squares, tsr_metric metric, tsr_tensor **margin);
/* Sums of squares of K codes of D numbers: added in f64. */
void tsr_code_squares(const float *codes, int64_t k, int64_t d, float *squares);

/* ---- rows ------------------------------------------------------------------------------ */

/* Affine part of a layer norm: y = norm(x) * gamma + beta, then y * (1 + scale) + shift. */
typedef struct tsr_norm_spec {
    tsr_weight *gamma, *beta; /* [D] or NULL (1 and 0) */
    float eps;
    bool rms; /* the mean is not subtracted: root mean square norm (Zhang and Sennrich 2019) */
    const tsr_tensor *scale, *shift; /* [D] or [B, D]; NULL: 0 */
    int64_t group_rows; /* not 0: scale and shift are [G, D]; each of their rows serves group_rows
                           consecutive rows of x, the last one all that remain */
} tsr_norm_spec;
/* Layer norm over the last dimension (Ba et al. 2016): x [..., D] -> [..., D]. */
tsr_tensor *tsr_layer_norm(tsr_run *r, const tsr_tensor *x, const tsr_norm_spec *spec);
/* Softmax over the last dimension. */
tsr_tensor *tsr_softmax(tsr_run *r, const tsr_tensor *x);

typedef enum tsr_reduction {
    TSR_REDUCE_SUM = 0,
    TSR_REDUCE_MEAN,
    TSR_REDUCE_MAX,
    TSR_REDUCE_ARGMAX,
    TSR_REDUCE_SUMSQ
} tsr_reduction;
/* Reduces the last dimension: x [..., D] -> [..., 1], I32 for ARGMAX. NaN is the greatest value. */
tsr_tensor *tsr_reduce(tsr_run *r, const tsr_tensor *x, tsr_reduction kind);

/* ---- feature maps: [B, H, W, C], channels last ------------------------------------------- */

/* A picture [B, C, H, W] becomes a feature map by tsr_transpose of its reshape [B, C, H*W]; a
 * feature map is rows for the ops above, too: a reshape to [B, H*W, C] makes it attention's. */

#define TSR_CONV_MAX_KERNEL 16
/* Options of a convolution: y = residual + act(conv(x) + bias). A struct of zeros is none of them.
 */
typedef struct tsr_conv_spec {
    tsr_weight *bias;             /* [N] or NULL */
    int stride;                   /* of rows and columns, 1..16; 0: 1 */
    int top, left, bottom, right; /* rows and columns of zeros around the input, below the kernel */
    bool upsample;                /* convolve x with rows and columns doubled (nearest), unstored */
    tsr_activation act;
    const tsr_tensor *residual; /* the output's shape, or NULL */
    bool exact;                 /* as in tsr_epilogue */
} tsr_conv_spec;

/* 2-D convolution: x [B, H, W, C], w [N, C, kh, kw] (PyTorch's order, kernels up to 16 x 16)
 * -> [B, (H' - kh) / stride + 1, (W' - kw) / stride + 1, N], where H' = top + H + bottom (2H with
 * upsample), W' likewise. spec may be NULL: no bias, no padding, stride 1. */
tsr_tensor *tsr_conv2d(tsr_run *r, const tsr_tensor *x, tsr_weight *w, const tsr_conv_spec *spec);

/* Options of a depthwise convolution. */
typedef struct tsr_depthwise_spec {
    int stride;                   /* of rows and columns, 1..16; 0: 1 */
    int top, left, bottom, right; /* rows and columns of zeros around the input, below the kernel */
} tsr_depthwise_spec;
/* 2-D convolution of each channel by itself: x [B, H, W, C], kernel [kh, kw, C] up to 16 x 16, bias
 * [C] -> [B, (top + H + bottom - kh) / stride + 1, (left + W + right - kw) / stride + 1, C]. spec
 * may be NULL: no padding, stride 1. */
tsr_tensor *tsr_depthwise(tsr_run *r, const tsr_tensor *x, const tsr_tensor *kernel,
                          const tsr_tensor *bias, const tsr_depthwise_spec *spec);

/* Options of a group norm. */
typedef struct tsr_group_norm_spec {
    tsr_weight *gamma, *beta; /* [C] or NULL (1 and 0) */
    int groups;               /* divides C; 0 = 32 */
    float eps;
    tsr_activation act; /* applied to the result */
} tsr_group_norm_spec;

/* Group norm (Wu and He 2018) of x [B, ..., C]: mean and variance of each batch item over all
 * positions and C / groups channels, in two passes, so that a large mean costs no digits. */
tsr_tensor *tsr_group_norm(tsr_run *r, const tsr_tensor *x, const tsr_group_norm_spec *spec);

/* Numbers of bytes: x U8 [..., C] -> F32 of the same shape, x / 255 * scale + shift, each operation
 * rounded to f32 on every device. planes: x [B, H, W, C] -> [B, C, H, W]. */
tsr_tensor *tsr_from_bytes(tsr_run *r, const tsr_tensor *x, float scale, float shift, bool planes);
/* The same with the 256 numbers themselves, for what its authors round otherwise. */
tsr_tensor *tsr_from_bytes_by(tsr_run *r, const tsr_tensor *x, const float *table, bool planes);

/* Repeats every pixel 2 x 2 times: [B, H, W, C] -> [B, 2H, 2W, C]. Before a convolution use
 * tsr_conv_spec.upsample instead. */
tsr_tensor *tsr_double(tsr_run *r, const tsr_tensor *x);
/* Averages 2 x 2 pixels: [B, H, W, C] -> [B, H / 2, W / 2, C]; an odd last row or column is left
 * out. */
tsr_tensor *tsr_halve(tsr_run *r, const tsr_tensor *x);

/* What a window of tsr_pool2d becomes. Places outside of the map are in no window. */
typedef enum tsr_pool_kind {
    TSR_POOL2D_MAX = 0,
    TSR_POOL2D_MEAN,    /* of the values inside the map: padding is not counted */
    TSR_POOL2D_BINOMIAL /* sqrt(sum of f x^2 + 1e-12), f = [1 2 1] x [1 2 1] / 16: a 3 x 3 window;
                           the l2 pooling of Henaff and Simoncelli 2016 as DISTS has it */
} tsr_pool_kind;
typedef struct tsr_pool_spec {
    tsr_pool_kind kind;
    int size, stride;             /* of the square window, 1..128; stride 0: size */
    int top, left, bottom, right; /* places around the map, below size */
    bool ceil; /* a window may hang over the right and bottom edge by less than a stride */
} tsr_pool_spec;
/* Pools each channel over windows: x [B, H, W, C] -> [B, OH, OW, C]. Every window must have a place
 * inside the map. */
tsr_tensor *tsr_pool2d(tsr_run *r, const tsr_tensor *x, const tsr_pool_spec *spec);

/* Weighted squared distance of unit vectors over channels, of pairs of maps: x [2B, H, W, C], pair
 * i being maps a = i and b = B + i, weight of C elements -> [B, H, W], sum of w (a / (|a| + eps) -
 * b / (|b| + eps))^2 (LPIPS, Zhang et al. 2018). */
tsr_tensor *tsr_unit_distance(tsr_run *r, const tsr_tensor *x, tsr_weight *weight, float eps);

/* Moments of each channel over all places of pairs of maps: x [2B, ..., C], pair i being maps a = i
 * and b = B + i -> [B, 5, C]: the means of a and b, their variances and their covariance, divided
 * by the number of places; merged from those of 256 places at a time, so that a large mean costs no
 * digits. */
tsr_tensor *tsr_pair_moments(tsr_run *r, const tsr_tensor *x);

/* ---- clips: maps of frames one after the other, [B*T, H, W, C] ------------------------------ */

/* Which frames of a clip stand together. */
typedef struct tsr_frames_spec {
    int64_t frames; /* T of x */
    int64_t made;   /* T' of the result */
    int taps;       /* frames that stand together, 1..16; 0: 1 */
    int stride;     /* 1..16; 0: 1 */
    int front;      /* frames before the first; negative: frames left out */
    bool twice;     /* every frame of x counts twice */
    bool zeros;     /* frames before the first and behind the last are zeros; else those before are
                       copies of the first, and there are none behind */
} tsr_frames_spec;
/* Puts frames beside each other as a convolution over time reads them: x [B*T, H, W, C]
 * -> [B*T', H, W, C*taps], where channel c*taps + k of frame t is channel c of frame
 * t*stride + k - front. A kernel [N, C, kt, kh, kw] is then, without a move, one of [N, C*kt, kh,
 * kw] for tsr_conv2d. The last frame needed is one of x, or with zeros up to 16 behind. With one
 * tap: a clip with frames repeated, left out or put in front. */
tsr_tensor *tsr_unfold_frames(tsr_run *r, const tsr_tensor *x, const tsr_frames_spec *spec);

/* ---- pointwise ------------------------------------------------------------------------- */

/* y = act(x), element by element. */
tsr_tensor *tsr_unary(tsr_run *r, const tsr_tensor *x, tsr_activation act);
typedef enum tsr_binary_kind {
    TSR_BINARY_ADD = 0,
    TSR_BINARY_SUB,
    TSR_BINARY_MUL,
    TSR_BINARY_DIV,
    TSR_BINARY_MIN,
    TSR_BINARY_MAX,
    TSR_BINARY_PRELU /* a where it is above 0, else a * b (He et al. 2015) */
} tsr_binary_kind;
/* Combines a and b element by element. b has the shape of a, or a shape that a ends with: b is then
 * repeated over the leading dimensions of a. */
tsr_tensor *tsr_binary(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b, tsr_binary_kind kind);
/* y = x * multiply + add. */
tsr_tensor *tsr_scale(tsr_run *r, const tsr_tensor *x, float multiply, float add);

/* ---- movement -------------------------------------------------------------------------- */

/* Copies rows start .. start + count - 1: x [B, N, D] -> [B, count, D]. */
tsr_tensor *tsr_slice_rows(tsr_run *r, const tsr_tensor *x, int64_t start, int64_t count);
/* Copies columns start .. start + count - 1: x [..., D] -> [..., count]. */
tsr_tensor *tsr_slice_cols(tsr_run *r, const tsr_tensor *x, int64_t start, int64_t count);
/* Joins rows: a [B, Na, D], b [B, Nb, D] -> [B, Na + Nb, D]. One of them may be [N, D], which is
 * repeated for each batch item. */
tsr_tensor *tsr_concat_rows(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b);
/* Looks up rows: table [R, D], ids I32 [...] -> [..., D]. An id outside 0..R-1 fails the run on cpu
 * and is clamped on vulkan: check ids before. */
tsr_tensor *tsr_gather_rows(tsr_run *r, const tsr_tensor *table, const tsr_tensor *ids);
/* Picks columns: x [..., D], ids I32 [n] -> y [..., n] with y[..., j] = x[..., ids[j]]; id -1 gives
 * 0. */
tsr_tensor *tsr_gather_cols(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids);
/* Exchanges the last two dimensions. */
tsr_tensor *tsr_transpose(tsr_run *r, const tsr_tensor *x);
/* Cuts images into patches of p = `patch` pixels: x [B, C, H, W] -> [B, (H/p)*(W/p), C*p*p],
 * patches row by row, elements of a patch in the order (channel, y, x). */
tsr_tensor *tsr_patchify(tsr_run *r, const tsr_tensor *x, int patch);
/* Inverse of tsr_patchify: x [B, (height/p)*(width/p), channels*p*p] -> [B, channels, height,
 * width]. */
tsr_tensor *tsr_unpatchify(tsr_run *r, const tsr_tensor *x, int channels, int64_t height,
                           int64_t width, int patch);

/* ---- quantizers ------------------------------------------------------------------------ */

#define TSR_FSQ_MAX_LEVELS 16
/* Result of finite scalar quantization (Mentzer et al. 2023) over L channels. */
typedef struct tsr_fsq_result {
    tsr_tensor *bounded; /* [..., L] tanh-bounded, before rounding */
    tsr_tensor *codes;   /* [..., L] rounded, divided by level / 2 */
    tsr_tensor *ids;     /* I32 [...]; channel 0 is the lowest digit */
} tsr_fsq_result;
/* Bounds and rounds z [..., L]. L = level_count is 1..16, each level 2..1000. NaN gives digit 0. */
tsr_fsq_result tsr_fsq_encode(tsr_run *r, const tsr_tensor *z, const int *levels, int level_count);
/* Rounds values [..., L] that are bounded already; result.bounded is NULL. */
tsr_fsq_result tsr_fsq_round(tsr_run *r, const tsr_tensor *bounded, const int *levels,
                             int level_count);
/* Codes [..., L] of ids I32 [...]. */
tsr_tensor *tsr_fsq_decode(tsr_run *r, const tsr_tensor *ids, const int *levels, int level_count);

#define TSR_FSQ_MAX_ENDS 16
/* Slots of residual FSQ. Slot j of a class rounds number source[j] of a row to levels[j %
 * level_count] digits, or what slot previous[j] left of that number. The arrays are read during the
 * call; a recording keeps a copy. */
typedef struct tsr_fsq_slots {
    int classes, slots;
    const int *levels;       /* [level_count] each 2 .. width */
    int level_count;         /* 1..16 */
    const int32_t *source;   /* [classes, slots] column of x; -1: the slot rounds nothing */
    const int32_t *previous; /* [classes, slots] last slot before with this source, or -1 */
    const float *scale;      /* [classes, slots] factor of a number before it is bounded by tanh */
    const float *table;      /* [classes, slots, width] what each digit decodes to */
    int width;
} tsr_fsq_slots;
/* Digits of rows, each by its class: x [B, N], classes I32 of B elements -> I32 [B, slots]. *margin
 * becomes F32 [B, slots]: distance of the bounded value to the nearest rounding boundary. A slot
 * without a source has digit 0 and margin 0.5. A class outside 0..classes-1 fails the run on cpu
 * and is clamped on vulkan. */
tsr_tensor *tsr_fsq_slots_round(tsr_run *r, const tsr_tensor *x, const tsr_tensor *classes,
                                const tsr_fsq_slots *slots, tsr_tensor **margin);
/* Squared error that every class leaves: x [B, N], energy of B elements (squared length of all that
 * is to be coded) -> [B, classes, end_count], after the slots below each of ends [end_count], which
 * rise. end_count is 1..16. */
tsr_tensor *tsr_fsq_slots_errors(tsr_run *r, const tsr_tensor *x, const tsr_tensor *energy,
                                 const tsr_fsq_slots *slots, const int *ends, int end_count);

#define TSR_MAX_BEAM 32
/* Chains of codes of a residual quantizer, the best first. */
typedef struct tsr_beam {
    tsr_tensor *rest;   /* [B, K, D] what a chain leaves of the vector */
    tsr_tensor *score;  /* [B, K] half of the squared length that a chain has taken away; falling */
    tsr_tensor *choice; /* I32 [B, K] chain of the stage before * codes + code; NULL at the start */
} tsr_beam;
/* One stage of residual vector quantization with a beam. products [B, K, S]: rest . code - |code|^2
 * / 2 for the stage's codes [S, D]. Keeps the `width` (1..32) best of all K * S chains; ties go to
 * the lowest choice. */
tsr_beam tsr_beam_step(tsr_run *r, const tsr_beam *beam, const tsr_tensor *products,
                       const tsr_tensor *codes, int width);

/* Sums the rows of each id, for k-means: x [N, D], ids I32 [N] -> sums [K, D], *counts I32 [K].
 * Rows are added in an order that depends on N and K alone. An id of -1 is skipped. */
tsr_tensor *tsr_segment_sum(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids, int64_t k,
                            tsr_tensor **counts);

/* ---- choosing and grouping rows ---------------------------------------------------------- */

/* The order in which chosen places are listed. */
typedef enum tsr_order { TSR_ORDER_FALLING = 0, TSR_ORDER_ASCENDING } tsr_order;
/* Places of the k greatest of n numbers x, the lowest among equals; NaN is the greatest: I32 [k],
 * by falling number or by ascending place. *edge becomes F32 [2], the least number that was taken
 * and the greatest that was not (-infinity for k = n); NULL: not wanted. */
tsr_tensor *tsr_top_k(tsr_run *r, const tsr_tensor *x, int64_t k, tsr_order order,
                      tsr_tensor **edge);
/* Ids I32 in ascending order. */
tsr_tensor *tsr_sort_ids(tsr_run *r, const tsr_tensor *ids);

/* Means of groups of rows: x [N, D], map I32 [N] -> [count, D], the mean of the rows that map sends
 * to each group, -1 to none, weighted by weight [N] (not negative; NULL: equally). A group without
 * weight counts its rows equally, one without rows is zeros; the mean of one row is that row. */
tsr_tensor *tsr_group_mean(tsr_run *r, const tsr_tensor *x, const tsr_tensor *weight,
                           const tsr_tensor *map, int64_t count);
/* Means of lists of rows, which are known from shapes and may overlap: x [N, D] -> [count, D].
 * lists: count + 1 starts that rise from 0, then the rows of all lists. With weight [N] a row
 * weighs the softmax of weight / temperature inside its list. */
tsr_tensor *tsr_list_mean(tsr_run *r, const tsr_tensor *x, const tsr_tensor *weight,
                          float temperature, const int32_t *lists, int64_t count);

/* Squared distances of all pairs of rows: a [M, D], b [N, D] -> [M, N]. */
tsr_tensor *tsr_square_distances(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b);

/* Picks, one after the other. */
typedef struct tsr_picks {
    tsr_tensor *order;  /* I32 [k] what was picked */
    tsr_tensor *at;     /* F32 [k] the score it was picked with */
    tsr_tensor *margin; /* F32 [k] by how much that was above the next */
    tsr_tensor *score;  /* F32 [N] scores after the last pick; -infinity of what is picked */
} tsr_picks;
typedef enum tsr_farthest_rule {
    TSR_FARTHEST_MAXMIN =
        0,                /* score: distance to the nearest pick; at first to the nearest other */
    TSR_FARTHEST_KCENTRE, /* the same, but at first less the sum of distances to all */
    TSR_FARTHEST_MAXSUM   /* score: sum of distances to the picks; at first to all */
} tsr_farthest_rule;
/* Picks k rows of N with the greatest score, the lowest among equals, from distances [N, N].
 * first: the first pick; -1: the rule's. */
tsr_picks tsr_pick_farthest(tsr_run *r, const tsr_tensor *distance, tsr_farthest_rule rule,
                            int64_t first, int64_t k);
/* Greedy facility location: similar [N, M], not negative, how well each of N candidates stands for
 * each of M; k times the candidate that raises the sum of the greatest similarities most, the
 * lowest among equals. */
tsr_picks tsr_cover(tsr_run *r, const tsr_tensor *similar, int64_t k);

/* Where t tokens go in a step of bipartite soft matching (Bolya et al. 2023): order I32 [even]
 * lists the even tokens (token 2 i as i), of which the first `merged` go where their odd token odd
 * I32 [even] (token 2 j + 1 as j) is -> I32 [t]: even tokens that stay, in order, then odd ones. */
tsr_tensor *tsr_match_map(tsr_run *r, const tsr_tensor *order, const tsr_tensor *odd, int64_t t,
                          int64_t merged);

/* Density peaks of N rows of `dim` numbers from squared distances [N, N]; d = sqrt(square / dim).
 */
typedef struct tsr_peaks {
    tsr_tensor *density; /* [N] exp(-mean of the smallest d^2, the row's own among them) */
    tsr_tensor *delta; /* [N] d to the nearest denser row, of equal ones the lower is denser; of the
                          densest the largest d of all */
    tsr_tensor *score; /* [N] density * delta */
} tsr_peaks;
tsr_peaks tsr_density_peaks(tsr_run *r, const tsr_tensor *squares, int64_t dim, int64_t neighbours);
/* The nearest of some rows, from distances [N, N] and centres I32 [K] -> I32 [N]: places in
 * centres, the first of equal ones; a centre is its own. */
tsr_tensor *tsr_join_centres(tsr_run *r, const tsr_tensor *distance, const tsr_tensor *centres);

/* A tensor of these values, F32 or I32, which are read during the call and belong to the program:
 * whatever they depend on must be in its variant. */
tsr_tensor *tsr_constant(tsr_run *r, tsr_dtype dtype, int rank, const int64_t *dim,
                         const void *values);

/* ---- pictures -------------------------------------------------------------------------- */

typedef enum tsr_filter {
    TSR_FILTER_BILINEAR = 0,
    TSR_FILTER_BICUBIC,
    TSR_FILTER_LANCZOS
} tsr_filter;
/* Resizes a picture: x U8 [H, W, C] -> U8 [height, width, C], C 1..4. The result is that of
 * Pillow's antialiased resampling to the bit: 22-bit fixed-point weights, horizontal pass first,
 * each pass rounded to 8 bits. Pillow 13 does the vertical pass first when the height shrinks and
 * the width grows or shrinks much less; Pillow up to 12 and this op never do. */
tsr_tensor *tsr_resize(tsr_run *r, const tsr_tensor *x, int64_t height, int64_t width,
                       tsr_filter filter);

#endif
