/* SPDX-License-Identifier: MIT */
/* conv2d_winograd.c: 3 x 3 convolutions with 16 instead of 36 multiplications for each 2 x 2
 * outputs (Lavin and Gray 2016, F(2x2, 3x3)). A tile of 4 x 4 inputs becomes 16 values for each
 * channel, 16 matrix products over the channels follow, and their results become 2 x 2 outputs.
 * Both transformations only add, subtract and halve, so that errors stay near those of the direct
 * sum.
 *
 * A worker takes a window of tiles of one picture and a part of the output channels; windows and
 * parts depend on the shape alone. */
#include <stdlib.h>

#include "../simd.h"
#include "conv2d.h"

enum {
    PLACES = 16, /* values of a transformed tile */
    TILES = 64,  /* at least in a window, where the picture has as many: rows of the products */
    ACROSS = 128,
    PART = 256, /* output channels: of a window's work, and at a time inside it */
    BLOCK = 64,
    PAD = 80 /* floats between places: they must not fall into the same sets of the cache */
};

bool tsr_winograd_fits(const tsr_conv_geometry *s) {
    return s->kh == 3 && s->kw == 3 && s->stride == 1 && s->c >= 32 && s->n >= 32 &&
           s->oh * s->ow >= 4 * TILES;
}

/* ---- packing ---------------------------------------------------------------------------- */

typedef struct pack_job {
    const tsr_gemm_kernels *g;
    const float *kernel;
    float *panels, *rows; /* rows: one panel's outputs, place by place, for each worker */
    int64_t n, c;
    size_t place_floats;
} pack_job;

/* u = G k G^T, G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]; u[place] lies `step` floats apart. */
static void transform_kernel(const float *k, float *u, int64_t step) {
    double t[4][3];
    for (int x = 0; x < 3; ++x) {
        double a = k[x], b = k[3 + x], c = k[6 + x];
        t[0][x] = a;
        t[1][x] = 0.5 * (a + b + c);
        t[2][x] = 0.5 * (a - b + c);
        t[3][x] = c;
    }
    for (int y = 0; y < 4; ++y) {
        double a = t[y][0], b = t[y][1], c = t[y][2];
        u[(4 * y) * step] = (float)a;
        u[(4 * y + 1) * step] = (float)(0.5 * (a + b + c));
        u[(4 * y + 2) * step] = (float)(0.5 * (a - b + c));
        u[(4 * y + 3) * step] = (float)c;
    }
}

static void pack_tile(void *arg, int64_t index, int worker) {
    const pack_job *j = arg;
    int64_t n0 = index * j->g->cols, n = j->n - n0 < j->g->cols ? j->n - n0 : j->g->cols;
    int64_t step = j->c * j->g->cols;
    float *rows = j->rows + worker * PLACES * step;
    for (int64_t o = 0; o < n; ++o)
        for (int64_t c = 0; c < j->c; ++c)
            transform_kernel(j->kernel + ((n0 + o) * j->c + c) * 9, rows + o * j->c + c, step);
    for (int p = 0; p < PLACES; ++p)
        j->g->pack(j->panels + (size_t)p * j->place_floats + n0 * j->c, rows + p * step, j->c, n, 1,
                   j->c);
}

tsr_status tsr_winograd_pack(tsr_device *device, const tsr_gemm_kernels *g,
                             const tsr_conv_geometry *s, const float *kernel, float **panels) {
    tsr_context *ctx = tsr_device_context(device);
    pack_job j = {.g = g, .kernel = kernel, .n = s->n, .c = s->c};
    j.place_floats = tsr_gemm_panel_floats(g, s->c, s->n);
    size_t bytes = PLACES * j.place_floats * sizeof(float);
    size_t row_bytes = PLACES * (size_t)(s->c * g->cols) * sizeof(float);
    j.rows = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * row_bytes);
    if (!j.rows) return TSR_ERROR_MEMORY;
    *panels = j.panels = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!j.panels)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "conv2d: packed weight: wanted %zu bytes, got none",
                        bytes);
    tsr_parallel(ctx, tile_count(s->n, g->cols), pack_tile, &j);
    return TSR_OK;
}

