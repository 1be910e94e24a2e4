/* SPDX-License-Identifier: MIT */
/* vq_attention.h: VQToken's attention layer: an index map and a codebook in, tokens out. */
#ifndef NN_VQ_ATTENTION_H
#define NN_VQ_ATTENTION_H

#include "../ops/ops.h"

enum { TSR_VQ_CELLS = 729, TSR_VQ_WIDTH = 896 };

typedef struct tsr_vq_attention tsr_vq_attention;

/* Opens the layer from tensors model.cross_attention.* of `weights`, which stay the caller's and
 * outlive the layer. `path` begins messages. Errors: MODEL, naming the tensor that is missing or
 * has another shape; MEMORY. */
tsr_status tsr_vq_attention_open(tsr_device *device, tsr_weights *weights, const char *path,
                                 tsr_vq_attention **attention);
/* Closes a layer; NULL and a NULL *attention are accepted. */
void tsr_vq_attention_close(tsr_vq_attention **attention);
/* Computes tokens [max(frames, clusters), 896] from labels [frames, 729], 0 .. clusters - 1, and a
 * codebook [clusters, 896]. The shorter of the two is repeated whole and cut, as the release does.
 * Errors: ARGUMENT (sizes outside 1 .. 65536, a label outside the codebook), MEMORY. */
tsr_status tsr_vq_attention_run(tsr_vq_attention *attention, const int32_t *labels, int64_t frames,
                                const float *codebook, int64_t clusters, float *tokens);

#endif
