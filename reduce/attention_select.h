/* SPDX-License-Identifier: MIT */
/* attention_select.h: means over attention, for operators that select by it. */
#ifndef REDUCE_ATTENTION_SELECT_H
#define REDUCE_ATTENTION_SELECT_H

#include "operator.h"

/* Averages attention over everything but its last axis: score [keys] of data [rows, keys], summed
 * in float64 in the order of rows. */
void tsr_mean_over_rows(tsr_operation *o, const float *data, int64_t rows, int64_t keys,
                        double *score);
/* Attention that each token receives, [n]: the column is either one number for each token, or
 * attention among tokens [..., R, R], which is averaged over heads and over all rows, a class row
 * included. The failure names the column. */
const double *tsr_attention_received(tsr_operation *o, const char *column);

#endif
