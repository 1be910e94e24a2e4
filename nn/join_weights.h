/* SPDX-License-Identifier: MIT */
/* join_weights.h: two weights of a file as one, so that two layers of the same input are one
 * product, which reads the input once. */
#ifndef NN_JOIN_WEIGHTS_H
#define NN_JOIN_WEIGHTS_H

#include "../compute/weights.h"

/* Where a joined weight takes its values from. Lies beside it in the model: it outlives the
 * weights, and is not moved. */
typedef struct tsr_joined {
    tsr_weight_source source;
    const tsr_weight *part[2];
} tsr_joined;

/* Adds to `weights` the rows of `first` [N, ...], then those of `second` [M, ...], as one weight
 * [N + M, ...]. Both are of `weights`. Nothing is read by this call; a device that packs or
 * uploads the weight borrows it, and the parts take no room there unless they are used, too. Both
 * NULL (layers without biases): *weight becomes NULL. Errors: ARGUMENT (shapes, one of them NULL,
 * joined twice), MEMORY. */
tsr_status tsr_join_weights(tsr_context *ctx, tsr_weights *weights, const tsr_weight *first,
                            const tsr_weight *second, tsr_joined *joined, tsr_weight **weight);

#endif
