/* SPDX-License-Identifier: MIT */
/* rvq_search.h: residual vector quantization of one vector with a beam. Taking the nearest code at
 * each stage is not the best chain of codes; this keeps the few best chains so far. Runs on the
 * host in a fixed order, so that every device gets the same codes. For many vectors and no beam,
 * see tsr_rvq_assign in quantizer.h. */
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

/* Floats of scratch that a search needs. */
size_t tsr_rvq_search_scratch(int dim, int beam);

/* The chain of codes, one of each stage, whose sum is nearest to x [dim], as far as `beam` chains
 * kept after each stage can tell; codes [stages]. dim: a multiple of 8; stages and beam: 1 to the
 * limits above. Equal chains: the one found first, that is with lower codes. Returns how much
 * further (squared) the second best chain is: what a near tie is judged by. x stays as it is. */
float tsr_rvq_search(const tsr_rvq_stage *stage, int stages, int dim, int beam, const float *x,
                     float *scratch, int *codes);

#endif
