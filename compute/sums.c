/* SPDX-License-Identifier: MIT */
/* sums.c: float64 sums in lanes: four vectors of the widest kind, so that no addition waits for the
 * one before it. */
#include "sums.h"
#include "cpu/simd.h"

#include <string.h>

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

/* What a register of AVX2 holds; wider vectors are taken to pieces there by way of memory. */
typedef float vector __attribute__((vector_size(32), aligned(4), may_alias));
enum { WIDTH = 8, VECTORS = SINGLES / WIDTH };

/* Sum of all lanes. */
static inline __attribute__((always_inline)) float fold_vectors(vector *sum) {
    float lane[WIDTH];
    for (int half = VECTORS / 2; half; half /= 2)
        for (int v = 0; v < half; ++v)
            sum[v] += sum[v + half];
    memcpy(lane, &sum[0], sizeof lane);
    for (int half = WIDTH / 2; half; half /= 2)
        for (int l = 0; l < half; ++l)
            lane[l] += lane[l + half];
    return lane[0];
}

TSR_CLONES float tsr_dot_f32(const float *a, const float *b, int64_t n) {
    vector sum[VECTORS] = {{0}};
    float rest = 0;
    int64_t i = 0;
    for (; i + SINGLES <= n; i += SINGLES)
        for (int v = 0; v < VECTORS; ++v)
            sum[v] += *(const vector *)(a + i + WIDTH * v) * *(const vector *)(b + i + WIDTH * v);
    for (; i < n; ++i)
        rest += a[i] * b[i];
    return fold_vectors(sum) + rest;
}

TSR_CLONES float tsr_square_distance_f32(const float *a, const float *b, int64_t n) {
    vector sum[VECTORS] = {{0}};
    float rest = 0;
    int64_t i = 0;
    for (; i + SINGLES <= n; i += SINGLES)
        for (int v = 0; v < VECTORS; ++v) {
            const vector d =
                *(const vector *)(a + i + WIDTH * v) - *(const vector *)(b + i + WIDTH * v);
            sum[v] += d * d;
        }
    for (; i < n; ++i)
        rest += (a[i] - b[i]) * (a[i] - b[i]);
    return fold_vectors(sum) + rest;
}
