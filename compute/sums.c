/* SPDX-License-Identifier: MIT */
/* sums.c: float64 sums in lanes: four vectors of the widest kind, so that no addition waits for the
 * one before it. */
#include "sums.h"
#include "cpu/simd.h"

enum { LANES = 32, SINGLES = 64 };

/* Sum of the lanes, halves onto halves. */
static inline double fold(double *lane) {
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; ++l)
            lane[l] += lane[l + half];
    return lane[0];
}

TSR_CLONES double tsr_dot(const float *a, const float *b, int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; ++l)
            lane[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < n; ++i)
        lane[i % LANES] += (double)a[i] * (double)b[i];
    return fold(lane);
}

TSR_CLONES double tsr_square_distance(const float *a, const float *b, int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; ++l) {
            const double d = (double)a[i + l] - (double)b[i + l];
            lane[l] += d * d;
        }
    for (; i < n; ++i) {
        const double d = (double)a[i] - (double)b[i];
        lane[i % LANES] += d * d;
    }
    return fold(lane);
}

TSR_CLONES float tsr_dot_f32(const float *a, const float *b, int64_t n) {
    float lane[SINGLES] = {0};
    int64_t i = 0;
    for (; i + SINGLES <= n; i += SINGLES)
        for (int l = 0; l < SINGLES; ++l)
            lane[l] += a[i + l] * b[i + l];
    for (; i < n; ++i)
        lane[i % SINGLES] += a[i] * b[i];
    for (int half = SINGLES / 2; half; half /= 2)
        for (int l = 0; l < half; ++l)
            lane[l] += lane[l + half];
    return lane[0];
}