/* ---- running ---------------------------------------------------------------------------- */

typedef struct job {
    tsr_conv_geometry s;
    const tsr_gemm_kernels *g;
    const tsr_gemm_epilogue *epilogue;
    const float *panels, *x;
    float *y, *scratch; /* scratch: one piece for each worker */
    size_t place_floats;
    int64_t tile_rows, tile_cols;                /* of a window */
    int64_t windows_down, windows_across, parts; /* of a picture */
    size_t window_floats, value_floats, sum_floats, scratch_floats;
} job;

/* v = B^T d B for `count` channels of one tile, B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1].
 * `row` is the distance of the window's rows, `step` of the places. */
TSR_CLONES static void transform_input(const float *restrict d, int64_t row, float *restrict v,
                                       int64_t step, int64_t count) {
    const float *d1 = d + row, *d2 = d1 + row, *d3 = d2 + row;
    for (int64_t i = 0; i < count; ++i) {
        float t[4][4];
        for (int x = 0; x < 4; ++x) {
            int64_t at = x * count + i;
            t[0][x] = d[at] - d2[at];
            t[1][x] = d1[at] + d2[at];
            t[2][x] = d2[at] - d1[at];
            t[3][x] = d1[at] - d3[at];
        }
        for (int y = 0; y < 4; ++y) {
            v[(4 * y) * step + i] = t[y][0] - t[y][2];
            v[(4 * y + 1) * step + i] = t[y][1] + t[y][2];
            v[(4 * y + 2) * step + i] = t[y][2] - t[y][1];
            v[(4 * y + 3) * step + i] = t[y][1] - t[y][3];
        }
    }
}

/* y = A^T m A for `count` output channels of one tile, A^T = [1 1 1 0; 0 1 -1 -1]. The four outputs
 * lie at y, right, below and corner. */
TSR_CLONES static void transform_output(const float *restrict m, int64_t step, float *restrict y,
                                        float *restrict right, float *restrict below,
                                        float *restrict corner, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        float t[2][4];
        for (int x = 0; x < 4; ++x) {
            float a = m[x * step + i], b = m[(4 + x) * step + i], c = m[(8 + x) * step + i];
            t[0][x] = a + b + c;
            t[1][x] = b - c - m[(12 + x) * step + i];
        }
        y[i] = t[0][0] + t[0][1] + t[0][2];
        right[i] = t[0][1] - t[0][2] - t[0][3];
        below[i] = t[1][0] + t[1][1] + t[1][2];
        corner[i] = t[1][1] - t[1][2] - t[1][3];
    }
}

typedef struct window { /* of one picture, in tiles, and the worker's memory */
    int64_t b, row, col, rows, cols, tiles;
    float *values, *sums, *outside;
    int64_t value_step, sum_step;
} window;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void fill_values(const job *j, const window *w, float *band) {
    const tsr_conv_geometry *s = &j->s;
    int64_t width = 2 * w->cols + 2, rows = 2 * w->rows + 2;
    const float *image = j->x + w->b * s->h * s->w * s->c;
    for (int64_t i = 0; i < rows; ++i)
        copy_row(s, image, 2 * w->row - s->top + i, 2 * w->col - s->left, width,
                 band + i * width * s->c);
    for (int64_t t = 0; t < w->tiles; ++t)
        transform_input(band + (t / w->cols * 2 * width + t % w->cols * 2) * s->c, width * s->c,
                        w->values + t * s->c, w->value_step, s->c);
}

