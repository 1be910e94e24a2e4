/* SPDX-License-Identifier: MIT */
/* metrics.h: full-reference measures of 8-bit RGB pictures. Both pictures have the
 * same size, are stored row by row without padding and use the range 0..255. The protocol, on which
 * the value depends more than on anything else, stands above each function. Everything is summed in
 * integers or float64 in an order that does not depend on the thread count. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdbool.h>
#include <tessera/evaluate.h>

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
/* The same over another range of values L than 255, of which (0.01 L)^2 and (0.03 L)^2 are made. */
tsr_status tsr_ssim_uniform_of_range(tsr_context *ctx, const uint8_t *a, const uint8_t *b,
                                     int width, int height, double range, double *ssim);

/* ---- clips: frames one after the other ---- */

/* Error of one frame of a clip. */
typedef struct tsr_frame_error {
    tsr_pixel_error pixels;
    double ssim_gaussian, ssim_uniform; /* NaN where a side is below the window */
    double flicker;                     /* NaN of the first frame */
} tsr_frame_error;
/* A mean over the frames that have a number. */
typedef struct tsr_clip_mean {
    double sum;
    uint64_t count;
} tsr_clip_mean;
/* What is known of a clip so far, and the error of its last frame. Zeros to begin. */
typedef struct tsr_clip_error {
    uint64_t frames, equal; /* equal: of `frames`, without any error */
    tsr_clip_mean mse, psnr, ssim_gaussian, ssim_uniform, l1, flicker;
    int width, height;
    int16_t *last; /* [height, width, 3] */
} tsr_clip_error;
/* Measures the next frame of a clip. All frames have the size of the first.
 *
 * Protocol of the flicker. With the signed error e_t = b_t - a_t of frame t (a original, b
 * reconstruction, 0..255) it is the mean absolute change of the error,
 *
 *     flicker_t = mean over pixels and channels of |e_t - e_(t-1)|,   t = 1, 2, ...
 *     flicker   = mean over t >= 1 of flicker_t                       on the 0..255 scale.
 *
 * An error that stands still has none, however large, and so has motion that both show. Errors:
 * MEMORY. */
tsr_status tsr_clip_error_add(tsr_context *ctx, tsr_clip_error *clip, const uint8_t *a,
                              const uint8_t *b, int width, int height, tsr_frame_error *frame);
/* The mean, or NaN without any number. */
double tsr_clip_mean_of(const tsr_clip_mean *mean);
/* PSNR of the pooled error: 10 log10(255^2 / mean mse of the frames), infinity without error, NaN
 * without frames. (The mean of the frames' own PSNR is `psnr`, over those that have an error.) */
double tsr_clip_psnr(const tsr_clip_error *clip);
/* Frees `last`. */
void tsr_clip_error_free(tsr_clip_error *clip);

/* ---- two clips side by side ---- */

/* Frames in the order in which they are shown, of a video or of anything else that has some. */
typedef struct tsr_frame_stream {
    const char *path; /* for messages */
    void *user;       /* first argument of both */
    /* Gives the next frame, which is valid until the next call, or NULL at the end. */
    tsr_status (*next)(void *user, const tsr_video_frame **frame);
    /* Makes of a frame that is about to be compared what the other side's are like; NULL: nothing.
     * *frame then is valid as long as the frame was. */
    tsr_status (*fit)(void *user, const tsr_video_frame **frame);
    tsr_rational time_base, rate; /* rate 0/0: not known */
} tsr_frame_stream;
/* Compares the frames of b with those of a, as tsr_video_evaluate says; with `chosen` b has some of
 * the frames of a, in order, maybe several times, and is compared as tsr_clip_evaluate says.
 * *passed_over: frames of a that b does not have, before the last of b; may be NULL. `fn` may be
 * NULL. Errors: as tsr_video_evaluate. */
tsr_status tsr_frame_streams_compare(tsr_context *ctx, const tsr_frame_stream *a,
                                     const tsr_frame_stream *b, bool chosen, tsr_frame_score_fn fn,
                                     void *user, tsr_video_evaluation *evaluation,
                                     uint64_t *passed_over);

#endif
