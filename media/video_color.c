/* SPDX-License-Identifier: MIT */
/* video_color.c: luma and chroma to R, G, B by table, see video_color.h. Sums of three terms of
 * 2^-20 are off by less than 2 * 2^-20 of a step. */
#include "video_color.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { FRACTION = 20 };

tsr_status tsr_yuv_table_make(tsr_context *ctx, int bits, tsr_video_matrix matrix,
                              tsr_video_range range, tsr_yuv_table *table) {
    static const double red[] = {0, .299, .2126, .2627}, blue[] = {0, .114, .0722, .0593};
    const double kr = red[matrix], kb = blue[matrix], kg = 1 - kr - kb;
    const size_t n = (size_t)1 << bits;
    const double step = (double)(n >> 8), unit = 255.0 * (1 << FRACTION), centre = (double)(n / 2);
    const bool full = range == TSR_VIDEO_RANGE_FULL;
    const double black = full ? 0 : 16 * step, luma = full ? (double)(n - 1) : 219 * step,
                 chroma = full ? (double)(n - 1) : 224 * step;
    int32_t *all = tsr_alloc(ctx, n * 5, sizeof *all, "colour table");
    if (!all) return TSR_ERROR_MEMORY;
    *table = (tsr_yuv_table){bits, all, all + n, all + 2 * n, all + 3 * n, all + 4 * n};
    for (size_t i = 0; i < n; ++i) {
        const double y = ((double)i - black) / luma, c = ((double)i - centre) / chroma;
        table->y[i] = (int32_t)lrint(y * unit) + (1 << (FRACTION - 1));
        table->v_red[i] = (int32_t)lrint(2 * (1 - kr) * c * unit);
        table->u_blue[i] = (int32_t)lrint(2 * (1 - kb) * c * unit);
        table->v_green[i] = (int32_t)lrint(-2 * (1 - kr) * kr / kg * c * unit);
        table->u_green[i] = (int32_t)lrint(-2 * (1 - kb) * kb / kg * c * unit);
    }
    return TSR_OK;
}

void tsr_yuv_table_free(tsr_yuv_table *table) {
    free(table->y);
    *table = (tsr_yuv_table){0};
}

static inline uint8_t byte_of(int32_t x) {
    x >>= FRACTION;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* One loop for samples of both widths: `type` is that of y, u and v. */
#define CONVERT_ROW(table, y, u, v, width, shift, rgb)                                             \
    do {                                                                                           \
        const uint32_t cell = 1u << (shift);                                                       \
        for (uint32_t x = 0; x < (width); ++(u), ++(v)) {                                          \
            const int32_t r = (table)->v_red[*(v)], b = (table)->u_blue[*(u)],                     \
                          g = (table)->u_green[*(u)] + (table)->v_green[*(v)];                     \
            const uint32_t end = (width)-x < cell ? (width) : x + cell;                            \
            for (; x < end; ++x, (rgb) += 3) {                                                     \
                const int32_t luma = (table)->y[(y)[x]];                                           \
                (rgb)[0] = byte_of(luma + r);                                                      \
                (rgb)[1] = byte_of(luma + g);                                                      \
                (rgb)[2] = byte_of(luma + b);                                                      \
            }                                                                                      \
        }                                                                                          \
    } while (0)
#define GREY_ROW(table, y, width, rgb)                                                             \
    for (uint32_t x = 0; x < (width); ++x, (rgb) += 3)                                             \
    (rgb)[0] = (rgb)[1] = (rgb)[2] = byte_of((table)->y[(y)[x]])

void tsr_yuv_row(const tsr_yuv_table *table, const uint16_t *y, const uint16_t *u,
                 const uint16_t *v, uint32_t width, int shift, uint8_t *rgb) {
    if (u)
        CONVERT_ROW(table, y, u, v, width, shift, rgb);
    else
        GREY_ROW(table, y, width, rgb);
}

void tsr_yuv_row8(const tsr_yuv_table *table, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                  uint32_t width, int shift, uint8_t *rgb) {
    if (u)
        CONVERT_ROW(table, y, u, v, width, shift, rgb);
    else
        GREY_ROW(table, y, width, rgb);
}
