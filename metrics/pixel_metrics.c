/* SPDX-License-Identifier: MIT */
/* pixel_metrics.c: the measures of metrics.h as metrics that have a name. */
#include "metric.h"

#include <math.h>
#include <stdlib.h>

static tsr_status measure_psnr(tsr_context *ctx, tsr_metric_pair *p, double *value,
                               const char **why) {
    (void)why;
    const tsr_pixel_error *error;
    const tsr_status status = tsr_metric_pixels(ctx, p, &error);
    *value = error->psnr;
    return status;
}
const tsr_metric tsr_metric_psnr = {
    .info = {.name = "psnr",
             .label = "PSNR",
             .unit = "dB",
             .protocol = "8-bit RGB as stored, range 255, one mean over pixels and channels; mean "
                         "over pictures of their own values, those without any error left out",
             .source =
                 "10 log10(255^2 / mse); scikit-image peak_signal_noise_ratio, data_range 255",
             .higher = 1},
    .measure = measure_psnr,
};

static tsr_status measure_mse(tsr_context *ctx, tsr_metric_pair *p, double *value,
                              const char **why) {
    (void)why;
    const tsr_pixel_error *error;
    const tsr_status status = tsr_metric_pixels(ctx, p, &error);
    *value = error->mse;
    return status;
}
const tsr_metric tsr_metric_mse = {
    .info = {.name = "mse",
             .label = "MSE",
             .unit = "",
             .protocol = "mean squared error of 8-bit RGB on the 0..255 scale",
             .source = "definition"},
    .measure = measure_mse,
};

static tsr_status measure_l1(tsr_context *ctx, tsr_metric_pair *p, double *value,
                             const char **why) {
    (void)why;
    const tsr_pixel_error *error;
    const tsr_status status = tsr_metric_pixels(ctx, p, &error);
    *value = error->l1;
    return status;
}
const tsr_metric tsr_metric_l1 = {
    .info = {.name = "l1",
             .label = "L1",
             .unit = "",
             .protocol = "mean absolute error of 8-bit RGB on the 0..1 scale",
             .source = "definition"},
    .measure = measure_l1,
};

static tsr_status measure_ssim(tsr_context *ctx, tsr_metric_pair *p, double *value,
                               const char **why) {
    *why = "a side is below the window of 11 pixels";
    if (!p->structural)
        return tsr_ssim_gaussian(ctx, p->original, p->candidate, p->width, p->height, value);
    const tsr_structure *structure; /* the same number to the bit, and computed once */
    const tsr_status status = tsr_metric_structure(ctx, p, &structure);
    *value = structure->ssim_gaussian;
    return status;
}
const tsr_metric tsr_metric_ssim = {
    .info = {.name = "ssim",
             .label = "SSIM",
             .unit = "",
             .protocol = "8-bit RGB, 11x11 gaussian window, sigma 1.5, valid region, population "
                         "covariance, K 0.01 and 0.03, mean of channels",
             .source = "Wang et al. 2004",
             .higher = 1},
    .measure = measure_ssim,
};

static tsr_status measure_uniform(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                  const char **why) {
    *why = "a side is below the window of 7 pixels";
    return tsr_ssim_uniform(ctx, p->original, p->candidate, p->width, p->height, value);
}
const tsr_metric tsr_metric_ssim_uniform = {
    .info = {.name = "ssim_uniform",
             .label = "SSIM 7x7",
             .unit = "",
             .protocol = "8-bit RGB, 7x7 uniform window, sample covariance, K 0.01 and 0.03, mean "
                         "of channels: scikit-image's default",
             .source = "scikit-image structural_similarity",
             .higher = 1},
    .measure = measure_uniform,
};

/* ---- PSNR of the error of all pictures together ---- */

typedef struct pooled {
    tsr_context *ctx;
    double squares, values; /* sum of squared errors; numbers they are of */
    uint64_t pairs;
} pooled;

static tsr_status pooled_open(tsr_context *ctx, const tsr_metric_settings *s, void **session) {
    (void)s;
    pooled *p = tsr_alloc(ctx, 1, sizeof *p, "psnr_pooled");
    *session = p;
    if (!p) return TSR_ERROR_MEMORY;
    p->ctx = ctx;
    return TSR_OK;
}

static tsr_status pooled_add(void *session, tsr_metric_pair *pairs, int count, uint64_t first,
                             double *values, const char **why) {
    (void)first, (void)values, (void)why;
    pooled *p = session;
    for (int i = 0; i < count; ++i) {
        const tsr_pixel_error *error;
        const tsr_status status = tsr_metric_pixels(p->ctx, &pairs[i], &error);
        if (status) return status;
        const double numbers = 3.0 * pairs[i].width * pairs[i].height;
        p->squares += error->mse * numbers;
        p->values += numbers;
        p->pairs++;
    }
    return TSR_OK;
}

static tsr_status pooled_finish(void *session, tsr_set_score *score) {
    const pooled *p = session;
    score->count = p->pairs;
    score->value = !p->pairs        ? NAN
                   : p->squares > 0 ? 10 * log10(255.0 * 255.0 / (p->squares / p->values))
                                    : INFINITY;
    return TSR_OK;
}

const tsr_metric tsr_metric_psnr_pooled = {
    .info = {.name = "psnr_pooled",
             .label = "PSNR, pooled",
             .unit = "dB",
             .protocol = "8-bit RGB, range 255, of the mean squared error over all pixels of all "
                         "pictures; pictures without any error count",
             .source = "10 log10(255^2 / mse of the set)",
             .higher = 1,
             .set = 1},
    .open = pooled_open,
    .add = pooled_add,
    .finish = pooled_finish,
    .close = free,
};
