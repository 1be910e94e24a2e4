/* SPDX-License-Identifier: MIT */
/* patches.c: patches of pictures as rows of numbers to quantise. */
#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include "image.h"

#include <stdlib.h>

typedef struct rows {
    float *x;
    uint64_t count, room; /* in rows */
    size_t width;         /* values of a row */
} rows;

static tsr_status grow(tsr_context *ctx, const char *path, rows *r, uint64_t more) {
    if (more <= r->room - r->count) return TSR_OK;
    uint64_t limit = ctx->settings.memory_limit / (r->width * sizeof *r->x);
    uint64_t room = r->room * 2 > r->count + more ? r->room * 2 : r->count + more;
    if (room > limit) room = limit;
    if (more > limit || r->count > limit - more)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: patches: wanted at most %llu rows in all (the memory limit), got %llu",
                        path, (unsigned long long)limit, (unsigned long long)(r->count + more));
    float *x = realloc(r->x, (size_t)room * r->width * sizeof *x);
    if (!x)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: patches: no memory for %llu rows", path,
                        (unsigned long long)room);
    r->x = x;
    r->room = room;
    return TSR_OK;
}

static tsr_status add_picture(tsr_context *ctx, const char *path, uint32_t patch,
                              uint32_t per_picture, rows *r) {
    tsr_image image = {0};
    tsr_image_settings settings = tsr_image_settings_default();
    tsr_status status = tsr_image_read(ctx, path, &settings, &image);
    if (status) return status;
    uint64_t columns = (uint32_t)image.width / patch, lines = (uint32_t)image.height / patch;
    uint64_t all = columns * lines, take = all;
    if (per_picture && take > per_picture) take = per_picture;
    if (!all)
        tsr_log(ctx, TSR_LOG_WARNING, "%s: smaller than one patch of %u pixels: left out", path,
                patch);
    if (all) status = grow(ctx, path, r, take);
    for (uint64_t i = 0; i < take && !status; ++i) {
        uint64_t at = (2 * i + 1) * all / (2 * take); /* the middle of each of `take` stretches */
        const uint8_t *from =
            image.rgb +
            ((at / columns) * patch * (uint64_t)image.width + (at % columns) * patch) * 3;
        float *to = r->x + r->count++ * r->width;
        for (uint32_t y = 0; y < patch; ++y, from += (size_t)image.width * 3)
            for (uint32_t v = 0; v < patch * 3; ++v)
                *to++ = (float)from[v] / 255.0f;
    }
    tsr_image_free(&image);
    return status;
}

tsr_status tsr_features_from_pictures(tsr_context *ctx, const char *const *pictures, int count,
                                      uint32_t patch, uint32_t per_picture, float **x, uint64_t *n,
                                      uint32_t *dim) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!x || !n || !dim || (count > 0 && !pictures))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "features: %s: wanted an address, got NULL",
                        count > 0 && !pictures ? "pictures" : "result");
    *x = NULL;
    if (patch < 1 || patch > 1024)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "features: patch: wanted 1 to 1024 pixels, got %u",
                        patch);
    if (count < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "features: pictures: wanted at least 1, got %d",
                        count);
    rows r = {.width = (size_t)patch * patch * 3};
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && !status; ++i)
        status = add_picture(ctx, pictures[i], patch, per_picture, &r);
    if (!status && !r.count)
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                          "features: pictures: wanted one of at least %ux%u pixels, got %d smaller",
                          patch, patch, count);
    if (status) {
        free(r.x);
        return status;
    }
    float *fit = realloc(r.x, (size_t)r.count * r.width * sizeof *fit);
    *x = fit ? fit : r.x;
    *n = r.count;
    *dim = (uint32_t)r.width;
    return TSR_OK;
}
