/* SPDX-License-Identifier: MIT */
/* bilinear_input.h: pictures at the one size that a network takes, by two neighbours on each axis
 * and without antialias, all in f32 as the published programs have it. */
#ifndef JUDGES_BILINEAR_INPUT_H
#define JUDGES_BILINEAR_INPUT_H

#include <stdbool.h>
#include <tessera/judges.h>

enum { TSR_BILINEAR_MOST = 512 };

typedef struct tsr_bilinear {
    bool half_pixels;    /* PyTorch, cut off at the first centre; else TensorFlow 1 */
    float scale;         /* of a byte before */
    float multiply, add; /* of a value behind */
} tsr_bilinear;
/* Writes a picture as x [side, side, 3]; side is 1 .. TSR_BILINEAR_MOST. */
void tsr_bilinear_input(const tsr_picture *picture, int side, const tsr_bilinear *how, float *x);

#endif
