/* SPDX-License-Identifier: MIT */
/* i3d.h: the I3D network of the Frechet video distance as golden cases look at it. */
#ifndef JUDGES_I3D_H
#define JUDGES_I3D_H

#include "../../nn/family.h"

enum { TSR_I3D_SIDE = 224, TSR_I3D_LEAST_FRAMES = 9, TSR_I3D_CLASSES = 400 };

/* What is computed of a clip of T frames, in the order of the network: maps, then rows. */
typedef enum tsr_i3d_output {
    TSR_I3D_CONV3D_1A = 0, /* [ceil(T/2), 112, 112, 64] */
    TSR_I3D_CONV3D_2C,     /* [ceil(T/2), 56, 56, 192] */
    TSR_I3D_MIXED_3C,      /* [ceil(T/2), 28, 28, 480] */
    TSR_I3D_MIXED_4F,      /* [ceil(T/4), 14, 14, 832] */
    TSR_I3D_MIXED_5C,      /* [ceil(T/8), 7, 7, 1024] */
    TSR_I3D_FEATURES,      /* [1024], mean over the places of pairs of times, and over those */
    TSR_I3D_LOGITS,        /* [400], of the features: what the Frechet video distance takes */
    TSR_I3D_OUTPUTS
} tsr_i3d_output;
extern const char *const tsr_i3d_output_names[TSR_I3D_OUTPUTS];
/* Sizes of an output of a clip of `frames` frames: times, rows, columns, channels; 1 where a row
 * has none. */
void tsr_i3d_size(tsr_i3d_output output, int frames, int64_t dim[4]);

/* Writes the network's input of a clip, rgb [frames, height, width, 3] of clip->frames frames, to x
 * [frames, 224, 224, 3]: PyTorch's bilinear with half-pixel centres and without antialias on values
 * 0..255, then * 2 / 255 - 1. */
void tsr_i3d_prepare(const tsr_picture *clip, float *x);

typedef struct tsr_i3d tsr_i3d;
/* Opens a network over weights, which are closed with it, or now where this fails. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_i3d_open(tsr_device *device, tsr_weights *weights, const char *path,
                        tsr_i3d **model);
/* Closes a network and sets *model to NULL. NULL and a NULL *model are accepted. */
void tsr_i3d_close(tsr_i3d **model);
/* list_tensors of the family. */
void tsr_i3d_list(const tsr_model_source *source, tsr_weight_loader *loader);
tsr_context *tsr_i3d_context(const tsr_i3d *model);
/* Computes outputs of prepared clips x [count, frames, 224, 224, 3], of TSR_I3D_LEAST_FRAMES frames
 * or more: values[i] [count, sizes of outputs[i]]. Errors: MEMORY, the device's. */
tsr_status tsr_i3d_run(const tsr_i3d *model, const float *x, int count, int frames,
                       const tsr_i3d_output *outputs, int output_count, float *const *values);

#endif
