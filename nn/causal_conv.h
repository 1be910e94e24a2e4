/* SPDX-License-Identifier: MIT */
/* causal_conv.h: 3-D convolutions of clips that look at no later frame. A clip is a map
 * [B*T, H, W, C]: B clips of T frames, one frame after the other.
 *
 * The taps over time are put beside each other as channels (tsr_unfold_frames); what is left is a
 * convolution of each frame, or with kernels (kt, 1, 1) a matrix product. So kernels (1, k, k),
 * (kt, 1, 1) and (kt, k, k) are one function, as fast as tsr_conv2d on every device. */
#ifndef NN_CAUSAL_CONV_H
#define NN_CAUSAL_CONV_H

#include "conv_layers.h"

/* Options of a causal convolution. A struct of zeros, but for frames, is none of them. */
typedef struct tsr_causal_spec {
    int64_t frames;     /* T of x */
    int front;          /* frames before the first; a causal kernel has kt - 1 with stride 1 */
    int stride;         /* over time; 0: 1 */
    bool zeros;         /* frames before the first are zeros (Emu3); else copies of it (Cosmos) */
    bool twice;         /* every frame of x counts twice */
    tsr_conv_spec conv; /* all that concerns rows, columns and what follows; bias is the layer's */
} tsr_causal_spec;

/* Frames that the convolution of a kernel with `taps` over time makes of T. */
int64_t tsr_causal_frames(const tsr_causal_spec *spec, int taps);
/* Convolves x [B*T, H, W, C] by a layer of tsr_load_causal -> [B*T', H', W', N], where T' is
 * (T (2T with twice) + front - kt) / stride + 1. */
tsr_tensor *tsr_causal_conv(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer,
                            const tsr_causal_spec *spec);

/* Loads <prefix><part>.weight [out, in, kt, kh, kw], where kernel is kt, kh, kw. *weight has the
 * shape [out, in * kt, kh, kw], which is the same numbers. */
void tsr_load_kernel_over_frames(tsr_weight_loader *loader, const char *prefix, const char *part,
                                 int64_t out, int64_t in, const int kernel[3], tsr_weight **weight);
/* The same of a layer, which has a bias [out] beside it. */
void tsr_load_causal(tsr_weight_loader *loader, const char *prefix, const char *part, int64_t out,
                     int64_t in, const int kernel[3], tsr_conv_layer *layer);

/* Attention over time, with one head: each place sees the same place of its own and of earlier
 * frames. q, k, v and the result [B*T, HW, C]; `frames` is T. */
tsr_tensor *tsr_causal_attention(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k,
                                 const tsr_tensor *v, int64_t frames);
/* The mean of each two frames, the first of which is a copy of frame 0: x [B*T, H, W, C], T odd,
 * -> [B * (T + 1) / 2, H, W, C]. */
tsr_tensor *tsr_causal_halve(tsr_run *r, const tsr_tensor *x, int64_t frames);

#endif
