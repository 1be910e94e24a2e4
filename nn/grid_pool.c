/* SPDX-License-Identifier: MIT */
/* grid_pool.c: see grid_pool.h. */
#include "grid_pool.h"

tsr_grid_size tsr_pool_size(tsr_pool pool, tsr_grid_size size) {
    const int64_t up = pool == TSR_POOL_BILINEAR;
    return (tsr_grid_size){(size.rows + up) / 2, (size.columns + up) / 2};
}

/* Mean or maximum of cells (2y, 2x) .. (2y + 1, 2x + 1). */
static void pool_cell(tsr_pool pool, const float *from, int64_t columns, int64_t channels,
                      float *to) {
    for (int64_t c = 0; c < channels; ++c) {
        const float a = from[c], b = from[channels + c];
        const float d = from[columns * channels + c], e = from[(columns + 1) * channels + c];
        const float ab = a > b ? a : b, de = d > e ? d : e;
        to[c] = pool == TSR_POOL_MAX ? (ab > de ? ab : de) : (a + b + d + e) / 4;
    }
}

tsr_status tsr_pool_grids(tsr_context *ctx, tsr_pool pool, const float *from, int64_t frames,
                          tsr_grid_size size, int64_t channels, float *to) {
    const tsr_grid_size made = tsr_pool_size(pool, size);
    tsr_status status = TSR_OK;
    for (int64_t f = 0; f < frames && !status; ++f) {
        const float *grid = from + f * size.rows * size.columns * channels;
        float *out = to + f * made.rows * made.columns * channels;
        if (pool == TSR_POOL_BILINEAR) {
            status = tsr_grid_resize(ctx, grid, size, channels, TSR_GRID_BILINEAR, out, made);
            continue;
        }
        for (int64_t y = 0; y < made.rows; ++y)
            for (int64_t x = 0; x < made.columns; ++x)
                pool_cell(pool, grid + (2 * y * size.columns + 2 * x) * channels, size.columns,
                          channels, out + (y * made.columns + x) * channels);
    }
    return status;
}
