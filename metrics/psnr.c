/* SPDX-License-Identifier: MIT */
/* psnr.c: errors of single pixel values. Sums are integers, so they are exact for every picture
 * below 2^48 values and do not depend on how the work was cut. */
#include "metrics.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>

enum { TILE_VALUES = 1 << 20 };

typedef struct sums {
    uint64_t squares, absolutes;
} sums;

typedef struct work {
    const uint8_t *a, *b;
    uint64_t values;
    sums *tile;
} work;

static void sum_tile(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    (void)worker;
    uint64_t start = (uint64_t)tile * TILE_VALUES, end = start + TILE_VALUES;
    if (end > w->values) end = w->values;
    sums s = {0};
    while (start < end) {
        /* 32-bit partial sums let the compiler use wide vectors: 2^14 * 255^2 < 2^31. */
        uint64_t stop = start + (1 << 14) < end ? start + (1 << 14) : end;
        uint32_t squares = 0, absolutes = 0;
        for (uint64_t i = start; i < stop; ++i) {
            int d = (int)w->a[i] - (int)w->b[i];
            squares += (uint32_t)(d * d);
            absolutes += (uint32_t)abs(d);
        }
        s.squares += squares;
        s.absolutes += absolutes;
        start = stop;
    }
    w->tile[tile] = s;
}

/* Protocol: 8-bit RGB as stored (no gamma, no luma), one mean over all pixels and the three
 * channels, PSNR = 10 log10(255^2 / MSE). Nothing is added to the MSE: equal pictures give
 * infinity. It equals scikit-image's peak_signal_noise_ratio with data_range 255; libraries that
 * add 1e-8 to an MSE on the 0..1 scale give values lower by about 1e-4 dB at 32 dB and 80 dB for
 * equal pictures. Averages over several pictures are averages of the pictures' own values. */
tsr_status tsr_psnr(tsr_context *ctx, const uint8_t *a, const uint8_t *b, int width, int height,
                    tsr_pixel_error *error) {
    uint64_t values = (uint64_t)width * (uint64_t)height * 3;
    int64_t tiles = (int64_t)((values + TILE_VALUES - 1) / TILE_VALUES);
    sums *tile = tsr_alloc(ctx, (size_t)tiles, sizeof *tile, "psnr: sums");
    if (!tile) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, tiles, sum_tile, &(work){a, b, values, tile});
    sums all = {0};
    for (int64_t i = 0; i < tiles; ++i) {
        all.squares += tile[i].squares;
        all.absolutes += tile[i].absolutes;
    }
    free(tile);
    error->mse = (double)all.squares / (double)values;
    error->psnr = all.squares ? 10.0 * log10(255.0 * 255.0 / error->mse) : INFINITY;
    error->l1 = (double)all.absolutes / (double)values / 255.0;
    return TSR_OK;
}
