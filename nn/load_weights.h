/* SPDX-License-Identifier: MIT */
/* load_weights.h: the tensors a model wants. A model names each of them once, in one function;
 * loading and checking are what is done with the names. */
#ifndef NN_LOAD_WEIGHTS_H
#define NN_LOAD_WEIGHTS_H

#include "../compute/weights.h"
#include "../formats/weights/safetensors.h"

typedef struct tsr_wanted {
    /* One tensor. `where` (never NULL) is where the model keeps it. */
    tsr_status (*fn)(void *user, const char *name, int rank, const int64_t *dim,
                     tsr_weight **where);
    void *user;
} tsr_wanted;

/* Says that <prefix><suffix> is wanted. */
tsr_status tsr_want(const tsr_wanted *wanted, const char *prefix, const char *suffix, int rank,
                    const int64_t *dim, tsr_weight **where);
/* The same twice: <prefix><part>.weight and, if `bias`, <prefix><part>.bias of [dim[0]]. */
tsr_status tsr_want_layer(const tsr_wanted *wanted, const char *prefix, const char *part, int rank,
                          const int64_t *dim, bool bias, tsr_weight **weight,
                          tsr_weight **bias_where);

/* All float tensors of a file, borrowed from it (tsr_weights_add_lazy); the file outlives them. */
tsr_status tsr_file_weights(tsr_context *ctx, const tsr_safetensors *file, tsr_weights **weights);

/* Takes them out of a file's weights: user of tsr_wanted_load. */
typedef struct tsr_wanted_loader {
    tsr_context *ctx;
    tsr_weights *weights;
    const char *path; /* begins the messages */
    int found;
    const tsr_weight **taken; /* the found ones, when not NULL: room for all there are */
} tsr_wanted_loader;
tsr_status tsr_wanted_load(void *loader, const char *name, int rank, const int64_t *dim,
                           tsr_weight **where);

/* Loads by `name_all`, which names every tensor, and sees that the weights hold nothing else but
 * names with one of the beginnings in `ignored` (ended by NULL; NULL = none): a tensor that belongs
 * to nothing means that the model is not what it is taken for. Errors: MODEL, naming it. */
tsr_status tsr_wanted_load_all(tsr_context *ctx, tsr_weights *weights, const char *path,
                               const char *const *ignored,
                               tsr_status (*name_all)(void *user, const tsr_wanted *wanted),
                               void *user);

#endif
