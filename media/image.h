/* SPDX-License-Identifier: MIT */
/* image.h: a decoded picture, and the readers and writers of picture files. The reader is chosen by
 * the file's first bytes, never by its name; reader.h is what each format has to bring. */
#ifndef MEDIA_IMAGE_H
#define MEDIA_IMAGE_H

#include "../compute/context.h"
#include <stdbool.h>

/* File format a picture came from. Numbers are written to token files. */
typedef enum tsr_image_source {
    TSR_SOURCE_UNKNOWN = 0,
    TSR_SOURCE_PNG,
    TSR_SOURCE_JPEG,
    TSR_SOURCE_WEBP,
    TSR_SOURCE_GIF,
    TSR_SOURCE_BMP,
    TSR_SOURCE_TIFF,
    TSR_SOURCE_PNM,
    TSR_SOURCE_OTHER
} tsr_image_source;

/* A decoded picture. */
typedef struct tsr_image {
    int width, height; /* after orientation was applied */
    uint8_t *rgb;      /* height*width*3, row by row, malloc'd; free with tsr_image_free */
    tsr_image_source source;
    int orientation; /* the EXIF tag that was applied, 1..8; 1: as stored */
    bool had_alpha;  /* a pixel was not opaque, and was composited on the background */
    int source_bits; /* bits of each channel in the file */
} tsr_image;

/* How a picture file is read. */
typedef struct tsr_image_settings {
    uint8_t background[3];  /* RGB under transparent pixels; default white */
    bool apply_orientation; /* default true */
    bool drop_alpha;        /* ignore alpha as Pillow's convert("RGB") does; default false */
    bool pillow_grey16;     /* clip 16-bit grey at 255 as Pillow does; default false */
    uint64_t max_pixels;    /* larger pictures are refused before decoding; default 2^28 */
} tsr_image_settings;

/* Default settings of reading. */
tsr_image_settings tsr_image_settings_default(void);
/* Reads a picture file; "-" reads stdin to its end. The caller frees *image with tsr_image_free.
 * Errors: reading errors. */
tsr_status tsr_image_read(tsr_context *ctx, const char *path, const tsr_image_settings *settings,
                          tsr_image *image);
/* Reads a picture from the bytes of a file; `name` begins the detail text. */
tsr_status tsr_image_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            const tsr_image_settings *settings, tsr_image *image);
/* A quick look at a picture file, at its first 64 KiB: does it exist, is it of a kind that is read,
 * is its size within the settings? Pixels are not decoded, so a damaged one may pass. Errors: those
 * of tsr_image_read. */
tsr_status tsr_image_look(tsr_context *ctx, const char *path, const tsr_image_settings *settings);
/* Says what a decoder would say of the first bytes of a file: is there a reader for them, is the
 * size within the settings? Errors: FORMAT, TRUNCATED (no bytes), TOO_LARGE, UNSUPPORTED. */
tsr_status tsr_image_recognise(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                               const tsr_image_settings *settings);
/* Logs a warning when another picture follows the first of the bytes: for callers that want one of
 * a pipe. */
void tsr_image_warn_of_more(tsr_context *ctx, const char *name, const uint8_t *bytes, size_t size);
/* Turns the picture as an EXIF orientation, 1..8, asks; `name` begins the detail text. Errors:
 * MEMORY. */
tsr_status tsr_image_turn(tsr_context *ctx, const char *name, int orientation, tsr_image *image);
/* For the decoders: fails with TOO_LARGE when width x height exceeds settings->max_pixels. `name`
 * begins the detail text. */
tsr_status tsr_image_check_size(tsr_context *ctx, const char *name, uint64_t width, uint64_t height,
                                const tsr_image_settings *settings);
/* For the decoders: sets width, height and rgb [height, width, 3] of *image, all zeros. Errors:
 * FORMAT (an empty picture), TOO_LARGE, MEMORY. */
tsr_status tsr_image_allocate(tsr_context *ctx, const char *name, uint64_t width, uint64_t height,
                              const tsr_image_settings *settings, tsr_image *image);
/* Frees rgb and zeroes *image. */
void tsr_image_free(tsr_image *image);
/* Writes an 8-bit RGB PNG, complete or not at all (temporary name beside it, renamed at the end);
 * path "-" writes to stdout. The bytes depend on the pixels alone. */
tsr_status tsr_png_write(tsr_context *ctx, const char *path, int width, int height,
                         const uint8_t *rgb);

#endif
