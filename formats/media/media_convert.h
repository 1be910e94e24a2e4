/* SPDX-License-Identifier: MIT */
/* media_convert.h: a decoded libav frame to 8-bit RGB.
 *
 * Not through libswscale: its chroma upsampling and rounding differ from what every other JPEG
 * reader shows, and it reports through a global log. What is done here follows the JPEG library's
 * arithmetic, so that a JPEG file gives the pixels that other programs see. */
#ifndef FORMATS_MEDIA_CONVERT_H
#define FORMATS_MEDIA_CONVERT_H

#include <libavutil/frame.h>
#include "decoders.h"

/* Converts a frame into *image, which this call allocates. Errors: UNSUPPORTED (pixel format),
 * MEMORY. */
tsr_status tsr_media_convert(tsr_context *ctx, const char *name, const AVFrame *frame,
                             const tsr_probe *probe, const tsr_image_settings *settings,
                             tsr_image *image);

#endif
