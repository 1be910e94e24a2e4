/* SPDX-License-Identifier: MIT */
/* metrics.h: what survived? Full-reference measures of 8-bit RGB pictures. Both pictures have the
 * same size, are stored row by row without padding and use the range 0..255. The protocol, on which
 * the value depends more than on anything else, stands above each function. Everything is summed in
 * integers or float64 in an order that does not depend on the thread count. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "../compute/context.h"

typedef struct tsr_pixel_error {
    double mse;  /* of the 0..255 values */
    double psnr; /* dB; infinity when mse is 0 */
    double l1;   /* mean absolute error on the 0..1 scale */
} tsr_pixel_error;

/* Mean squared error, PSNR and mean absolute error over all pixels and channels. */
tsr_status tsr_psnr(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width, int height,
                    tsr_pixel_error *error);
/* SSIM, 11x11 gaussian window (Wang et al. 2004). NaN when a side is below 11. */
tsr_status tsr_ssim_gaussian(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                             int height, double *ssim);
/* SSIM, 7x7 uniform window with sample covariance. NaN when a side is below 7. */
tsr_status tsr_ssim_uniform(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width,
                            int height, double *ssim);

#endif
