/* SPDX-License-Identifier: MIT */
/* tile_noise.h: noise that the caller supplies, one tensor for the tiles of a call. */
#ifndef CODEC_TILE_NOISE_H
#define CODEC_TILE_NOISE_H

#include "../../compute/context.h"
#include "../../compute/tensor.h"

/* Copies the noise of tile `tile` into x [C, h, w]. `noise` is F32 [n, C, h, w] with one entry for
 * each tile of an item, or [1, C, h, w] or [C, h, w] for all tiles. Errors: ARGUMENT (type, shape,
 * number of entries, a value that is not finite). */
tsr_status tsr_tile_noise(tsr_context *ctx, const tsr_tensor *noise, uint64_t tile,
                          int64_t channels, int64_t height, int64_t width, float *x);

#endif
