/* SPDX-License-Identifier: MIT */
/* dists.h: DISTS as golden cases look at it. */
#ifndef JUDGES_DISTS_H
#define JUDGES_DISTS_H

#include "backbone.h"

enum { TSR_DISTS_CHANNELS = 1475 }; /* of the picture itself and of all taps */

typedef struct tsr_dists {
    tsr_context *ctx;
    tsr_device *device;
    tsr_weights *weights;
    tsr_backbone backbone;
    tsr_weight *alpha, *beta; /* [1, TSR_DISTS_CHANNELS, 1, 1] */
} tsr_dists;

/* Opens a network over weights, which are closed with it, or now where this fails. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_dists_open(tsr_device *device, tsr_weights *weights, const char *path,
                          tsr_dists **model);
/* Closes a network and sets *model to NULL. NULL and a NULL *model are accepted. */
void tsr_dists_close(tsr_dists **model);
/* Compares pictures of one size. features: all taps [2 count, rows, columns, channels], or NULL.
 * Errors: MEMORY, the device's. */
tsr_status tsr_dists_compare(const tsr_dists *model, const tsr_picture *a, const tsr_picture *b,
                             int count, double *distances, float *const *features);

#endif
