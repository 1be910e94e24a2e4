/* SPDX-License-Identifier: MIT */
/* give_scores.h: what operators share that give each token a number, or keep tokens by it. */
#ifndef REDUCE_GIVE_SCORES_H
#define REDUCE_GIVE_SCORES_H

#include "operator.h"

/* Keeps all tokens as they are and gives them the column "scores" [k], which is the trace "score",
 * too. */
void tsr_give_scores(tsr_operation *o, const float *score);
/* The column "scores" [k]. NULL after a failure. */
const float *tsr_read_scores(tsr_operation *o);
/* The column "ids" [k]. NULL after a failure. */
const int32_t *tsr_read_ids(tsr_operation *o);
/* A column of f32 rows [*rows, width] that belongs to the set and not to its tokens, such as "text"
 * or "codes". A width of 0 is any, and *width becomes it. NULL after a failure. */
const float *tsr_read_matrix(tsr_operation *o, const char *name, int64_t *rows, int64_t *width);

#endif
