/* SPDX-License-Identifier: MIT */
/* bilinear_input.c: see bilinear_input.h. */
#include "bilinear_input.h"

/* Two neighbours on an axis, and the second one's share. */
typedef struct neighbours {
    int low[TSR_BILINEAR_MOST], high[TSR_BILINEAR_MOST];
    float share[TSR_BILINEAR_MOST];
} neighbours;

static void find_neighbours(int length, int side, bool half_pixels, neighbours *n) {
    const float scale = (float)length / (float)side;
    for (int i = 0; i < side; ++i) {
        float p = half_pixels ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
        if (p < 0) p = 0;
        n->low[i] = (int)p < length - 1 ? (int)p : length - 1;
        n->high[i] = n->low[i] + 1 < length ? n->low[i] + 1 : length - 1;
        n->share[i] = p - (float)n->low[i];
    }
}

void tsr_bilinear_input(const tsr_picture *p, int side, const tsr_bilinear *how, float *x) {
    neighbours across, down;
    const float scale = how->scale;
    find_neighbours(p->width, side, how->half_pixels, &across);
    find_neighbours(p->height, side, how->half_pixels, &down);
    for (int i = 0; i < side; ++i) {
        const uint8_t *top = p->rgb + (size_t)down.low[i] * (size_t)p->width * 3;
        const uint8_t *below = p->rgb + (size_t)down.high[i] * (size_t)p->width * 3;
        for (int j = 0; j < side; ++j)
            for (int c = 0; c < 3; ++c) {
                const int a = across.low[j] * 3 + c, b = across.high[j] * 3 + c;
                const float ta = (float)top[a] * scale, tb = (float)top[b] * scale;
                const float ba = (float)below[a] * scale, bb = (float)below[b] * scale;
                const float t = ta + (tb - ta) * across.share[j];
                const float u = ba + (bb - ba) * across.share[j];
                *x++ = (t + (u - t) * down.share[i]) * how->multiply + how->add;
            }
    }
}
