/* SPDX-License-Identifier: MIT */
/* sheet_layout.h: labelled pictures in rows and columns on one page. Labels are UTF-8
 * (text_draw.h); where text cannot be drawn, they are left out. */
#ifndef TOOLS_SHEET_LAYOUT_H
#define TOOLS_SHEET_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sheet_picture {
    uint8_t *rgb;
    int width, height;
} sheet_picture;

typedef struct sheet_cell {
    sheet_picture picture;
    char label[128];
} sheet_cell;

typedef struct sheet_layout { /* begin with zeros, columns and cell */
    int columns, cell;        /* cell: longest side of a picture */
    sheet_cell *cells;        /* row by row */
    int count, room;
} sheet_layout;

/* Adds a copy of a picture, shrunk if it is larger than the cell. False: no memory. */
bool sheet_add(sheet_layout *s, const uint8_t *rgb, int width, int height, const char *label);
/* Draws the page into page->rgb, which the caller frees with free(). False: no memory. */
bool sheet_draw(const sheet_layout *s, sheet_picture *page);
void sheet_layout_free(sheet_layout *s);

/* Resizes a picture for display: area mean when shrinking, bilinear when growing. */
void sheet_resize(const sheet_picture *from, const sheet_picture *to);
/* Copies `what` with its corner at x, y; what leaves `on` is clipped. */
void sheet_paste(const sheet_picture *on, const sheet_picture *what, int x, int y);

#endif
