/* SPDX-License-Identifier: MIT */
/* ms_ssim.c: structural similarity at one scale and at five (Wang, Simoncelli and Bovik 2003), in
 * the forms of two libraries. One pass over the picture serves all forms; the halved pictures are
 * shared where no side is odd. */
#include <tessera/statistics.h>

#include "gaussian_ssim.h"
#include "../compute/cpu/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALES = 5, LEAST_PIQ = 161, LEAST_TORCHMETRICS = 176 };
static const double powers[SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

/* How a picture with an odd side is halved. */
typedef enum odd_rule {
    ODD_REPEATED, /* a row and a column are repeated in front, if either side is odd */
    ODD_DROPPED   /* the last line is left out */
} odd_rule;

/* Planes of both pictures, [6][height, width]. */
typedef struct planes {
    double *values;
    int width, height;
} planes;

static double byte_at(const tsr_channels *in, int plane, int y, int x) {
    const size_t at = ((size_t)y * (size_t)in->width + (size_t)x) * 3 + (size_t)(plane % 3);
    return plane < 3 ? in->a8[at] : in->b8[at];
}

static double value_at(const tsr_channels *in, int plane, int y, int x) {
    if (in->a8) return byte_at(in, plane, y, x);
    const double *from = plane < 3 ? in->a[plane] : in->b[plane - 3];
    return from[(size_t)y * (size_t)in->width + (size_t)x];
}

/* A row of the halved picture from two rows, where a place is made of its own four values. */
TSR_CLONES static void halve_bytes(const uint8_t *restrict top, const uint8_t *restrict below,
                                   double *restrict to, int width) {
    for (int j = 0; j < width; ++j)
        to[j] = (top[6 * j] + top[6 * j + 3] + below[6 * j] + below[6 * j + 3]) / 4.0;
}
TSR_CLONES static void halve_values(const double *restrict top, const double *restrict below,
                                    double *restrict to, int width) {
    for (int j = 0; j < width; ++j)
        to[j] = (top[2 * j] + top[2 * j + 1] + below[2 * j] + below[2 * j + 1]) / 4;
}

static void halve_row(const tsr_channels *in, int plane, int y, double *to, int width) {
    const size_t pitch = (size_t)in->width, at = 2 * (size_t)y * pitch;
    if (in->a8) {
        const uint8_t *from = (plane < 3 ? in->a8 : in->b8) + at * 3 + plane % 3;
        halve_bytes(from, from + pitch * 3, to, width);
    } else {
        const double *from = (plane < 3 ? in->a[plane] : in->b[plane - 3]) + at;
        halve_values(from, from + pitch, to, width);
    }
}

static tsr_status halve(tsr_context *ctx, const tsr_channels *in, odd_rule rule, planes *to) {
    const int front = rule == ODD_REPEATED && (in->width % 2 || in->height % 2);
    to->width = (in->width + front) / 2;
    to->height = (in->height + front) / 2;
    to->values = tsr_alloc(ctx, (size_t)to->width * (size_t)to->height * 6, sizeof *to->values,
                           "ms-ssim: halved pictures");
    if (!to->values) return TSR_ERROR_MEMORY;
    double *y = to->values;
    for (int p = 0; p < 6; ++p)
        for (int i = 0; i < to->height; ++i) {
            if (!front) {
                halve_row(in, p, i, y, to->width);
                y += to->width;
                continue;
            }
            const int top = 2 * i > front ? 2 * i - front : 0, below = 2 * i + 1 - front;
            for (int j = 0; j < to->width; ++j) {
                const int left = 2 * j > front ? 2 * j - front : 0, right = 2 * j + 1 - front;
                *y++ = (value_at(in, p, top, left) + value_at(in, p, top, right) +
                        value_at(in, p, below, left) + value_at(in, p, below, right)) /
                       4;
            }
        }
    return TSR_OK;
}

static tsr_channels channels_of(const planes *p) {
    tsr_channels c = {.width = p->width, .height = p->height};
    const size_t n = (size_t)p->width * (size_t)p->height;
    for (int i = 0; i < 3; ++i) {
        c.a[i] = p->values + (size_t)i * n;
        c.b[i] = p->values + (size_t)(i + 3) * n;
    }
    return c;
}

/* Fills scales 1 .. 4; scale 0 is known. */
static tsr_status measure_scales(tsr_context *ctx, const tsr_channels *picture, odd_rule rule,
                                 tsr_channel_means *means) {
    planes now = {0};
    tsr_channels in = *picture;
    tsr_status status = TSR_OK;
    for (int k = 1; k < SCALES && !status; ++k) {
        planes next = {0};
        status = halve(ctx, &in, rule, &next);
        free(now.values);
        now = next;
        in = channels_of(&now);
        if (!status) status = tsr_gaussian_ssim(ctx, &in, k + 1 == SCALES, 1, &means[k]);
    }
    free(now.values);
    return status;
}

static double above_zero(double x) {
    return x > 0 ? x : 0;
}

static double mean_of(const double channel[3]) {
    return (channel[0] + channel[1] + channel[2]) / 3;
}

/* The power of each channel first, then their mean. */
static double combine_piq(const tsr_channel_means *m) {
    double value[3];
    for (int c = 0; c < 3; ++c) {
        value[c] = pow(above_zero(m[SCALES - 1].ssim[c]), powers[SCALES - 1]);
        for (int k = 0; k + 1 < SCALES; ++k)
            value[c] *= pow(above_zero(m[k].contrast[c]), powers[k]);
    }
    return mean_of(value);
}

/* The mean over channels first. last: SSIM of each channel at the last scale. */
static double combine_torchmetrics(const tsr_channel_means *m, const double last[3]) {
    double value = pow(above_zero(mean_of(last)), powers[SCALES - 1]);
    for (int k = 0; k + 1 < SCALES; ++k)
        value *= pow(above_zero(mean_of(m[k].contrast)), powers[k]);
    return value;
}

tsr_status tsr_structure_measure(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                                 int height, tsr_structure *s) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!a || !b || !s || width < 1 || height < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "structure: wanted two pictures, got %d x %d",
                        width, height);
    const tsr_channels in = {.a8 = a, .b8 = b, .width = width, .height = height};
    const int smaller = width < height ? width : height;
    const bool even = width % 16 == 0 && height % 16 == 0; /* at all scales that are halved */
    tsr_channel_means means[SCALES];
    *s = (tsr_structure){
        .ms_ssim_piq = NAN, .ms_ssim_torchmetrics = NAN, .ms_ssim_torchmetrics_cropped = NAN};
    tsr_status status = tsr_gaussian_ssim(ctx, &in, true, 1, &means[0]);
    s->ssim_gaussian = mean_of(means[0].ssim);
    s->ssim_torchmetrics = mean_of(means[0].full);
    if (!status && smaller >= LEAST_PIQ) {
        status = measure_scales(ctx, &in, ODD_REPEATED, means);
        s->ms_ssim_piq = combine_piq(means);
    }
    if (!status && smaller >= LEAST_TORCHMETRICS) {
        if (!even) status = measure_scales(ctx, &in, ODD_DROPPED, means);
        s->ms_ssim_torchmetrics = combine_torchmetrics(means, means[SCALES - 1].full);
        s->ms_ssim_torchmetrics_cropped = combine_torchmetrics(means, means[SCALES - 1].ssim);
    }
    return status;
}

double tsr_psnr_pooled(const double *mse, const uint64_t *pixels, uint64_t count) {
    double squares = 0, all = 0;
    for (uint64_t i = 0; i < count; ++i) {
        squares += mse[i] * (double)pixels[i];
        all += (double)pixels[i];
    }
    if (!(all > 0)) return NAN;
    return squares > 0 ? 10 * log10(255.0 * 255.0 * all / squares) : squares == 0 ? INFINITY : NAN;
}
