/* SPDX-License-Identifier: MIT */
/* load_weights.h: the tensors of a model, by their names in a file. A model names each of its
 * tensors once, in one function that takes a tsr_weight_loader. What happens with a name is the
 * loader's: finding the tensor among a file's weights, comparing it with a file, or making it. */
#ifndef NN_LOAD_WEIGHTS_H
#define NN_LOAD_WEIGHTS_H

#include "../compute/weights.h"
#include "../formats/weights/safetensors.h"

/* A loader is sticky: after the first failure every call does nothing, and fills nothing. A model's
 * loading function is read from top to bottom without checks; only where it looks at the shape of a
 * tensor that was just loaded, it looks at `status` before. */
typedef struct tsr_weight_loader {
    tsr_context *ctx;
    tsr_weights *weights; /* of the file; borrowed. May be NULL with `fn`, for models that need no
                             shape of the file to name their tensors */
    const char *path;     /* of the file: begins messages */
    /* Handles one tensor, F32 of this shape, and fills *where (never NULL). NULL: the tensor is
     * found in `weights` and its shape compared. Default: NULL. */
    tsr_status (*fn)(void *user, const char *name, int rank, const int64_t *dim,
                     tsr_weight **where);
    void *user;                /* first argument of fn */
    tsr_status status;         /* the first failure */
    int found;                 /* tensors that were found in `weights` */
    const tsr_weight **loaded; /* between tsr_load_all_begin and _end: those tensors */
} tsr_weight_loader;

/* Loads tensor <prefix><suffix> of a shape. dim [rank]. Failures: MODEL, naming the tensor, the
 * shape it should have and the one it has; those of fn. */
void tsr_load_weight(tsr_weight_loader *loader, const char *prefix, const char *suffix, int rank,
                     const int64_t *dim, tsr_weight **where);
/* Loads <prefix><part>.weight of a shape and <prefix><part>.bias of [dim[0]]. `bias` NULL: the
 * layer has no bias. Failures: those of tsr_load_weight. */
void tsr_load_layer(tsr_weight_loader *loader, const char *prefix, const char *part, int rank,
                    const int64_t *dim, tsr_weight **weight, tsr_weight **bias);

/* Begins loading a whole model from `weights`, all of which the model should need. `weights` and
 * `path` outlive the loader. Failures: MEMORY. */
tsr_weight_loader tsr_load_all_begin(tsr_context *ctx, tsr_weights *weights, const char *path);
/* Ends loading a whole model: returns the loader's status, or MODEL when a tensor was not loaded,
 * for then the model is not what it is taken for. Names that begin with a string of `ignored`
 * (ended by NULL; NULL: none) may stay. */
tsr_status tsr_load_all_end(tsr_weight_loader *loader, const char *const *ignored);
/* Ends loading a model that is a part of what the file holds: names that do not begin with `prefix`
 * may stay, too. */
tsr_status tsr_load_part_end(tsr_weight_loader *loader, const char *prefix,
                             const char *const *ignored);

/* Fails with MODEL, since the model gave back `value`, one of its `what` ("latents", "pixels"),
 * that is not finite. */
tsr_status tsr_not_finite(tsr_context *ctx, const char *what, float value);

/* Tensor `index` of a file as weights have it: of floats of more than TSR_MAX_RANK dimensions (a
 * kernel over frames) the last ones are joined. */
tsr_tensor tsr_file_weight(const tsr_safetensors *file, int index);
/* Opens the weights of a file: all its float tensors, borrowed from the file, which outlives them
 * (tsr_weights_add_lazy). Close with tsr_weights_close. Errors: MEMORY. */
tsr_status tsr_file_weights(tsr_context *ctx, const tsr_safetensors *file, tsr_weights **weights);

#endif
