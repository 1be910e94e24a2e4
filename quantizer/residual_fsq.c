/* SPDX-License-Identifier: MIT */
/* residual_fsq.c: FSQ's bound (Mentzer et al. 2023, "Finite Scalar Quantization", eps 1e-3) applied
 * along chains of slots. */
#include "residual_fsq.h"

#include <math.h>

typedef struct bound {
    double half, offset, shift;
} bound;

static bound bound_of(int levels) {
    bound b;
    b.half = (levels - 1) * (1 + 1e-3) / 2;
    b.offset = levels % 2 == 0 ? 0.5 : 0.0;
    b.shift = atanh(b.offset / b.half);
    return b;
}

void tsr_residual_fsq_round(const tsr_residual_fsq *q, int slots, const float *coefficients,
                            const float *delta, float *z, uint8_t *digits, float *margin,
                            float *left) {
    bound bounds[16];
    for (int d = 0; d < q->level_count; ++d)
        bounds[d] = bound_of(q->levels[d]);
    for (int j = 0; j < slots; ++j) {
        const int levels = q->levels[j % q->level_count];
        const bound b = bounds[j % q->level_count];
        const int p = q->previous[j];
        left[j] =
            p < 0 ? coefficients[q->source[j]] : left[p] - q->table[p * q->table_width + digits[p]];
        double value = (double)left[j] * q->scale[j] - b.shift;
        if (delta) value += delta[j];
        z[j] = (float)value;
        const double bounded = tanh(value + b.shift) * b.half - b.offset;
        const double rounded = nearbyint(bounded);
        int digit = (int)rounded + levels / 2;
        if (!(digit >= 0))
            digit = 0; /* also NaN, whose conversion is not defined but is not kept */
        if (digit >= levels) digit = levels - 1;
        digits[j] = (uint8_t)digit;
        if (margin) margin[j] = (float)(0.5 - fabs(bounded - rounded));
    }
}

void tsr_residual_fsq_restore(const tsr_residual_fsq *q, int slots, const uint8_t *digits,
                              float *coefficients) {
    for (int j = 0; j < slots; ++j)
        coefficients[q->source[j]] += q->table[j * q->table_width + digits[j]];
}

uint32_t tsr_residual_fsq_pack(const tsr_residual_fsq *q, const uint8_t *digits) {
    uint32_t id = 0;
    for (int d = q->level_count; d-- > 0;)
        id = id * (uint32_t)q->levels[d] + digits[d];
    return id;
}

void tsr_residual_fsq_unpack(const tsr_residual_fsq *q, uint32_t id, uint8_t *digits) {
    for (int d = 0; d < q->level_count; ++d) {
        digits[d] = (uint8_t)(id % (uint32_t)q->levels[d]);
        id /= (uint32_t)q->levels[d];
    }
}
