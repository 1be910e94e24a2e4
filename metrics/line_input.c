/* SPDX-License-Identifier: MIT */
/* line_input.c: a crop of a word to the picture that Tesseract is shown. */
#include "text_reader.h"
#include "../compute/arena.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Median of a channel over the pixels of the edge. */
static uint8_t edge_median(const tsr_picture *p, int channel) {
    uint32_t counts[256] = {0}, seen = 0, all = 0;
    for (int y = 0; y < p->height; ++y)
        for (int x = 0; x < p->width; ++x) {
            if (y && x && y + 1 < p->height && x + 1 < p->width) continue;
            counts[p->rgb[((size_t)y * (size_t)p->width + (size_t)x) * 3 + (size_t)channel]]++;
            all++;
        }
    int value = 0;
    while ((seen += counts[value]) * 2 < all)
        ++value;
    return (uint8_t)value;
}

/* Taps of a triangle filter; returns the first. */
static int make_taps(int in, int out, int at, float *weight, int *count) {
    const double scale = (double)in / out, support = scale > 1 ? scale : 1;
    const double centre = (at + .5) * scale;
    int first = (int)(centre - support + .5), end = (int)(centre + support + .5);
    double sum = 0;
    if (first < 0) first = 0;
    if (end > in) end = in;
    for (int i = first; i < end; ++i)
        sum += fmax(0, 1 - fabs((i - centre + .5) / support));
    for (int i = first; i < end; ++i)
        weight[i - first] = (float)(fmax(0, 1 - fabs((i - centre + .5) / support)) / sum);
    *count = end - first;
    return first;
}

tsr_status tsr_line_prepare(tsr_context *ctx, const tsr_picture *crop, uint8_t **rgb, int *width,
                            int *height) {
    const int in_w = crop->width, in_h = crop->height, h = TSR_LINE_HEIGHT, b = TSR_LINE_BORDER;
    const double wide = rint((double)in_w * h / in_h);
    const int w = wide < 1 ? 1 : wide > TSR_LINE_WIDTH ? TSR_LINE_WIDTH : (int)wide;
    tsr_scratch s = {.ctx = ctx};
    const size_t longest = (size_t)(in_w > in_h ? in_w : in_h) * 2 + 4;
    float *weight = tsr_scratch_take(&s, longest, sizeof *weight, "word");
    float *narrow = tsr_scratch_take_raw(&s, (size_t)in_h * (size_t)w * 3, sizeof *narrow, "word");
    *width = w + 2 * b;
    *height = h + 2 * b;
    *rgb = s.status ? NULL : tsr_alloc(ctx, (size_t)*width * (size_t)*height, 3, "word");
    if (!*rgb) {
        tsr_scratch_free(&s);
        return TSR_ERROR_MEMORY;
    }
    const uint8_t ground[3] = {edge_median(crop, 0), edge_median(crop, 1), edge_median(crop, 2)};
    for (size_t i = 0; i < (size_t)*width * (size_t)*height * 3; ++i)
        (*rgb)[i] = ground[i % 3];
    int count;
    for (int x = 0; x < w; ++x) {
        const int first = make_taps(in_w, w, x, weight, &count);
        for (int i = 0; i < in_h * 3; ++i) {
            float sum = 0;
            for (int k = 0; k < count; ++k)
                sum += weight[k] *
                       crop->rgb[((size_t)(i / 3) * (size_t)in_w + (size_t)(first + k)) * 3 +
                                 (size_t)(i % 3)];
            narrow[((size_t)(i / 3) * (size_t)w + (size_t)x) * 3 + (size_t)(i % 3)] = sum;
        }
    }
    for (int y = 0; y < h; ++y) {
        const int first = make_taps(in_h, h, y, weight, &count);
        uint8_t *to = *rgb + ((size_t)(y + b) * (size_t)*width + (size_t)b) * 3;
        for (int i = 0; i < w * 3; ++i) {
            float sum = .5f;
            for (int k = 0; k < count; ++k)
                sum += weight[k] * narrow[(size_t)(first + k) * (size_t)w * 3 + (size_t)i];
            to[i] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
    }
    tsr_scratch_free(&s);
    return TSR_OK;
}
