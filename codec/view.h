/* SPDX-License-Identifier: MIT */
/* view.h: pictures of any size to the pixels a tower takes, as the published processors make them
 * (their Pillow forms, under Pillow 13), to the byte. */
#ifndef CODEC_VIEW_H
#define CODEC_VIEW_H

#include <tessera/features.h>

#include "../compute/device.h"

/* Pixels of what a picture of width x height becomes. Errors: ARGUMENT, naming `key` (an empty
 * picture, or an aspect above 200 with TSR_VIEW_SMART). */
tsr_status tsr_view_size(tsr_context *ctx, const tsr_view *view, const tsr_picture *picture,
                         uint32_t *width, uint32_t *height);
/* Makes the view of a picture: rgb [height, width, 3], of the size above. `host` is a cpu device
 * for the resampling. Errors: ARGUMENT, TOO_LARGE (a resized picture of more than 2^28 pixels),
 * MEMORY. */
tsr_status tsr_view_make(tsr_device *host, const tsr_view *view, const tsr_picture *picture,
                         uint8_t *rgb);
/* Resizes a picture to width x height by a filter of TSR_RESAMPLING; rgb [height, width, 3]. */
tsr_status tsr_view_resize(tsr_device *host, const tsr_picture *picture, tsr_resampling filter,
                           uint32_t width, uint32_t height, uint8_t *rgb);

#endif
