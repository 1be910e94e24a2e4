/* SPDX-License-Identifier: MIT */
/* weights.h: the named tensors of one model. They point into memory the caller keeps, or come from
 * a file when they are needed; a device packs or uploads each one once, at first use. */
#ifndef COMPUTE_WEIGHTS_H
#define COMPUTE_WEIGHTS_H

#include "context.h"
#include "tensor.h"

/* One weight as ops see it: any float dtype, read through its stored values converted to f32. */
typedef struct tsr_weight {
    tsr_tensor tensor; /* host view into the file */
    const char *name;  /* owned by the tsr_weights */
    const float *f32;  /* host f32 values; the file's own memory when it is F32. NULL while a weight
                          that came through tsr_weights_add_lazy is not pinned */
    const struct tsr_weight_source *source; /* NULL: eager */
    void *packed; /* cpu device: panels for the matrix product; owned by tsr_weights */
    void (*packed_free)(void *packed);
    int id; /* unique in the process's lifetime, key for device copies */
} tsr_weight;

/* Origin of the values of weights that are read when they are needed. */
typedef struct tsr_weight_source {
    /* Writes elements first .. first + count - 1 as f32. NULL: they are read from tensor.data.
     * Errors: MEMORY, and those of reading a file. */
    tsr_status (*fill)(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32);
    const void *user;
} tsr_weight_source;

/* The weights of one model, by name. */
typedef struct tsr_weights tsr_weights;

/* Opens an empty set of weights; *weights is NULL on error. Errors: MEMORY. */
tsr_status tsr_weights_open(tsr_context *ctx, tsr_weights **weights);
/* Frees all weights and sets *weights to NULL. NULL and a NULL *weights are accepted. */
void tsr_weights_close(tsr_weights **weights);
/* Adds a tensor, whose data must stay valid until close. `name` is copied. F16 and BF16 are
 * converted to f32 by this call. Errors: ARGUMENT (name twice, data NULL), MEMORY. */
tsr_status tsr_weights_add(tsr_context *ctx, tsr_weights *weights, const char *name,
                           const tsr_tensor *tensor);
/* Adds a tensor of a large model: no value is read or converted by this call. A device that packs
 * or uploads the weight borrows its values and returns them, so that a model is in memory once. A
 * weight that is used unpacked (biases, norms, tables) is pinned at first use. `source` must
 * outlive the weights. Errors: ARGUMENT (name twice), MEMORY. */
tsr_status tsr_weights_add_lazy(tsr_context *ctx, tsr_weights *weights, const char *name,
                                const tsr_tensor *tensor, const tsr_weight_source *source);
/* Notes that the file has a tensor `name` of a type or rank that no weight has; `what` describes it
 * ("F64", "F32 of 5 dimensions") and, like `name`, outlives the weights. Errors: MEMORY. */
tsr_status tsr_weights_note_other(tsr_context *ctx, tsr_weights *weights, const char *name,
                                  const char *what);
/* What the file has under `name` instead of a weight, or NULL. */
const char *tsr_weights_other(const tsr_weights *weights, const char *name);
/* Gives the weights memory (of malloc) that is freed when they are closed: a source. */
void tsr_weights_own(tsr_weights *weights, void *memory);
/* Loads weight->f32, which stays until close. Errors: MEMORY, the source's. */
tsr_status tsr_weight_pin(tsr_context *ctx, tsr_weight *weight);
/* Lends the values of a weight as f32; the caller gives them back with tsr_weight_return. *values
 * is NULL on error. Errors: MEMORY, the source's. */
tsr_status tsr_weight_borrow(tsr_context *ctx, const tsr_weight *weight, const float **values);
/* Gives back the values of tsr_weight_borrow. */
void tsr_weight_return(const tsr_weight *weight, const float *values);
/* Finds a weight and checks its shape. dim entries of -1 match anything. Errors: MODEL, naming the
 * tensor and wanted and got shape. *weight stays valid until close. */
tsr_status tsr_weights_get(tsr_context *ctx, tsr_weights *weights, const char *name, int rank,
                           const int64_t *dim, tsr_weight **weight);
/* Weight called `name`, or NULL. */
tsr_weight *tsr_weights_find(tsr_weights *weights, const char *name);
/* Number of weights. */
int tsr_weights_count(const tsr_weights *weights);
/* Weight `index`, 0 .. tsr_weights_count - 1, in the order they were added. */
tsr_weight *tsr_weights_at(tsr_weights *weights, int index);

#endif
