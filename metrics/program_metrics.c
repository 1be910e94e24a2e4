/* SPDX-License-Identifier: MIT */
/* program_metrics.c: PSNR and SSIM of pairs by conventions of single programs, under names of their
 * own: numbers that stand in tables, to be repeated, and not to be compared with the plain ones. */
#include "gaussian_ssim.h"
#include "metric.h"

#include <math.h>
#include <stdlib.h>

/* ---- PSNR ---- */

/* What piq adds to a mean squared error on the 0..1 scale. */
static double psnr_of_piq(double mse) {
    return -10 * log10(mse + 1e-8);
}

static tsr_status measure_psnr_piq(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                   const char **why) {
    (void)why;
    const tsr_pixel_error *error;
    const tsr_status status = tsr_metric_pixels(ctx, p, &error);
    *value = psnr_of_piq(error->mse / (255.0 * 255.0));
    return status;
}
const tsr_metric tsr_metric_psnr_piq = {
    .info = {.name = "psnr_piq",
             .label = "PSNR (piq)",
             .unit = "dB",
             .protocol = "8-bit RGB scaled to 0..1, 1e-8 added to the mean squared error, so that "
                         "equal pictures have 80 dB",
             .source = "piq psnr; pyiqa",
             .higher = 1},
    .measure = measure_psnr_piq,
};

/* Weights of R, G and B are thousandths: sums of squares are exact below 2^27 pixels, and in an
 * order that is fixed beyond. */
static tsr_status measure_psnr_luma(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                    const char **why) {
    (void)ctx, (void)why;
    const size_t pixels = (size_t)p->width * (size_t)p->height;
    double squares = 0;
    for (size_t i = 0; i < pixels; ++i) {
        const uint8_t *a = p->original + 3 * i, *b = p->candidate + 3 * i;
        const int64_t d = 299 * (a[0] - b[0]) + 587 * (a[1] - b[1]) + 114 * (a[2] - b[2]);
        squares += (double)(d * d);
    }
    *value = psnr_of_piq(squares / (double)pixels / (255e3 * 255e3));
    return TSR_OK;
}
const tsr_metric tsr_metric_psnr_luma = {
    .info = {.name = "psnr_luma",
             .label = "PSNR (luma)",
             .unit = "dB",
             .protocol = "of .299 R + .587 G + .114 B of 8-bit RGB scaled to 0..1, not rounded, "
                         "1e-8 added to the mean squared error: piq's convert_to_greyscale",
             .source = "piq psnr, convert_to_greyscale=True",
             .higher = 1},
    .measure = measure_psnr_luma,
};

/* ---- SSIM ---- */

static tsr_status measure_channels(tsr_context *ctx, const tsr_channels *in, double covariance,
                                   double *value) {
    tsr_channel_means means;
    const tsr_status status = tsr_gaussian_ssim(ctx, in, false, covariance, &means);
    *value = (means.ssim[0] + means.ssim[1] + means.ssim[2]) / 3;
    return status;
}

static tsr_status measure_ssim_sample(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                      const char **why) {
    *why = "a side is below the window of 11 pixels";
    const tsr_channels in = {
        .a8 = p->original, .b8 = p->candidate, .width = p->width, .height = p->height};
    const double places = TSR_GAUSSIAN * TSR_GAUSSIAN;
    return measure_channels(ctx, &in, places / (places - 1), value);
}
const tsr_metric tsr_metric_ssim_sample = {
    .info = {.name = "ssim_sample",
             .label = "SSIM (sample)",
             .unit = "",
             .protocol = "as ssim, but variances and covariance of the sample (121/120)",
             .source = "scikit-image structural_similarity, gaussian_weights=True, sigma 1.5, "
                       "use_sample_covariance=True",
             .higher = 1},
    .measure = measure_ssim_sample,
};

/* Means of factor x factor pixels; what is left of a side is left out. to: [height / factor, width
 * / factor] of channel c. */
static void shrink(const uint8_t *rgb, const tsr_metric_pair *p, int factor, int c, double *to) {
    const int width = p->width / factor, height = p->height / factor;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            int sum = 0;
            for (int v = y * factor; v < (y + 1) * factor; ++v)
                for (int u = x * factor; u < (x + 1) * factor; ++u)
                    sum += rgb[((size_t)v * (size_t)p->width + (size_t)u) * 3 + (size_t)c];
            *to++ = (double)sum / (factor * factor);
        }
}

static tsr_status measure_ssim_piq(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                   const char **why) {
    *why = "a side is below the window of 11 pixels";
    const int smaller = p->width < p->height ? p->width : p->height;
    const int factor = (int)rint(smaller / 256.0); /* halves to the even number, as in Python */
    if (factor < 2)
        return tsr_ssim_gaussian(ctx, p->original, p->candidate, p->width, p->height, value);
    tsr_channels in = {.width = p->width / factor, .height = p->height / factor};
    const size_t n = (size_t)in.width * (size_t)in.height;
    double *planes = tsr_alloc(ctx, 6 * n, sizeof *planes, "ssim: smaller pictures");
    if (!planes) return TSR_ERROR_MEMORY;
    for (int c = 0; c < 3; ++c) {
        double *a = planes + (size_t)c * n, *b = a + 3 * n;
        shrink(p->original, p, factor, c, a);
        shrink(p->candidate, p, factor, c, b);
        in.a[c] = a;
        in.b[c] = b;
    }
    const tsr_status status = measure_channels(ctx, &in, 1, value);
    free(planes);
    return status;
}
const tsr_metric tsr_metric_ssim_piq = {
    .info = {.name = "ssim_piq",
             .label = "SSIM (piq)",
             .unit = "",
             .protocol = "as ssim, of means of f x f pixels, f = the smaller side / 256 rounded "
                         "(halves to even): piq's default. From 384 pixels on far higher than ssim",
             .source = "piq ssim, downsample=True",
             .higher = 1},
    .measure = measure_ssim_piq,
};

static tsr_status measure_ssim_range2(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                      const char **why) {
    *why = "a side is below the window of 7 pixels";
    return tsr_ssim_uniform_of_range(ctx, p->original, p->candidate, p->width, p->height, 510,
                                     value);
}
const tsr_metric tsr_metric_ssim_range2 = {
    .info = {.name = "ssim_range2",
             .label = "SSIM (range 2)",
             .unit = "",
             .protocol = "as ssim_uniform, but with the range 2.0 of pictures of 0..1 (L 510 of "
                         "8-bit ones), which scikit-image took of floats that nobody told it of: "
                         "too high, in published tables all the same",
             .source = "scikit-image structural_similarity of floats without data_range; "
                       "LlamaGen's scripts",
             .higher = 1},
    .measure = measure_ssim_range2,
};
