/* SPDX-License-Identifier: MIT */
/* conv2d_winograd.c: 3 x 3 convolutions with fewer multiplications (Lavin and Gray 2016). A tile of
 * inputs becomes as many values for each channel, one matrix product over the channels for each of
 * them follows, and the results become the tile's outputs.
 *
 *   F(2x2, 3x3): 16 multiplications for 4 outputs instead of 36. Its transformations only add,
 *   subtract and halve: errors stay near those of the direct sum. For small maps.
 *   F(4x4, 3x3): 36 for 16 outputs instead of 144. The usual points 0, 1, -1, 2, -2 cost five times
 *   the error of F(2x2); 0 and the four roots +-sqrt(1/2), +-sqrt(2) cost two and a half times, and
 *   as their squares are 1/2 and 2 nearly all factors stay exact.
 *
 * A worker takes a window of tiles of one picture and a part of the output channels; windows and
 * parts depend on the shape alone. */
#include <stdlib.h>

#include "../compute/cpu/simd.h"
#include "conv2d.h"

enum {
    SIDE = 6,            /* inputs of the largest tile, each way */
    PLACES = SIDE * SIDE /* values of a transformed tile, at most */
};
enum {
    TILES = 64, /* at least in a window, where the picture has as many: rows of the products */
    ACROSS = 128,
    PART = 256, /* output channels: of a window's work, and at a time inside it */
    BLOCK = 64,
    CHANNELS = 64, /* transformed at a time: both passes then stay in the first-level cache */
    PAD = 80       /* floats between places: they must not fall into the same sets of the cache */
};

#define ROOT_HALF 0.70710678118654752440
#define ROOT_TWO  1.41421356237309504880

/* The outputs of a tile each way, or 0 when the shape is not for this file. */
int tsr_winograd_fits(const tsr_conv_geometry *s) {
    if (s->kh != 3 || s->kw != 3 || s->stride != 1 || s->c < 32 || s->n < 32) return 0;
    if (s->oh >= 32 && s->ow >= 32) return 4;
    return s->oh * s->ow >= 4 * TILES ? 2 : 0;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- packing ---------------------------------------------------------------------------- */

typedef struct pack_job {
    const tsr_gemm_kernels *g;
    const float *kernel;
    float *panels, *rows; /* rows: one panel's outputs, place by place, for each worker */
    int64_t n, c;
    int edge, places;
    size_t place_floats;
} pack_job;

static const double kernel_matrix_2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const double kernel_matrix_4[6][3] = {
    {1, 0, 0},
    {-2.0 / 3, -2.0 / 3 * ROOT_HALF, -1.0 / 3},
    {-2.0 / 3, 2.0 / 3 * ROOT_HALF, -1.0 / 3},
    {1.0 / 6, 1.0 / 6 * ROOT_TWO, 1.0 / 3},
    {1.0 / 6, -1.0 / 6 * ROOT_TWO, 1.0 / 3},
    {0, 0, 1},
};

/* u = G k G^T; u[place] lies `step` floats apart. */
static void transform_kernel(int edge, const float *k, float *u, int64_t step) {
    const double(*g)[3] = edge == 4 ? kernel_matrix_4 : kernel_matrix_2;
    const int side = edge + 2;
    double t[SIDE][3];
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < 3; ++x)
            t[y][x] = g[y][0] * k[x] + g[y][1] * k[3 + x] + g[y][2] * k[6 + x];
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x)
            u[(side * y + x) * step] =
                (float)(t[y][0] * g[x][0] + t[y][1] * g[x][1] + t[y][2] * g[x][2]);
}

static void pack_tile(void *arg, int64_t index, int worker) {
    const pack_job *j = arg;
    int64_t n0 = index * j->g->cols, n = least(j->n - n0, j->g->cols);
    int64_t step = j->c * j->g->cols;
    float *rows = j->rows + worker * j->places * step;
    for (int64_t o = 0; o < n; ++o)
        for (int64_t c = 0; c < j->c; ++c)
            transform_kernel(j->edge, j->kernel + ((n0 + o) * j->c + c) * 9, rows + o * j->c + c,
                             step);
    for (int p = 0; p < j->places; ++p)
        j->g->pack(j->panels + (size_t)p * j->place_floats + n0 * j->c, rows + p * step, j->c, n, 1,
                   j->c);
}

