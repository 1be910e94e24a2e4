/* SPDX-License-Identifier: MIT */
/* gaussian_ssim.c: SSIM (Wang et al. 2004) under a separable gaussian window. A tile is a band of
 * output rows of one channel; it keeps as many filtered input rows as two windows are high in a
 * ring, so memory is bounded by the width and the number of threads, not by the height. Each band
 * gives float64 sums; bands are added in order, and begin at the same pixels with and without the
 * reflected border, so that both ways give the same means to the bit. */
#include "gaussian_ssim.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BAND = 64, /* output rows of a tile */
    HALF = TSR_GAUSSIAN / 2,
    RING = TSR_GAUSSIAN + 1,
    MOMENTS = 4 /* of a window: a, b, aa + bb, ab */
};

static const double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;

typedef struct band_sums {
    double ssim, contrast, full;
} band_sums;

typedef struct work {
    const tsr_channels *in;
    double taps[HALF + 1];    /* the window is symmetric */
    double covariance;        /* factor of variances and covariance */
    int pad;                  /* HALF: over the reflected picture; 0 */
    int columns, rows, bands; /* of the output; bands of one channel */
    double *scratch;
    size_t row_values;     /* from a filtered row to the next */
    size_t scratch_values; /* of a worker */
    band_sums *sums;       /* [3 * bands] */
} work;

