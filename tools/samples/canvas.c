/* SPDX-License-Identifier: MIT */
/* canvas.c: see canvas.h. */
#include "canvas.h"

#include <math.h>
#include <stddef.h>

double clamp01(double t) {
    return t < 0 ? 0 : t > 1 ? 1 : t;
}

double smooth(double low, double high, double t) {
    t = clamp01((t - low) / (high - low));
    return t * t * (3 - 2 * t);
}

static double to_linear(double s) {
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

static double to_srgb(double l) {
    return l <= 0.0031308 ? 12.92 * l : 1.055 * pow(l, 1 / 2.4) - 0.055;
}

colour colour_hex(uint32_t srgb) {
    return (colour){to_linear((srgb >> 16 & 255) / 255.0), to_linear((srgb >> 8 & 255) / 255.0),
                    to_linear((srgb & 255) / 255.0)};
}

colour colour_mix(colour a, colour b, double t) {
    t = clamp01(t);
    return (colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

colour colour_scale(colour a, double s) {
    return (colour){a.r * s, a.g * s, a.b * s};
}

colour colour_add(colour a, colour b) {
    return (colour){a.r + b.r, a.g + b.g, a.b + b.b};
}

/* Mixes lattice coordinates until every bit depends on every bit. */
static uint32_t hash(uint32_t x, uint32_t y, uint32_t seed) {
    uint32_t h = x * 0x9E3779B1u ^ (y + 0x7F4A7C15u) * 0x85EBCA77u ^ (seed + 1) * 0xC2B2AE3Du;
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    h ^= h >> 12;
    h *= 0x297A2D39u;
    return h ^ h >> 15;
}

double random2(int x, int y, uint32_t seed) {
    return (hash((uint32_t)x, (uint32_t)y, seed) >> 8) * 0x1p-24;
}

static double fade(double t) {
    return t * t * t * (t * (6 * t - 15) + 10);
}

double noise2(double x, double y, uint32_t seed) {
    double fx = floor(x), fy = floor(y), u = fade(x - fx), v = fade(y - fy);
    int ix = (int)fx, iy = (int)fy;
    double top = random2(ix, iy, seed) * (1 - u) + random2(ix + 1, iy, seed) * u;
    double low = random2(ix, iy + 1, seed) * (1 - u) + random2(ix + 1, iy + 1, seed) * u;
    return top * (1 - v) + low * v;
}

double noise1(double x, uint32_t seed) {
    double fx = floor(x), u = fade(x - fx);
    int ix = (int)fx;
    return random2(ix, 0, seed) * (1 - u) + random2(ix + 1, 0, seed) * u;
}

double fractal1(double x, int octaves, uint32_t seed) {
    double sum = 0, weight = 0.5, all = 0;
    for (int i = 0; i < octaves; ++i, weight /= 2, x = 2.03 * x + 11.7) {
        sum += weight * noise1(x, seed + (uint32_t)i);
        all += weight;
    }
    return sum / all;
}

double fractal2(double x, double y, int octaves, uint32_t seed) {
    double sum = 0, weight = 0.5, all = 0;
    for (int i = 0; i < octaves; ++i, weight /= 2) {
        sum += weight * noise2(x, y, seed + (uint32_t)i);
        all += weight;
        double turned = 1.63 * x - 1.21 * y + 5.1; /* turned each time, so that no lattice shows */
        y = 1.21 * x + 1.63 * y + 3.7;
        x = turned;
    }
    return sum / all;
}

void canvas_render(scene_fn scene, int width, int height, int grid, uint8_t *rgb) {
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            colour sum = {0, 0, 0};
            for (int j = 0; j < grid; ++j)
                for (int i = 0; i < grid; ++i)
                    sum = colour_add(
                        sum, scene(x + (i + 0.5) / grid, y + (j + 0.5) / grid, width, height));
            sum = colour_scale(sum, 1.0 / (grid * grid));
            /* Half a level of noise, so that long gradients have no bands. */
            double dither = random2(x, y, 99) - 0.5;
            double channel[3] = {sum.r, sum.g, sum.b};
            for (int c = 0; c < 3; ++c)
                *rgb++ = (uint8_t)lrint(
                    clamp01((255 * to_srgb(clamp01(channel[c])) + dither) / 255) * 255);
        }
}
