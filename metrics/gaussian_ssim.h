/* SPDX-License-Identifier: MIT */
/* gaussian_ssim.h: SSIM under the 11x11 gaussian window, for pictures of bytes and for planes. */
#ifndef METRICS_GAUSSIAN_SSIM_H
#define METRICS_GAUSSIAN_SSIM_H

#include "../compute/context.h"
#include <stdbool.h>
#include <stdint.h>

enum { TSR_GAUSSIAN = 11 }; /* side of the window */

/* Three channels of two pictures: bytes, RGB beside each other, or planes. */
typedef struct tsr_channels {
    const uint8_t *a8, *b8;    /* [height, width, 3], or NULL */
    const double *a[3], *b[3]; /* [height, width] of each channel, where there are no bytes */
    int width, height;
} tsr_channels;

/* Means of each channel. */
typedef struct tsr_channel_means {
    double ssim[3], contrast[3]; /* over places where the window lies inside; NaN without any */
    double full[3];              /* SSIM over all places of the picture, reflected by 5 pixels
                                    around; NaN where it was not asked for or a side is below 6 */
} tsr_channel_means;

/* Measures the similarity of all channels. full: also over the reflected picture. covariance:
 * factor of variances and covariance: 1 of the population, n / (n - 1) of the sample, n = 121
 * places of a window. Errors: MEMORY. */
tsr_status tsr_gaussian_ssim(tsr_context *ctx, const tsr_channels *channels, bool full,
                             double covariance, tsr_channel_means *means);

#endif
