/* SPDX-License-Identifier: MIT */
/* agreement.c: how many ids stay the same in another form, as when a device may round to 16 bits: a
 * sample is encoded in both, and every position of every tile is compared. */
#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include "../codec/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAINTED = 4 };

typedef struct sample {
    tsr_context *ctx;
    const char *const *paths; /* NULL: painted */
    int count;
    tsr_item **items[2]; /* of each form */
    tsr_progress_fn progress;
    void *progress_user;
} sample;

static uint32_t mix(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

static float noise_at(uint32_t seed, int x, int y) {
    return (float)(mix(seed + (uint32_t)x * 73856093u + (uint32_t)y * 19349663u) >> 8) * 0x1p-24f;
}

/* Noise between the corners of a grid with `step` pixels. */
static float smooth_noise(uint32_t seed, int x, int y, int step) {
    const int gx = x / step, gy = y / step;
    float u = (float)(x % step) / (float)step, v = (float)(y % step) / (float)step;
    u = u * u * (3 - 2 * u), v = v * v * (3 - 2 * v);
    const float top = noise_at(seed, gx, gy) * (1 - u) + noise_at(seed, gx + 1, gy) * u;
    const float low = noise_at(seed, gx, gy + 1) * (1 - u) + noise_at(seed, gx + 1, gy + 1) * u;
    return top * (1 - v) + low * v;
}

/* Shading, texture and edges in shares that differ from picture to picture; the spectrum falls as
 * that of photographs does. */
static void paint(uint8_t *rgb, int width, int height, int picture) {
    static const float texture[PAINTED] = {0.1f, 0.5f, 0.3f, 0.8f};
    static const float edges[PAINTED] = {0.2f, 0.2f, 0.6f, 0.4f};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) {
                const uint32_t seed = (uint32_t)(picture * 16 + c + 1) * 2654435761u;
                float value = smooth_noise(seed, x, y, 97), share = texture[picture];
                for (int step = 48; step >= 3; step /= 2, share *= 0.7f)
                    value += share * (smooth_noise(seed + (uint32_t)step, x, y, step) - 0.5f);
                /* Patches with hard borders, the same for all channels but for their shade. */
                const float patch = smooth_noise((uint32_t)picture + 7, x, y, 61);
                value += edges[picture] * ((int)(patch * 6) % 2 ? 0.5f : -0.5f) *
                         noise_at(seed, (int)(patch * 6), 0);
                value = value < 0 ? 0 : value > 1 ? 1 : value;
                rgb[(y * width + x) * 3 + c] = (uint8_t)(value * 255 + 0.5f);
            }
}

