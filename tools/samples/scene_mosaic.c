/* SPDX-License-Identifier: MIT */
/* scene_mosaic.c: a floor of small stones in rings around a compass star: straight edges in every
 * direction, and what the project is named after. */
#include "canvas.h"

#include <math.h>
#include <stdbool.h>

static const double tau = 6.283185307179586;

static const uint32_t cream[] = {0xe8dcc3, 0xdfd0b1, 0xefe6d2, 0xd8c8a8};
static const uint32_t red[] = {0xa63a28, 0xb5482f, 0x93301f, 0xbd5a3c};
static const uint32_t blue[] = {0x22476b, 0x2d5a80, 0x1b3a58, 0x3b6c8f};
static const uint32_t gold[] = {0xd79b33, 0xc98a28, 0xe2ae4e, 0xb97c22};
static const uint32_t dark[] = {0x2b2a2b, 0x38352f, 0x222428, 0x433d36};
static const uint32_t green[] = {0x55704d, 0x647f58, 0x475f43, 0x738a63};

/* The drawing that the stones follow; polar, radius 1 at the edge of the round field. */
static const uint32_t *design(double r, double a) {
    if (r < 0.075) return gold;
    if (r < 0.11) return dark;
    if (r <
        0.56) { /* the star: four long rays over four short ones, a light and a dark half each */
        for (int minor = 0; minor < 2; ++minor) {
            double turn = a / tau * 4 + (minor ? 0 : 0.5),
                   off = (turn - floor(turn) - 0.5) * tau / 4;
            double along = r * cos(off), aside = r * sin(off);
            if (fabs(aside) > (minor ? 0.125 : 0.140) * (1 - along / (minor ? 0.46 : 0.58)))
                continue;
            if (minor) return aside < 0 ? gold : cream;
            return aside < 0 ? red : dark;
        }
        return r < 0.50 ? blue : cream;
    }
    if (r < 0.60) return gold;
    if (r < 0.635) return dark;
    if (r < 0.80) { /* two waves that cross */
        double middle = 0.7175, swing = 0.055;
        double one = middle + swing * sin(12 * a), two = middle - swing * sin(12 * a);
        bool over = cos(12 * a) > 0;
        bool on_one = fabs(r - one) < 0.022, on_two = fabs(r - two) < 0.022;
        if (on_one && (over || !on_two)) return red;
        if (on_two) return green;
        return cream;
    }
    if (r < 0.835) return dark;
    if (r < 0.90) return ((int)floor(a / tau * 48) & 1) ? cream : blue;
    if (r < 0.935) return dark;
    return cream;
}

static colour stone(const uint32_t *paints, int i, int j, double u, double v, double px,
                    double py) {
    colour c = colour_hex(paints[(int)(4 * random2(i, j, 2)) & 3]);
    c = colour_scale(c, 0.86 + 0.28 * random2(i, j, 3));
    c = colour_scale(c, 0.90 + 0.20 * fractal2(px * 0.22 + 9 * i, py * 0.22 + 5 * j, 3, 14));
    /* every stone lies a little crooked and catches the light otherwise */
    double tilt = (random2(i, j, 4) - 0.5) * u + (random2(i, j, 5) - 0.5) * v;
    return colour_scale(c, 1 + 0.22 * tilt);
}

/* Inside a cell: distance to its edge and the stone's own crookedness; returns cover of the stone.
 */
static double inside(int i, int j, double u, double v, double wide, double high, double joint) {
    double shift_u = (random2(i, j, 6) - 0.5) * 0.8, shift_v = (random2(i, j, 7) - 0.5) * 0.8;
    double turn = (random2(i, j, 8) - 0.5) * 0.16;
    double x = (u - 0.5) * wide + shift_u, y = (v - 0.5) * high + shift_v;
    double tx = x + turn * y, ty = y - turn * x;
    double edge = fmin(wide / 2 - fabs(tx), high / 2 - fabs(ty)) - joint;
    return smooth(-0.35, 0.35, edge);
}

colour scene_mosaic(double px, double py, int width, int height) {
    double x = px - width / 2.0, y = py - height / 2.0, size = fmin(width, height) / 2.0;
    double r = hypot(x, y), a = atan2(y, x) + tau / 4;
    if (a < 0) a += tau;
    const double course = size * 0.0325; /* height of a ring of stones */
    colour grout =
        colour_scale(colour_hex(0x8d8371), 0.75 + 0.3 * fractal2(px * 0.4, py * 0.4, 2, 31));
    double light = 1.06 - 0.22 * hypot(px / width - 0.38, py / height - 0.32);
    colour c;
    if (r < size * 0.975) {
        int ring = (int)floor(r / course);
        int count = ring ? 8 * (int)lrint(tau * (ring + 0.5) * 0.92 / 8) : 1;
        if (count < 1) count = 1;
        double place = a / tau * count + (ring & 1 ? 0.5 : 0);
        int i = (int)floor(place), wrapped = (i % count + count) % count;
        double u = place - i, v = r / course - ring;
        double middle_r = (ring + 0.5) * course / size,
               middle_a = (i + 0.5 - (ring & 1 ? 0.5 : 0)) * tau / count;
        const uint32_t *paints = design(ring ? middle_r : 0, middle_a);
        double wide = ring ? tau * r / count : 2 * course;
        double cover = ring ? inside(wrapped, ring, u, v, wide, course, 0.75)
                            : smooth(course - 0.4, course - 1.4, r);
        c = colour_mix(grout, stone(paints, wrapped, ring, u - 0.5, v - 0.5, px, py), cover);
    } else { /* the square corners: straight courses, a dark frame along the border */
        const double cell = course * 1.04;
        double ox = px / cell, oy = py / cell;
        int i = (int)floor(ox), j = (int)floor(oy);
        double edge = fmin(fmin(px, width - px), fmin(py, height - py));
        const uint32_t *paints = edge < cell * 1.0   ? dark
                                 : edge < cell * 2.0 ? gold
                                 : r < size * 1.02   ? dark
                                 : (i + j) % 5 == 0  ? green
                                                     : cream;
        double cover = inside(i + 500, j, ox - i, oy - j, cell, cell, 0.75);
        c = colour_mix(grout, stone(paints, i + 500, j, ox - i - 0.5, oy - j - 0.5, px, py), cover);
    }
    return colour_scale(c, light);
}
