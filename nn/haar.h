/* SPDX-License-Identifier: MIT */
/* haar.h: the Haar wavelet packet that Cosmos tokenizers begin and end with. A step makes of each
 * 2 x 2 pixels (2 x 2 x 2 in clips) as many bands, the lowest of which is their mean; patches of 4
 * are two steps, the second on every band of the first. All of it is one fixed matrix for the
 * pixels of a patch. */
#ifndef NN_HAAR_H
#define NN_HAAR_H

#include "../ops/ops.h"

typedef struct tsr_haar {
    int patch;                      /* 1, 2, 4 or 8 pixels of a side */
    bool clip;                      /* patches have as many frames */
    int64_t channels;               /* of a place: 3 * patch^2, or 3 * patch^3 */
    tsr_weight *forward, *backward; /* [channels, channels] */
    float *own;                     /* memory of both */
} tsr_haar;

/* Makes the matrices and adds them to `weights`. Their memory is freed by tsr_haar_drop, after the
 * weights are closed. Errors: MEMORY. */
tsr_status tsr_haar_open(tsr_context *ctx, tsr_weights *weights, int patch, bool clip,
                         tsr_haar *haar);
void tsr_haar_drop(tsr_haar *haar);

/* Planes of frames [F, 3, H, W] -> [F', H/p, W/p, channels], bands outermost. F' is F, or F/p for
 * clips; sides (and F) are multiples of the patch. Bands are named by their filters in the order
 * width, height in pictures (low low, low high, ...), time, height, width in clips. */
tsr_tensor *tsr_haar_split(tsr_run *r, const tsr_haar *haar, const tsr_tensor *x);
/* The inverse: [F', h, w, channels] -> [F, 3, h*p, w*p]. */
tsr_tensor *tsr_haar_join(tsr_run *r, const tsr_haar *haar, const tsr_tensor *x);

#endif
