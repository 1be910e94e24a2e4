/* SPDX-License-Identifier: MIT */
/* decode_bytes.h: what the picture targets share: decode under each setting, with and without
 * memory, and touch every pixel. */
#ifndef FUZZ_DECODE_BYTES_H
#define FUZZ_DECODE_BYTES_H

#include <stdlib.h>
#include "alloc_fail.h"
#include "media/reader.h"

static inline void decode_bytes(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return;
    tsr_image_settings s = tsr_image_settings_default();
    s.max_pixels = 1 << 14; /* small pictures show the same faults sooner */
    s.drop_alpha = size & 1;
    s.pillow_grey16 = size & 2;
    s.apply_orientation = !(size & 4);
    tsr_image image;
    if (tsr_image_decode(ctx, "fuzz", data, size, &s, &image) == TSR_OK) {
        if (image.width < 1 || image.height < 1 || !image.rgb) abort();
        if ((uint64_t)image.width * (uint64_t)image.height > s.max_pixels) abort();
        const volatile uint8_t *p = image.rgb;
        for (size_t i = 0; i < (size_t)image.width * (size_t)image.height * 3; ++i)
            (void)p[i];
        tsr_image_free(&image);
        alloc_fail_at(size % 8);
        tsr_image_decode(ctx, "fuzz", data, size, &s, &image);
        alloc_fail_at(-1);
        tsr_image_free(&image);
    } else if (image.rgb || !tsr_detail(ctx)[0]) {
        abort();
    }
    tsr_context_close(&ctx);
}

/* The same for bytes of one of two formats; others are not worth the time of their target. */
static inline int decode_bytes_of(const char *name, const char *other, const uint8_t *data,
                                  size_t size) {
    const tsr_picture_reader *reader = tsr_picture_probe(data, size).reader;
    if (!reader || (strcmp(reader->name, name) != 0 && strcmp(reader->name, other) != 0)) return -1;
    decode_bytes(data, size);
    return 0;
}

#endif
