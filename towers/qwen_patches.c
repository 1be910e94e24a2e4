/* SPDX-License-Identifier: MIT */
/* qwen_patches.c: see qwen_patches.h. */
#include "qwen_patches.h"
#include "vit_tower.h"

void tsr_qwen_place(tsr_grid_size grid, int64_t index, int64_t *row, int64_t *column) {
    const int64_t m = TSR_QWEN_MERGE, cell = index / (m * m), inside = index % (m * m);
    *row = cell / (grid.columns / m) * m + inside / m;
    *column = cell % (grid.columns / m) * m + inside % m;
}

void tsr_qwen_cut(const tsr_pixels *pixels, const tsr_view *view, float *rows) {
    const int64_t p = TSR_QWEN_PATCH, width = pixels->tile.width, height = pixels->tile.height;
    const int64_t frames = pixels->tile.frames, pairs = (frames + 1) / 2;
    const tsr_grid_size grid = {height / p, width / p};
    const int64_t n = grid.rows * grid.columns;
    float number[3][256];
    tsr_view_numbers(view, number);
    for (int64_t i = 0; i < pixels->count * pairs * n; ++i) {
        const int64_t tile = i / (pairs * n), pair = i / n % pairs;
        int64_t row, column;
        tsr_qwen_place(grid, i % n, &row, &column);
        for (int c = 0; c < 3; ++c)
            for (int64_t f = 0; f < TSR_QWEN_FRAMES; ++f) {
                const int64_t frame = 2 * pair + f < frames ? 2 * pair + f : frames - 1;
                const uint8_t *rgb =
                    pixels->rgb +
                    (((tile * frames + frame) * height + row * p) * width + column * p) * 3 + c;
                for (int64_t y = 0; y < p; ++y)
                    for (int64_t x = 0; x < p; ++x)
                        *rows++ = number[c][rgb[(y * width + x) * 3]];
            }
    }
}
