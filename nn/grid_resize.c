/* SPDX-License-Identifier: MIT */
/* grid_resize.c: one matrix of weights for each axis, made of a filter; columns first, then rows.
 * Most weights are 0 and are passed over. */
#include "grid_resize.h"
#include "../compute/arena.h"

#include <math.h>

/* Keys' cubic convolution kernel (1981). */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return a * (((x - 5) * x + 8) * x - 4);
    return 0;
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static int64_t inside(int64_t i, int64_t n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Fills w [n]: how much of each of n places goes into place `at` of `made`, for a filter that looks
 * at fixed neighbours. */
static void sample(tsr_grid_filter filter, int64_t n, int64_t made, int64_t at, double *w) {
    const bool bicubic = filter == TSR_GRID_BICUBIC;
    double centre = ((double)at + 0.5) * ((double)n / (double)made) - 0.5;
    if (!bicubic && centre < 0) centre = 0;
    const int64_t first = (int64_t)floor(centre) - bicubic;
    for (int64_t j = first; j < first + (bicubic ? 4 : 2); ++j) {
        const double x = centre - (double)j;
        w[inside(j, n)] += bicubic ? cubic(x, -0.75) : triangle(x);
    }
}

/* The same for a filter that is stretched where the axis shrinks. */
static void average(tsr_grid_filter filter, int64_t n, int64_t made, int64_t at, double *w) {
    const bool bicubic = filter == TSR_GRID_BICUBIC_ANTIALIAS;
    const double scale = (double)n / (double)made, stretch = scale > 1 ? scale : 1;
    const double centre = ((double)at + 0.5) * scale - 0.5;
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) {
        const double x = ((double)j - centre) / stretch;
        w[j] = bicubic ? cubic(x, -0.5) : triangle(x);
        sum += w[j];
    }
    for (int64_t j = 0; j < n; ++j)
        w[j] /= sum;
}

/* Weights [made, n] of an axis. */
static void fill_axis(tsr_grid_filter filter, int64_t n, int64_t made, double *w) {
    for (int64_t at = 0; at < made; ++at)
        if (filter == TSR_GRID_BILINEAR || filter == TSR_GRID_BICUBIC)
            sample(filter, n, made, at, w + at * n);
        else
            average(filter, n, made, at, w + at * n);
}

tsr_status tsr_grid_resize(tsr_context *ctx, const float *from, tsr_grid_size n, int64_t channels,
                           tsr_grid_filter filter, float *to, tsr_grid_size made) {
    tsr_scratch s = {.ctx = ctx};
    double *down =
        tsr_scratch_take(&s, (size_t)(made.rows * n.rows), sizeof *down, "grid: weights");
    double *along =
        tsr_scratch_take(&s, (size_t)(made.columns * n.columns), sizeof *along, "grid: weights");
    double *wide = tsr_scratch_take(&s, (size_t)(n.rows * made.columns * channels), sizeof *wide,
                                    "grid: resized");
    double *row = tsr_scratch_take(&s, (size_t)channels, sizeof *row, "grid: row");
    if (s.status) {
        tsr_scratch_free(&s);
        return TSR_ERROR_MEMORY;
    }
    fill_axis(filter, n.rows, made.rows, down);
    fill_axis(filter, n.columns, made.columns, along);
    for (int64_t y = 0; y < n.rows; ++y)
        for (int64_t x = 0; x < made.columns; ++x)
            for (int64_t j = 0; j < n.columns; ++j) {
                const double w = along[x * n.columns + j];
                double *sum = wide + (y * made.columns + x) * channels;
                const float *f = from + (y * n.columns + j) * channels;
                for (int64_t c = 0; w != 0 && c < channels; ++c)
                    sum[c] += w * f[c];
            }
    for (int64_t y = 0; y < made.rows; ++y)
        for (int64_t x = 0; x < made.columns; ++x) {
            for (int64_t c = 0; c < channels; ++c)
                row[c] = 0;
            for (int64_t j = 0; j < n.rows; ++j) {
                const double w = down[y * n.rows + j];
                const double *f = wide + (j * made.columns + x) * channels;
                for (int64_t c = 0; w != 0 && c < channels; ++c)
                    row[c] += w * f[c];
            }
            for (int64_t c = 0; c < channels; ++c)
                to[(y * made.columns + x) * channels + c] = (float)row[c];
        }
    tsr_scratch_free(&s);
    return TSR_OK;
}
