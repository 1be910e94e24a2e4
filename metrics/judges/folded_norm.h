/* SPDX-License-Identifier: MIT */
/* folded_norm.h: batch norms of a network that has been trained: a factor and a summand for each
 * channel, which become a part of the convolution before them where there is one. */
#ifndef JUDGES_FOLDED_NORM_H
#define JUDGES_FOLDED_NORM_H

#include "../../compute/arena.h"
#include "../../nn/load_weights.h"

/* The tensors of a batch norm over C channels, [C] each. */
typedef struct tsr_batch_norm {
    tsr_weight *gamma, *beta, *mean, *variance;
} tsr_batch_norm;
/* Loads <prefix><part>.weight, .bias, .running_mean and .running_var. */
void tsr_load_batch_norm(tsr_weight_loader *loader, const char *prefix, const char *part,
                         int64_t channels, tsr_batch_norm *norm);

/* What makes new weights out of those of a file. Sticky: look at made.status at the end. */
typedef struct tsr_folder {
    tsr_weights *weights; /* to which the new ones are added */
    double eps;           /* of the norms */
    tsr_scratch made;     /* their memory: free it after the weights are closed */
} tsr_folder;

/* y = x * scale + shift, [C] each. */
typedef struct tsr_affine {
    tsr_weight *scale, *shift;
} tsr_affine;
/* A norm that stands alone. */
void tsr_fold_alone(tsr_folder *folder, const tsr_batch_norm *norm, tsr_affine *affine);
/* A convolution or matrix [N, ...] without bias and the norm behind it: `weight` is read when it is
 * needed, so that the model is in memory once; `bias` is [N]. */
typedef struct tsr_folded {
    tsr_weight *weight, *bias;
} tsr_folded;
void tsr_fold(tsr_folder *folder, const tsr_weight *conv, const tsr_batch_norm *norm,
              tsr_folded *folded);
/* A depthwise convolution [C, 1, kh, kw]; its weight becomes [kh, kw, C], as tsr_depthwise takes
 * it. */
void tsr_fold_depthwise(tsr_folder *folder, const tsr_weight *conv, const tsr_batch_norm *norm,
                        tsr_folded *folded);

#endif