static tsr_status get_picture(const sample *s, const tsr_token_header *h, int index, uint8_t **rgb,
                              int *width, int *height) {
    static const uint8_t white[3] = {255, 255, 255};
    if (s->paths) return tsr_picture_read(s->ctx, s->paths[index], white, rgb, width, height);
    *width = (int)h->tile_width, *height = (int)h->tile_height;
    *rgb = tsr_alloc(s->ctx, (size_t)*width * (size_t)*height, 3, "agreement: picture");
    if (!*rgb) return TSR_ERROR_MEMORY;
    paint(*rgb, *width, *height, index);
    return TSR_OK;
}

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One form after the other, so that one model is in memory at a time. */
static tsr_status encode_sample(sample *s, const tsr_model_settings *settings, int form,
                                tsr_agreement *a) {
    tsr_tokenizer *t = NULL;
    tsr_status status = tsr_tokenizer_open(s->ctx, &t, settings);
    if (status) return status;
    if (t->header.channels) {
        status = tsr_fail(s->ctx, TSR_ERROR_UNSUPPORTED,
                          "%s: agreement: wanted a tokenizer of ids, got one of vectors",
                          t->header.tokenizer);
        tsr_tokenizer_close(&t);
        return status;
    }
    tsr_encode_settings e = tsr_encode_settings_default();
    e.choice.keep_all = t->model.family->tokenizer->tolerances !=
                        NULL; /* else ids would stand for different positions */
    for (int i = -1; i < s->count && !status; ++i) {
        uint8_t *rgb = NULL;
        tsr_picture p = {0};
        status = get_picture(s, &t->header, i < 0 ? 0 : i, &rgb, &p.width, &p.height);
        p.rgb = rgb;
        tsr_item *item = NULL;
        uint64_t ties = 0;
        const double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        if (!status) status = tsr_tokenizer_encode(t, &p, 1, &e, &item, &ties);
        const double took = now(CLOCK_MONOTONIC) - start;
        const double busy = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        free(rgb);
        if (i < 0) { /* packs weights, records, compiles shaders */
            tsr_item_close(&item);
            continue;
        }
        s->items[form][i] = item;
        a->seconds[form] += took;
        a->cpu_seconds[form] += busy;
        if (!form) a->near_ties += ties;
        if (!status && s->progress &&
            s->progress(s->progress_user, form ? "second" : "first", (uint64_t)i + 1,
                        (uint64_t)s->count))
            status = tsr_fail(s->ctx, TSR_ERROR_INTERRUPTED, "agreement: stopped by the caller");
    }
    snprintf(a->path[form], sizeof a->path[form], "%s", tsr_device_fast_path(t->model.device));
    a->used[form] = tsr_device_fast_used(t->model.device);
    snprintf(a->device[form], sizeof a->device[form], "%.255s", tsr_tokenizer_device(t));
    if (!form) snprintf(a->tokenizer, sizeof a->tokenizer, "%s", t->header.tokenizer);
    tsr_tokenizer_close(&t);
    return status;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where one tile has more ids than the other, these are not equal. */
static tsr_status compare(const sample *s, tsr_agreement *a) {
    for (int i = 0; i < s->count; ++i) {
        const tsr_token_item *x = tsr_item_tokens(s->items[0][i]);
        const tsr_token_item *y = tsr_item_tokens(s->items[1][i]);
        if (x->tile_columns != y->tile_columns || x->tile_rows != y->tile_rows)
            return tsr_fail(s->ctx, TSR_ERROR_UNSUPPORTED,
                            "agreement: wanted the same tiles in both forms, got %u x %u and "
                            "%u x %u",
                            x->tile_columns, x->tile_rows, y->tile_columns, y->tile_rows);
        a->tiles += (uint64_t)x->tile_columns * x->tile_rows;
    }
    double *shares = tsr_alloc(s->ctx, (size_t)a->tiles, sizeof *shares, "agreement: tiles");
    if (!shares) return TSR_ERROR_MEMORY;
    size_t tile = 0;
    for (int i = 0; i < s->count; ++i) {
        const tsr_token_item *x = tsr_item_tokens(s->items[0][i]);
        const tsr_token_item *y = tsr_item_tokens(s->items[1][i]);
        const uint32_t *p = x->ids, *q = y->ids;
        for (uint32_t k = 0; k < x->tile_columns * x->tile_rows; ++k) {
            const uint32_t m = x->counts[k], n = y->counts[k], most = m > n ? m : n;
            uint32_t equal = 0;
            for (uint32_t id = 0; id < m && id < n; ++id)
                equal += p[id] == q[id];
            p += m, q += n;
            a->ids += most;
            a->equal += equal;
            shares[tile++] = most ? (double)equal / most : 1;
        }
    }
    qsort(shares, tile, sizeof *shares, by_value);
    a->tile_min = tile ? shares[0] : 1;
    a->tile_median = tile ? (shares[(tile - 1) / 2] + shares[tile / 2]) / 2 : 1;
    free(shares);
    return TSR_OK;
}

tsr_status tsr_measure_agreement(tsr_context *ctx, const char *const *pictures, int count,
                                 const tsr_model_settings *settings, tsr_progress_fn progress,
                                 void *progress_user, tsr_agreement *agreement) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!agreement || count < 0 || (count && !pictures))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "agreement: wanted pictures and a place, got count %d and %s", count,
                        agreement ? "a place" : "NULL");
    *agreement = (tsr_agreement){0};
    tsr_model_settings forms[2] = {tsr_model_settings_default(), tsr_model_settings_default()};
    forms[1].precision = TSR_PRECISION_FAST;
    if (!settings) settings = forms;
    sample s = {.ctx = ctx,
                .paths = count ? pictures : NULL,
                .count = count ? count : PAINTED,
                .progress = progress,
                .progress_user = progress_user};
    tsr_status status = TSR_OK;
    for (int form = 0; form < 2 && !status; ++form) {
        s.items[form] = tsr_alloc(ctx, (size_t)s.count, sizeof *s.items[form], "agreement: items");
        status =
            s.items[form] ? encode_sample(&s, &settings[form], form, agreement) : TSR_ERROR_MEMORY;
    }
    agreement->pictures = (uint64_t)s.count;
    if (!status) status = compare(&s, agreement);
    for (int form = 0; form < 2; ++form) {
        for (int i = 0; i < s.count && s.items[form]; ++i)
            tsr_item_close(&s.items[form][i]);
        free(s.items[form]);
    }
    return status;
}
