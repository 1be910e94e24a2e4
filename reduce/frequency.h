/* SPDX-License-Identifier: MIT */
/* frequency.h: the matrix by which one axis of a grid is cut down to its low frequencies. */
#ifndef REDUCE_FREQUENCY_H
#define REDUCE_FREQUENCY_H

#include "operator.h"

/* [to, from]: gain * C_to^T C_from[0:to], where C_n is the orthonormal DCT-II of length n; float64
 * inside. NULL after a failure. */
float *tsr_low_pass_matrix(tsr_operation *o, int64_t to, int64_t from, double gain);

#endif
