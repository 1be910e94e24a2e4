/* SPDX-License-Identifier: MIT */
/* canvas.h: a picture is a function from a point to linear light, sampled several times in each
 * pixel. Colours are written as people write them (0xRRGGBB, sRGB). Everything is deterministic:
 * noise comes from hashed coordinates, never from a generator with state. */
#ifndef SAMPLES_CANVAS_H
#define SAMPLES_CANVAS_H

#include <stdint.h>

typedef struct colour {
    double r, g, b;
} colour;

/* x and y in pixels, y downwards. */
typedef colour (*scene_fn)(double x, double y, int width, int height);

colour colour_hex(uint32_t srgb);
colour colour_mix(colour a, colour b, double t); /* t is clamped to 0..1 */
colour colour_scale(colour a, double s);
colour colour_add(colour a, colour b);
double clamp01(double t);
double smooth(double low, double high, double t); /* 0 below low, 1 above high, smooth between */

double noise1(double x, uint32_t seed); /* smooth value noise, 0..1 */
double noise2(double x, double y, uint32_t seed);
double fractal1(double x, int octaves, uint32_t seed); /* 0..1, mean about 0.5 */
double fractal2(double x, double y, int octaves, uint32_t seed);
double random2(int x, int y, uint32_t seed); /* of a lattice point, 0..1 */

/* Renders `grid` x `grid` samples a pixel into 8-bit sRGB (width*height*3 bytes). */
void canvas_render(scene_fn scene, int width, int height, int grid, uint8_t *rgb);

colour scene_hills(double x, double y, int width, int height);
colour scene_spheres(double x, double y, int width, int height);
colour scene_weave(double x, double y, int width, int height);
colour scene_mosaic(double x, double y, int width, int height);
colour scene_paper(double x, double y, int width, int height);

#endif
