/* SPDX-License-Identifier: MIT */
/* Errors of clips against values that numpy gave by the formulas of metrics.h. */
#include <math.h>

#include "metrics/metrics.h"
#include "testing.h"

enum { W = 16, H = 12, FRAMES = 4 };

/* Frame 2 is equal on both sides. */
static void make_frame(int t, bool copy, uint8_t *rgb) {
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W; ++x)
            for (int c = 0; c < 3; ++c) {
                int v = (x * 7 + y * 13 + c * 29 + t * t * 17 + x * y) % 256;
                if (copy && t != 2) v += (x * 5 + y * 3 + t * 11 + c) % 9 - 4;
                *rgb++ = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
}

START_TEST(as_numpy_says) {
    static const double mse[] = {6.595486111111111, 6.579861111111111, 0, 6.546875},
                        psnr[] = {39.93833550736402, 39.948636343230504, INFINITY,
                                  39.97046311885502},
                        flicker[] = {NAN, 3.0989583333333335, 2.201388888888889, 2.189236111111111},
                        uniform[] = {0.9989806799250093, 0.9991004727968266, 1, 0.9990592174794776};
    for (int threads = 1; threads <= 2; ++threads) {
        tsr_context_settings settings = tsr_context_settings_default();
        settings.threads = threads;
        tsr_context *ctx = NULL;
        ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
        tsr_clip_error clip = {0};
        for (int t = 0; t < FRAMES; ++t) {
            uint8_t a[W * H * 3], b[W * H * 3];
            tsr_frame_error e;
            make_frame(t, false, a);
            make_frame(t, true, b);
            ck_assert_int_eq(tsr_clip_error_add(ctx, &clip, a, b, W, H, &e), TSR_OK);
            ck_assert_double_eq_tol(e.pixels.mse, mse[t], 1e-12);
            ck_assert(t == 2 ? isinf(e.pixels.psnr) : fabs(e.pixels.psnr - psnr[t]) < 1e-10);
            ck_assert(t == 0 ? isnan(e.flicker) : fabs(e.flicker - flicker[t]) < 1e-12);
            ck_assert_double_eq_tol(e.ssim_uniform, uniform[t], 1e-12);
        }
        ck_assert_uint_eq(clip.frames, 4);
        ck_assert_uint_eq(clip.equal, 1);
        ck_assert_double_eq_tol(tsr_clip_psnr(&clip), 41.20184504244085, 1e-10);
        ck_assert_double_eq_tol(tsr_clip_mean_of(&clip.psnr), 39.952478323149855, 1e-10);
        ck_assert_uint_eq(clip.psnr.count, 3);
        ck_assert_double_eq_tol(tsr_clip_mean_of(&clip.ssim_uniform), 0.9992850925503284, 1e-12);
        ck_assert_double_eq_tol(tsr_clip_mean_of(&clip.l1), 0.006467864923747277, 1e-14);
        ck_assert_double_eq_tol(tsr_clip_mean_of(&clip.flicker), 2.496527777777778, 1e-12);
        tsr_clip_error_free(&clip);
        tsr_context_close(&ctx);
    }
}
END_TEST

/* Nothing to say: no frames, and frames that are all equal. */
START_TEST(ends_of_the_scale) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_clip_error clip = {0};
    ck_assert(isnan(tsr_clip_psnr(&clip)));
    static const uint8_t black[3], white[3] = {255, 255, 255};
    tsr_frame_error e;
    ck_assert_int_eq(tsr_clip_error_add(ctx, &clip, white, white, 1, 1, &e), TSR_OK);
    ck_assert(isinf(tsr_clip_psnr(&clip)));
    ck_assert(isnan(tsr_clip_mean_of(&clip.psnr)) && isnan(tsr_clip_mean_of(&clip.flicker)));
    ck_assert(isnan(e.ssim_uniform));
    /* The error goes from 0 to -255 and to +255. */
    ck_assert_int_eq(tsr_clip_error_add(ctx, &clip, white, black, 1, 1, &e), TSR_OK);
    ck_assert_double_eq(e.flicker, 255);
    ck_assert_int_eq(tsr_clip_error_add(ctx, &clip, black, white, 1, 1, &e), TSR_OK);
    ck_assert_double_eq(e.flicker, 510);
    tsr_clip_error_free(&clip);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("clip error", as_numpy_says, ends_of_the_scale)
