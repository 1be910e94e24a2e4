/* SPDX-License-Identifier: MIT */
/* ssim.c: structural similarity with the two windows in common use. Their values differ by a few
 * hundredths on the same pictures, so a number without its window says little.
 *
 * Both windows are separable. A tile is a band of output rows; it keeps as many filtered input rows
 * as the window is high in a ring, so memory is bounded by the width and the number of threads, not
 * by the height. Each band gives one float64 sum; bands are added in order. */
#include "metrics.h"
#include "gaussian_ssim.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BAND = 64,   /* output rows of a tile */
    UNIFORM = 7, /* window side */
    MOMENTS = 5  /* of a window: a, b, aa, bb, ab */
};

typedef struct work {
    const uint8_t *a, *b;
    int width, height, bands; /* bands of one channel */
    double c1, c2;            /* (K1 L)^2, (K2 L)^2 */
    unsigned char *scratch;   /* one piece for each worker */
    size_t scratch_bytes;
    double *sum; /* [3 * bands] */
} work;

/* Adds (sign 1) or takes away (sign -1, modulo 2^32) one input row in the column sums. */
static void uniform_row(const work *w, int y, int c, uint32_t sign, uint32_t *columns) {
    const uint8_t *a = w->a + (size_t)y * w->width * 3 + c, *b = w->b + (a - w->a);
    size_t width = (size_t)w->width;
    uint32_t *m0 = columns, *m1 = m0 + width, *m2 = m1 + width, *m3 = m2 + width, *m4 = m3 + width;
    for (size_t x = 0; x < width; ++x) {
        uint32_t va = a[3 * x], vb = b[3 * x];
        m0[x] += sign * va;
        m1[x] += sign * vb;
        m2[x] += sign * (va * va);
        m3[x] += sign * (vb * vb);
        m4[x] += sign * (va * vb);
    }
}

enum { PIECE = 64, LANES = 4 };

