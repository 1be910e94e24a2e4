/* SPDX-License-Identifier: MIT */
/* flextok_grid.h: latents to patches and back, and the positions of patches. */
#ifndef CODEC_FLEXTOK_GRID_H
#define CODEC_FLEXTOK_GRID_H

#include "flextok_model.h"

/* Cuts latents [B, C, h, w] into patches [B, P, p*p*C], each (y, x, channel), and puts them back. B
 * is `count`, h and w are multiples of p. */
void tsr_flextok_patchify(const tsr_flextok_config *config, const float *latents, int64_t count,
                          int64_t height, int64_t width, float *patches);
void tsr_flextok_unpatchify(const tsr_flextok_config *config, const float *patches, int64_t count,
                            int64_t height, int64_t width, float *latents);
/* Fills out [rows*cols, D] with the positions of a grid, or with the first rows of a row's table. D
 * is `dim`. */
void tsr_flextok_position_rows(const tsr_flextok_positions *positions, const float *table,
                               int64_t dim, int64_t rows, int64_t cols, float *out);
/* Checks that latents of height x width can be cut into patches that have positions. Errors:
 * ARGUMENT, naming the possible sizes. */
tsr_status tsr_flextok_check_grid(const tsr_flextok *model, const tsr_flextok_positions *positions,
                                  int64_t height, int64_t width);

#endif
