/* SPDX-License-Identifier: MIT */
/* together.h: how many tiles go through a model in one run. It bounds memory and fills a device; a
 * tile's result never depends on it. */
#ifndef CODEC_TOGETHER_H
#define CODEC_TOGETHER_H

#include "../compute/device.h"

/* 1 to `count` tiles, each with so many bytes of activations at their peak, the largest tensor of
 * which has `tensor_bytes`. A GPU gets more of them, as long as an eighth of its memory holds
 * them: the more rows, the busier it is. A processor gets a few small ones: it is busy with one
 * large tile. Together they stay below half of the context's memory limit. */
int64_t tsr_together(tsr_device *device, uint64_t tile_bytes, uint64_t tensor_bytes, int64_t count);
/* The same for transformers: `rows` of `width` numbers a tile. */
int64_t tsr_together_rows(tsr_device *device, int64_t rows, int64_t width, int64_t count);

#endif