/* Similarities of n <= PIECE windows beside each other, from the column sums [MOMENTS, width]. */
TSR_CLONES static void uniform_piece(const work *w, const uint32_t *restrict sums, size_t n,
                                     double *restrict to) {
    const double c1 = w->c1, c2 = w->c2;
    const size_t width = (size_t)w->width;
    const double all = UNIFORM * UNIFORM, scale = all / (all - 1);
    int32_t box[MOMENTS][PIECE]; /* exact: 49 * 255^2 < 2^31 */
    for (size_t i = 0; i < MOMENTS; ++i) {
        const uint32_t *from = sums + i * width;
        for (size_t x = 0; x < n; ++x)
            box[i][x] = (int32_t)(from[x] + from[x + 1] + from[x + 2] + from[x + 3] + from[x + 4] +
                                  from[x + 5] + from[x + 6]);
    }
    for (size_t x = 0; x < n; ++x) {
        const double ma = box[0][x] / all, mb = box[1][x] / all;
        const double va = scale * (box[2][x] / all - ma * ma);
        const double vb = scale * (box[3][x] / all - mb * mb);
        const double cov = scale * (box[4][x] / all - ma * mb);
        to[x] = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
}

/* Their sum over a line, in an order that depends on its length alone. */
static double uniform_line(const work *w, const uint32_t *sums, size_t columns) {
    double lane[LANES] = {0}, piece[PIECE];
    for (size_t x = 0; x < columns; x += PIECE) {
        const size_t n = columns - x < PIECE ? columns - x : PIECE;
        uniform_piece(w, sums + x, n, piece);
        for (size_t k = 0; k < n; ++k)
            lane[k % LANES] += piece[k];
    }
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static void uniform_band(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    int rows = w->height - UNIFORM + 1;
    int c = (int)(tile / w->bands), first = (int)(tile % w->bands) * BAND;
    int last = first + BAND < rows ? first + BAND : rows;
    uint32_t *sums = (uint32_t *)(void *)(w->scratch + (size_t)worker * w->scratch_bytes);
    memset(sums, 0, sizeof(uint32_t) * MOMENTS * (size_t)w->width);
    for (int y = first; y < first + UNIFORM - 1; ++y)
        uniform_row(w, y, c, 1, sums);
    double sum = 0;
    for (int y = first; y < last; ++y) {
        uniform_row(w, y + UNIFORM - 1, c, 1, sums);
        sum += uniform_line(w, sums, (size_t)(w->width - UNIFORM + 1));
        uniform_row(w, y, c, (uint32_t)-1, sums);
    }
    w->sum[tile] = sum;
}

static tsr_status measure(tsr_context *ctx, work *w, int window, size_t scratch_values,
                          size_t value_bytes, tsr_tile_fn band, double *ssim) {
    *ssim = NAN;
    if (w->width < window || w->height < window) return TSR_OK;
    int columns = w->width - window + 1, rows = w->height - window + 1;
    w->bands = (rows + BAND - 1) / BAND;
    /* Pieces end on cache lines so that workers do not share any. */
    w->scratch_bytes = (scratch_values * value_bytes + 127) / 128 * 128;
    w->scratch = tsr_alloc(ctx, (size_t)tsr_thread_count(ctx), w->scratch_bytes, "ssim: rows");
    w->sum = tsr_alloc(ctx, (size_t)w->bands * 3, sizeof *w->sum, "ssim: sums");
    tsr_status status = w->scratch && w->sum ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) {
        tsr_parallel(ctx, (int64_t)w->bands * 3, band, w);
        double mean = 0;
        for (int c = 0; c < 3; ++c) {
            double channel = 0;
            for (int i = 0; i < w->bands; ++i)
                channel += w->sum[c * w->bands + i];
            mean += channel / ((double)columns * rows);
        }
        *ssim = mean / 3;
    }
    free(w->scratch);
    free(w->sum);
    return status;
}

/* Protocol (Wang, Bovik, Sheikh, Simoncelli 2004): for each channel, window 11x11 gaussian of sigma
 * 1.5 with weights that add up to one, population moments (no n/(n-1)), K1 0.01, K2 0.03, L 255, no
 * downsampling, mean over the positions where the window lies inside the picture, mean over the
 * three channels. It equals scikit-image's structural_similarity(gaussian_weights=True, sigma=1.5,
 * use_sample_covariance=False, data_range=255, channel_axis=2). */
tsr_status tsr_ssim_gaussian(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                             int height, double *ssim) {
    const tsr_channels in = {.a8 = a, .b8 = b, .width = width, .height = height};
    tsr_channel_means means;
    const tsr_status status = tsr_gaussian_ssim(ctx, &in, false, 1, &means);
    *ssim = (means.ssim[0] + means.ssim[1] + means.ssim[2]) / 3;
    return status;
}

/* Protocol (scikit-image's default, and most published figures of image tokenizers): for each
 * channel, window 7x7 with equal weights, variances and covariance of the sample (n/(n-1) with
 * n = 49), K1 0.01, K2 0.03, L 255, mean over the positions where the window lies inside the
 * picture, mean over the three channels. It equals structural_similarity(data_range=255,
 * channel_axis=2). Window sums are exact integers. */
tsr_status tsr_ssim_uniform(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                            int height, double *ssim) {
    return tsr_ssim_uniform_of_range(ctx, a, b, width, height, 255, ssim);
}

tsr_status tsr_ssim_uniform_of_range(tsr_context *ctx, const uint8_t *a, const uint8_t *b,
                                     int width, int height, double range, double *ssim) {
    const double k1 = 0.01 * range, k2 = 0.03 * range;
    work w = {.a = a, .b = b, .width = width, .height = height, .c1 = k1 * k1, .c2 = k2 * k2};
    return measure(ctx, &w, UNIFORM, (size_t)MOMENTS * (size_t)width, sizeof(uint32_t),
                   uniform_band, ssim);
}
