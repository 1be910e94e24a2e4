/* SPDX-License-Identifier: MIT */
/* scene_spheres.c: balls on a table, ray by ray: smooth shading, soft shadows, reflections. */
#include "canvas.h"

#include <math.h>
#include <stdbool.h>

typedef struct vec {
    double x, y, z;
} vec;

typedef struct ball {
    vec centre;
    double radius;
    uint32_t paint;
    double mirror; /* share of the reflection seen head on */
} ball;

enum { BALLS = 8 };
static const ball balls[BALLS] = {
    {{-0.55, 1.00, 0.20}, 1.00, 0xd8432f, 0.05}, {{1.35, 0.72, -0.25}, 0.72, 0x2e6fb7, 0.06},
    {{0.45, 0.40, -1.25}, 0.40, 0xf2b632, 0.05}, {{-1.55, 0.48, -1.00}, 0.48, 0x3f9b6c, 0.05},
    {{2.15, 0.34, -1.45}, 0.34, 0xe8e2d6, 0.05}, {{-0.55, 0.26, -1.75}, 0.26, 0x7a4fa3, 0.06},
    {{1.55, 1.25, 1.85}, 1.25, 0xc9cdd2, 0.70},  {{-2.55, 0.80, 1.10}, 0.80, 0xe58a5b, 0.04},
};
static const vec light = {-0.53, 0.76, -0.38}; /* direction to it, length 1 */

static vec plus(vec a, vec b, double s) {
    return (vec){a.x + s * b.x, a.y + s * b.y, a.z + s * b.z};
}

static double dot(vec a, vec b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static vec unit(vec a) {
    double l = sqrt(dot(a, a));
    return (vec){a.x / l, a.y / l, a.z / l};
}

static double hit_ball(const ball *b, vec from, vec to) {
    vec d = plus(from, b->centre, -1);
    double p = dot(d, to), q = dot(d, d) - b->radius * b->radius, s = p * p - q;
    if (s < 0) return -1;
    double t = -p - sqrt(s);
    return t > 1e-4 ? t : -1;
}

static colour backdrop(vec to) {
    colour c = colour_mix(colour_hex(0xe9e4da), colour_hex(0x6d7f93), smooth(-0.05, 0.75, to.y));
    double lamp = smooth(0.80, 0.98, dot(to, light)); /* a window, for the highlights */
    return colour_add(c, colour_scale(colour_hex(0xfff2dd), 2.2 * lamp));
}

/* Share of the light that arrives: the wide lamp is covered smoothly by each ball. */
static double lit(vec at, const ball *self) {
    double share = 1;
    for (int i = 0; i < BALLS; ++i) {
        if (&balls[i] == self) continue;
        vec d = plus(balls[i].centre, at, -1);
        double along = dot(d, light);
        if (along <= 0) continue;
        double miss = sqrt(fmax(0, dot(d, d) - along * along)) - balls[i].radius;
        share *= smooth(-0.11 * along, 0.11 * along, miss);
    }
    return share;
}

/* How open the sky is above a point: every ball takes its solid angle away. */
static double open_sky(vec at, vec normal, const ball *self) {
    double share = 1;
    for (int i = 0; i < BALLS; ++i) {
        if (&balls[i] == self) continue;
        vec d = plus(balls[i].centre, at, -1);
        double far = sqrt(dot(d, d));
        double seen = clamp01(dot(d, normal) / far * 0.5 + 0.5);
        share *= 1 - seen * seen * pow(balls[i].radius / far, 2) * 0.9;
    }
    if (self) share *= 0.55 + 0.45 * clamp01(0.5 + 0.5 * normal.y);
    return share;
}

static colour trace(vec from, vec to, int depth);

static colour table(vec at, vec to, int depth) {
    vec up = {0, 1, 0};
    /* boards with a soft grain, so that the floor has a scale */
    double board = at.x * 0.75 + 40, across = floor(board);
    double tone = random2((int)across, 3, 8);
    double grain = fractal2(board * 9, at.z * 0.8 + 31 * tone, 5, 12);
    colour wood =
        colour_mix(colour_hex(0xb78a5c), colour_hex(0xd9b385), 0.35 * tone + 0.65 * grain);
    double joint = fmin(board - across, across + 1 - board);
    wood = colour_mix(colour_hex(0x6c4a2e), wood, smooth(0.004, 0.022, joint));
    double sun = lit(at, 0) * light.y;
    colour c = colour_scale(wood, 0.30 * open_sky(at, up, 0) + 0.78 * sun);
    if (depth > 0) {
        vec mirrored = {to.x, -to.y, to.z};
        double fresnel = 0.03 + 0.35 * pow(1 - clamp01(-to.y), 4);
        c = colour_mix(c, trace(at, mirrored, depth - 1), fresnel);
    }
    return colour_mix(c, backdrop((vec){to.x, 0.02, to.z}), smooth(4, 15, hypot(at.x, at.z + 5)));
}

static colour trace(vec from, vec to, int depth) {
    const ball *nearest = 0;
    double best = 1e9;
    for (int i = 0; i < BALLS; ++i) {
        double t = hit_ball(&balls[i], from, to);
        if (t > 0 && t < best) {
            best = t;
            nearest = &balls[i];
        }
    }
    double floor_at = to.y < -1e-6 ? -from.y / to.y : -1;
    if (floor_at > 1e-4 && floor_at < best) return table(plus(from, to, floor_at), to, depth);
    if (!nearest) return backdrop(to);
    vec at = plus(from, to, best);
    vec normal = unit(plus(at, nearest->centre, -1));
    double facing = clamp01(dot(normal, light)), sky = open_sky(at, normal, nearest);
    colour paint = colour_hex(nearest->paint);
    colour bounce = colour_scale(colour_hex(0xc49a6c), 0.16 * clamp01(-normal.y * 0.5 + 0.5));
    colour lamp = colour_scale(colour_hex(0xfff4e2), 0.85 * facing * lit(at, nearest));
    colour all =
        colour_add(colour_add(lamp, bounce), colour_scale(colour_hex(0xb9c8dc), 0.33 * sky));
    colour c = {paint.r * all.r, paint.g * all.g, paint.b * all.b};
    if (depth > 0) {
        vec away = plus(to, normal, -2 * dot(to, normal));
        double edge = pow(1 - clamp01(-dot(to, normal)), 5);
        double share = nearest->mirror + (1 - nearest->mirror) * 0.8 * edge;
        c = colour_mix(c, trace(at, away, depth - 1), share);
    }
    return c;
}

colour scene_spheres(double px, double py, int width, int height) {
    double x = (px - width / 2.0) / height, y = (height / 2.0 - py) / height;
    vec eye = {0.25, 2.35, -7.2}, ahead = unit((vec){0.0, -0.215, 1}), right = {1, 0, 0};
    vec up = {0, ahead.z, -ahead.y};
    vec to = unit(plus(plus(plus((vec){0, 0, 0}, ahead, 1.62), right, x), up, y));
    return trace(eye, to, 2);
}