tsr_status tsr_winograd_pack(tsr_device *device, const tsr_gemm_kernels *g, int edge,
                             const tsr_conv_geometry *s, const float *kernel, float **panels) {
    tsr_context *ctx = tsr_device_context(device);
    pack_job j = {.g = g, .kernel = kernel, .n = s->n, .c = s->c, .edge = edge};
    j.places = (edge + 2) * (edge + 2);
    j.place_floats = tsr_gemm_panel_floats(g, s->c, s->n);
    size_t bytes = (size_t)j.places * j.place_floats * sizeof(float);
    size_t row_bytes = (size_t)(j.places * s->c * g->cols) * sizeof(float);
    j.rows = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * row_bytes);
    if (!j.rows) return TSR_ERROR_MEMORY;
    *panels = j.panels = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!j.panels)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "conv2d: packed weight: wanted %zu bytes, got none",
                        bytes);
    tsr_parallel(ctx, tile_count(s->n, g->cols), pack_tile, &j);
    return TSR_OK;
}

/* ---- transformations -------------------------------------------------------------------- */

/* v = B^T d along one line of a tile, for `count` channels; v[place] lies `step` apart. */

/* B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1] */
static inline __attribute__((always_inline)) void
input_line_2(const float *const *d, float *restrict v, int64_t step, int64_t count) {
    const float *d0 = d[0], *d1 = d[1], *d2 = d[2], *d3 = d[3];
    float *restrict v1 = v + step, *restrict v2 = v1 + step, *restrict v3 = v2 + step;
    TSR_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) {
        v[i] = d0[i] - d2[i];
        v1[i] = d1[i] + d2[i];
        v2[i] = d2[i] - d1[i];
        v3[i] = d1[i] - d3[i];
    }
}

/* Each row holds the coefficients of the product of x - p over all points p but its own; the last
 * row leaves none out. */
static inline __attribute__((always_inline)) void
input_line_4(const float *const *d, float *restrict v, int64_t step, int64_t count) {
    const float *d0 = d[0], *d1 = d[1], *d2 = d[2], *d3 = d[3], *d4 = d[4], *d5 = d[5];
    float *restrict v1 = v + step, *restrict v2 = v1 + step, *restrict v3 = v2 + step;
    float *restrict v4 = v3 + step, *restrict v5 = v4 + step;
    TSR_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) {
        float even = d4[i] - 2 * d2[i], odd = (d3[i] - 2 * d1[i]) * (float)ROOT_HALF;
        float even2 = d4[i] - 0.5f * d2[i], odd2 = (d3[i] - 0.5f * d1[i]) * (float)ROOT_TWO;
        v[i] = d0[i] + (d4[i] - 2.5f * d2[i]);
        v1[i] = even + odd;
        v2[i] = even - odd;
        v3[i] = even2 + odd2;
        v4[i] = even2 - odd2;
        v5[i] = d1[i] + (d5[i] - 2.5f * d3[i]);
    }
}

/* All of a tile: pixel[y * side + x] are its inputs, columns first and then rows. */
TSR_CLONES static void transform_input(int edge, const float *const *pixel, float *v, int64_t step,
                                       int64_t count) {
    float between[PLACES * CHANNELS];
    const int side = edge + 2;
    for (int64_t c = 0; c < count; c += CHANNELS) {
        const int64_t n = count - c < CHANNELS ? count - c : CHANNELS;
        const float *line[SIDE];
        for (int x = 0; x < side; ++x) {
            for (int y = 0; y < side; ++y)
                line[y] = pixel[y * side + x] + c;
            if (edge == 4)
                input_line_4(line, between + x * CHANNELS, SIDE * CHANNELS, n);
            else
                input_line_2(line, between + x * CHANNELS, SIDE * CHANNELS, n);
        }
        for (int y = 0; y < side; ++y) {
            for (int x = 0; x < side; ++x)
                line[x] = between + (y * SIDE + x) * CHANNELS;
            if (edge == 4)
                input_line_4(line, v + y * side * step + c, step, n);
            else
                input_line_2(line, v + y * side * step + c, step, n);
        }
    }
}

/* y = A^T m along one line, m[place] `step` apart; each output has its own address. */

