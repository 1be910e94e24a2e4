/* SPDX-License-Identifier: MIT */
/* onednn_conv.h: f32 and bf16 convolutions of channels-last maps from oneDNN, where it is built in
 * and the better choice (tsr_onednn_is_fastest). A call computes one piece of fixed shape on one
 * thread inside our own tiles, so that results do not depend on the batch or on the threads. */
#ifndef COMPUTE_ONEDNN_CONV_H
#define COMPUTE_ONEDNN_CONV_H

#include <stdbool.h>
#include "../context.h"

/* A convolution with one kernel, for inputs of one shape. */
typedef struct tsr_onednn_conv tsr_onednn_conv;

typedef struct tsr_onednn_conv_shape {
    int64_t h, w, c;        /* of x [h, w, c] */
    int64_t n, kh, kw;      /* of the kernel [n, c, kh, kw] */
    int64_t stride, oh, ow; /* y [oh, ow, n] */
    int64_t top, left;      /* zeros above and left of x; below and right as many as y needs */
    int threads;            /* oneDNN's threads inside a call; 1 when called from our tiles */
    bool bf16;              /* x and kernel rounded to bf16, sums in f32 */
} tsr_onednn_conv_shape;

/* True if conv was opened with this shape. */
bool tsr_onednn_conv_same(const tsr_onednn_conv *conv, const tsr_onednn_conv_shape *shape);
/* Prepares a convolution with the kernel w [n, c, kh, kw]. `other` is NULL or a convolution with
 * the same w: its packed weights are shared when their layout fits, and it must not be closed
 * before *conv is. Errors: MEMORY, DEVICE (oneDNN refuses the shape), UNSUPPORTED (not built in).
 */
tsr_status tsr_onednn_conv_open(tsr_context *ctx, tsr_onednn_conv **conv, const float *w,
                                const tsr_onednn_conv_shape *shape, const tsr_onednn_conv *other);
void tsr_onednn_conv_close(tsr_onednn_conv **conv);
/* Bytes of scratch that a call of tsr_onednn_conv_run needs. */
size_t tsr_onednn_conv_scratch_bytes(const tsr_onednn_conv *conv);
/* Computes y [oh, ow, n] of x [h, w, c]. Any number of threads may call at once, each with its own
 * scratch, 64-byte aligned. A failure is recorded for tsr_onednn_conv_status. */
void tsr_onednn_conv_run(tsr_onednn_conv *conv, const float *x, float *y, void *scratch);
/* First failure of the convolution's calls: DEVICE, or TSR_OK. */
tsr_status tsr_onednn_conv_status(tsr_context *ctx, tsr_onednn_conv *conv);

#endif
