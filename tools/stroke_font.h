/* SPDX-License-Identifier: MIT */
/* stroke_font.h: printable ASCII and the Latin letters made of it as pen strokes, drawn at any size
 * with smooth edges into an 8-bit RGB picture: the labels of the contact sheet and the lettering of
 * the sample pictures. */
#ifndef TOOLS_STROKE_FONT_H
#define TOOLS_STROKE_FONT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct stroke_picture {
    uint8_t *rgb;
    int width, height;
} stroke_picture;

/* Advance of a text whose capitals are `size` pixels high. */
double stroke_text_width(const char *text, double size);
/* Draws from `x` on with capitals standing on `baseline`; `pen` is the stroke's width in pixels.
 * The text is UTF-8; a code point that has no strokes here, and a byte that is no UTF-8, is its
 * number in hexadecimal in a box. What leaves the picture is clipped. */
void stroke_text(const stroke_picture *picture, double x, double baseline, double size, double pen,
                 const uint8_t colour[3], const char *text);

#endif
