/* SPDX-License-Identifier: MIT */
/* projector.h: what stands between a tower and a language model in LLaVA and its successors: the
 * MLP that gives rows the language model's width, and image_newline. */
#ifndef TOWERS_PROJECTOR_H
#define TOWERS_PROJECTOR_H

#include "../nn/load_weights.h"
#include "../ops/ops.h"

/* "mlp2x_gelu" (Liu et al. 2023): linear, exact GELU, linear. */
typedef struct tsr_projector {
    int64_t width;              /* of its output, P; 0: there is none */
    tsr_weight *fc1, *fc1_bias; /* [P', D], [P'] */
    tsr_weight *fc2, *fc2_bias; /* [P, P'], [P] */
    tsr_weight *newline;        /* [P] image_newline; NULL: there is none */
} tsr_projector;

/* Loads the projector of a tower of width D, if the loader's weights have one, by the names
 * multi_modal_projector.linear_{1,2} or mm_projector.{0,2} with anything before them. Failures:
 * MODEL; UNSUPPORTED (a projector of another kind). */
void tsr_projector_load(tsr_weight_loader *loader, int64_t width, tsr_projector *projector);
/* Projects rows: x [..., D] -> [..., P]. */
tsr_tensor *tsr_projector_run(tsr_run *r, const tsr_projector *projector, const tsr_tensor *x);

#endif
