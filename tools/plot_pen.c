/* SPDX-License-Identifier: MIT */
/* plot_pen.c: where everything of a plot stands; see plot_pen.h. */
#include "plot_pen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 52, BOTTOM = 46, GAP = 10, LINE = 14, MOST_LABELS = 64 };

typedef struct frame {
    const plot *p;
    plot_pen *pen;
    double x[2], y[2];               /* least and most of the axes */
    double left, top, width, height; /* of the field, pixels */
    double room;                     /* for names at the right */
} frame;

/* Beyond these, sums and quotients of an axis leave the range of a double. */
static bool fits(double v, bool logarithmic) {
    const double most = 1e100;
    return fabs(v) < most && (!logarithmic || v > 1 / most);
}

static bool drawable(const plot *p, const plot_point *q) {
    return fits(q->x, p->log_x) && fits(q->y, p->log_y);
}

static bool has_interval(const plot *p, const plot_point *q) {
    return fits(q->low, p->log_y) && fits(q->high, p->log_y) && q->high > q->low;
}

/* ---- ranges ---- */

static void widen(double range[2], double v) {
    range[0] = fmin(range[0], v);
    range[1] = fmax(range[1], v);
}

/* A border around the points, and a range where all are equal. */
static void breathe(double range[2], bool logarithmic) {
    if (!(range[0] <= range[1])) {
        range[0] = logarithmic ? 1 : 0;
        range[1] = logarithmic ? 10 : 1;
    }
    if (logarithmic) {
        const double room = fmax(pow(range[1] / range[0], 0.05), 1.06);
        range[0] /= room;
        range[1] *= room;
        return;
    }
    double room = 0.06 * (range[1] - range[0]);
    if (!(room > 0)) room = range[0] != 0 ? 0.1 * fabs(range[0]) : 0.5;
    const bool above = range[0] >= 0;
    range[0] -= room;
    range[1] += room;
    if (above && range[0] < 0) range[0] = 0;
}

static void ranges(frame *f) {
    const plot *p = f->p;
    double x[2] = {INFINITY, -INFINITY}, y[2] = {INFINITY, -INFINITY};
    for (int i = 0; i < p->count; ++i)
        for (int k = 0; k < p->series[i].count; ++k) {
            const plot_point *q = &p->series[i].points[k];
            if (!drawable(p, q)) continue;
            widen(x, q->x);
            widen(y, q->y);
            if (!has_interval(p, q)) continue;
            widen(y, q->low);
            widen(y, q->high);
        }
    breathe(x, p->log_x);
    breathe(y, p->log_y);
    const bool given_x = p->x_least < p->x_most, given_y = p->y_least < p->y_most;
    f->x[0] = given_x ? p->x_least : x[0];
    f->x[1] = given_x ? p->x_most : x[1];
    f->y[0] = given_y ? p->y_least : y[0];
    f->y[1] = given_y ? p->y_most : y[1];
}

static double along(double v, const double range[2], bool logarithmic) {
    return logarithmic ? log(v / range[0]) / log(range[1] / range[0])
                       : (v - range[0]) / (range[1] - range[0]);
}
static double x_at(const frame *f, double x) {
    return f->left + along(x, f->x, f->p->log_x) * f->width;
}
static double y_at(const frame *f, double y) {
    return f->top + (1 - along(y, f->y, f->p->log_y)) * f->height;
}

/* ---- marks of the axes ---- */

/* The step of about five marks: 1, 2 or 5 times a power of ten. */
static double step_of(double range) {
    const double rough = range / 5, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10) * power;
}

/* Marks of an axis, at most 24; returns how many. */
static int marks(const double range[2], bool logarithmic, double at[24]) {
    int count = 0;
    if (!logarithmic) {
        const double step = step_of(range[1] - range[0]);
        for (double n = ceil(range[0] / step - 1e-9); n * step <= range[1] + 1e-9 * step; ++n)
            if (count < 24) at[count++] = n * step;
        return count;
    }
    const double octaves = log2(range[1] / range[0]);
    if (range[0] >= 0.7 && octaves <= 11) { /* counts: doublings */
        for (double e = ceil(log2(range[0]) - 1e-9); e <= log2(range[1]) + 1e-9 && count < 24; ++e)
            at[count++] = exp2(e);
        return count;
    }
    static const double digits[] = {1, 2, 5};
    const double first = floor(log10(range[0])), last = ceil(log10(range[1]));
    const double stride = ceil((last - first) / 12);
    const int each = last - first <= 5 ? 3 : 1;
    for (double e = first; e <= last; e += stride)
        for (int i = 0; i < each; ++i) {
            const double v = digits[i] * pow(10, e);
            if (v >= range[0] * (1 - 1e-9) && v <= range[1] * (1 + 1e-9) && count < 24)
                at[count++] = v;
        }
    return count;
}

