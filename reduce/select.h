/* SPDX-License-Identifier: MIT */
/* select.h: choosing tokens by score, for operators. */
#ifndef REDUCE_SELECT_H
#define REDUCE_SELECT_H

#include "operator.h"

/* Number of tokens to keep of n, from the parameters `k` (a number) or `ratio` (a share of n,
 * rounded half to even, at least 1), of which one must be given. Fails with ARGUMENT where k is
 * beyond n. */
int64_t tsr_select_count(tsr_operation *o, int64_t n);
/* The k tokens with the highest scores of n, the lowest index first among equals: index [k],
 * ascending. */
void tsr_select_top(tsr_operation *o, const float *score, int64_t n, int64_t k, int32_t *index);
/* Sorts indices upwards. */
void tsr_select_sort(int32_t *index, int64_t n);
/* The parameters that tsr_select_count reads, for the table of an operator. */
#define TSR_SELECT_PARAMETERS                                                                      \
    {"k", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "tokens to keep; or give ratio"}, {    \
        "ratio", TSR_PARAMETER_NUMBER, NULL, 0, 1, NULL, "share of the tokens to keep; or give k"  \
    }

#endif
