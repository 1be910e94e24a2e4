/* SPDX-License-Identifier: MIT */
/* reader.c: what the readers of picture formats share, see reader.h. */
#include "reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tsr_status tsr_picture_refuse(const tsr_picture_decode *d, const char *advice, const char *what,
                              ...) {
    char text[256];
    va_list list;
    va_start(list, what);
    vsnprintf(text, sizeof text, what, list);
    va_end(list);
    return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED, "%s: %s is not read: %s", d->name, text,
                    advice ? advice : "convert it to PNG");
}

tsr_status tsr_picture_damaged(const tsr_picture_decode *d, tsr_status status, const char *what,
                               ...) {
    char text[256];
    va_list list;
    va_start(list, what);
    vsnprintf(text, sizeof text, what, list);
    va_end(list);
    for (char *c = text; *c; ++c) /* one line, whatever a library says */
        if ((unsigned char)*c < ' ') *c = ' ';
    return tsr_fail(d->ctx, status, "%s: %s: %s", d->name, d->probe->reader->name, text);
}

tsr_status tsr_picture_allocate(const tsr_picture_decode *d, uint64_t width, uint64_t height) {
    return tsr_image_allocate(d->ctx, d->name, width, height, d->settings, d->image);
}

void tsr_picture_row(const tsr_picture_decode *d, const uint8_t *from, int channels, size_t count,
                     uint8_t *to) {
    const uint8_t *background = d->settings->background;
    const bool alpha = (channels & 1) == 0 && !d->settings->drop_alpha;
    if (channels == 3) {
        memcpy(to, from, count * 3);
        return;
    }
    const int second = channels > 2 ? 1 : 0, third = channels > 2 ? 2 : 0;
    for (size_t x = 0; x < count; ++x, from += channels, to += 3) {
        const uint8_t v[3] = {from[0], from[second], from[third]};
        const unsigned a = alpha ? from[channels - 1] : 255;
        if (a == 255) {
            to[0] = v[0], to[1] = v[1], to[2] = v[2];
            continue;
        }
        d->image->had_alpha = true;
        for (int c = 0; c < 3; ++c)
            to[c] = tsr_composite(v[c], a, background[c]);
    }
}

void tsr_ink_to_rgb(const uint8_t cmyk[4], uint8_t rgb[3]) {
    const unsigned paper = 255u - cmyk[3];
    for (int c = 0; c < 3; ++c) {
        unsigned ink = cmyk[c] * paper + 128; /* / 255, rounded: never above `paper` */
        rgb[c] = (uint8_t)(paper - ((ink >> 8) + ink) / 256);
    }
}
