/* SPDX-License-Identifier: MIT */
/* decoders.h: what image_read.c asks of the decoders. Both fill width, height, rgb, had_alpha and
 * source_bits of *image, as stored (image_read.c turns it), with alpha composited; on failure rgb
 * is NULL. The size was checked against the settings where the header told it. */
#ifndef FORMATS_DECODERS_H
#define FORMATS_DECODERS_H

#include "probe.h"

tsr_status tsr_png_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                          const tsr_image_settings *settings, tsr_image *image);
tsr_status tsr_media_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            const tsr_probe *probe, const tsr_image_settings *settings,
                            tsr_image *image);

/* One value over one background value; exact rounding. */
static inline uint8_t tsr_composite(unsigned value, unsigned alpha, unsigned background) {
    return (uint8_t)((value * alpha + background * (255 - alpha) + 127) / 255);
}

#endif
