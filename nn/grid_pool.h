/* SPDX-License-Identifier: MIT */
/* grid_pool.h: grids of rows to grids of half their sides, as language models read many frames. */
#ifndef NN_GRID_POOL_H
#define NN_GRID_POOL_H

#include "grid_resize.h"

/* How the grid of a frame becomes a smaller one. */
typedef enum tsr_pool {
    TSR_POOL_BILINEAR = 0, /* to ceil(n / 2) rows and columns; each reads 2 x 2 */
    TSR_POOL_AVERAGE,      /* means of 2 x 2; an odd last row or column is left out */
    TSR_POOL_MAX           /* greatest of 2 x 2; an odd last row or column is left out */
} tsr_pool;
/* Size of a grid after pooling; 0 rows or columns where nothing is left. */
tsr_grid_size tsr_pool_size(tsr_pool pool, tsr_grid_size size);
/* Pools `frames` grids [frames, size, channels] to [frames, tsr_pool_size, channels]. Errors:
 * MEMORY. */
tsr_status tsr_pool_grids(tsr_context *ctx, tsr_pool pool, const float *from, int64_t frames,
                          tsr_grid_size size, int64_t channels, float *to);

#endif
