/* SPDX-License-Identifier: MIT */
/* anyres.c: see anyres.h. Divisions are in double in the order of the published code, since they
 * decide integers. */
#include "anyres.h"
#include "../compute/arena.h"
#include "../nn/grid_resize.h"

#include <math.h>
#include <string.h>

const tsr_anyres_size tsr_anyres_next[TSR_ANYRES_NEXT] = {
    {336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};

void tsr_anyres_onevision(int64_t side, tsr_anyres_size sizes[TSR_ANYRES_ONEVISION]) {
    for (int i = 0; i < TSR_ANYRES_ONEVISION; ++i)
        sizes[i] = (tsr_anyres_size){side * (1 + i / 6), side * (1 + i % 6)};
}

static double least(double a, double b) {
    return a < b ? a : b;
}

tsr_anyres_plan tsr_anyres_choose(tsr_anyres_size p, const tsr_anyres_size *sizes, int count,
                                  int64_t side) {
    const double w = (double)p.width, h = (double)p.height;
    double kept = -1, wasted = 0;
    tsr_anyres_plan plan = {.side = side, .picture = p};
    for (int i = 0; i < count; ++i) {
        const double cw = (double)sizes[i].width, ch = (double)sizes[i].height;
        const double scale = least(cw / w, ch / h);
        const double keeps = least(floor(w * scale) * floor(h * scale), w * h);
        const double wastes = cw * ch - keeps;
        if (keeps > kept || (keeps == kept && wastes < wasted)) {
            kept = keeps;
            wasted = wastes;
            plan.best = sizes[i];
        }
    }
    const double along = (double)plan.best.width / w, down = (double)plan.best.height / h;
    plan.resized = plan.best;
    if (along < down)
        plan.resized.height = (int64_t)least(ceil(h * along), (double)plan.best.height);
    else
        plan.resized.width = (int64_t)least(ceil(w * down), (double)plan.best.width);
    plan.top = (plan.best.height - plan.resized.height) / 2;
    plan.left = (plan.best.width - plan.resized.width) / 2;
    plan.tiles = (tsr_anyres_size){plan.best.height / side, plan.best.width / side};
    return plan;
}

int64_t tsr_anyres_tiles(const tsr_anyres_plan *plan) {
    return 1 + plan->tiles.height * plan->tiles.width;
}

tsr_status tsr_anyres_cut(tsr_device *host, const tsr_anyres_plan *plan, const tsr_picture *picture,
                          tsr_resampling filter, uint8_t *rgb) {
    const size_t side = (size_t)plan->side, tile = side * side * 3;
    const size_t width = (size_t)plan->resized.width, height = (size_t)plan->resized.height;
    tsr_scratch s = {.ctx = tsr_device_context(host)};
    uint8_t *resized = tsr_scratch_take(&s, width * height, 3, "anyres: resized picture");
    tsr_status status = s.status;
    if (!status)
        status = tsr_view_resize(host, picture, filter, (uint32_t)side, (uint32_t)side, rgb);
    if (!status)
        status = tsr_view_resize(host, picture, filter, (uint32_t)width, (uint32_t)height, resized);
    if (!status) memset(rgb + tile, 0, (size_t)(tsr_anyres_tiles(plan) - 1) * tile);
    for (size_t y = 0; y < height && !status; ++y)
        for (size_t x = 0; x < width; ++x) {
            const size_t cx = x + (size_t)plan->left, cy = y + (size_t)plan->top;
            const size_t at = 1 + cy / side * (size_t)plan->tiles.width + cx / side;
            memcpy(rgb + at * tile + (cy % side * side + cx % side) * 3,
                   resized + (y * width + x) * 3, 3);
        }
    tsr_scratch_free(&s);
    return status;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* int(round(x, 7)) of the published code. */
static int64_t whole(double x) {
    const double below = floor(x);
    return (int64_t)(x - below >= 1 - 5e-8 ? below + 1 : below);
}

tsr_anyres_grid tsr_anyres_unpad(const tsr_anyres_plan *plan, int64_t cells) {
    const double w = (double)plan->picture.width, h = (double)plan->picture.height;
    tsr_anyres_grid g = {0, 0, plan->tiles.height * cells, plan->tiles.width * cells};
    const double columns = (double)g.columns, rows = (double)g.rows;
    if (w / h > columns / rows) {
        g.top = (g.rows - whole(h * (columns / w))) / 2;
        g.rows -= 2 * g.top; /* of an odd rest one row of padding stays */
    } else {
        g.left = (g.columns - whole(w * (rows / h))) / 2;
        g.columns -= 2 * g.left;
    }
    return g;
}

/* Row of cell (y, x) of the unpadded grid: tile * cells^2 + cell. */
static int64_t row_of(const tsr_anyres_plan *plan, const tsr_anyres_grid *g, int64_t cells,
                      int64_t y, int64_t x) {
    y += g->top;
    x += g->left;
    const int64_t tile = 1 + y / cells * plan->tiles.width + x / cells;
    return (tile * cells + y % cells) * cells + x % cells;
}

int64_t tsr_anyres_rows(const tsr_anyres_plan *plan, int64_t cells) {
    const tsr_anyres_grid g = tsr_anyres_unpad(plan, cells);
    return cells * cells + g.rows * (g.columns + 1);
}

void tsr_anyres_order(const tsr_anyres_plan *plan, int64_t cells, int32_t *order) {
    const tsr_anyres_grid g = tsr_anyres_unpad(plan, cells);
    for (int64_t i = 0; i < cells * cells; ++i)
        *order++ = (int32_t)i;
    for (int64_t y = 0; y < g.rows; ++y) {
        for (int64_t x = 0; x < g.columns; ++x)
            *order++ = (int32_t)row_of(plan, &g, cells, y, x);
        *order++ = -1;
    }
}

tsr_anyres_size tsr_anyres_limited(const tsr_anyres_plan *plan, int64_t cells, int64_t most) {
    const tsr_anyres_grid g = tsr_anyres_unpad(plan, cells);
    const double ratio =
        sqrt((double)(g.rows * g.columns) / ((double)most * (double)(cells * cells)));
    if (!(ratio > 1.1)) return (tsr_anyres_size){g.rows, g.columns};
    return (tsr_anyres_size){(int64_t)floor((double)g.rows / ratio),
                             (int64_t)floor((double)g.columns / ratio)};
}

tsr_status tsr_anyres_pack(tsr_context *ctx, const tsr_anyres_plan *plan, int64_t cells,
                           int64_t most, const float *features, int64_t channels,
                           const float *newline, float *packed) {
    const tsr_anyres_grid g = tsr_anyres_unpad(plan, cells);
    const tsr_anyres_size made = tsr_anyres_limited(plan, cells, most);
    const size_t row = (size_t)channels * sizeof *packed;
    tsr_scratch s = {.ctx = ctx};
    float *grid = tsr_scratch_take(&s, (size_t)(g.rows * g.columns), row, "anyres: grid");
    float *small = tsr_scratch_take(&s, (size_t)(made.height * made.width), row, "anyres: grid");
    tsr_status status = s.status;
    for (int64_t y = 0; y < g.rows && !status; ++y)
        for (int64_t x = 0; x < g.columns; ++x)
            memcpy(grid + (y * g.columns + x) * channels,
                   features + row_of(plan, &g, cells, y, x) * channels, row);
    const bool fits = made.height == g.rows && made.width == g.columns;
    if (!status && fits)
        memcpy(small, grid, (size_t)(g.rows * g.columns) * row);
    else if (!status)
        status =
            tsr_grid_resize(ctx, grid, (tsr_grid_size){g.rows, g.columns}, channels,
                            TSR_GRID_BILINEAR, small, (tsr_grid_size){made.height, made.width});
    if (!status) {
        memcpy(packed, features, (size_t)(cells * cells) * row);
        packed += cells * cells * channels;
    }
    for (int64_t y = 0; y < made.height && !status; ++y) {
        memcpy(packed, small + y * made.width * channels, (size_t)made.width * row);
        packed += made.width * channels;
        if (!newline) continue;
        memcpy(packed, newline, row);
        packed += channels;
    }
    tsr_scratch_free(&s);
    return status;
}