/* Output channels n0 .. n1 of a window. */
static void finish_block(const job *j, const window *w, int64_t n0, int64_t n1) {
    const tsr_conv_geometry *s = &j->s;
    int64_t count = n1 - n0;
    for (int64_t t = 0; t < w->tiles; ++t) {
        int64_t oy = 2 * (w->row + t / w->cols), ox = 2 * (w->col + t % w->cols);
        float *y = j->y + ((w->b * s->oh + oy) * s->ow + ox) * s->n + n0;
        bool wide = ox + 1 < s->ow, high = oy + 1 < s->oh;
        transform_output(w->sums + t * count, w->sum_step, y, wide ? y + s->n : w->outside,
                         high ? y + s->ow * s->n : w->outside + BLOCK,
                         wide && high ? y + (s->ow + 1) * s->n : w->outside + 2 * BLOCK, count);
    }
    if (!j->epilogue) return;
    int64_t x0 = 2 * w->col, cols = least(2 * w->cols, s->ow - x0);
    int64_t y0 = 2 * w->row, y1 = y0 + least(2 * w->rows, s->oh - y0);
    for (int64_t oy = y0; oy < y1; ++oy) {
        int64_t row0 = (w->b * s->oh + oy) * s->ow + x0;
        j->g->epilogue(j->epilogue, j->y + row0 * s->n + n0, s->n, row0, cols, n0, n1);
    }
}

static void tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    const tsr_conv_geometry *s = &j->s;
    int64_t from = index % j->parts * PART, end = least(from + PART, s->n);
    index /= j->parts;
    window w = {.col = index % j->windows_across * j->tile_cols};
    index /= j->windows_across;
    w.row = index % j->windows_down * j->tile_rows;
    w.b = index / j->windows_down;
    w.rows = least(j->tile_rows, (s->oh + 1) / 2 - w.row);
    w.cols = least(j->tile_cols, (s->ow + 1) / 2 - w.col);
    w.tiles = w.rows * w.cols;
    float *band = j->scratch + (size_t)worker * j->scratch_floats;
    w.values = band + j->window_floats;
    w.sums = w.values + j->value_floats;
    w.outside = w.sums + j->sum_floats;
    w.value_step = w.tiles * s->c + PAD;
    fill_values(j, &w, band);
    for (int64_t n0 = from; n0 < end; n0 += BLOCK) {
        int64_t n1 = least(n0 + BLOCK, end);
        w.sum_step = w.tiles * (n1 - n0) + PAD;
        for (int p = 0; p < PLACES; ++p) {
            tsr_gemm_panels panels = {j->panels + (size_t)p * j->place_floats, s->c, s->n, s->c};
            j->g->product(w.values + p * w.value_step, s->c, w.tiles, &panels, n0, n1,
                          w.sums + p * w.sum_step, n1 - n0);
        }
        finish_block(j, &w, n0, n1);
    }
}

static size_t rounded(int64_t floats) {
    return (size_t)(floats + 15) / 16 * 16;
}

tsr_status tsr_winograd_run(tsr_device *device, const tsr_gemm_kernels *g,
                            const tsr_conv_geometry *s, const float *panels, const float *x,
                            float *y, const tsr_gemm_epilogue *epilogue) {
    tsr_context *ctx = tsr_device_context(device);
    job j = {.s = *s, .g = g, .epilogue = epilogue, .panels = panels, .x = x, .y = y};
    j.place_floats = tsr_gemm_panel_floats(g, s->c, s->n);
    int64_t across = (s->ow + 1) / 2, down = (s->oh + 1) / 2;
    j.tile_cols = tile_count(across, tile_count(across, ACROSS));
    j.tile_rows = least(tile_count(TILES, j.tile_cols), down);
    j.windows_across = tile_count(across, j.tile_cols);
    j.windows_down = tile_count(down, j.tile_rows);
    j.parts = tile_count(s->n, PART);
    int64_t tiles = j.tile_rows * j.tile_cols;
    j.window_floats = rounded((2 * j.tile_rows + 2) * (2 * j.tile_cols + 2) * s->c);
    j.value_floats = rounded(PLACES * (tiles * s->c + PAD));
    j.sum_floats = rounded(PLACES * (tiles * BLOCK + PAD));
    j.scratch_floats = j.window_floats + j.value_floats + j.sum_floats + 3 * BLOCK;
    j.scratch = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.scratch_floats *
                                               sizeof(float));
    if (!j.scratch) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, s->batch * j.windows_down * j.windows_across * j.parts, tile, &j);
    return TSR_OK;
}