static void mark_text(double v, char text[32]) {
    const double size = fabs(v);
    if (size >= 1e6 || (size > 0 && size < 1e-4))
        snprintf(text, 32, "%.3g", v);
    else
        snprintf(text, 32, "%.6g", v);
}

static void straight(const frame *f, double x0, double y0, double x1, double y1, int paint) {
    const double points[2][2] = {{x0, y0}, {x1, y1}};
    f->pen->line(f->pen, points, 2, paint, 1, false);
}

static void axes(const frame *f) {
    const plot *p = f->p;
    plot_pen *pen = f->pen;
    const double bottom = f->top + f->height, right = f->left + f->width;
    double at[24], reached = -1e9;
    char text[32];
    int count = marks(f->y, p->log_y, at);
    for (int i = 0; i < count; ++i) {
        const double y = y_at(f, at[i]);
        mark_text(fabs(at[i]) < 1e-9 * (f->y[1] - f->y[0]) ? 0 : at[i], text);
        straight(f, f->left, y, right, y, PLOT_GRID);
        pen->text(pen, f->left - 6, y + 4, 1, PLOT_TEXT, PLOT_MUTED, text, NULL);
    }
    count = marks(f->x, p->log_x, at);
    for (int i = 0; i < count; ++i) {
        const double x = x_at(f, at[i]);
        mark_text(fabs(at[i]) < 1e-9 * (f->x[1] - f->x[0]) ? 0 : at[i], text);
        straight(f, x, f->top, x, bottom, PLOT_GRID);
        const double half = pen->text_width(pen, PLOT_TEXT, text) / 2;
        if (x - half < reached) continue; /* two texts would touch */
        pen->text(pen, x, bottom + 16, 0, PLOT_TEXT, PLOT_MUTED, text, NULL);
        reached = x + half + 4;
    }
    straight(f, f->left, bottom, right, bottom, PLOT_MUTED);
    pen->text(pen, f->left, bottom + 36, -1, PLOT_TEXT, PLOT_INK, p->x_name, NULL);
    pen->text(pen, 4, 18, -1, PLOT_TITLE, PLOT_INK, p->title, NULL);
    pen->text(pen, 4, f->top - 14, -1, PLOT_TEXT, PLOT_INK, p->y_name, NULL);
}

/* ---- series ---- */

static void interval(const frame *f, const plot_point *q, int paint) {
    const double x = x_at(f, q->x), low = y_at(f, q->low), high = y_at(f, q->high);
    straight(f, x, low, x, high, paint);
    straight(f, x - 4, low, x + 4, low, paint);
    straight(f, x - 4, high, x + 4, high, paint);
}

static void one_series(const frame *f, const plot_series *s) {
    plot_pen *pen = f->pen;
    const int paint = PLOT_LOOK + s->look % PLOT_COLOURS;
    double(*points)[2] = malloc(sizeof *points * (size_t)(s->count + 1));
    pen->group(pen, s->name, s->look);
    int run = 0; /* of points that follow each other */
    for (int k = 0; k <= s->count && points; ++k) {
        if (k < s->count && drawable(f->p, &s->points[k])) {
            points[run][0] = x_at(f, s->points[k].x);
            points[run++][1] = y_at(f, s->points[k].y);
            continue;
        }
        if (run > 1) pen->line(pen, points, run, paint, 2, s->dashed);
        run = 0;
    }
    free(points);
    for (int k = 0; k < s->count && !s->bare; ++k) {
        const plot_point *q = &s->points[k];
        if (!drawable(f->p, q)) continue;
        if (has_interval(f->p, q)) interval(f, q, paint);
        pen->marker(pen, x_at(f, q->x), y_at(f, q->y), s->look, q->tip);
    }
    pen->group(pen, NULL, 0);
}

/* ---- names beside the last points ---- */

typedef struct name_label {
    const plot_series *series;
    double x, y, at; /* the last point, and where the text stands */
} name_label;

static int by_height(const void *a, const void *b) {
    const name_label *p = a, *q = b;
    return p->y < q->y ? -1 : p->y > q->y ? 1 : 0;
}

/* Names stand beside their points where they can, and apart from each other where points are near;
 * those that do not fit the height are left to the legend. */
