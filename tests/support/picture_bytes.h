/* SPDX-License-Identifier: MIT */
/* picture_bytes.h: picture files made in memory, each by the simplest encoder its format allows, so
 * that tests know every pixel without an encoder to trust. All return malloc'd bytes. */
#ifndef TESTS_PICTURE_BYTES_H
#define TESTS_PICTURE_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct picture_bytes {
    uint8_t *p;
    size_t size;
} picture_bytes;

void put_bytes(picture_bytes *to, const void *bytes, size_t size);
void put_big(picture_bytes *to, uint32_t value, int count);
void put_little(picture_bytes *to, uint32_t value, int count);

/* PNG of filtered rows as they are stored (see png_rows), between `chunks` (made with put_chunk)
 * and IEND; deflate without compression. */
picture_bytes png_bytes(uint32_t width, uint32_t height, int depth, int colour, int interlace,
                        const uint8_t *rows, size_t rows_size, const picture_bytes *chunks);
void put_chunk(picture_bytes *to, const char type[5], const void *data, size_t size);

/* Baseline JPEG of flat 8x8 blocks: samples[component][block], blocks row by row. adobe: -1 = no
 * marker, else its transform. exif: orientation, 0 = no block. */
picture_bytes jpeg_bytes(int width, int height, int components, const uint8_t *const *samples,
                         int adobe, int exif);
/* 256 grey levels as palette, `frames` of the same size; transparent: index or -1. */
picture_bytes gif_bytes(int width, int height, int frames, const uint8_t *const *indices,
                        int transparent);
picture_bytes bmp_bytes(int width, int height, const uint8_t *rgb);
/* Uncompressed RGB, one strip, big- or little-endian, tag 274 = orientation. */
picture_bytes tiff_bytes(int width, int height, const uint8_t *rgb, int big_endian,
                         int orientation);
picture_bytes pnm_bytes(int kind, int width, int height, const uint8_t *samples, size_t size);
picture_bytes qoi_bytes(int width, int height, const uint8_t *rgb);
/* A TIFF header with an orientation tag alone, as EXIF blocks begin. */
picture_bytes exif_bytes(int orientation, int big_endian);

#endif
