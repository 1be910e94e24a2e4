/* SPDX-License-Identifier: MIT */
/* tile_noise.c: supplied noise is the caller's: type, shape, number and values are looked at. */
#include "tile_noise.h"

#include <math.h>
#include <string.h>

tsr_status tsr_tile_noise(tsr_context *ctx, const tsr_tensor *t, uint64_t tile, int64_t channels,
                          int64_t height, int64_t width, float *x) {
    const int lead = t->rank - 3;
    const int64_t count = lead == 1 ? t->dim[0] : 1, n = channels * height * width;
    char got[96];
    if ((lead != 0 && lead != 1) || t->dim[lead] != channels || t->dim[lead + 1] != height ||
        t->dim[lead + 2] != width || t->dtype != TSR_DTYPE_F32)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "noise: wanted F32 [tiles, %lld, %lld, %lld], got %s %s",
                        (long long)channels, (long long)height, (long long)width,
                        tsr_dtype_name(t->dtype), tsr_shape_text(t, got, sizeof got));
    if (count != 1 && tile >= (uint64_t)count)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "noise: wanted it for every tile, or for one, got %lld for tile %llu",
                        (long long)count, (unsigned long long)tile);
    const float *from = (const float *)t->data + (count > 1 ? (int64_t)tile * n : 0);
    for (int64_t i = 0; i < n; ++i)
        if (!isfinite(from[i]))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "noise: wanted finite numbers, got %g for tile %llu", (double)from[i],
                            (unsigned long long)tile);
    memcpy(x, from, (size_t)n * sizeof *x);
    return TSR_OK;
}