/* A^T = [1 1 1 0; 0 1 -1 -1] */
static inline __attribute__((always_inline)) void output_line_2(const float *m, int64_t step,
                                                                float *const *y, int64_t count) {
    const float *m1 = m + step, *m2 = m1 + step, *m3 = m2 + step;
    float *restrict y0 = y[0], *restrict y1 = y[1];
    TSR_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) {
        y0[i] = m[i] + m1[i] + m2[i];
        y1[i] = m1[i] - m2[i] - m3[i];
    }
}

/* Row k of A^T holds the points to the power of k. */
static inline __attribute__((always_inline)) void output_line_4(const float *m, int64_t step,
                                                                float *const *y, int64_t count) {
    const float *m1 = m + step, *m2 = m1 + step, *m3 = m2 + step, *m4 = m3 + step, *m5 = m4 + step;
    float *restrict y0 = y[0], *restrict y1 = y[1], *restrict y2 = y[2], *restrict y3 = y[3];
    TSR_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) {
        float even = m1[i] + m2[i], odd = (m1[i] - m2[i]) * (float)ROOT_HALF;
        float even2 = m3[i] + m4[i], odd2 = (m3[i] - m4[i]) * (float)ROOT_TWO;
        y0[i] = m[i] + (even + even2);
        y1[i] = odd + odd2;
        y2[i] = 0.5f * even + 2 * even2;
        y3[i] = m5[i] + (0.5f * odd + 2 * odd2);
    }
}

/* All of a tile, pixel[y * edge + x] are its outputs; `count` is at most BLOCK. */
TSR_CLONES static void transform_output(int edge, const float *m, int64_t step, float *const *pixel,
                                        int64_t count) {
    float between[4 * SIDE * BLOCK];
    const int side = edge + 2;
    for (int x = 0; x < side; ++x) {
        float *line[4];
        for (int y = 0; y < edge; ++y)
            line[y] = between + (y * SIDE + x) * BLOCK;
        if (edge == 4)
            output_line_4(m + x * step, side * step, line, count);
        else
            output_line_2(m + x * step, side * step, line, count);
    }
    for (int y = 0; y < edge; ++y) {
        if (edge == 4)
            output_line_4(between + y * SIDE * BLOCK, BLOCK, pixel + y * edge, count);
        else
            output_line_2(between + y * SIDE * BLOCK, BLOCK, pixel + y * edge, count);
    }
}

/* ---- running ---------------------------------------------------------------------------- */

typedef struct job {
    tsr_conv_geometry s;
    const tsr_gemm_kernels *g;
    const tsr_gemm_epilogue *epilogue;
    const float *panels, *x, *zeros; /* zeros: a pixel outside the picture */
    float *y, *scratch;              /* scratch: one piece for each worker */
    size_t place_floats;
    int edge, places;
    int64_t across, down, tile_rows, tile_cols;  /* tiles: of a picture, and of a window */
    int64_t windows_down, windows_across, parts; /* of a picture */
    size_t value_floats, sum_floats, scratch_floats;
} job;

typedef struct window { /* of one picture, in tiles, and the worker's memory */
    int64_t b, row, col, rows, cols, tiles;
    float *values, *sums, *outside;
    int64_t value_step, sum_step;
} window;

static void fill_values(const job *j, const window *w) {
    const tsr_conv_geometry *s = &j->s;
    const int side = j->edge + 2;
    const int64_t high = s->h << s->up, wide = s->w << s->up;
    const float *image = j->x + w->b * s->h * s->w * s->c;
    for (int64_t t = 0; t < w->tiles; ++t) {
        const int64_t y0 = (w->row + t / w->cols) * j->edge - s->top;
        const int64_t x0 = (w->col + t % w->cols) * j->edge - s->left;
        const float *pixel[PLACES];
        for (int i = 0; i < j->places; ++i) {
            const int64_t y = y0 + i / side, x = x0 + i % side;
            const bool inside = y >= 0 && x >= 0 && y < high && x < wide;
            pixel[i] = inside ? image + ((y >> s->up) * s->w + (x >> s->up)) * s->c : j->zeros;
        }
        transform_input(j->edge, pixel, w->values + t * s->c, w->value_step, s->c);
    }
}

