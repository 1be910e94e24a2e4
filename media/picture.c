/* SPDX-License-Identifier: MIT */
/* picture.c: the public calls that read a picture, over image.h. */
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

tsr_status tsr_picture_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                             const uint8_t background[3], uint64_t max_pixels, uint8_t **rgb,
                             int *width, int *height, int *orientation) {
    if (rgb) *rgb = NULL;
    if (!bytes || !rgb || !width || !height)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_picture_parse: wanted four addresses, got NULL");
    tsr_image_settings settings = tsr_image_settings_default();
    if (background) memcpy(settings.background, background, sizeof settings.background);
    if (max_pixels) settings.max_pixels = max_pixels;
    tsr_image image;
    const tsr_status status =
        tsr_image_decode(ctx, name ? name : "picture in memory", bytes, size, &settings, &image);
    *rgb = image.rgb;
    *width = image.width;
    *height = image.height;
    if (orientation) *orientation = status ? 0 : image.orientation;
    return status;
}
