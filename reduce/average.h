/* SPDX-License-Identifier: MIT */
/* average.h: means of the members of groups of rows. */
#ifndef REDUCE_AVERAGE_H
#define REDUCE_AVERAGE_H

#include "operator.h"

/* Averages rows x [n, width] by group: to [groups, width] is the mean of the rows i with map[i] =
 * group, weighted by weight [n] (not negative; NULL: equally); -1 is no group. Members without any
 * weight count equally, a group without members gets zeros. Sums are float64 in the order of rows;
 * the mean of one row is that row. */
void tsr_average(tsr_operation *o, const float *x, int64_t n, int64_t width, const float *weight,
                 const int32_t *map, int64_t groups, float *to);

#endif
