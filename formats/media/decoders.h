/* SPDX-License-Identifier: MIT */
/* decoders.h: the decoders behind image_read.c. A decoder fills width, height, rgb, had_alpha and
 * source_bits of *image, with the picture as it is stored (image_read.c applies the orientation)
 * and alpha composited. On failure rgb is NULL. image_read.c checks the size against the settings
 * before, where the file's header has the size. */
#ifndef FORMATS_DECODERS_H
#define FORMATS_DECODERS_H

#include "probe.h"

/* Decodes a PNG file through libpng. Errors: FORMAT, TRUNCATED, TOO_LARGE, MEMORY. */
tsr_status tsr_png_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                          const tsr_image_settings *settings, tsr_image *image);
/* Decodes any other picture file through libav. Errors: FORMAT, TRUNCATED, UNSUPPORTED, TOO_LARGE,
 * MEMORY. */
tsr_status tsr_media_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            const tsr_probe *probe, const tsr_image_settings *settings,
                            tsr_image *image);

/* Composites one channel value, 0..255, over a background value; rounds exactly. */
static inline uint8_t tsr_composite(unsigned value, unsigned alpha, unsigned background) {
    return (uint8_t)((value * alpha + background * (255 - alpha) + 127) / 255);
}

#endif
