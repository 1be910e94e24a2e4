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

/* For decoders whose tiles share a run when they have as many tokens: how many from the first of
 * `counts` on do, at most `most`; 1 where the first has none. */
int64_t tsr_together_alike(const uint32_t *counts, int64_t count, int64_t most);
/* Their tokens without the gaps: `each` of every tile, of `bytes`, which stood `capacity` apart. */
void tsr_together_pack(const void *values, int64_t tiles, int64_t each, int64_t capacity,
                       size_t bytes, void *packed);

#endif