static int place_names(const frame *f, name_label *names) {
    int count = 0;
    for (int i = 0; i < f->p->count && count < MOST_LABELS; ++i) {
        const plot_series *s = &f->p->series[i];
        const plot_point *last = NULL;
        for (int k = 0; k < s->count; ++k)
            if (drawable(f->p, &s->points[k]) && (!last || s->points[k].x >= last->x))
                last = &s->points[k];
        if (last) names[count++] = (name_label){s, x_at(f, last->x), y_at(f, last->y), 0};
    }
    const int fit = (int)((f->height + LINE) / LINE);
    if (count > fit) count = fit;
    qsort(names, (size_t)count, sizeof *names, by_height);
    double least = f->top - 4;
    for (int i = 0; i < count; ++i) {
        names[i].at = fmax(names[i].y, least);
        least = names[i].at + LINE;
    }
    double most = f->top + f->height + 2;
    for (int i = count - 1; i >= 0; --i) {
        names[i].at = fmin(names[i].at, most);
        most = names[i].at - LINE;
    }
    return count;
}

/* The text, or as much of it as fits, whole letters. */
static void cut_to(plot_pen *pen, const char *text, double room, char *cut, size_t size) {
    snprintf(cut, size, "%s", text);
    size_t length = strlen(cut);
    while (length && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    cut[length] = 0;
    while (length && pen->text_width(pen, PLOT_TEXT, cut) > room) {
        do
            length--;
        while (length && ((unsigned char)text[length] & 0xC0) == 0x80);
        snprintf(cut, size, "%.*s\xE2\x80\xA6", (int)length, text);
    }
}

static void names(const frame *f) {
    name_label list[MOST_LABELS];
    const int count = place_names(f, list);
    const double right = f->left + f->width;
    for (int i = 0; i < count; ++i) {
        const name_label *n = &list[i];
        const int paint = PLOT_LOOK + n->series->look % PLOT_COLOURS;
        if (fabs(n->at - n->y) > 3 || right - n->x > 16) {
            const double points[3][2] = {{n->x + 6, n->y}, {right + 1, n->at}, {right + 8, n->at}};
            f->pen->line(f->pen, points, 3, PLOT_GRID, 1, false);
        }
        char cut[200];
        cut_to(f->pen, n->series->name, f->room, cut, sizeof cut);
        const bool whole = !strcmp(cut, n->series->name);
        f->pen->text(f->pen, right + GAP, n->at + 4, -1, PLOT_TEXT, paint, cut,
                     whole ? NULL : n->series->name);
    }
}

void plot_walk(const plot *p, int width, int height, plot_pen *pen) {
    frame f = {.p = p, .pen = pen, .top = TOP};
    ranges(&f);
    double at[24], widest = 0;
    char text[32];
    const int count = marks(f.y, p->log_y, at);
    for (int i = 0; i < count; ++i) {
        mark_text(at[i], text);
        widest = fmax(widest, pen->text_width(pen, PLOT_TEXT, text));
    }
    for (int i = 0; i < p->count; ++i)
        f.room = fmax(f.room, pen->text_width(pen, PLOT_TEXT, p->series[i].name));
    f.room = fmin(f.room, width * 0.34);
    f.left = 12 + fmin(widest, width * 0.2);
    f.width = width - f.left - f.room - GAP - 4;
    f.height = height - TOP - BOTTOM;
    axes(&f);
    names(&f);
    for (int i = p->count - 1; i >= 0; --i) /* the first lies on top */
        one_series(&f, &p->series[i]);
}

int plot_marker(int look, double corners[12][2], double *radius) {
    static const double square[][2] = {{-4, -4}, {4, -4}, {4, 4}, {-4, 4}};
    static const double diamond[][2] = {{0, -5.5}, {5.5, 0}, {0, 5.5}, {-5.5, 0}};
    static const double up[][2] = {{0, -5.5}, {5.2, 4}, {-5.2, 4}};
    static const double down[][2] = {{0, 5.5}, {-5.2, -4}, {5.2, -4}};
    static const double plus[][2] = {{-1.7, -5},  {1.7, -5},  {1.7, -1.7}, {5, -1.7},
                                     {5, 1.7},    {1.7, 1.7}, {1.7, 5},    {-1.7, 5},
                                     {-1.7, 1.7}, {-5, 1.7},  {-5, -1.7},  {-1.7, -1.7}};
    static const double bar[][2] = {{-5.5, -2.4}, {5.5, -2.4}, {5.5, 2.4}, {-5.5, 2.4}};
    static const double hexagon[][2] = {{-2.6, -4.6}, {2.6, -4.6}, {5.2, 0},
                                        {2.6, 4.6},   {-2.6, 4.6}, {-5.2, 0}};
    static const struct {
        const double (*corners)[2];
        int count;
    } shapes[PLOT_COLOURS] = {{NULL, 0}, {square, 4}, {up, 3},  {diamond, 4},
                              {down, 3}, {plus, 12},  {bar, 4}, {hexagon, 6}};
    const int shape = look % PLOT_COLOURS, count = shapes[shape].count;
    *radius = 4.4;
    if (count) memcpy(corners, shapes[shape].corners, sizeof *corners * (size_t)count);
    return count;
}
