/* SPDX-License-Identifier: MIT */
/* lpips.h: LPIPS as golden cases look at it. */
#ifndef JUDGES_LPIPS_H
#define JUDGES_LPIPS_H

#include "backbone.h"

typedef struct tsr_lpips {
    tsr_context *ctx;
    tsr_device *device;
    tsr_weights *weights;
    tsr_backbone backbone;
    tsr_weight *linear[TSR_BACKBONE_TAPS];
} tsr_lpips;

/* What one comparison shows. Arrays are the caller's; NULL: not wanted. */
typedef struct tsr_lpips_parts {
    double *layers;                     /* [count, taps] what each tap contributes */
    float *maps[TSR_BACKBONE_TAPS];     /* [count, rows, columns] distances at each place */
    float *features[TSR_BACKBONE_TAPS]; /* [2 count, rows, columns, channels]; all taps or none */
} tsr_lpips_parts;

/* Opens a network over weights, which are closed with it, or now where this fails. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_lpips_open(tsr_device *device, const tsr_backbone_kind *kind, tsr_weights *weights,
                          const char *path, tsr_lpips **model);
/* Closes a network and sets *model to NULL. NULL and a NULL *model are accepted. */
void tsr_lpips_close(tsr_lpips **model);
/* Compares pictures of one size. Errors: MEMORY, the device's. */
tsr_status tsr_lpips_compare(const tsr_lpips *model, const tsr_picture *a, const tsr_picture *b,
                             int count, const tsr_lpips_parts *parts);

#endif
