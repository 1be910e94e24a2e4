/* SPDX-License-Identifier: MIT */
/* residual_fsq.c: FSQ's bound (Mentzer et al. 2023, "Finite Scalar Quantization", eps 1e-3) applied
 * along chains of slots. */
#include "residual_fsq.h"

#include <math.h>

void tsr_residual_fsq_round(const tsr_residual_fsq *q, int slots, const float *coefficients,
                            float *left, uint8_t *digits, float *margin) {
    for (int j = 0; j < slots; ++j) {
        if (j < q->first) {
            left[j] = 0;
            digits[j] = 0;
            if (margin) margin[j] = 0.5f;
            continue;
        }
        const int levels = q->levels[j % q->level_count], p = q->previous[j];
        left[j] =
            p < 0 ? coefficients[q->source[j]] : left[p] - q->table[p * q->table_width + digits[p]];
        /* FSQ bounds z with tanh(z + shift) * half - offset, where shift makes z = 0 the middle of
         * an even number of levels; the scaled coefficient stands for z + shift. */
        const double half = (levels - 1) * (1 + 1e-3) / 2, offset = levels % 2 == 0 ? 0.5 : 0.0;
        const double bounded = tanh((double)left[j] * (double)q->scale[j]) * half - offset;
        const double rounded = nearbyint(bounded);
        double digit = rounded + levels / 2;
        if (!(digit >= 0)) digit = 0; /* NaN too */
        if (digit > levels - 1) digit = levels - 1;
        digits[j] = (uint8_t)digit;
        if (margin) margin[j] = (float)(0.5 - fabs(bounded - rounded));
    }
}

void tsr_residual_fsq_restore(const tsr_residual_fsq *q, int slots, const uint8_t *digits,
                              float *coefficients) {
    for (int j = q->first; j < slots; ++j)
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
