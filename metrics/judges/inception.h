/* SPDX-License-Identifier: MIT */
/* inception.h: the Inception network of FID as golden cases look at it. */
#ifndef JUDGES_INCEPTION_H
#define JUDGES_INCEPTION_H

#include "../../nn/family.h"

enum { TSR_INCEPTION_CONVS = 94, TSR_INCEPTION_SIDE = 299 };

/* What is computed of a picture, in the order of the network. */
typedef enum tsr_inception_output {
    TSR_INCEPTION_64 = 0,
    TSR_INCEPTION_192,
    TSR_INCEPTION_768,
    TSR_INCEPTION_2048,
    TSR_INCEPTION_LOGITS_UNBIASED, /* without fc.bias: what Inception Score takes */
    TSR_INCEPTION_LOGITS,
    TSR_INCEPTION_OUTPUTS
} tsr_inception_output;
extern const char *const tsr_inception_output_names[TSR_INCEPTION_OUTPUTS];
int tsr_inception_channels(tsr_inception_output output);

/* How pictures become [299, 299, 3]. */
typedef enum tsr_inception_view {
    TSR_INCEPTION_TF1 = 0, /* torch-fidelity, torchmetrics, TensorFlow */
    TSR_INCEPTION_TORCH,   /* pytorch-fid */
    TSR_INCEPTION_CLEAN,   /* clean-fid */
    TSR_INCEPTION_VIEWS
} tsr_inception_view;
extern const char *const tsr_inception_view_names[TSR_INCEPTION_VIEWS];
/* Writes the network's input of one picture to x [299, 299, 3]. Errors: MEMORY. */
tsr_status tsr_inception_prepare(tsr_context *ctx, const tsr_picture *picture,
                                 tsr_inception_view view, float *x);

typedef struct tsr_inception tsr_inception;
/* Opens a network over weights, which are closed with it, or now where this fails. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_inception_open(tsr_device *device, tsr_weights *weights, const char *path,
                              tsr_inception **model);
/* Closes a network and sets *model to NULL. NULL and a NULL *model are accepted. */
void tsr_inception_close(tsr_inception **model);
/* list_tensors of the family. */
void tsr_inception_list(const tsr_model_source *source, tsr_weight_loader *loader);
tsr_context *tsr_inception_context(const tsr_inception *model);
/* Computes outputs of prepared pictures x [count, 299, 299, 3]: values[i] [count, channels of
 * outputs[i]]. Errors: MEMORY, the device's. */
tsr_status tsr_inception_run(const tsr_inception *model, const float *x, int count,
                             const tsr_inception_output *outputs, int output_count,
                             float *const *values);

#endif
