/* SPDX-License-Identifier: MIT */
/* rvq_search.h: residual vector quantization of one vector with a beam. Taking the nearest code at
 * each stage is not the best chain of codes; this keeps the few best chains so far. This is
 * the host's form, in a fixed order; tsr_beam_step of ops/ops.h is a stage on devices. For many
 * vectors and no beam, see tsr_rvq_assign in quantizer.h. */
#ifndef QUANTIZER_RVQ_SEARCH_H
#define QUANTIZER_RVQ_SEARCH_H

#include <stddef.h>

enum { TSR_RVQ_MOST_STAGES = 16, TSR_RVQ_MOST_BEAM = 32 };

typedef struct tsr_rvq_stage {
    const float *codes; /* [size, dim] */
    const float *norms; /* [size] squared lengths, by tsr_rvq_norms */
    int size;
} tsr_rvq_stage;

/* Squared length of each of `size` codes of `dim` numbers. dim: a multiple of 8. */
void tsr_rvq_norms(const float *codes, int size, int dim, float *norms);

/* Floats of scratch that tsr_rvq_search needs. */
size_t tsr_rvq_search_scratch(int dim, int beam);

/* Finds the chain of codes, one of each stage, whose sum is nearest to x [dim], among the `beam`
 * best chains of each stage, and writes it to codes [stages]. dim is a multiple of 8; stages and
 * beam are 1 to the limits above. Of equal chains the one with lower codes wins. Returns the
 * margin: squared distance of the second best chain less that of the best, by which near ties are
 * judged. */
float tsr_rvq_search(const tsr_rvq_stage *stage, int stages, int dim, int beam, const float *x,
                     float *scratch, int *codes);

#endif
