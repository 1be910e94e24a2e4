/* SPDX-License-Identifier: MIT */
/* bipartite.h: bipartite soft matching (ToMe), for operators. */
#ifndef REDUCE_BIPARTITE_H
#define REDUCE_BIPARTITE_H

#include "operator.h"

/* What is asked of a matching. */
typedef struct tsr_matching {
    int64_t r;          /* pairs to merge; fewer where there are not so many */
    bool class_token;   /* token 0 never merges, and the tokens that stay keep their order */
    bool distill_token; /* token 1 is no target, and comes second in the result */
    bool whole_half;    /* r may be as large as the half of even tokens, of which an odd t has one
                           more; else at most floor((t - protected) / 2) */
} tsr_matching;

/* What was matched. Arrays live until the end of the operation. */
typedef struct tsr_match {
    int64_t rows;     /* tokens that remain: t - merged */
    int32_t *map;     /* [t] remaining token that each token becomes, or becomes part of */
    int64_t merged;   /* pairs */
    int32_t *from;    /* [merged] tokens that merge, the most similar pair first */
    int32_t *into;    /* [merged] tokens that they merge into */
    int64_t unmerged; /* even tokens that do not merge */
    int32_t *kept;    /* [unmerged] these, in the order of the result */
} tsr_match;

/* Matches even tokens with odd ones: each even token takes the odd one with the largest cosine of
 * metric [t, dim], the lowest of equal ones, and the r most similar pairs merge, the lowest even
 * token first among equals. The result has the even tokens that remain, by falling similarity, then
 * the odd ones. Without pairs the order stays. Cosines are those of best_match.h; no t x t matrix
 * is made. */
tsr_match tsr_bipartite_match(tsr_operation *o, const float *metric, int64_t t, int64_t dim,
                              tsr_matching wanted);

/* Merges tokens x [t, dim] of these sizes to `target` in steps of tsr_halving_step, with their
 * features as the metric: map [t], and the features of the `target` tokens as the answer, until the
 * end of the operation. With `forget` every step averages as if all tokens had the size 1, and
 * the last step may merge the whole half of even tokens, as B-VLLM and QuoTA do. levels (may be
 * NULL) gets the number of tokens before the first step and after each, *level_count of them, at
 * most 64. */
const float *tsr_bipartite_halve(tsr_operation *o, const float *x, const float *sizes, int64_t t,
                                 int64_t dim, int64_t target, bool forget, int32_t *map,
                                 int32_t *levels, int *level_count);

#endif
