/* SPDX-License-Identifier: MIT */
/* image.c: a decoded picture: its settings, its memory, and the limit on its size. */
#include "image.h"

#include <stdlib.h>

tsr_image_settings tsr_image_settings_default(void) {
    return (tsr_image_settings){
        .background = {255, 255, 255}, .apply_orientation = true, .max_pixels = (uint64_t)1 << 28};
}

void tsr_image_free(tsr_image *image) {
    if (!image) return;
    free(image->rgb);
    *image = (tsr_image){0};
}

tsr_status tsr_image_check_size(tsr_context *ctx, const char *name, uint64_t width, uint64_t height,
                                const tsr_image_settings *settings) {
    if (width > INT32_MAX || height > INT32_MAX || width * height > settings->max_pixels)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted at most %llu pixels, got %llux%llu", name,
                        (unsigned long long)settings->max_pixels, (unsigned long long)width,
                        (unsigned long long)height);
    return TSR_OK;
}

tsr_status tsr_image_allocate(tsr_context *ctx, const char *name, uint64_t width, uint64_t height,
                              const tsr_image_settings *settings, tsr_image *image) {
    if (width == 0 || height == 0)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: size: wanted at least 1x1, got %llux%llu", name,
                        (unsigned long long)width, (unsigned long long)height);
    tsr_status status = tsr_image_check_size(ctx, name, width, height, settings);
    if (status) return status;
    image->rgb = tsr_alloc(ctx, width * height, 3, name);
    if (!image->rgb) return TSR_ERROR_MEMORY;
    image->width = (int)width;
    image->height = (int)height;
    return TSR_OK;
}
