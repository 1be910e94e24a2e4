/* SPDX-License-Identifier: MIT */
/* plot_picture.c: plots as pixels, through cairo. */
#include "plot.h"
#include "plot_pen.h"
#include "text_draw.h"

#include <stdlib.h>
#include <string.h>

#ifdef TESSERA_WITH_PANGO

#include <cairo.h>

typedef struct pixel_pen {
    plot_pen pen; /* first: pens are cast to it */
    cairo_t *cairo;
    text_picture page; /* text comes last, so that it lies on top */
    struct late_text {
        double x, y;
        text_style style;
        int paint;
        char text[200];
    } * texts;
    int count, room;
    bool lost; /* no memory */
} pixel_pen;

/* The colours of plot_svg_style. */
static const uint32_t paints[PLOT_LOOK + PLOT_COLOURS] = {0x1b1e23, 0x5c6470, 0xd9dde3, 0x0067a5,
                                                          0xb84a00, 0x00704f, 0xa03a78, 0x7a5c00,
                                                          0x5b4fc7, 0x3d6a75, 0x8c2f39};

static pixel_pen *own(plot_pen *pen) {
    return (pixel_pen *)pen;
}

static void paint_with(cairo_t *cairo, uint32_t rgb) {
    cairo_set_source_rgb(cairo, (rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0);
}

static void group(plot_pen *pen, const char *name, int look) {
    (void)pen;
    (void)name;
    (void)look;
}

static void line(plot_pen *pen, const double (*points)[2], int count, int paint, double width,
                 bool dashed) {
    cairo_t *cairo = own(pen)->cairo;
    static const double dashes[] = {6, 4};
    cairo_set_dash(cairo, dashes, dashed ? 2 : 0, 0);
    cairo_set_line_width(cairo, width);
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    paint_with(cairo, paints[paint]);
    for (int i = 0; i < count; ++i)
        cairo_line_to(cairo, points[i][0], points[i][1]);
    cairo_stroke(cairo);
}

static void marker(plot_pen *pen, double x, double y, int look, const char *tip) {
    cairo_t *cairo = own(pen)->cairo;
    double corners[12][2], radius;
    const int count = plot_marker(look, corners, &radius);
    (void)tip;
    cairo_new_path(cairo);
    if (!count) cairo_arc(cairo, x, y, radius, 0, 6.283185307179586);
    for (int i = 0; i < count; ++i)
        cairo_line_to(cairo, x + corners[i][0], y + corners[i][1]);
    cairo_close_path(cairo);
    paint_with(cairo, paints[PLOT_LOOK + look % PLOT_COLOURS]);
    cairo_fill_preserve(cairo);
    cairo_set_dash(cairo, NULL, 0, 0);
    cairo_set_line_width(cairo, 1);
    paint_with(cairo, 0xffffff);
    cairo_stroke(cairo);
}

static text_style style_of(int size) {
    return (text_style){.size = size, .bold = size == PLOT_TITLE};
}

static double width_of(plot_pen *pen, int size, const char *words) {
    (void)pen;
    const text_style style = style_of(size);
    return text_width(&style, words);
}

static void text(plot_pen *pen, double x, double y, int anchor, int size, int paint,
                 const char *words, const char *whole) {
    pixel_pen *p = own(pen);
    (void)whole;
    if (p->count == p->room) {
        const int room = p->room ? 2 * p->room : 32;
        struct late_text *more = realloc(p->texts, sizeof *more * (size_t)room);
        p->lost = p->lost || !more;
        if (!more) return;
        p->texts = more;
        p->room = room;
    }
    struct late_text *t = &p->texts[p->count++];
    *t = (struct late_text){.y = y, .style = style_of(size), .paint = paint};
    snprintf(t->text, sizeof t->text, "%s", words);
    t->x = x - (anchor + 1) * width_of(pen, size, t->text) / 2;
}

/* Opaque pixels of cairo, as RGB. */
static void take_pixels(cairo_surface_t *surface, const text_picture *page) {
    cairo_surface_flush(surface);
    const uint8_t *rows = cairo_image_surface_get_data(surface);
    const int stride = cairo_image_surface_get_stride(surface);
    uint8_t *to = page->rgb;
    for (int y = 0; y < page->height; ++y)
        for (int x = 0; x < page->width; ++x, to += 3) {
            uint32_t pixel;
            memcpy(&pixel, rows + (size_t)y * (size_t)stride + 4 * (size_t)x, 4);
            to[0] = (uint8_t)(pixel >> 16);
            to[1] = (uint8_t)(pixel >> 8);
            to[2] = (uint8_t)pixel;
        }
}

bool plot_draw(const plot *p, int width, int height, uint8_t **rgb) {
    *rgb = NULL;
    if (text_draw_missing()) return false;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    pixel_pen pen = {.pen = {group, line, marker, text, width_of},
                     .cairo = cairo_create(surface),
                     .page = {NULL, width, height}};
    paint_with(pen.cairo, 0xffffff);
    cairo_paint(pen.cairo);
    plot_walk(p, width, height, &pen.pen);
    bool good = cairo_status(pen.cairo) == CAIRO_STATUS_SUCCESS && !pen.lost;
    if (good) pen.page.rgb = malloc(3 * (size_t)width * (size_t)height);
    good = good && pen.page.rgb;
    if (good) take_pixels(surface, &pen.page);
    for (int i = 0; i < pen.count && good; ++i) {
        const struct late_text *t = &pen.texts[i];
        const uint32_t c = paints[t->paint];
        const uint8_t colour[3] = {(uint8_t)(c >> 16), (uint8_t)(c >> 8), (uint8_t)c};
        good = text_draw(&pen.page, &t->style, t->x, t->y, colour, t->text, NULL);
    }
    cairo_destroy(pen.cairo);
    cairo_surface_destroy(surface);
    free(pen.texts);
    if (!good) free(pen.page.rgb);
    *rgb = good ? pen.page.rgb : NULL;
    return good;
}

#else

bool plot_draw(const plot *p, int width, int height, uint8_t **rgb) {
    (void)p;
    (void)width;
    (void)height;
    *rgb = NULL;
    return false;
}

#endif