/* Place `i` of a line of n that is reflected at its ends. */
static int reflected(int i, int n) {
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

/* Row y of channel c: a and b, with `pad` reflected values on both sides. */
static void fetch(const work *w, int c, int y, double *a, double *b) {
    const tsr_channels *in = w->in;
    const size_t row = (size_t)reflected(y - w->pad, in->height) * (size_t)in->width;
    a += w->pad;
    b += w->pad;
    for (int x = 0; x < in->width && in->a8; ++x) {
        a[x] = in->a8[(row + (size_t)x) * 3 + (size_t)c];
        b[x] = in->b8[(row + (size_t)x) * 3 + (size_t)c];
    }
    if (!in->a8) {
        memcpy(a, in->a[c] + row, (size_t)in->width * sizeof *a);
        memcpy(b, in->b[c] + row, (size_t)in->width * sizeof *b);
    }
    for (int i = 1; i <= w->pad; ++i) {
        a[-i] = a[i];
        b[-i] = b[i];
        a[in->width - 1 + i] = a[in->width - 1 - i];
        b[in->width - 1 + i] = b[in->width - 1 - i];
    }
}

/* aa + bb and ab. */
TSR_CLONES static void multiply(const double *restrict a, const double *restrict b,
                                double *restrict squares, double *restrict product, size_t n) {
    for (size_t x = 0; x < n; ++x) {
        const double aa = a[x] * a[x], bb = b[x] * b[x];
        squares[x] = aa + bb; /* of bytes and of halved ones exact */
        product[x] = a[x] * b[x];
    }
}

TSR_CLONES static void filter(const double *restrict taps, const double *restrict from,
                              double *restrict to, size_t n) {
    for (size_t x = 0; x < n; ++x)
        to[x] = taps[0] * (from[x] + from[x + 10]) + taps[1] * (from[x + 1] + from[x + 9]) +
                taps[2] * (from[x + 2] + from[x + 8]) + taps[3] * (from[x + 3] + from[x + 7]) +
                taps[4] * (from[x + 4] + from[x + 6]) + taps[5] * from[x + 5];
}

/* One input row's moments, filtered along x: [MOMENTS, columns]. raw: [4, columns + 10]. */
static void filter_row(const work *w, int c, int y, double *raw, double *to) {
    const size_t n = (size_t)w->columns, wide = n + TSR_GAUSSIAN - 1;
    double *a = raw, *b = raw + wide, *squares = b + wide, *product = squares + wide;
    fetch(w, c, y, a, b);
    multiply(a, b, squares, product, wide);
    for (size_t i = 0; i < MOMENTS; ++i)
        filter(w->taps, raw + i * wide, to + i * n, n);
}

/* Twelve rows of one moment, filtered along y: two rows of the output, which share ten. */
TSR_CLONES static void filter_down(const double *restrict taps, const double *const *rows,
                                   size_t at, double *restrict to, double *restrict to_next,
                                   size_t n) {
    const double *r0 = rows[0] + at, *r1 = rows[1] + at, *r2 = rows[2] + at, *r3 = rows[3] + at;
    const double *r4 = rows[4] + at, *r5 = rows[5] + at, *r6 = rows[6] + at, *r7 = rows[7] + at;
    const double *r8 = rows[8] + at, *r9 = rows[9] + at, *r10 = rows[10] + at, *r11 = rows[11] + at;
    TSR_INDEPENDENT
    for (size_t x = 0; x < n; ++x) {
        to[x] = taps[0] * (r0[x] + r10[x]) + taps[1] * (r1[x] + r9[x]) + taps[2] * (r2[x] + r8[x]) +
                taps[3] * (r3[x] + r7[x]) + taps[4] * (r4[x] + r6[x]) + taps[5] * r5[x];
        to_next[x] = taps[0] * (r1[x] + r11[x]) + taps[1] * (r2[x] + r10[x]) +
                     taps[2] * (r3[x] + r9[x]) + taps[3] * (r4[x] + r8[x]) +
                     taps[4] * (r5[x] + r7[x]) + taps[5] * r6[x];
    }
}

/* Moments [MOMENTS, n] to similarity and contrast, in the places of the first two. */
TSR_CLONES static void similarity(double *restrict m, size_t n, double covariance) {
    TSR_INDEPENDENT
    for (size_t x = 0; x < n; ++x) {
        const double ma = m[x], mb = m[n + x], apart = ma - mb, both = 2 * ma * mb;
        /* Both variances together are E(aa + bb) - ma^2 - mb^2; so written, equal pictures have
         * twice the covariance to the bit. */
        const double variances = covariance * ((m[2 * n + x] - both) - apart * apart);
        const double contrast = (covariance * (2 * m[3 * n + x] - both) + c2) / (variances + c2);
        /* (2 ma mb + c1) / (ma^2 + mb^2 + c1), which is 1 for equal means however it is rounded */
        m[x] = (1 - apart * apart / (ma * ma + mb * mb + c1)) * contrast;
        m[n + x] = contrast;
    }
}

/* Sum of n values in an order that depends on n alone. */
static double sum_of(const double *x, size_t n) {
    double lane[4] = {0}, rest = 0;
    const size_t whole = n / 4 * 4;
    for (size_t i = 0; i < whole; i += 4)
        for (int l = 0; l < 4; ++l)
            lane[l] += x[i + (size_t)l];
    for (size_t i = whole; i < n; ++i)
        rest += x[i];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]) + rest;
}

/* Adds what row y of the output is. m: its moments, which are lost. */
static void add_row(const work *w, int y, double *m, band_sums *sums) {
    const size_t n = (size_t)w->columns, pad = (size_t)w->pad;
    similarity(m, n, w->covariance);
    if (pad) sums->full += sum_of(m, n);
    if (n <= 2 * pad || y < w->pad || y >= w->rows - w->pad) return;
    sums->ssim += sum_of(m + pad, n - 2 * pad); /* places whose window lies inside */
    sums->contrast += sum_of(m + n + pad, n - 2 * pad);
}

