/* SPDX-License-Identifier: MIT */
/* sheet_layout.c: see sheet_layout.h. */
#include "sheet_layout.h"
#include "text_draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 14, LABEL = 26 };

/* Weights of one output pixel along one side: the overlap of a box (or tent, when growing). */
static double weight(double centre, double scale, int at) {
    if (scale > 1) {
        double low = fmax(centre - scale / 2, at), high = fmin(centre + scale / 2, at + 1);
        return fmax(0, high - low);
    }
    return fmax(0, 1 - fabs(at + 0.5 - centre));
}

void sheet_resize(const sheet_picture *from, const sheet_picture *to) {
    if (from->width == to->width && from->height == to->height) {
        memcpy(to->rgb, from->rgb, (size_t)to->width * (size_t)to->height * 3);
        return;
    }
    double sx = (double)from->width / to->width, sy = (double)from->height / to->height;
    double reach_x = fmax(sx / 2, 1), reach_y = fmax(sy / 2, 1);
    for (int y = 0; y < to->height; ++y)
        for (int x = 0; x < to->width; ++x) {
            double cx = (x + 0.5) * sx, cy = (y + 0.5) * sy, sum[3] = {0}, all = 0;
            int x0 = (int)fmax(0, floor(cx - reach_x)), y0 = (int)fmax(0, floor(cy - reach_y));
            for (int j = y0; j < from->height && j < cy + reach_y; ++j)
                for (int i = x0; i < from->width && i < cx + reach_x; ++i) {
                    double w = weight(cx, sx, i) * weight(cy, sy, j);
                    const uint8_t *p =
                        from->rgb + 3 * ((size_t)j * (size_t)from->width + (size_t)i);
                    for (int c = 0; c < 3; ++c)
                        sum[c] += w * p[c];
                    all += w;
                }
            uint8_t *out = to->rgb + 3 * ((size_t)y * (size_t)to->width + (size_t)x);
            for (int c = 0; c < 3; ++c)
                out[c] = (uint8_t)lrint(all > 0 ? sum[c] / all : 0);
        }
}

void sheet_paste(const sheet_picture *on, const sheet_picture *what, int x, int y) {
    int first = x < 0 ? -x : 0;
    int last = what->width < on->width - x ? what->width : on->width - x;
    if (last <= first) return;
    for (int j = y < 0 ? -y : 0; j < what->height && j + y < on->height; ++j)
        memcpy(on->rgb + 3 * ((size_t)(j + y) * (size_t)on->width + (size_t)(first + x)),
               what->rgb + 3 * ((size_t)j * (size_t)what->width + (size_t)first),
               3 * (size_t)(last - first));
}

bool sheet_add(sheet_layout *s, const uint8_t *rgb, int width, int height, const char *label) {
    if (s->count == s->room) {
        int room = s->room ? 2 * s->room : 16;
        sheet_cell *cells = realloc(s->cells, (size_t)room * sizeof *cells);
        if (!cells) return false;
        s->cells = cells;
        s->room = room;
    }
    double shrink = fmin(1, (double)s->cell / fmax(width, height));
    sheet_picture small = {NULL, (int)fmax(1, lrint(width * shrink)),
                           (int)fmax(1, lrint(height * shrink))};
    small.rgb = malloc((size_t)small.width * (size_t)small.height * 3);
    if (!small.rgb) return false;
    sheet_picture from = {(uint8_t *)rgb, width, height};
    sheet_resize(&from, &small);
    sheet_cell *cell = &s->cells[s->count++];
    cell->picture = small;
    snprintf(cell->label, sizeof cell->label, "%s", label);
    return true;
}

static int column_width(const sheet_layout *s) {
    int most = 96;
    for (int i = 0; i < s->count; ++i)
        if (s->cells[i].picture.width > most) most = s->cells[i].picture.width;
    return most;
}

static int row_height(const sheet_layout *s, int row) {
    int most = 0;
    for (int i = row * s->columns; i < (row + 1) * s->columns && i < s->count; ++i)
        if (s->cells[i].picture.height > most) most = s->cells[i].picture.height;
    return most;
}

/* A label shrinks until it fits its column, and then loses its end. */
static bool draw_label(const sheet_picture *page, int x, int y, int room, const char *label) {
    static const uint8_t ink[3] = {236, 232, 224};
    const text_picture on = {page->rgb, page->width, page->height};
    text_style style = {.size = 13};
    const double width = text_width(&style, label);
    if (width > room) style.size = fmax(8, floor(2 * style.size * room / width) / 2);
    char cut[sizeof((sheet_cell *)0)->label + 4];
    size_t length = strlen(label);
    snprintf(cut, sizeof cut, "%s", label);
    while (length && text_width(&style, cut) > room) {
        length--;
        while (length && ((unsigned char)label[length] & 0xC0) == 0x80) /* inside a letter */
            length--;
        snprintf(cut, sizeof cut, "%.*s\xE2\x80\xA6", (int)length, label);
    }
    return text_draw(&on, &style, x + 1, y + 17, ink, cut, NULL);
}

bool sheet_draw(const sheet_layout *s, sheet_picture *page) {
    int rows = (s->count + s->columns - 1) / s->columns, wide = column_width(s);
    page->width = MARGIN + s->columns * (wide + MARGIN);
    page->height = MARGIN;
    for (int row = 0; row < rows; ++row)
        page->height += row_height(s, row) + LABEL + MARGIN / 2;
    size_t bytes = (size_t)page->width * (size_t)page->height * 3;
    page->rgb = malloc(bytes);
    if (!page->rgb) return false;
    memset(page->rgb, 34, bytes);
    for (int row = 0, y = MARGIN; row < rows; ++row) {
        int high = row_height(s, row);
        for (int column = 0; column < s->columns; ++column) {
            int index = row * s->columns + column, x = MARGIN + column * (wide + MARGIN);
            if (index >= s->count) break;
            const sheet_cell *cell = &s->cells[index];
            sheet_paste(page, &cell->picture, x, y);
            if (!draw_label(page, x, y + high, wide, cell->label)) {
                free(page->rgb);
                page->rgb = NULL;
                return false;
            }
        }
        y += high + LABEL + MARGIN / 2;
    }
    return true;
}

void sheet_layout_free(sheet_layout *s) {
    for (int i = 0; i < s->count; ++i)
        free(s->cells[i].picture.rgb);
    free(s->cells);
    memset(s, 0, sizeof *s);
}
