/* SPDX-License-Identifier: MIT */
/* onednn_conv.h: f32 and bf16 convolutions of channels-last maps from oneDNN, where it is built in
 * and the better choice (tsr_onednn_is_fastest). As with products, one call computes one piece of
 * fixed shape on one thread inside our own tiles, so that results do not depend on the batch or on
 * the threads.
 */
#ifndef COMPUTE_ONEDNN_CONV_H
#define COMPUTE_ONEDNN_CONV_H

#include <stdbool.h>
#include "../context.h"

typedef struct tsr_onednn_conv tsr_onednn_conv;

typedef struct tsr_onednn_conv_shape {
    int64_t h, w, c;        /* of x [h, w, c] */
    int64_t n, kh, kw;      /* of the kernel [n, c, kh, kw] */
    int64_t stride, oh, ow; /* y [oh, ow, n] */
    int64_t top, left;      /* zeros before x; behind it as many as oh and ow need */
    int threads;            /* its own inside a call; 1 when called from our tiles */
    bool bf16;              /* x and kernel rounded to bf16, sums in f32 */
} tsr_onednn_conv_shape;

bool tsr_onednn_conv_same(const tsr_onednn_conv *conv, const tsr_onednn_conv_shape *shape);
/* `other` (or NULL) was made from the same kernel: its packed weights are used again when their
 * layout fits, so it must be closed together with this one. Errors: MEMORY, DEVICE, UNSUPPORTED. */
tsr_status tsr_onednn_conv_open(tsr_context *ctx, tsr_onednn_conv **conv, const float *w,
                                const tsr_onednn_conv_shape *shape, const tsr_onednn_conv *other);
void tsr_onednn_conv_close(tsr_onednn_conv **conv);
size_t tsr_onednn_conv_scratch_bytes(const tsr_onednn_conv *conv);
/* From any thread; scratch is the caller's own, 64-byte aligned. A failure is kept for
 * tsr_onednn_conv_status. */
void tsr_onednn_conv_run(tsr_onednn_conv *conv, const float *x, float *y, void *scratch);
tsr_status tsr_onednn_conv_status(tsr_context *ctx, tsr_onednn_conv *conv);

#endif
