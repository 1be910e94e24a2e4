/* SPDX-License-Identifier: MIT */
/* text_draw.h: text of any script, drawn with pango and cairo into 8-bit RGB pictures: labels of
 * the contact sheet, of plots, and the pages that readers are tested on. Which font is taken where
 * the wanted one lacks a letter is fontconfig's choice. In a build without pango
 * (TESSERA_PANGO=OFF) and on a machine without fonts text has no width and is not drawn;
 * text_draw_missing says so. */
#ifndef TOOLS_TEXT_DRAW_H
#define TOOLS_TEXT_DRAW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct text_style {
    const char *family; /* as fontconfig knows it: "DejaVu Sans", "serif"; NULL: "sans" */
    double size;        /* pixels of an em */
    bool bold;
} text_style;

typedef struct text_picture {
    uint8_t *rgb; /* [height, width, 3] */
    int width, height;
} text_picture;

/* A rectangle of pixels, x1 and y1 beyond its last. */
typedef struct text_box {
    int x0, y0, x1, y1;
} text_box;

/* NULL if text can be drawn, or why it cannot, in a sentence without full stop. */
const char *text_draw_missing(void);
/* Advance of a text in pixels. Bytes that are no UTF-8, and control characters, count as U+FFFD,
 * as they are drawn. */
double text_width(const text_style *style, const char *text);
/* Draws one line with its baseline at y, from x on; what leaves the picture is clipped. `ink` (may
 * be NULL) gets the rectangle of the pixels that changed, zeros where none did. False: no memory.
 */
bool text_draw(const text_picture *on, const text_style *style, double x, double y,
               const uint8_t colour[3], const char *text, text_box *ink);
/* True if a font of this family is installed, and not another that would be taken for it. */
bool text_family_is(const char *family);

#endif
