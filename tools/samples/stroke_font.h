/* SPDX-License-Identifier: MIT */
/* stroke_font.h: printable ASCII as pen strokes, drawn at any size with smooth edges into an 8-bit
 * RGB picture: the lettering of the sample pictures, which must have the same pixels on every
 * machine, whatever fonts it has. Labels and names are drawn by text_draw.h. */
#ifndef SAMPLES_STROKE_FONT_H
#define SAMPLES_STROKE_FONT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct stroke_picture {
    uint8_t *rgb;
    int width, height;
} stroke_picture;

/* Advance of a text whose capitals are `size` pixels high. */
double stroke_text_width(const char *text, double size);
/* Draws from `x` on with capitals standing on `baseline`; `pen` is the stroke's width in pixels.
 * Characters beyond printable ASCII have no strokes. What leaves the picture is clipped. */
void stroke_text(const stroke_picture *picture, double x, double baseline, double size, double pen,
                 const uint8_t colour[3], const char *text);

#endif
