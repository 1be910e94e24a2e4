/* SPDX-License-Identifier: MIT */
/* evaluate.c: all pixel measures of two pictures at once, from memory and from files. */
#include <tessera/evaluate.h>

#include "metrics.h"
#include "../media/image.h"

tsr_status tsr_evaluate(tsr_context *ctx, const uint8_t *original, const uint8_t *reconstruction,
                        int width, int height, tsr_evaluation *evaluation) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!original || !reconstruction || !evaluation)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "evaluate: %s: wanted an address, got NULL",
                        !original         ? "original"
                        : !reconstruction ? "reconstruction"
                                          : "evaluation");
    if (width < 1 || height < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "evaluate: size: wanted at least 1x1, got %dx%d",
                        width, height);
    tsr_evaluation e = {.width = width, .height = height};
    tsr_pixel_error error = {0};
    tsr_status s = tsr_psnr(ctx, original, reconstruction, width, height, &error);
    if (!s) s = tsr_ssim_gaussian(ctx, original, reconstruction, width, height, &e.ssim_gaussian);
    if (!s) s = tsr_ssim_uniform(ctx, original, reconstruction, width, height, &e.ssim_uniform);
    if (s) return s;
    e.mse = error.mse;
    e.psnr = error.psnr;
    e.l1 = error.l1;
    *evaluation = e;
    return TSR_OK;
}

tsr_status tsr_evaluate_files(tsr_context *ctx, const char *original, const char *reconstruction,
                              tsr_evaluation *evaluation) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!original || !reconstruction || !evaluation)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "evaluate: %s: wanted an address, got NULL",
                        !original         ? "original"
                        : !reconstruction ? "reconstruction"
                                          : "evaluation");
    tsr_image_settings settings = tsr_image_settings_default();
    tsr_image a = {0}, b = {0};
    tsr_status s = tsr_image_read(ctx, original, &settings, &a);
    if (!s) s = tsr_image_read(ctx, reconstruction, &settings, &b);
    if (!s && (a.width != b.width || a.height != b.height))
        s = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted %dx%d as in %s, got %dx%d",
                     reconstruction, a.width, a.height, original, b.width, b.height);
    if (!s) s = tsr_evaluate(ctx, a.rgb, b.rgb, a.width, a.height, evaluation);
    tsr_image_free(&a);
    tsr_image_free(&b);
    return s;
}