/* Output channels n0 .. n1 of a window. */
static void finish_block(const job *j, const window *w, int64_t n0, int64_t n1) {
    const tsr_conv_geometry *s = &j->s;
    const int edge = j->edge;
    for (int64_t t = 0; t < w->tiles; ++t) {
        const int64_t y0 = (w->row + t / w->cols) * edge, x0 = (w->col + t % w->cols) * edge;
        const int64_t row0 = (w->b * s->oh + y0) * s->ow + x0;
        float *y = j->y + row0 * s->n + n0, *pixel[16];
        for (int i = 0; i < edge * edge; ++i) {
            const bool inside = y0 + i / edge < s->oh && x0 + i % edge < s->ow;
            pixel[i] = inside ? y + (i / edge * s->ow + i % edge) * s->n : w->outside + i * BLOCK;
        }
        transform_output(edge, w->sums + t * (n1 - n0), w->sum_step, pixel, n1 - n0);
        if (!j->epilogue) continue;
        const int64_t rows = least(edge, s->oh - y0), cols = least(edge, s->ow - x0);
        for (int64_t i = 0; i < rows; ++i)
            j->g->epilogue(j->epilogue, y + i * s->ow * s->n, s->n, row0 + i * s->ow, cols, n0, n1);
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
    w.rows = least(j->tile_rows, j->down - w.row);
    w.cols = least(j->tile_cols, j->across - w.col);
    w.tiles = w.rows * w.cols;
    w.values = j->scratch + (size_t)worker * j->scratch_floats;
    w.sums = w.values + j->value_floats;
    w.outside = w.sums + j->sum_floats;
    w.value_step = w.tiles * s->c + PAD;
    fill_values(j, &w);
    for (int64_t n0 = from; n0 < end; n0 += BLOCK) {
        int64_t n1 = least(n0 + BLOCK, end);
        w.sum_step = w.tiles * (n1 - n0) + PAD;
        for (int p = 0; p < j->places; ++p) {
            tsr_gemm_panels panels = {j->panels + (size_t)p * j->place_floats, s->c, s->n, s->c,
                                      false};
            j->g->product(w.values + p * w.value_step, s->c, w.tiles, &panels, n0, n1,
                          w.sums + p * w.sum_step, n1 - n0);
        }
        finish_block(j, &w, n0, n1);
    }
}

static size_t rounded(int64_t floats) {
    return (size_t)(floats + 15) / 16 * 16;
}

tsr_status tsr_winograd_run(tsr_device *device, const tsr_gemm_kernels *g, int edge,
                            const tsr_conv_geometry *s, const float *panels, const float *x,
                            float *y, const tsr_gemm_epilogue *epilogue) {
    tsr_context *ctx = tsr_device_context(device);
    job j = {.s = *s, .g = g, .epilogue = epilogue, .panels = panels, .x = x, .y = y, .edge = edge};
    j.places = (edge + 2) * (edge + 2);
    j.place_floats = tsr_gemm_panel_floats(g, s->c, s->n);
    j.across = tile_count(s->ow, edge);
    j.down = tile_count(s->oh, edge);
    j.tile_cols = tile_count(j.across, tile_count(j.across, ACROSS));
    j.tile_rows = least(tile_count(TILES, j.tile_cols), j.down);
    j.windows_across = tile_count(j.across, j.tile_cols);
    j.windows_down = tile_count(j.down, j.tile_rows);
    j.parts = tile_count(s->n, PART);
    int64_t tiles = j.tile_rows * j.tile_cols;
    j.value_floats = rounded(j.places * (tiles * s->c + PAD));
    j.sum_floats = rounded(j.places * (tiles * BLOCK + PAD));
    j.scratch_floats = j.value_floats + j.sum_floats + (size_t)edge * edge * BLOCK;
    float *zeros = tsr_device_scratch(device, (size_t)s->c * sizeof(float));
    j.scratch = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.scratch_floats *
                                               sizeof(float));
    if (!zeros || !j.scratch) return TSR_ERROR_MEMORY;
    memset(zeros, 0, (size_t)s->c * sizeof(float));
    j.zeros = zeros;
    tsr_parallel(ctx, s->batch * j.windows_down * j.windows_across * j.parts, tile, &j);
    return TSR_OK;
}
