/* SPDX-License-Identifier: MIT */
/* image_read.c: from any picture file to upright 8-bit RGB. */
#include "../formats/file.h"
#include "reader.h"

#include <stdlib.h>
#include <string.h>

/* Pixel (x, y) of the upright picture is taken from
 * origin + x*step_x + y*step_y of the stored one. */
tsr_status tsr_image_turn(tsr_context *ctx, const char *name, int orientation, tsr_image *image) {
    if (orientation == 1) return TSR_OK;
    const size_t w = (size_t)image->width, h = (size_t)image->height;
    bool swapped = orientation >= 5;
    const ptrdiff_t right = 1, down = (ptrdiff_t)w;
    /* by orientation: does upright x run against stored x (or y), and upright y? */
    static const bool against_x[9] = {0, 0, 1, 1, 0, 0, 1, 1, 0};
    static const bool against_y[9] = {0, 0, 0, 1, 1, 0, 0, 1, 1};
    ptrdiff_t step_x = swapped ? down : right, step_y = swapped ? right : down;
    ptrdiff_t last_x = (ptrdiff_t)(swapped ? h : w) - 1, last_y = (ptrdiff_t)(swapped ? w : h) - 1;
    ptrdiff_t origin = 0;
    if (against_x[orientation]) origin += last_x * step_x, step_x = -step_x;
    if (against_y[orientation]) origin += last_y * step_y, step_y = -step_y;

    uint8_t *turned = tsr_alloc(ctx, w * h, 3, name), *to = turned;
    if (!turned) return TSR_ERROR_MEMORY;
    for (ptrdiff_t y = 0; y <= last_y; ++y) {
        for (ptrdiff_t x = 0; x <= last_x; ++x, to += 3) {
            const uint8_t *from = image->rgb + 3 * (origin + x * step_x + y * step_y);
            to[0] = from[0], to[1] = from[1], to[2] = from[2];
        }
    }
    free(image->rgb);
    image->rgb = turned;
    image->width = (int)(last_x + 1);
    image->height = (int)(last_y + 1);
    return TSR_OK;
}

tsr_status tsr_image_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            const tsr_image_settings *settings, tsr_image *image) {
    *image = (tsr_image){0};
    tsr_image_settings defaults = tsr_image_settings_default();
    if (!settings) settings = &defaults;
    tsr_probe probe;
    const tsr_picture_decode d = {.ctx = ctx,
                                  .name = name,
                                  .bytes = {bytes, size},
                                  .settings = settings,
                                  .probe = &probe,
                                  .image = image};
    tsr_status status = tsr_picture_recognise(&d, &probe);
    if (status) return status;
    image->source = probe.reader->source;
    image->source_bits = 8;
    image->orientation = probe.orientation;
    if (probe.unfinished)
        status = tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                          "%s: wanted a whole picture, got one without end mark", name);
    if (!status) status = probe.reader->decode(&d);
    if (!settings->apply_orientation) image->orientation = 1;
    if (!status) status = tsr_image_turn(ctx, name, image->orientation, image);
    if (status) tsr_image_free(image);
    return status;
}

tsr_status tsr_image_read(tsr_context *ctx, const char *path, const tsr_image_settings *settings,
                          tsr_image *image) {
    *image = (tsr_image){0};
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    status = tsr_image_decode(ctx, name, map.bytes, map.size, settings, image);
    if (!status && tsr_in_is_stream(path)) tsr_image_warn_of_more(ctx, name, map.bytes, map.size);
    tsr_map_close(&map);
    return status;
}
