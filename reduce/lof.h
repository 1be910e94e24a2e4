/* SPDX-License-Identifier: MIT */
/* lof.h: local outlier factors of numbers, for operators that let a score itself say how many
 * tokens stand out (Recoverable Compression). */
#ifndef REDUCE_LOF_H
#define REDUCE_LOF_H

#include "operator.h"

/* Computes the local outlier factor of each of n numbers, lof [n], from their `neighbours` nearest
 * others, at most n - 1 of them, as scikit-learn's LocalOutlierFactor does:
 *
 *     kd_i   = distance to the farthest neighbour
 *     lrd_i  = 1 / (mean over neighbours j of max(|x_i - x_j|, kd_j) + 1e-10)
 *     lof_i  = (mean over neighbours of lrd_j) / lrd_i
 *
 * Of numbers at one distance the lowest index is the neighbour. A number that has no other, n = 1,
 * has the factor 1. Everything is float64. Cost: n log n + n * neighbours, in time and memory. */
void tsr_lof(tsr_operation *o, const float *x, int64_t n, int64_t neighbours, double *lof);
/* Number of outliers: factors above 1.5. Low numbers count as well as high ones. */
int64_t tsr_lof_outliers(const double *lof, int64_t n);

#endif
