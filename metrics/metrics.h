/* SPDX-License-Identifier: MIT */
/* metrics.h: full-reference measures of 8-bit RGB pictures. Both pictures have the
 * same size, are stored row by row without padding and use the range 0..255. The protocol, on which
 * the value depends more than on anything else, stands above each function. Everything is summed in
 * integers or float64 in an order that does not depend on the thread count. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "../compute/context.h"

/* Pixel-by-pixel distances of two pictures. */
typedef struct tsr_pixel_error {
    double mse;  /* mean squared error on the 0..255 scale */
    double psnr; /* 10 log10(255^2 / mse) in dB; infinity when mse is 0 */
    double l1;   /* mean absolute error on the 0..1 scale */
} tsr_pixel_error;

/* Measures mean squared error, PSNR and mean absolute error over all pixels and channels. */
tsr_status tsr_psnr(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width, int height,
                    tsr_pixel_error *error);
/* Measures SSIM (Wang et al. 2004) with an 11x11 gaussian window, sigma 1.5, over the valid region;
 * the mean over channels. NaN when a side is below 11. Errors: MEMORY. */
tsr_status tsr_ssim_gaussian(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                             int height, double *ssim);
/* Measures SSIM with a 7x7 uniform window and sample covariance (scikit-image's default); the mean
 * over channels. NaN when a side is below 7. Errors: MEMORY. */
tsr_status tsr_ssim_uniform(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                            int height, double *ssim);

#endif
