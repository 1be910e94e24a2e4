/* SPDX-License-Identifier: MIT */
/* flextok_grid.c: see flextok_grid.h. */
#include "flextok_grid.h"

/* Copies between latents [C, h, w] and patches [h/p * w/p, (y, x, channel)], one way or the other.
 */
static void move_patches(const tsr_flextok_config *c, int64_t count, int64_t height, int64_t width,
                         float *latents, float *patches, bool to_patches) {
    const int64_t p = c->patch, channels = c->channels;
    for (int64_t b = 0; b < count; ++b)
        for (int64_t row = 0; row < height; row += p)
            for (int64_t col = 0; col < width; col += p)
                for (int64_t y = row; y < row + p; ++y)
                    for (int64_t x = col; x < col + p; ++x)
                        for (int64_t i = 0; i < channels; ++i, ++patches) {
                            float *at = latents + ((b * channels + i) * height + y) * width + x;
                            if (to_patches)
                                *patches = *at;
                            else
                                *at = *patches;
                        }
}

void tsr_flextok_patchify(const tsr_flextok_config *config, const float *latents, int64_t count,
                          int64_t height, int64_t width, float *patches) {
    move_patches(config, count, height, width, (float *)latents, patches, true);
}

void tsr_flextok_unpatchify(const tsr_flextok_config *config, const float *patches, int64_t count,
                            int64_t height, int64_t width, float *latents) {
    move_patches(config, count, height, width, latents, (float *)patches, false);
}

void tsr_flextok_position_rows(const tsr_flextok_positions *p, const float *table, int64_t dim,
                               int64_t rows, int64_t cols, float *out) {
    /* A grid uses the table's top left corner; a sum has a table for rows and one for columns. */
    const int64_t high = p->max[0], wide = p->max[1];
    for (int64_t y = 0; y < rows; ++y)
        for (int64_t x = 0; x < cols; ++x)
            for (int64_t i = 0; i < dim; ++i)
                *out++ = !p->sum        ? table[(i * high + y) * wide + x]
                         : p->axes == 1 ? table[i * high + y]
                                        : table[i * high + y] + table[(dim + i) * high + x];
}

tsr_status tsr_flextok_check_grid(const tsr_flextok *m, const tsr_flextok_positions *positions,
                                  int64_t height, int64_t width) {
    const int64_t p = m->config.patch;
    if (height >= p && width >= p && height % p == 0 && width % p == 0 &&
        height / p <= positions->max[0] && width / p <= positions->max[1])
        return TSR_OK;
    return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT,
                    "%s: latents: wanted multiples of %lld up to %lldx%lld, got %lldx%lld", m->path,
                    (long long)p, (long long)(positions->max[0] * p),
                    (long long)(positions->max[1] * p), (long long)height, (long long)width);
}
