/* SPDX-License-Identifier: MIT */
/* conv_layers.h: the layers that convolutional autoencoders consist of, whatever their plan:
 * conv_ae.h has the common one, causal_conv.h what is over time. Maps are [B, H, W, C]. */
#ifndef NN_CONV_LAYERS_H
#define NN_CONV_LAYERS_H

#include "../ops/ops.h"
#include "load_weights.h"

typedef struct tsr_conv_layer {
    tsr_weight *weight, *bias; /* bias may be NULL */
} tsr_conv_layer;
typedef struct tsr_conv_attention { /* one head over all positions; norm.weight NULL = none */
    tsr_conv_layer norm, query, key, value, out;
} tsr_conv_attention;

/* Loads a convolution: <prefix><part>.weight [out, in, kernel, kernel] and its bias. */
void tsr_conv_load_one(tsr_weight_loader *loader, const char *prefix, const char *part, int64_t out,
                       int64_t in, int kernel, tsr_conv_layer *layer);
/* Loads query, key, value and out of an attention by the names of these parts: `matrix`: each
 * [width, width], else 1x1 convolutions. */
void tsr_conv_load_attention(tsr_weight_loader *loader, const char *prefix,
                             const char *const parts[4], bool matrix, int64_t width,
                             tsr_conv_attention *attention);

/* Computes a 1x1 convolution. */
tsr_tensor *tsr_conv_one(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer);
/* Computes a convolution that keeps the size, 1x1 or 3x3 with zeros around; `twice`: of x with each
 * place doubled. residual may be NULL. */
tsr_tensor *tsr_conv_same(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer, bool twice,
                          const tsr_tensor *residual);
/* The convolution that reads a picture: keeps the size, and stays f32 with TSR_PRECISION_FAST. Next
 * to all others it is nothing, and what it rounds goes through all of them. */
tsr_tensor *tsr_conv_first(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer);
/* Group norm with eps 1e-6. */
tsr_tensor *tsr_conv_norm(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer, int groups,
                          tsr_activation act);
/* How the places of a map attend to each other: q, k, v and the result [B, HW, C]. */
typedef tsr_tensor *(*tsr_conv_attend_fn)(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k,
                                          const tsr_tensor *v, int64_t frames);
/* x + attention with one head, of which `normed` is x behind its norm. attend NULL: over all places
 * of a map; `frames` is attend's. */
tsr_tensor *tsr_conv_attend(tsr_run *r, const tsr_conv_attention *attention, tsr_tensor *x,
                            tsr_tensor *normed, tsr_conv_attend_fn attend, int64_t frames);

#endif
