/* SPDX-License-Identifier: MIT */
/* plot.h: points on two axes, numbered, with a legend beside them. */
#ifndef TOOLS_PLOT_H
#define TOOLS_PLOT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct plot_point {
    double x, y;
    const char *label; /* of the legend */
} plot_point;

typedef struct plot {
    const char *title, *x_name, *y_name;
    double x_least, x_most, y_least, y_most; /* of the axes; least < most */
    bool log_x; /* the x axis counts factors of two; x_least is above 0 */
    const plot_point *points;
    int count;
} plot;

/* Draws a plot of width x height pixels (320 or more) into *rgb, which the caller frees with
 * free(). False: no memory. */
bool plot_draw(const plot *p, int width, int height, uint8_t **rgb);

#endif
