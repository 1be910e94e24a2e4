/* SPDX-License-Identifier: MIT */
/* weights_path.h: which file of a folder holds a model's weights. */
#ifndef MODELS_WEIGHTS_PATH_H
#define MODELS_WEIGHTS_PATH_H

#include "../compute/context.h"

/* Finds the weights that `path` means: a file is itself; in a folder model.safetensors,
 * diffusion_pytorch_model.safetensors, or the index of either. *found is freed with free(); NULL on
 * error. Errors: NOT_FOUND, saying what is there instead; MEMORY. */
tsr_status tsr_weights_path(tsr_context *ctx, const char *path, char **found);

#endif
