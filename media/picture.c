/* SPDX-License-Identifier: MIT */
/* picture.c: the public call that reads a picture, over image.h. */
#include <tessera/tessera.h>
#include "image.h"

#include <string.h>

tsr_status tsr_picture_read(tsr_context *ctx, const char *path, const uint8_t background[3],
                            uint8_t **rgb, int *width, int *height) {
    if (!path || !rgb || !width || !height)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_picture_read: wanted four addresses, got NULL");
    tsr_image_settings settings = tsr_image_settings_default();
    if (background) memcpy(settings.background, background, sizeof settings.background);
    tsr_image image;
    tsr_status status = tsr_image_read(ctx, path, &settings, &image);
    *rgb = image.rgb;
    *width = image.width;
    *height = image.height;
    return status;
}
