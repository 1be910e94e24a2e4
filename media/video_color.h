/* SPDX-License-Identifier: MIT */
/* video_color.h: the colour rule of videos: samples of luma and chroma to 8-bit R, G, B.
 *
 * With b bits, s = 2^(b-8) and Kg = 1 - Kr - Kb:
 *
 *              limited range                full range
 *     y        (Y - 16 s) / (219 s)         Y / (2^b - 1)
 *     u, v     (C - 2^(b-1)) / (224 s)      (C - 2^(b-1)) / (2^b - 1)
 *
 *     R = y + 2 (1 - Kr) v
 *     B = y + 2 (1 - Kb) u
 *     G = y - 2 (1 - Kr) Kr/Kg v - 2 (1 - Kb) Kb/Kg u          byte = clamp(floor(255 x + 1/2))
 *
 * Kr, Kb: BT.601 .299 .114, BT.709 .2126 .0722, BT.2020 .2627 .0593 (ITU-R). A chroma sample stands
 * for all pixels of its cell: repeated, not interpolated, as ffmpeg, PyAV and decord do it for
 * 4:2:0 and 4:2:2 of 8 bits and even sizes, and so the pixels that models of videos were trained
 * on. (JPEG pictures go through their library's triangle filter: another rule, for another medium.)
 * Primaries and transfer are not applied. */
#ifndef MEDIA_VIDEO_COLOR_H
#define MEDIA_VIDEO_COLOR_H

#include "../compute/context.h"
#include <tessera/media.h>

/* The terms of the formulas for every value of a sample, in units of 2^-20 of a byte. */
typedef struct tsr_yuv_table {
    int bits;
    int32_t *y, *v_red, *u_blue, *u_green, *v_green; /* [2^bits] each, in one allocation at `y` */
} tsr_yuv_table;
/* Fills a table for samples of 8..16 bits; the caller frees it. `matrix` is one of BT601, BT709,
 * BT2020, `range` LIMITED or FULL. Errors: MEMORY. */
tsr_status tsr_yuv_table_make(tsr_context *ctx, int bits, tsr_video_matrix matrix,
                              tsr_video_range range, tsr_yuv_table *table);
void tsr_yuv_table_free(tsr_yuv_table *table);
/* One row of `width` pixels. u and v have a sample for every 2^shift pixels; u NULL: grey. Values
 * are below 2^bits. */
void tsr_yuv_row(const tsr_yuv_table *table, const uint16_t *y, const uint16_t *u,
                 const uint16_t *v, uint32_t width, int shift, uint8_t *rgb);
/* The same of samples of 8 bits. */
void tsr_yuv_row8(const tsr_yuv_table *table, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                  uint32_t width, int shift, uint8_t *rgb);

#endif
