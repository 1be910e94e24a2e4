/* SPDX-License-Identifier: MIT */
/* sums.c: float64 sums in eight lanes. */
#include "sums.h"
#include "cpu/simd.h"

enum { LANES = 8 };

TSR_CLONES double tsr_dot(const float *a, const float *b, int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; ++l)
            lane[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < n; ++i)
        lane[0] += (double)a[i] * (double)b[i];
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

TSR_CLONES double tsr_square_distance(const float *a, const float *b, int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; ++l) {
            const double d = (double)a[i + l] - (double)b[i + l];
            lane[l] += d * d;
        }
    for (; i < n; ++i)
        lane[0] += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}
