/* SPDX-License-Identifier: MIT */
/* bench_mosaic.c: the bundled tokenizer from pixels to ids and back, through the public API. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 256, MOST = 16 };

typedef struct mosaic_bench {
    tsr_tokenizer *tokenizer;
    tsr_token_header header;
    tsr_picture pictures[MOST];
    tsr_item *items[MOST];
    int count; /* pictures a call */
    uint8_t *rgb;
} mosaic_bench;

static void close_items(mosaic_bench *m) {
    for (int i = 0; i < MOST; ++i)
        tsr_item_close(&m->items[i]);
}

static tsr_status encode_body(void *arg) {
    mosaic_bench *m = arg;
    close_items(m);
    return tsr_tokenizer_encode(m->tokenizer, m->pictures, m->count, NULL, m->items, NULL);
}

/* One wide picture of `count` tiles, so that the decoder sees them as one batch. */
static tsr_status decode_body(void *arg) {
    mosaic_bench *m = arg;
    return tsr_tokenizer_decode(m->tokenizer, &m->header, tsr_item_tokens(m->items[0]), 0, m->rgb);
}

/* Pixels with the spectrum of a photograph, roughly: noise summed at several scales. */
static void paint(uint8_t *rgb, int width) {
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) {
                uint32_t v = 0;
                for (int s = 1; s < 7; ++s) {
                    uint32_t h =
                        (uint32_t)((x >> s) * 73856093 ^ (y >> s) * 19349663 ^ c * 83492791);
                    v += ((h * 2654435761u) >> 24) << s;
                }
                rgb[(y * width + x) * 3 + c] = (uint8_t)(v >> 7);
            }
}

static tsr_status bench_device(tsr_bencher *b, const tsr_bench_device *d, mosaic_bench *m) {
    char name[64], device[32];
    if (d->info.kind == TSR_DEVICE_CPU)
        snprintf(device, sizeof device, "cpu");
    else
        snprintf(device, sizeof device, "vulkan:%d", d->info.index);
    tsr_status s =
        tsr_tokenizer_open(b->ctx, &m->tokenizer,
                           &(tsr_tokenizer_settings){.device = device, .reference = d->reference});
    if (s) return s;
    m->header = *tsr_tokenizer_header(m->tokenizer);
    for (int count = 1; count <= MOST && !s; count *= MOST) {
        const int width = count == 1 ? SIDE : 32 + count * (SIDE - 32);
        tsr_bench_row row = {.name = name,
                             .by = d->reference ? "reference" : "tessera",
                             .device = &d->info,
                             .items = count};
        m->count = count;
        snprintf(name, sizeof name, "mosaic encode %d", count);
        /* Encoding runs on the host whatever the device: once is enough. */
        if (d->info.kind == TSR_DEVICE_CPU && !d->reference && tsr_bench_wants(b, name))
            s = tsr_bench_time(b, &row, encode_body, m);
        snprintf(name, sizeof name, "mosaic decode %d", count);
        if (s || !tsr_bench_wants(b, name)) continue;
        close_items(m);
        paint(m->rgb, width);
        const tsr_picture wide = {.rgb = m->rgb, .width = width, .height = SIDE};
        s = tsr_tokenizer_encode(m->tokenizer, &wide, 1, NULL, m->items, NULL);
        if (!s) s = tsr_bench_time(b, &row, decode_body, m);
    }
    close_items(m);
    tsr_tokenizer_close(&m->tokenizer);
    return s;
}

tsr_status tsr_bench_suite_mosaic(tsr_bencher *b) {
    if (!tsr_bench_wants(b, "mosaic encode 1") && !tsr_bench_wants(b, "mosaic decode 1") &&
        !tsr_bench_wants(b, "mosaic encode 16") && !tsr_bench_wants(b, "mosaic decode 16"))
        return TSR_OK;
    mosaic_bench m = {0};
    uint8_t *pixels = malloc(SIDE * SIDE * 3);
    m.rgb = malloc((size_t)(32 + MOST * (SIDE - 32)) * SIDE * 3);
    tsr_status s = TSR_OK;
    if (!pixels || !m.rgb) s = tsr_fail(b->ctx, TSR_ERROR_MEMORY, "bench: no memory for pictures");
    if (!s) paint(pixels, SIDE);
    for (int i = 0; i < MOST; ++i)
        m.pictures[i] = (tsr_picture){.rgb = pixels, .width = SIDE, .height = SIDE};
    for (int i = 0; i < b->device_count && !s; ++i) {
        if (!b->devices[i].info.usable && !b->settings.device) continue;
        s = bench_device(b, &b->devices[i], &m);
    }
    free(pixels);
    free(m.rgb);
    return s;
}
