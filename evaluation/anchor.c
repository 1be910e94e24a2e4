/* SPDX-License-Identifier: MIT */
/* anchor.c: what everybody knows as a measure of a number: the same picture at equal bytes in a
 * common format, or at equal numbers as a smaller picture. */
#include "candidate.h"
#include "../codec/view.h"
#include "../compute/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tsr_anchor anchors[] = {{"jpeg", "JPEG", "jpg"},
                                     {"webp", "WebP", "webp"},
                                     {"avif", "AVIF", "avif"},
                                     {"jxl", "JPEG XL", "jxl"},
                                     {"resize", "resize", NULL}};
enum { ANCHORS = sizeof anchors / sizeof *anchors };

tsr_status tsr_anchor_find(tsr_context *ctx, const char *name, const tsr_anchor **anchor) {
    *anchor = NULL;
    for (int i = 0; i < ANCHORS; ++i)
        if (!strcmp(name, anchors[i].name)) *anchor = &anchors[i];
    if (!*anchor)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "anchor: wanted jpeg, webp, avif, jxl or resize, got %s", name);
    if (!(*anchor)->format) return TSR_OK;
    const tsr_picture_write_settings s = {.format = (*anchor)->format};
    return tsr_picture_write_check(ctx, "-", &s);
}

/* ---- equal bytes ---- */

typedef struct coded {
    uint8_t *bytes;
    size_t size;
    int quality;
} coded;

static tsr_status code(tsr_context *ctx, const tsr_anchor *a, const tsr_image *image, int quality,
                       coded *out) {
    const tsr_picture_write_settings s = {.format = a->format, .quality = quality};
    free(out->bytes);
    out->bytes = NULL;
    out->quality = quality;
    return tsr_picture_encode(ctx, image->width, image->height, image->rgb, &s, &out->bytes,
                              &out->size);
}

/* The highest quality 1..100 whose bytes are at most `budget`, found by halving, which takes the
 * size to rise with the quality; where it does not, the result still fits. Without any that fits,
 * quality 1. */
static tsr_status search(tsr_context *ctx, const tsr_anchor *a, const tsr_image *image,
                         uint64_t budget, coded *best) {
    coded now = {0};
    tsr_status status = code(ctx, a, image, 1, best);
    int low = 1, high = best->size <= budget ? 100 : 1;
    while (!status && low < high) {
        const int middle = low + (high - low + 1) / 2;
        status = code(ctx, a, image, middle, &now);
        if (!status && now.size <= budget) {
            const coded swap = *best;
            *best = now;
            now = swap;
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    free(now.bytes);
    return status;
}

static tsr_status by_codec(const tsr_measure_worker *w, const tsr_anchor *a, uint64_t budget,
                           const char *name, tsr_pair_slot *slot) {
    coded best = {0};
    double start = tsr_seconds();
    tsr_status status = search(w->ctx, a, &slot->original, budget, &best);
    slot->seconds = tsr_seconds() - start;
    start = tsr_seconds();
    const tsr_image_settings settings = tsr_image_settings_default();
    tsr_image back = {0};
    if (!status) status = tsr_image_decode(w->ctx, name, best.bytes, best.size, &settings, &back);
    slot->decode_seconds = tsr_seconds() - start;
    slot->rgb = back.rgb;
    slot->width = back.width;
    slot->height = back.height;
    slot->bytes = best.size;
    slot->floored = best.size > budget;
    if (slot->floored)
        snprintf(slot->note, sizeof slot->note,
                 "quality 1 takes %zu bytes: wanted at most %llu, which %s does not reach",
                 best.size, (unsigned long long)budget, a->title);
    else
        snprintf(slot->note, sizeof slot->note, "quality %d, %zu of %llu bytes", best.quality,
                 best.size, (unsigned long long)budget);
    free(best.bytes);
    return status;
}

/* ---- equal numbers ---- */

/* The size of at most `pixels` pixels whose aspect is nearest to width : height by the width, and
 * that wastes least of them. */
static void small_size(int width, int height, uint64_t pixels, int *w, int *h) {
    if ((uint64_t)width * (uint64_t)height <= pixels) {
        *w = width;
        *h = height;
        return;
    }
    const double ideal = sqrt((double)pixels * width / height);
    uint64_t most = 0;
    for (int step = 0; step < 2; ++step) {
        uint64_t x = (uint64_t)ideal + (uint64_t)step;
        if (x < 1) x = 1;
        if (x > (uint64_t)width) x = (uint64_t)width;
        if (x > pixels) x = pixels;
        uint64_t y = pixels / x;
        if (y > (uint64_t)height) y = (uint64_t)height;
        if (x * y <= most) continue;
        most = x * y;
        *w = (int)x;
        *h = (int)y;
    }
}

static tsr_status by_size(const tsr_measure_worker *w, uint64_t numbers, tsr_pair_slot *slot) {
    const tsr_image *image = &slot->original;
    int width = 1, height = 1;
    slot->floored = numbers < 3;
    small_size(image->width, image->height, slot->floored ? 1 : numbers / 3, &width, &height);
    slot->rgb = tsr_alloc_raw(w->ctx, (size_t)width * (size_t)height, 3, "resize");
    if (!slot->rgb) return TSR_ERROR_MEMORY;
    slot->width = width;
    slot->height = height;
    slot->tokens = slot->bytes = (uint64_t)width * (uint64_t)height * 3;
    const tsr_picture picture = {.rgb = image->rgb, .width = image->width, .height = image->height};
    double start = tsr_seconds();
    tsr_status status = tsr_view_resize(w->host, &picture, TSR_RESAMPLING_LANCZOS, (uint32_t)width,
                                        (uint32_t)height, slot->rgb);
    slot->seconds = tsr_seconds() - start;
    start = tsr_seconds();
    if (!status) status = tsr_slot_resize(w, slot, image->width, image->height);
    slot->decode_seconds = tsr_seconds() - start;
    snprintf(slot->note, sizeof slot->note, "%dx%d pixels: %llu of %llu numbers%s", width, height,
             (unsigned long long)slot->tokens, (unsigned long long)numbers,
             slot->floored ? ", the least there is" : "");
    return status;
}

tsr_status tsr_anchor_make(const tsr_measure_worker *worker, const tsr_anchor *anchor,
                           const tsr_picture_score *like, uint32_t numbers, const char *name,
                           tsr_pair_slot *slot) {
    if (like->status)
        return tsr_fail(worker->ctx, like->status, "%s", like->detail ? like->detail : name);
    if (anchor->format) {
        if (like->bytes) return by_codec(worker, anchor, like->bytes, name, slot);
        return tsr_fail(worker->ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted the bytes that it takes elsewhere, which are not known", name);
    }
    if (like->tokens) return by_size(worker, like->tokens * numbers, slot);
    return tsr_fail(worker->ctx, TSR_ERROR_ARGUMENT,
                    "%s: wanted the tokens that it has elsewhere, got none", name);
}
