/* SPDX-License-Identifier: MIT */
/* moving.h: the sample clip: a view that moves over a landscape, a ball that jumps through it, and
 * a counter that says which frame it is. */
#ifndef SAMPLES_MOVING_H
#define SAMPLES_MOVING_H

#include <stdint.h>

enum {
    MOVING_WIDTH = 384,
    MOVING_HEIGHT = 288,
    MOVING_FRAMES = 16,
    MOVING_STEP = 12, /* pixels that the view moves from frame to frame */
    MOVING_GROUND = MOVING_WIDTH + MOVING_FRAMES * MOVING_STEP /* width of the landscape */
};
/* Draws the landscape, [MOVING_HEIGHT, MOVING_GROUND, 3]. */
void moving_ground(uint8_t *rgb);
/* Draws frame `number`, from 0 on, into rgb, [MOVING_HEIGHT, MOVING_WIDTH, 3]. */
void moving_frame(const uint8_t *ground, int number, uint8_t *rgb);

#endif
