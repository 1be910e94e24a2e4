/* SPDX-License-Identifier: MIT */
/* moving.c: see moving.h. */
#include "moving.h"
#include "stroke_font.h"
#include "canvas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void moving_ground(uint8_t *rgb) {
    canvas_render(scene_hills, MOVING_GROUND, MOVING_HEIGHT, 2, rgb);
}

/* A lit ball; its edge is smooth over a pixel. */
static void ball(uint8_t *rgb, double cx, double cy, double radius) {
    static const double paint[3] = {214, 58, 40};
    for (int y = 0; y < MOVING_HEIGHT; ++y)
        for (int x = 0; x < MOVING_WIDTH; ++x, rgb += 3) {
            const double dx = x + 0.5 - cx, dy = y + 0.5 - cy, far = sqrt(dx * dx + dy * dy);
            const double cover = clamp01(radius - far + 0.5);
            if (cover <= 0) continue;
            const double light = 0.72 + 0.45 * clamp01(-(dx + dy) / (1.6 * radius) + 0.2);
            for (int c = 0; c < 3; ++c) {
                const double lit = paint[c] * light < 255 ? paint[c] * light : 255;
                rgb[c] = (uint8_t)(rgb[c] + cover * (lit - rgb[c]) + 0.5);
            }
        }
}

void moving_frame(const uint8_t *ground, int number, uint8_t *rgb) {
    for (int y = 0; y < MOVING_HEIGHT; ++y)
        memcpy(rgb + (size_t)y * MOVING_WIDTH * 3,
               ground + ((size_t)y * MOVING_GROUND + (size_t)number * MOVING_STEP) * 3,
               (size_t)MOVING_WIDTH * 3);
    const double turn = 6.283185307179586 * number / MOVING_FRAMES;
    ball(rgb, MOVING_WIDTH * (0.2 + 0.6 * number / (MOVING_FRAMES - 1.0)),
         MOVING_HEIGHT * (0.68 - 0.3 * fabs(sin(turn))), 22);
    char text[16];
    static const uint8_t ink[3] = {250, 246, 232};
    snprintf(text, sizeof text, "FRAME %02d", number);
    stroke_text(&(stroke_picture){rgb, MOVING_WIDTH, MOVING_HEIGHT}, 18, 52, 28, 5, ink, text);
}
