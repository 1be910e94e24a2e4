/* SPDX-License-Identifier: MIT */
/* residual_fsq.h: FSQ in which several slots share a coefficient, each rounding what the slots
 * before it left. This is the host's form, in double and a
 * fixed order; tsr_fsq_slots_round of ops/ops.h is the devices'. */
#ifndef QUANTIZER_RESIDUAL_FSQ_H
#define QUANTIZER_RESIDUAL_FSQ_H

#include <stdint.h>

typedef struct tsr_residual_fsq {
    int slots;               /* of one tile */
    int level_count;         /* of one id */
    const int *levels;       /* [level_count] */
    const int32_t *source;   /* [slots] which coefficient the slot rounds */
    const int32_t *previous; /* [slots] earlier slot of the same coefficient, or -1 */
    const float *scale;      /* [slots] z = what is left * scale - shift */
    const float *table;      /* [slots, table_width] what each digit decodes to */
    int table_width;
    int first; /* slots before this one carry something else and are not changed */
} tsr_residual_fsq;

/* Rounds the first `slots` slots of one tile. left [slots] gets what each slot had to round, digits
 * [slots] 0 .. level-1, margin (may be NULL) [slots] the distance of the bounded value to the
 * nearest rounding boundary (0.5 for slots before `first`). */
void tsr_residual_fsq_round(const tsr_residual_fsq *q, int slots, const float *coefficients,
                            float *left, uint8_t *digits, float *margin);
/* Adds the decoded value of each slot to the coefficient that the slot rounds. */
void tsr_residual_fsq_restore(const tsr_residual_fsq *q, int slots, const uint8_t *digits,
                              float *coefficients);
/* Convert level_count digits to an id and back; the first digit is the lowest (as in FlexTok). */
uint32_t tsr_residual_fsq_pack(const tsr_residual_fsq *q, const uint8_t *digits);
void tsr_residual_fsq_unpack(const tsr_residual_fsq *q, uint32_t id, uint8_t *digits);

#endif
