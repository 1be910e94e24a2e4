/* SPDX-License-Identifier: MIT */
/* clip_error.c: errors of clips, see metrics.h. The change of the error is summed in integers, band
 * by band in order, so that no number depends on the thread count. */
#include "metrics.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>

enum { TILE_VALUES = 1 << 20 };

typedef struct work {
    const uint8_t *a, *b;
    int16_t *last;
    uint64_t values;
    uint64_t *sum; /* [tiles] */
} work;

static void change_of_tile(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    (void)worker;
    const uint64_t start = (uint64_t)tile * TILE_VALUES;
    const uint64_t end = start + TILE_VALUES < w->values ? start + TILE_VALUES : w->values;
    uint64_t sum = 0;
    for (uint64_t i = start; i < end;) {
        const uint64_t stop = i + (1 << 14) < end ? i + (1 << 14) : end;
        uint32_t part = 0; /* below 2^14 * 510 */
        for (; i < stop; ++i) {
            const int error = (int)w->b[i] - (int)w->a[i];
            part += (uint32_t)abs(error - w->last[i]);
            w->last[i] = (int16_t)error;
        }
        sum += part;
    }
    w->sum[tile] = sum;
}

/* Mean absolute change since the frame before, which the clip forgets for this one. */
static tsr_status measure_change(tsr_context *ctx, tsr_clip_error *clip, const uint8_t *a,
                                 const uint8_t *b, double *change) {
    const uint64_t values = (uint64_t)clip->width * (uint64_t)clip->height * 3;
    const int64_t tiles = (int64_t)((values + TILE_VALUES - 1) / TILE_VALUES);
    uint64_t *sum = tsr_alloc(ctx, (size_t)tiles, sizeof *sum, "flicker: sums");
    if (!sum) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, tiles, change_of_tile, &(work){a, b, clip->last, values, sum});
    uint64_t all = 0;
    for (int64_t i = 0; i < tiles; ++i)
        all += sum[i];
    free(sum);
    *change = (double)all / (double)values;
    return TSR_OK;
}

static void mean_add(tsr_clip_mean *mean, double value) {
    if (!isfinite(value)) return;
    mean->sum += value;
    mean->count++;
}

double tsr_clip_mean_of(const tsr_clip_mean *mean) {
    return mean->count ? mean->sum / (double)mean->count : NAN;
}

double tsr_clip_psnr(const tsr_clip_error *clip) {
    const double mse = tsr_clip_mean_of(&clip->mse);
    return mse == 0 ? INFINITY : 10.0 * log10(255.0 * 255.0 / mse);
}

tsr_status tsr_clip_error_add(tsr_context *ctx, tsr_clip_error *clip, const uint8_t *a,
                              const uint8_t *b, int width, int height, tsr_frame_error *frame) {
    if (!clip->last) {
        clip->last = tsr_alloc(ctx, (size_t)width * (size_t)height * 3, sizeof *clip->last,
                               "flicker: errors of a frame");
        if (!clip->last) return TSR_ERROR_MEMORY;
        clip->width = width;
        clip->height = height;
    }
    tsr_frame_error e = {0};
    tsr_status s = tsr_psnr(ctx, a, b, width, height, &e.pixels);
    if (!s) s = tsr_ssim_gaussian(ctx, a, b, width, height, &e.ssim_gaussian);
    if (!s) s = tsr_ssim_uniform(ctx, a, b, width, height, &e.ssim_uniform);
    if (!s) s = measure_change(ctx, clip, a, b, &e.flicker);
    if (s) return s;
    if (!clip->frames) e.flicker = NAN; /* there was no frame before */
    clip->frames++;
    clip->equal += e.pixels.mse == 0;
    mean_add(&clip->mse, e.pixels.mse);
    mean_add(&clip->psnr, e.pixels.psnr);
    mean_add(&clip->l1, e.pixels.l1);
    mean_add(&clip->ssim_gaussian, e.ssim_gaussian);
    mean_add(&clip->ssim_uniform, e.ssim_uniform);
    mean_add(&clip->flicker, e.flicker);
    *frame = e;
    return TSR_OK;
}

void tsr_clip_error_free(tsr_clip_error *clip) {
    free(clip->last);
    clip->last = NULL;
}