static void band(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    const int c = (int)(tile / w->bands), index = (int)(tile % w->bands);
    const int first = index ? w->pad + index * BAND : 0;
    const int last = index + 1 < w->bands ? w->pad + (index + 1) * BAND : w->rows;
    const size_t n = (size_t)w->columns, row = w->row_values;
    double *ring = w->scratch + (size_t)worker * w->scratch_values;
    double *m = ring + RING * row, *raw = m + 2 * row;
    band_sums sums = {0};
    for (int y = first; y < first + TSR_GAUSSIAN - 1; ++y)
        filter_row(w, c, y, raw, ring + (size_t)(y % RING) * row);
    for (int y = first; y < last; y += 2) {
        const double *rows[RING];
        /* Of a single row at the end there is no twelfth: what lies there gives a row that nobody
         * reads. */
        for (int below = y + TSR_GAUSSIAN - 1; below < y + RING && below < last + TSR_GAUSSIAN - 1;
             ++below)
            filter_row(w, c, below, raw, ring + (size_t)(below % RING) * row);
        for (int t = 0; t < RING; ++t)
            rows[t] = ring + (size_t)((y + t) % RING) * row;
        for (size_t i = 0; i < MOMENTS; ++i)
            filter_down(w->taps, rows, i * n, m + i * n, m + row + i * n, n);
        add_row(w, y, m, &sums);
        if (y + 1 < last) add_row(w, y + 1, m + row, &sums);
    }
    w->sums[tile] = sums;
}

static void set_taps(work *w) {
    double total = 0;
    for (int i = 0; i <= HALF; ++i) {
        const double d = i - HALF;
        w->taps[i] = exp(-d * d / (2 * 1.5 * 1.5));
        total += w->taps[i] * (i < HALF ? 2 : 1);
    }
    for (int i = 0; i <= HALF; ++i)
        w->taps[i] /= total;
}

static void take_means(const work *w, tsr_channel_means *means) {
    const double all = (double)w->columns * w->rows;
    const double inside = (double)(w->columns - 2 * w->pad) * (w->rows - 2 * w->pad);
    for (int c = 0; c < 3; ++c) {
        band_sums sum = {0};
        for (int i = 0; i < w->bands; ++i) {
            const band_sums *s = &w->sums[c * w->bands + i];
            sum.ssim += s->ssim;
            sum.contrast += s->contrast;
            sum.full += s->full;
        }
        if (w->pad) means->full[c] = sum.full / all;
        if (w->columns <= 2 * w->pad || w->rows <= 2 * w->pad) continue;
        means->ssim[c] = sum.ssim / inside;
        means->contrast[c] = sum.contrast / inside;
    }
}

tsr_status tsr_gaussian_ssim(tsr_context *ctx, const tsr_channels *in, bool full, double covariance,
                             tsr_channel_means *means) {
    work w = {.in = in, .covariance = covariance};
    const int smaller = in->width < in->height ? in->width : in->height;
    for (int c = 0; c < 3; ++c)
        means->ssim[c] = means->contrast[c] = means->full[c] = NAN;
    w.pad = full && smaller > HALF ? HALF : 0;
    w.columns = in->width + 2 * w.pad - TSR_GAUSSIAN + 1;
    w.rows = in->height + 2 * w.pad - TSR_GAUSSIAN + 1;
    if (w.columns < 1 || w.rows < 1) return TSR_OK;
    set_taps(&w);
    const int inside = w.rows - 2 * w.pad; /* rows by which bands are counted */
    w.bands = inside > BAND ? (inside + BAND - 1) / BAND : 1;
    /* Pieces end on cache lines so that workers do not share any. */
    const size_t n = (size_t)w.columns;
    /* An odd number of cache lines: at a multiple of a page, twelve rows would share the eight
     * places that the first cache has for each address within a page. */
    w.row_values = ((MOMENTS * n + 7) / 8 | 1) * 8;
    w.scratch_values = ((RING + 2) * w.row_values + 4 * (n + TSR_GAUSSIAN - 1) + 15) / 16 * 16;
    w.scratch = tsr_alloc(ctx, (size_t)tsr_thread_count(ctx) * w.scratch_values, sizeof *w.scratch,
                          "ssim: rows");
    w.sums = tsr_alloc(ctx, (size_t)w.bands * 3, sizeof *w.sums, "ssim: sums");
    const tsr_status status = w.scratch && w.sums ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) {
        tsr_parallel(ctx, (int64_t)w.bands * 3, band, &w);
        take_means(&w, means);
    }
    free(w.scratch);
    free(w.sums);
    return status;
}
