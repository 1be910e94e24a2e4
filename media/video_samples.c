/* SPDX-License-Identifier: MIT */
/* video_samples.c: R, G, B to luma and chroma, see video_samples.h. */
#include "video_samples.h"

#include <string.h>

enum { ONE = 10000, WHITE = 255 * ONE };

tsr_sample_rule tsr_sample_rule_of(tsr_video_matrix matrix, tsr_video_range range) {
    static const int32_t red[] = {0, 2990, 2126, 2627}, blue[] = {0, 1140, 722, 593};
    const int32_t r = red[matrix], b = blue[matrix];
    if (range == TSR_VIDEO_RANGE_FULL) return (tsr_sample_rule){r, ONE - r - b, b, 0, 255, 255};
    return (tsr_sample_rule){r, ONE - r - b, b, 16, 219, 224};
}

static void luma_row(const tsr_sample_rule *k, const uint8_t *rgb, uint32_t width, uint8_t *y) {
    const uint32_t red = (uint32_t)(k->red * k->luma), green = (uint32_t)(k->green * k->luma),
                   blue = (uint32_t)(k->blue * k->luma),
                   rest = (uint32_t)(k->black * WHITE + WHITE / 2);
    for (uint32_t x = 0; x < width; ++x) /* below 2^32: 255 * 255 * 10000 and the rest */
        y[x] =
            (uint8_t)((red * rgb[3 * x] + green * rgb[3 * x + 1] + blue * rgb[3 * x + 2] + rest) /
                      WHITE);
}

/* floor(128 + chroma * difference / scale + 1/2) for the difference of a primary to luma, both
 * times 4 * WHITE; `scale` is 2 (1 - K) * ONE. Dividend and divisor are whole numbers below 2^53,
 * so that the floor of their rounded quotient is that of the true one. */
static inline uint8_t chroma_of(int32_t chroma, int32_t difference, int32_t scale) {
    const int64_t below = (int64_t)4 * 255 * scale;
    const int64_t above = 2 * (int64_t)chroma * difference + 257 * below;
    const int32_t c = (int32_t)((double)above / (double)(2 * below));
    return (uint8_t)(c > 255 ? 255 : c);
}

/* Chroma of two rows of pixels. */
static void chroma_row(const tsr_sample_rule *k, const uint8_t *upper, const uint8_t *lower,
                       uint32_t width, uint8_t *u, uint8_t *v) {
    for (uint32_t x = 0; x < width; x += 2) {
        const uint32_t a = 3 * x, b = x + 1 < width ? a + 3 : a;
        const int32_t red = upper[a] + upper[b] + lower[a] + lower[b],
                      green = upper[a + 1] + upper[b + 1] + lower[a + 1] + lower[b + 1],
                      blue = upper[a + 2] + upper[b + 2] + lower[a + 2] + lower[b + 2];
        const int32_t luma = k->red * red + k->green * green + k->blue * blue;
        u[x / 2] = chroma_of(k->chroma, ONE * blue - luma, 2 * (ONE - k->blue));
        v[x / 2] = chroma_of(k->chroma, ONE * red - luma, 2 * (ONE - k->red));
    }
}

void tsr_samples_420(const tsr_sample_rule *rule, const uint8_t *rgb, uint32_t width,
                     uint32_t height, int even, const tsr_sample_planes *p) {
    const size_t row = (size_t)width * 3;
    const uint32_t wide = even ? (width + 1) & ~1u : width;
    for (uint32_t i = 0; i < height; ++i) {
        uint8_t *y = p->y + (size_t)i * (size_t)p->y_stride;
        luma_row(rule, rgb + i * row, width, y);
        if (wide > width) y[width] = y[width - 1];
    }
    if (even && height % 2) {
        uint8_t *last = p->y + (size_t)height * (size_t)p->y_stride;
        memcpy(last, last - p->y_stride, wide);
    }
    for (uint32_t i = 0; i < height; i += 2) {
        const uint8_t *upper = rgb + i * row, *lower = i + 1 < height ? upper + row : upper;
        chroma_row(rule, upper, lower, width, p->u + (size_t)(i / 2) * (size_t)p->u_stride,
                   p->v + (size_t)(i / 2) * (size_t)p->v_stride);
    }
}
