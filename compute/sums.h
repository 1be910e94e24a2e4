/* SPDX-License-Identifier: MIT */
/* sums.h: float64 sums over rows of f32 that decide between near equals. They are added in
 * lanes, so that vectors may be used and the order of additions depends on n alone. */
#ifndef COMPUTE_SUMS_H
#define COMPUTE_SUMS_H

#include <stdint.h>

/* a . b, and |a - b|^2. */
double tsr_dot(const float *a, const float *b, int64_t n);
double tsr_square_distance(const float *a, const float *b, int64_t n);

#endif
