/* SPDX-License-Identifier: MIT */
/* scene_hills.c: a lake in the evening, ridges in haze, firs in front: soft gradients behind hard
 * silhouettes, as in a photograph. Coordinates inside are in heights of the picture. */
#include "canvas.h"

#include <math.h>

enum { RIDGES = 6 };
static const double shore = 0.735;
static const double sun_x = 0.98, sun_y = 0.40;

static colour sky(double x, double y) {
    colour c = colour_mix(colour_hex(0x27477a), colour_hex(0x7d90b4), smooth(0.0, 0.34, y));
    c = colour_mix(c, colour_hex(0xf2b98c), smooth(0.16, 0.46, y));
    c = colour_mix(c, colour_hex(0xf9dcae), smooth(0.38, 0.56, y));
    double d = hypot(x - sun_x, (y - sun_y) * 1.05);
    c = colour_add(c, colour_scale(colour_hex(0xffb060), 0.55 * exp(-d * 4.2)));
    /* bands of cloud, lit from below near the sun */
    double band = fractal2(x * 1.7 + 3, y * 7.5, 5, 21);
    double veil = smooth(0.52, 0.74, band) * smooth(0.47, 0.30, y) * smooth(0.0, 0.10, y);
    colour lit = colour_mix(colour_hex(0xb98fa0), colour_hex(0xffe2b8), exp(-d * 2.4));
    c = colour_mix(c, lit, 0.8 * veil);
    return colour_mix(c, colour_hex(0xfff6dc), smooth(0.050, 0.044, d));
}

/* Height (as y) of a ridge's edge. */
static double ridge_edge(int i, double x) {
    static const double base[RIDGES] = {0.47, 0.515, 0.56, 0.605, 0.655, 0.70};
    static const double rise[RIDGES] = {0.30, 0.24, 0.19, 0.15, 0.11, 0.07};
    static const double wave[RIDGES] = {1.5, 1.9, 2.3, 2.6, 3.1, 3.6};
    double h = fractal1(x * wave[i] + 17.3 * i, 6, 40 + 10u * (uint32_t)i);
    double peak = 1 - fabs(2 * h - 1); /* folded noise has crests as mountains have */
    double mix = i < 3 ? 0.65 * peak + 0.35 * h : h;
    return base[i] + 0.045 - rise[i] * (mix - 0.32);
}

/* The nearest ridge hides the others, so it is looked for from the front. */
static colour land(double x, double y) {
    for (int i = RIDGES - 1; i >= 0; --i) {
        double edge = ridge_edge(i, x), below = y - edge;
        if (below < 0) continue;
        double near = (double)i / (RIDGES - 1);
        colour haze =
            colour_mix(colour_hex(0xe9b793), colour_hex(0xc59aa0), clamp01(fabs(x - sun_x)));
        colour rock = colour_mix(colour_hex(0x8f86a3), colour_hex(0x12262b), pow(near, 0.8));
        /* gullies run down the flanks; those that look to the sun are lit */
        double u = x * (24 + 30 * near) + 9 * i, v = below * (12 + 24 * near) - 0.3 * u;
        double grain = fractal2(u, v, 4, 90 + (uint32_t)i);
        double slope = fractal2(u + 0.25, v + 0.10, 4, 90 + (uint32_t)i) - grain;
        rock = colour_scale(rock, 0.7 + 0.6 * grain);
        double toward = 2 * smooth(-0.5, 0.5, sun_x - x) - 1;
        double lit = clamp01(0.35 - 5 * toward * slope) * (1 - 0.9 * near);
        rock = colour_mix(rock, colour_hex(0xe7a88c), 0.5 * lit * smooth(0.13, 0.0, below));
        double mist = smooth(0.015, 0.16, below) * (0.92 - 0.75 * near);
        return colour_mix(rock, haze, mist);
    }
    return sky(x, y);
}

/* How much of the point is covered by the firs on the near bank. */
static double firs(double x, double y) {
    double bank = 0.955 - 0.05 * fractal1(x * 2.2 + 5, 4, 7) + 0.055 * smooth(0.15, 0.8, x) -
                  0.055 * smooth(1.05, 1.5, x);
    if (y > bank) return 1;
    for (int i = (int)floor((x - 0.08) / 0.021); i <= (int)ceil((x + 0.08) / 0.021); ++i) {
        double centre = (i + 0.7 * random2(i, 1, 5)) * 0.021;
        double side = smooth(0.62, 0.18, centre) + smooth(1.12, 1.46, centre);
        double height = (0.10 + 0.34 * random2(i, 2, 5)) * side;
        if (height < 0.05 || random2(i, 3, 5) < 0.25) continue;
        double foot = bank + 0.02, t = (y - (foot - height)) / height;
        if (t < 0 || t > 1) continue;
        double steps = 9 + 6 * random2(i, 4, 5), phase = t * steps;
        double twig = 0.55 + 0.45 * (phase - floor(phase));
        double ragged = 0.75 + 0.5 * noise2(phase * 3, centre * 90 + (x > centre ? 7 : 0), 6);
        double half = (0.006 + 0.155 * height * t) * twig * ragged;
        if (fabs(x - centre) < half * (1 - 0.15 * t) || fabs(x - centre) < 0.0022) return 1;
    }
    return 0;
}

static colour water(double x, double y) {
    double depth = (y - shore) / (1 - shore);
    double ripple = fractal2(x * 9, 60 * pow(depth + 0.02, 0.55), 3, 61) - 0.5;
    double wide = 0.010 + 0.05 * depth;
    colour c = land(x + ripple * wide, 2 * shore - y - 0.010 + ripple * wide * 1.5);
    c = colour_mix(c, colour_hex(0x24415a), 0.22 + 0.30 * depth);
    /* the sun's path */
    double path = exp(-pow((x - sun_x + 0.05 * ripple) / (0.035 + 0.10 * depth), 2));
    double glint = smooth(0.50, 0.72, fractal2(x * 26, 95 * pow(depth + 0.02, 0.6), 3, 33));
    c = colour_add(c, colour_scale(colour_hex(0xffcf8f), 0.75 * path * glint));
    return colour_mix(c, colour_hex(0xf3cda6), 0.35 * smooth(0.05, 0.0, depth));
}

colour scene_hills(double px, double py, int width, int height) {
    (void)width;
    double x = px / height, y = py / height;
    if (firs(x, y) > 0) {
        double grain = fractal2(x * 40, y * 40, 3, 77);
        return colour_mix(colour_hex(0x070f12), colour_hex(0x1c2f22), 0.6 * grain * grain);
    }
    return y < shore ? land(x, y) : water(x, y);
}
