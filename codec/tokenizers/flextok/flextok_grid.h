/* SPDX-License-Identifier: MIT */
/* flextok_grid.h: latents and patches, and the positions that tables have for them. */
#ifndef CODEC_FLEXTOK_GRID_H
#define CODEC_FLEXTOK_GRID_H

#include "flextok_model.h"

/* Channels-first latents [B, C, h, w] to patches [B, P, p*p*C], inside (y, x, channel), and back.
 */
void tsr_flextok_patchify(const tsr_flextok_config *config, const float *latents, int64_t count,
                          int64_t height, int64_t width, float *patches);
void tsr_flextok_unpatchify(const tsr_flextok_config *config, const float *patches, int64_t count,
                            int64_t height, int64_t width, float *latents);
/* The table's rows for this grid (or the first rows of a row's): [rows*cols, D]. */
void tsr_flextok_position_rows(const tsr_flextok_positions *positions, const float *table,
                               int64_t dim, int64_t rows, int64_t cols, float *out);
/* ARGUMENT unless h and w make patches that the position tables have. */
tsr_status tsr_flextok_check_grid(const tsr_flextok *model, const tsr_flextok_positions *positions,
                                  int64_t height, int64_t width);

#endif
