/* SPDX-License-Identifier: MIT */
/* scene_weave.c: a tartan, thread over thread: texture with detail down to single pixels, and the
 * soft folds of a cloth that lies on something. */
#include "canvas.h"

#include <math.h>

static const double pitch = 5.2; /* pixels from thread to thread */

/* The sett: colours and counts of threads, mirrored at both ends as tartans are. */
static uint32_t thread_colour(int index) {
    static const struct {
        int count;
        uint32_t paint;
    } sett[] = {{3, 0xe9dcc0}, {11, 0x8e1f24}, {2, 0xe0a92e}, {7, 0x17324d},
                {2, 0x0d1014}, {9, 0x1f5a46},  {2, 0x0d1014}, {4, 0x17324d}};
    enum { N = sizeof sett / sizeof *sett };
    int total = 0;
    for (int i = 0; i < N; ++i)
        total += sett[i].count;
    int place = ((index % (2 * total)) + 2 * total) % (2 * total);
    if (place >= total) place = 2 * total - 1 - place;
    for (int i = 0; i < N; ++i) {
        if (place < sett[i].count) return sett[i].paint;
        place -= sett[i].count;
    }
    return 0;
}

/* Light on a thread: round across its width, darker where it dives, spun of fibres. */
static double thread_light(double across, double along, double dive, uint32_t seed) {
    double round = sqrt(fmax(0, 1 - across * across));
    double ply = sin(6.2832 * (along * 0.55 + across * 0.8));
    double fibre = fractal2(along * 5.0, across * 2.5 + seed * 1.7, 3, 3);
    return (0.30 + 0.70 * round) * dive * (0.86 + 0.10 * ply) * (0.70 + 0.60 * fibre);
}

colour scene_weave(double px, double py, int width, int height) {
    /* folds: the cloth is bent, and its height gives the light */
    double fx = px / height, fy = py / height;
    double h = fractal2(fx * 1.9 + 2, fy * 1.5 + 4, 3, 55), step = 0.01;
    double hx = fractal2((fx + step) * 1.9 + 2, fy * 1.5 + 4, 3, 55) - h;
    double hy = fractal2(fx * 1.9 + 2, (fy + step) * 1.5 + 4, 3, 55) - h;
    double fold = 1.0 - 9.0 * hx - 13.0 * hy + 0.25 * (h - 0.5);
    double x = px + 55 * h + 0.14 * py, y = py + 38 * h - 0.10 * px;
    (void)width;
    double u = x / pitch, v = y / pitch;
    int warp = (int)floor(u), weft = (int)floor(v);
    double cu = 2 * (u - warp) - 1, cv = 2 * (v - weft) - 1;
    /* twill: over two, under two, shifted by one each row */
    int phase = ((warp + weft) % 4 + 4) % 4;
    double wander = 0.85 + 0.3 * noise2(u * 0.4, v * 0.4, 19);
    colour c;
    if (phase < 2) {
        double place = (phase + (v - weft)) / 2; /* along the float, 0..1 */
        double dive = 0.55 + 0.45 * sin(3.1416 * clamp01(place));
        c = colour_scale(colour_hex(thread_colour(warp)),
                         thread_light(cu / 1.08, v, dive, (uint32_t)(warp & 1023)));
    } else {
        double place = (phase - 2 + (u - warp)) / 2;
        double dive = 0.55 + 0.45 * sin(3.1416 * clamp01(place));
        c = colour_scale(colour_hex(thread_colour(weft)),
                         0.92 * thread_light(cv / 1.08, u, dive, (uint32_t)(weft & 1023)));
    }
    double fuzz = smooth(0.80, 0.97, noise2(px * 0.35 + 40 * h, py * 1.1, 71));
    c = colour_add(c, colour_scale(colour_hex(0x9a8f86), 0.06 * fuzz));
    return colour_scale(c, 1.75 * wander * (fold > 0.25 ? fold : 0.25));
}
