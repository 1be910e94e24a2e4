/* SPDX-License-Identifier: MIT */
/* evaluate.h: how far pictures and videos are from their originals. Every number stands for a
 * protocol, which its comment names. The conventions of tessera.h hold here, too. */
#ifndef TESSERA_EVALUATE_H
#define TESSERA_EVALUATE_H

#include "media.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pictures ----------------------------------------------------------------------------- */

/* Distances between two 8-bit RGB pictures, with all channels in one mean. */
typedef struct tsr_evaluation {
    int width, height;    /* of both pictures, in pixels */
    double mse;           /* mean squared error on the 0..255 scale */
    double psnr;          /* 10 log10(255^2 / mse) in dB; infinity for equal pictures */
    double ssim_gaussian; /* SSIM of Wang et al. 2004: 11x11 gaussian window, sigma 1.5, valid
                             region; NaN when a side is below 11 */
    double ssim_uniform;  /* SSIM with a 7x7 uniform window and sample covariance (scikit-image's
                             default); NaN when a side is below 7 */
    double l1;            /* mean absolute error on the 0..1 scale */
} tsr_evaluation;
/* Compares two picture files of equal size. Errors: reading errors; ARGUMENT (sizes differ). */
tsr_status tsr_evaluate_files(tsr_context *ctx, const char *original, const char *reconstruction,
                              tsr_evaluation *evaluation);
/* Compares two pictures in memory, RGB [height, width, 3]. Errors: ARGUMENT (a side below 1),
 * MEMORY. */
tsr_status tsr_evaluate(tsr_context *ctx, const uint8_t *original, const uint8_t *reconstruction,
                        int width, int height, tsr_evaluation *evaluation);

/* ---- videos ------------------------------------------------------------------------------- */

/* How far one frame is from its original. */
typedef struct tsr_frame_score {
    uint64_t index;
    double seconds;                              /* from the first frame on, of the original */
    double psnr;                                 /* dB over 8-bit RGB; infinity for equal frames */
    double ssim_gaussian, ssim_uniform, l1, mse; /* as in tsr_evaluation; an SSIM is NaN where a
                                                    side is below its window */
    double flicker;         /* mean absolute change of the signed error since the frame before,
                               mean |(b_t - a_t) - (b_(t-1) - a_(t-1))| over pixels and channels on the
                               0..255 scale; NaN of the first frame */
    uint32_t width, height; /* of both frames */
    const uint8_t *original_rgb, *reconstruction_rgb; /* [height, width, 3] what was compared, valid
                                                         during the call that receives the score */
} tsr_frame_score;
/* How far a clip is from its original. */
typedef struct tsr_video_evaluation {
    uint32_t width, height;
    uint64_t frames, equal; /* equal: of `frames`, in every pixel */
    double seconds;         /* from the first frame to the last */
    int by_index;           /* 1: one of the clips has no times, and frames were matched by place */
    double psnr_pooled;     /* of the mean mse of all frames; infinity when all are equal */
    double psnr_mean;       /* mean of the frames' psnr, over those that are not equal; NaN without
                               any */
    double ssim_gaussian, ssim_uniform; /* means of the frames' */
    double l1, mse;                     /* means of the frames', which are those of all pixels */
    double flicker; /* mean of the frames'; NaN of a single frame. An error that stands still has
                       none, however large */
} tsr_video_evaluation;
/* Receives the score of each frame, in order, on the calling thread; nonzero stops. */
typedef int (*tsr_frame_score_fn)(void *user, const tsr_frame_score *score);
/* Compares two videos frame by frame, one pair of frames in memory. Frames belong together by their
 * place and must agree in their times, counted from the first frame of each: within one unit of the
 * coarser time base, and 1/100 s at most, since containers round (Matroska to 1/1000 s). settings
 * are those of reading both; NULL: the defaults. `frame` may be NULL.
 *
 * Errors: those of tsr_video_open and tsr_video_next; ARGUMENT where the clips do not belong
 * together, whose detail says which frame of which file: another size, another time, or another
 * number of frames (*evaluation then has the frames up to there); INTERRUPTED. */
tsr_status tsr_video_evaluate(tsr_context *ctx, const char *original, const char *reconstruction,
                              const tsr_video_settings *settings, tsr_frame_score_fn frame,
                              void *user, tsr_video_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
#endif
