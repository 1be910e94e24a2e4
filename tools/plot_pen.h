/* SPDX-License-Identifier: MIT */
/* plot_pen.h: what a plot is drawn with: plot_pen.c decides where everything stands, a pen (SVG
 * text, or pixels) puts it there. Coordinates are pixels, y downwards. */
#ifndef TOOLS_PLOT_PEN_H
#define TOOLS_PLOT_PEN_H

#include "plot.h"

enum plot_paint { PLOT_INK, PLOT_MUTED, PLOT_GRID, PLOT_LOOK /* + the look */ };
enum { PLOT_TEXT = 12, PLOT_TITLE = 14 }; /* pixels of an em */

typedef struct plot_pen plot_pen;
struct plot_pen {
    /* Begins a series, or ends it where name is NULL. */
    void (*group)(plot_pen *pen, const char *name, int look);
    void (*line)(plot_pen *pen, const double (*points)[2], int count, int paint, double width,
                 bool dashed);
    void (*marker)(plot_pen *pen, double x, double y, int look, const char *tip);
    /* anchor: -1 begins at x, 0 has its middle there, 1 ends there. `whole` (may be NULL): what a
     * text that was cut says in full. */
    void (*text)(plot_pen *pen, double x, double y, int anchor, int size, int paint,
                 const char *text, const char *whole);
    double (*text_width)(plot_pen *pen, int size, const char *text);
};

/* Draws the plot. */
void plot_walk(const plot *p, int width, int height, plot_pen *pen);

/* Corners of the marker of a look, which is filled, around 0, 0; returns how many, or 0 for a disc
 * of radius *radius. */
int plot_marker(int look, double corners[12][2], double *radius);

#endif
