/* SPDX-License-Identifier: MIT */
/* diversity.h: tokens far from each other, for operators. */
#ifndef REDUCE_DIVERSITY_H
#define REDUCE_DIVERSITY_H

#include "operator.h"

/* Picks k tokens of o->in whose features are far from each other, by 1 - cosine: first the one
 * whose nearest other token is farthest, then each the farthest from all before it, the lowest
 * index among equals. order [k]: the tokens as they were picked; distance [k] at which each was
 * picked. */
void tsr_maxmin_picks(tsr_operation *o, int64_t k, int32_t *order, float *distance);

#endif
