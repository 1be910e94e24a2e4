/* SPDX-License-Identifier: MIT */
/* bench_tokenizer.c: a tokenizer's tiles to tokens and back, one and several in a run: the bundled
 * one, or the model that was asked for; in f32, and in fast where a device has that. */
#include "bench.h"
#include "../codec/tokenizer.h"
#include "../models/tiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double long_run = 100; /* seconds a row of several tiles may take */

typedef struct tokenizer_bench {
    tsr_tokenizer *tokenizer;
    int count;    /* tiles a call */
    double alone; /* seconds of one tile, for too_long */
    uint8_t *tiles;
    tsr_token_batch batch;
    float *rgb;
    tsr_scratch scratch;
    int most; /* tiles of the largest batch */
} tokenizer_bench;

static uint32_t frames_of(const tsr_token_header *h) {
    return h->tile_frames ? h->tile_frames : 1;
}

/* Numbers of a tile. */
static size_t tile_values(const tsr_token_header *h) {
    return (size_t)frames_of(h) * h->tile_width * h->tile_height * 3;
}

static tsr_status encode_body(void *arg) {
    tokenizer_bench *m = arg;
    const tsr_token_header *h = &m->tokenizer->header;
    const tsr_pixels pixels = {m->tiles, m->count, {frames_of(h), h->tile_height, h->tile_width}};
    m->batch.count = m->count;
    return tsr_encode_tiles(&m->tokenizer->model, &pixels, &(tsr_encode_request){0}, &m->batch);
}

/* What encoding left. */
static tsr_status decode_body(void *arg) {
    tokenizer_bench *m = arg;
    const tsr_token_header *h = &m->tokenizer->header;
    const tsr_sampling sampling = {.hints = h->hints};
    m->batch.count = m->count;
    m->batch.frames = h->tile_frames;
    return tsr_decode_tiles(&m->tokenizer->model, &m->batch, &sampling, tile_values(h), m->rgb);
}

static tsr_status too_long(void *arg) {
    const tokenizer_bench *m = arg;
    return tsr_fail(m->tokenizer->model.ctx, TSR_ERROR_UNSUPPORTED, "one takes %.1f s", m->alone);
}

/* alone: seconds of one tile, 0 = not known; known after a row of one. */
static tsr_status time_row(tsr_bencher *b, tokenizer_bench *m, const tsr_bench_device *d,
                           const char *title, const char *what, bool fast, tsr_bench_body body,
                           double *alone) {
    char name[128];
    snprintf(name, sizeof name, "%s %s %d%s", title, what, m->count, fast ? " fast" : "");
    if (!tsr_bench_wants(b, name)) return TSR_OK;
    const tsr_bench_row row = {.name = name,
                               .by = d->reference ? "reference" : "tessera",
                               .dtype = fast ? "fast" : NULL,
                               .device = &d->info,
                               .items = m->count,
                               .median = alone,
                               .timed = m->tokenizer->model.device};
    m->alone = *alone;
    return tsr_bench_time(b, &row, *alone * 5 * m->count > long_run ? too_long : body, m);
}

static tsr_status time_all(tsr_bencher *b, tokenizer_bench *m, const tsr_bench_device *d,
                           const char *title, bool fast) {
    /* mosaic encodes on the host, whatever the device: once is enough. */
    const bool host = !strcmp(m->tokenizer->model.family->name, "mosaic");
    const bool plain = d->info.kind == TSR_DEVICE_CPU && !d->reference && !fast;
    double encode = 0, decode = 0;
    tsr_status status = TSR_OK;
    for (int i = 0; i < b->settings.batch_count && !status; ++i) {
        m->count = b->settings.batches[i];
        if (!host || plain) status = time_row(b, m, d, title, "encode", fast, encode_body, &encode);
        if (!status && decode * m->count < long_run) status = encode_body(m);
        if (!status) status = time_row(b, m, d, title, "decode", fast, decode_body, &decode);
    }
    return status;
}

static tsr_status make_room(tsr_context *ctx, tokenizer_bench *m) {
    const tsr_token_header *h = &m->tokenizer->header;
    const size_t values = tile_values(h), frame = values / frames_of(h);
    const bool selects = m->tokenizer->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS;
    m->scratch.ctx = ctx;
    m->tiles = tsr_scratch_take(&m->scratch, m->most, values, "bench: tiles");
    m->rgb = tsr_scratch_take(&m->scratch, m->most * values, sizeof *m->rgb, "bench: tiles");
    m->batch = tsr_token_batch_take(&m->scratch, h, m->most, selects);
    if (m->scratch.status) return m->scratch.status;
    for (int i = 0; i < m->most * (int)frames_of(h); ++i)
        tsr_bench_paint(m->tiles + (size_t)i * frame, i, (int)h->tile_width, (int)h->tile_height);
    return TSR_OK;
}

static tsr_status bench_device(tsr_bencher *b, const tsr_bench_device *d, bool fast) {
    tokenizer_bench m = {0};
    char device[32] = "cpu";
    if (d->info.kind != TSR_DEVICE_CPU) snprintf(device, sizeof device, "vulkan:%d", d->info.index);
    tsr_model_settings s = tsr_model_settings_default();
    s.model = b->settings.model;
    s.device = device;
    s.mask = b->settings.mask;
    s.reference = d->reference;
    s.precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
    tsr_status status = tsr_tokenizer_open(b->ctx, &m.tokenizer, &s);
    if (status) return status;
    const char *title = s.model ? m.tokenizer->header.tokenizer : "mosaic";
    if (!fast || *tsr_device_fast_path(m.tokenizer->model.device)) {
        for (int i = 0; i < b->settings.batch_count; ++i)
            if (b->settings.batches[i] > m.most) m.most = b->settings.batches[i];
        status = make_room(b->ctx, &m);
        if (!status) status = time_all(b, &m, d, title, fast);
    }
    tsr_tokenizer_close(&m.tokenizer);
    tsr_scratch_free(&m.scratch);
    return status;
}

/* Whether any row of the bundled tokenizer is asked for, before it is opened: a filter that some
 * row contains is contained in one of these. */
static bool wants_bundled(const tsr_bencher *b) {
    return tsr_bench_wants(b, "mosaic encode 16") || tsr_bench_wants(b, "mosaic decode 16 fast") ||
           tsr_bench_wants(b, "mosaic decode 1 fast");
}

tsr_status tsr_bench_suite_tokenizer(tsr_bencher *b) {
    const bool model = b->settings.model != NULL;
    tsr_status status = TSR_OK;
    if (!model && !wants_bundled(b)) return TSR_OK;
    for (int i = 0; i < b->device_count && !status; ++i) {
        const tsr_bench_device *d = &b->devices[i];
        if (!d->info.usable && !b->settings.device) continue;
        if (d->reference && model) continue; /* a published model would take minutes a tile */
        status = bench_device(b, d, false);
        if (!status && !d->reference) status = bench_device(b, d, true);
    }
    return status;
}
