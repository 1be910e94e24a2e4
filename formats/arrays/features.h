/* SPDX-License-Identifier: MIT */
/* features.h: what the readers of feature and codebook files share. */
#ifndef FORMATS_FEATURES_H
#define FORMATS_FEATURES_H

#include "../../compute/context.h"
#include "../../compute/tensor.h"

/* A malloc'd f32 copy of any host tensor. `name` begins the message when there is no memory. */
tsr_status tsr_tensor_to_f32(tsr_context *ctx, const char *name, const tsr_tensor *t, float **x);

#endif
