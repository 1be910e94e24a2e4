/* SPDX-License-Identifier: MIT */
/* reduce_show.c: a token set drawn over its picture. */
#include "reduce_show.h"

#include "sheet_layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_SIDE = 512 };

typedef struct overlay {
    tsr_token_set_info info;
    int64_t first, rows, columns; /* source tokens of the frame */
    sheet_picture page;
} overlay;

static int32_t token_at(const overlay *o, int64_t row, int64_t column) {
    return row < 0 || column < 0 || row >= o->rows || column >= o->columns
               ? -2
               : o->info.source_map[o->first + row * o->columns + column];
}

/* A colour for a merged token, so that neighbours differ. */
static void colour_of(int32_t token, uint8_t colour[3]) {
    const uint32_t mixed = (uint32_t)token * 2654435761u;
    static const uint8_t list[][3] = {{255, 80, 60}, {255, 200, 0},  {0, 220, 120},
                                      {0, 200, 255}, {90, 120, 255}, {235, 90, 255}};
    memcpy(colour, list[(mixed >> 16) % 6], 3);
}

static void draw(const overlay *o) {
    const int w = o->page.width, h = o->page.height;
    const int thick = (int)(h / (o->rows * 12)) > 1 ? (int)(h / (o->rows * 12)) : 1;
    for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
            uint8_t *p = o->page.rgb + 3 * ((size_t)y * (size_t)w + (size_t)x);
            const int64_t row = (int64_t)y * o->rows / h, column = (int64_t)x * o->columns / w;
            const int32_t token = token_at(o, row, column);
            if (token < 0) {
                const int grey = (p[0] * 3 + p[1] * 6 + p[2]) / 10;
                for (int c = 0; c < 3; ++c)
                    p[c] = (uint8_t)(grey / 5 + p[c] / 12);
                continue;
            }
            if (o->info.sizes[token] <= 1) continue;
            const int64_t up = (int64_t)(y - thick < 0 ? -h : y - thick) * o->rows / h,
                          down = (int64_t)(y + thick) * o->rows / h,
                          left = (int64_t)(x - thick < 0 ? -w : x - thick) * o->columns / w,
                          right = (int64_t)(x + thick) * o->columns / w;
            if (token_at(o, up, column) != token || token_at(o, down, column) != token ||
                token_at(o, row, left) != token || token_at(o, row, right) != token)
                colour_of(token, p);
        }
}

/* The square in the middle. */
static void crop(sheet_picture *p) {
    const int side = p->width < p->height ? p->width : p->height;
    const int x = (p->width - side) / 2, y = (p->height - side) / 2;
    for (int i = 0; i < side; ++i)
        memmove(p->rgb + 3 * (size_t)i * (size_t)side,
                p->rgb + 3 * ((size_t)(y + i) * (size_t)p->width + (size_t)x), 3 * (size_t)side);
    p->width = p->height = side;
}

/* The picture in the middle of a grey square. False: no memory. */
static bool pad(sheet_picture *p) {
    const int side = p->width > p->height ? p->width : p->height;
    const int x = (side - p->width) / 2, y = (side - p->height) / 2;
    uint8_t *rgb = malloc(3 * (size_t)side * (size_t)side);
    if (!rgb) return false;
    memset(rgb, 120, 3 * (size_t)side * (size_t)side);
    for (int i = 0; i < p->height; ++i)
        memcpy(rgb + 3 * ((size_t)(y + i) * (size_t)side + (size_t)x),
               p->rgb + 3 * (size_t)i * (size_t)p->width, 3 * (size_t)p->width);
    free(p->rgb);
    *p = (sheet_picture){.rgb = rgb, .width = side, .height = side};
    return true;
}

int reduce_show(tool *t, const tsr_token_set *set, const char *path, int fit, const char *view,
                uint32_t frame, const char *output) {
    static const uint8_t white[3] = {255, 255, 255};
    overlay o;
    sheet_picture picture = {0};
    tsr_token_set_info_get(set, &o.info);
    const int64_t *grid = o.info.source_grid;
    if (!grid[0])
        return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                              "--show: wanted tokens of a grid (metadata tessera.grid), got a set "
                              "without one");
    if (frame >= (uint64_t)grid[0])
        return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                              "--frame: wanted one of %" PRId64 " frames, got %" PRIu32, grid[0],
                              frame);
    o.rows = grid[1];
    o.columns = grid[2];
    o.first = (int64_t)frame * o.rows * o.columns;
    tsr_status s =
        tsr_picture_read(t->ctx, path, white, &picture.rgb, &picture.width, &picture.height);
    if (s) return tool_fail(t, s);
    if (fit == SHOW_AUTO && view && !strcmp(view, "crop")) fit = SHOW_CROP;
    if (fit == SHOW_AUTO && view && !strcmp(view, "pad")) fit = SHOW_PAD;
    if (fit == SHOW_CROP) crop(&picture);
    const bool padded = fit != SHOW_PAD || pad(&picture);
    /* every cell has whole pixels, so that outlines stand where the cells end */
    const int64_t least = o.rows < o.columns ? o.rows : o.columns;
    const int cell = (int)((SHORT_SIDE + least - 1) / least);
    o.page = (sheet_picture){.width = cell * (int)o.columns, .height = cell * (int)o.rows};
    o.page.rgb = o.rows * o.columns > 1 << 20 || !padded
                     ? NULL
                     : malloc(3 * (size_t)o.page.width * (size_t)o.page.height);
    if (o.page.rgb) {
        sheet_resize(&picture, &o.page);
        draw(&o);
        s = tsr_picture_write(t->ctx, output, o.page.width, o.page.height, o.page.rgb, NULL);
    }
    const bool drawn = o.page.rgb != NULL;
    free(picture.rgb);
    free(o.page.rgb);
    if (!drawn) return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: no memory for the picture", output);
    return s ? tool_fail(t, s) : -1;
}
