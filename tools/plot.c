/* SPDX-License-Identifier: MIT */
/* plot.c: points on two axes. */
#include "plot.h"
#include "stroke_font.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ink[3] = {40, 40, 40}, grid_line[3] = {222, 222, 222};
static const uint8_t colours[][3] = {
    {31, 119, 180}, {214, 39, 40}, {44, 160, 44},  {148, 103, 189}, {255, 127, 14},
    {23, 190, 207}, {140, 86, 75}, {188, 189, 34}, {227, 119, 194}, {80, 80, 80}};
enum { COLOURS = sizeof colours / sizeof *colours, LEFT = 80, TOP = 68, BOTTOM = 56, TEXT = 11 };

typedef struct frame {
    stroke_picture page;
    int left, top, width, height; /* of the field */
    const plot *p;
} frame;

static void set(const frame *f, int x, int y, const uint8_t colour[3]) {
    if (x >= 0 && y >= 0 && x < f->page.width && y < f->page.height)
        memcpy(f->page.rgb + 3 * ((size_t)y * (size_t)f->page.width + (size_t)x), colour, 3);
}

static double along(double v, double least, double most, bool logarithmic) {
    return logarithmic ? log2(v / least) / log2(most / least) : (v - least) / (most - least);
}
static int x_at(const frame *f, double x) {
    return f->left +
           (int)lround(along(x, f->p->x_least, f->p->x_most, f->p->log_x) * (f->width - 1));
}
static int y_at(const frame *f, double y) {
    return f->top + f->height - 1 -
           (int)lround(along(y, f->p->y_least, f->p->y_most, false) * (f->height - 1));
}

/* The step of about five marks: 1, 2 or 5 times a power of ten. */
static double step_of(double range) {
    const double rough = range / 5, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10) * power;
}

static void mark_x(const frame *f, double x) {
    char text[32];
    const int at = x_at(f, x);
    for (int y = f->top; y < f->top + f->height; ++y)
        set(f, at, y, grid_line);
    snprintf(text, sizeof text, "%.3g", x);
    stroke_text(&f->page, at - stroke_text_width(text, TEXT) / 2, f->top + f->height + 18, TEXT,
                1.2, ink, text);
}
static void mark_y(const frame *f, double y) {
    char text[32];
    const int at = y_at(f, y);
    for (int x = f->left; x < f->left + f->width; ++x)
        set(f, x, at, grid_line);
    snprintf(text, sizeof text, "%.4g", y);
    stroke_text(&f->page, f->left - 8 - stroke_text_width(text, TEXT), at + TEXT / 2, TEXT, 1.2,
                ink, text);
}

static void axes(const frame *f) {
    const plot *p = f->p;
    if (p->log_x)
        for (double x = exp2(ceil(log2(p->x_least) - 1e-9)); x <= p->x_most * (1 + 1e-9); x *= 2)
            mark_x(f, x);
    const double x_step = step_of(p->x_most - p->x_least), y_step = step_of(p->y_most - p->y_least);
    for (double x = ceil(p->x_least / x_step - 1e-9) * x_step;
         !p->log_x && x <= p->x_most + 1e-9 * x_step; x += x_step)
        mark_x(f, x);
    for (double y = ceil(p->y_least / y_step - 1e-9) * y_step; y <= p->y_most + 1e-9 * y_step;
         y += y_step)
        mark_y(f, fabs(y) < 1e-9 * y_step ? 0 : y);
    for (int x = 0; x < f->width; ++x)
        set(f, f->left + x, f->top + f->height - 1, ink);
    for (int y = 0; y < f->height; ++y)
        set(f, f->left, f->top + y, ink);
    stroke_text(&f->page, f->left, 28, 15, 1.6, ink, p->title);
    stroke_text(&f->page, f->left + f->width - stroke_text_width(p->x_name, TEXT + 1),
                f->top + f->height + 40, TEXT + 1, 1.3, ink, p->x_name);
    stroke_text(&f->page, 8, f->top - 8, TEXT + 1, 1.3, ink, p->y_name);
}

static void disc(const frame *f, int cx, int cy, const uint8_t colour[3]) {
    for (int y = -5; y <= 5; ++y)
        for (int x = -5; x <= 5; ++x)
            if (x * x + y * y <= 27) set(f, cx + x, cy + y, colour);
}

bool plot_draw(const plot *p, int width, int height, uint8_t **rgb) {
    double legend = 0;
    for (int i = 0; i < p->count; ++i)
        legend = fmax(legend, stroke_text_width(p->points[i].label, TEXT));
    if (legend > width * 0.45) legend = width * 0.45;
    frame f = {.page = {.width = width, .height = height}, .left = LEFT, .top = TOP, .p = p};
    f.width = width - LEFT - (int)legend - 76;
    f.height = height - TOP - BOTTOM;
    *rgb = f.page.rgb = malloc(3 * (size_t)width * (size_t)height);
    if (!*rgb) return false;
    memset(*rgb, 255, 3 * (size_t)width * (size_t)height);
    axes(&f);
    for (int i = 0; i < p->count; ++i) {
        const uint8_t *colour = colours[i % COLOURS];
        char number[16];
        const int x = x_at(&f, p->points[i].x), y = y_at(&f, p->points[i].y);
        snprintf(number, sizeof number, "%d", i + 1);
        disc(&f, x, y, colour);
        /* the numbers of points that lie together stand in four places */
        const double width_of = stroke_text_width(number, TEXT);
        stroke_text(&f.page, i & 1 ? x - 8 - width_of : x + 8, i & 2 ? y + 15 : y - 5, TEXT, 1.3,
                    colour, number);
        const int line = f.top + 8 + 20 * i;
        disc(&f, f.left + f.width + 22, line, colour);
        stroke_text(&f.page, f.left + f.width + 32, line + TEXT / 2, TEXT, 1.2, colour, number);
        stroke_text(&f.page, f.left + f.width + 54, line + TEXT / 2, TEXT, 1.2, ink,
                    p->points[i].label);
    }
    return true;
}
