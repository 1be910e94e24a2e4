/* SPDX-License-Identifier: MIT */
/* plot.h: series of points on two axes, each with its name beside its last point. One plot is drawn
 * as SVG text, which every build can, or as a picture, which takes text_draw.h. Colours and markers
 * differ together, so that nobody has to tell colours apart. */
#ifndef TOOLS_PLOT_H
#define TOOLS_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Colours and markers; later series begin again. */
enum { PLOT_COLOURS = 8 };

typedef struct plot_point {
    double x, y;      /* a point where one is no number, or 1e100 and more, is left out */
    double low, high; /* of the interval drawn around y; both NaN or both equal to y: none */
    const char *tip;  /* said of the point where a pointer rests on it; or NULL */
} plot_point;

typedef struct plot_series {
    const char *name;
    const plot_point *points; /* joined in this order */
    int count;
    int look;    /* colour and marker, 0 and up */
    bool dashed; /* the line: for what the others are measured by */
    bool bare;   /* no markers: for many points */
} plot_series;

typedef struct plot {
    const char *title, *x_name, *y_name;
    double x_least, x_most, y_least, y_most; /* of the axes; both equal: from the points */
    bool log_x, log_y;                       /* values at or below 0 are left out there */
    const plot_series *series;
    int count;
} plot;

/* Writes the plot as an <svg> element of width x height units (240 or more) that scales. Colours
 * are those of the classes in plot_svg_style, which the document around it has once. */
void plot_svg(const plot *p, int width, int height, FILE *file);
/* The style sheet of plots, for the light theme; a document may set the variables --plot-0 ...
 * again for a dark one. */
extern const char plot_svg_style[];
/* Writes a file of its own: the element with its style. */
void plot_svg_document(const plot *p, int width, int height, FILE *file);
/* The marker of a look as a small <svg> for a legend. */
void plot_svg_key(int look, bool dashed, FILE *file);
/* Draws width x height pixels into *rgb, which the caller frees with free(). False: no memory, or
 * text_draw_missing. */
bool plot_draw(const plot *p, int width, int height, uint8_t **rgb);

#endif
