/* SPDX-License-Identifier: MIT */
/* sums.h: float64 sums over rows of f32 that decide between near equals. They are added in
 * lanes, so that vectors may be used and the order of additions depends on n alone. */
#ifndef COMPUTE_SUMS_H
#define COMPUTE_SUMS_H

#include <stdint.h>

/* a . b, and |a - b|^2. */
double tsr_dot(const float *a, const float *b, int64_t n);
double tsr_square_distance(const float *a, const float *b, int64_t n);
/* a . b in f32, three times as fast: a look before tsr_dot decides. Off by less than
 * TSR_DOT_F32_ERROR(n) |a| |b| where no product of elements leaves the normal range; twice what 64
 * lanes of fused or separate multiply-adds and their sum can be. */
float tsr_dot_f32(const float *a, const float *b, int64_t n);
#define TSR_DOT_F32_ERROR(n) (((double)(n) / 64 + 10) * 0x1p-23)

/* |a - b|^2 in f32: 0 for copies, and the same for b and a. */
float tsr_square_distance_f32(const float *a, const float *b, int64_t n);

#endif
