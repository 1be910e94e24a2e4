/* SPDX-License-Identifier: MIT */
/* emu3.c: Emu3-VisionTokenizer as a family: what tiles it takes, 8 bits to numbers and back.
 *
 * A tile is a clip whose sides are multiples of 8 and whose frames are filled up to a multiple of 4
 * by copies of the last one; decoding takes those away. So a tile of one frame is what the official
 * class makes of a picture, four equal frames, and is computed as one. The official example cuts a
 * video into clips of 4 frames, each by itself, as tiles of 4 frames (the default) do; in longer
 * tiles frames see those before them. Which one a file was made with is its header's tile_frames.
 *
 * Frames, time and the search for codes are one program. While it computes, the host takes the ids
 * of the batch before and prepares the next. */
#include "emu3_model.h"
#include "../../../compute/arena.h"
#include "../../../nn/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 512, MOST_PIXELS = 1 << 13, MOST_FRAMES = 1 << 12 };

/* ---- files ---- */

static bool recognise(const tsr_safetensors *file) {
    return tsr_emu3_names(file, NULL) != NULL;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    const emu3_names *names = tsr_emu3_names(source->weights, NULL);
    emu3 m = {.ctx = source->ctx};
    if (names) tsr_emu3_load(loader, names, &m);
}

static void close_model(void **model) {
    if (model) tsr_emu3_close((emu3 **)model);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    emu3 *m = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_emu3_open(device, weights, source->path, &m);
    if (status) return status;
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name)
        snprintf(m->name, sizeof m->name, "%s", name);
    else
        snprintf(m->name, sizeof m->name, "emu3-vision-%dx%dx%d", (int)m->time_factor,
                 (int)m->factor, (int)m->factor);
    m->width = m->height = (uint32_t)(SIDE / m->factor * m->factor);
    m->frames = (uint32_t)m->time_factor;
    *model = m;
    return TSR_OK;
}

/* ---- tiles ---- */

/* Frames that a tile is filled up to. */
static uint32_t filled(const emu3 *m, uint32_t frames) {
    const uint32_t step = (uint32_t)m->time_factor;
    return (frames + step - 1) / step * step;
}

static uint32_t token_frames(const void *model, uint32_t frames) {
    const emu3 *m = model;
    return (uint32_t)tsr_emu3_times(m, filled(m, frames));
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Maps of the largest level, in the decoder with the modulation of a norm; encoding, of as many of
 * a tile's frames as are computed at once. */
static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const emu3 *m = model;
    const emu3_half *h = request ? &m->encoder : &m->decoder;
    const int64_t width = h->levels > 1 && !request ? h->width[1] : h->width[0];
    const uint64_t frames =
        request ? least(m->frames, (size_t)tsr_emu3_frames_at_once(m->height, m->width)) : 1;
    const uint64_t map = frames * m->height * m->width * (uint64_t)width * 4;
    return (tsr_tile_cost){.bytes = (request ? 4 : 6) * map, .tensor_bytes = map};
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const emu3 *m = model;
    const uint64_t bytes = cost(m, NULL).bytes;
    if (bytes > m->ctx->settings.memory_limit)
        return tsr_fail(m->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: tile: wanted one that takes at most %llu bytes (the memory limit), "
                        "got %ux%ux%u, which takes about %llu",
                        m->path, (unsigned long long)m->ctx->settings.memory_limit, m->width,
                        m->height, m->frames, (unsigned long long)bytes);
    snprintf(h->tokenizer, sizeof h->tokenizer, "%s", m->name);
    h->codebook_size = (uint32_t)m->codes.codes->tensor.dim[0];
    h->geometry = TSR_GEOMETRY_GRID;
    h->rows = (uint32_t)(m->height / m->factor);
    h->columns = (uint32_t)(m->width / m->factor);
    h->tile_height = m->height;
    h->tile_width = m->width;
    h->tile_frames = m->frames;
    h->frames = token_frames(m, m->frames);
    h->filter = TSR_FILTER_BICUBIC;
    return TSR_OK;
}

static tsr_status resize(void *model, tsr_tile_size size, tsr_token_header *header) {
    emu3 *m = model;
    const tsr_tile_size before = {m->frames, m->height, m->width};
    const uint32_t step = (uint32_t)m->factor;
    if (size.width < step || size.height < step || size.width > MOST_PIXELS ||
        size.height > MOST_PIXELS || size.width % step || size.height % step)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT,
                        "%s: tile: wanted multiples of %u from %u to %d pixels, got %ux%u", m->path,
                        step, step, MOST_PIXELS, size.width, size.height);
    if (size.frames < 1 || size.frames > MOST_FRAMES)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "%s: tile: wanted 1 to %d frames, got %u",
                        m->path, MOST_FRAMES, size.frames);
    m->frames = size.frames;
    m->height = size.height;
    m->width = size.width;
    const tsr_status status = describe(m, header);
    if (status) m->frames = before.frames, m->height = before.height, m->width = before.width;
    return status;
}

/* ---- encode ---- */

/* What the search of a flight gives, one array behind the other in its rows: [n] each. */
static emu3_codes arrays_of(float *rows, size_t n) {
    return (emu3_codes){.margin = rows, .square = rows + n, .ids = (int32_t *)(rows + 2 * n)};
}

/* Ids of a tile, which may have fewer frames than there is room for. */
static size_t ids_of(const emu3 *m, uint32_t frames) {
    return (size_t)token_frames(m, frames) * (m->height / (size_t)m->factor) *
           (m->width / (size_t)m->factor);
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    (void)request; /* all ids or none: the plan has seen to it */
    const emu3 *m = model;
    const uint32_t frames = pixels->tile.frames;
    const size_t each = ids_of(m, frames), n = (size_t)pixels->count * each;
    for (int i = 0; i < pixels->count; ++i)
        flight->tokens.counts[i] = (uint32_t)each;
    flight->rows =
        tsr_scratch_take_raw(&flight->scratch, n, 3 * sizeof *flight->rows, "emu3: rows");
    if (!flight->rows) return flight->scratch.status;
    const emu3_codes codes = arrays_of(flight->rows, n);
    return tsr_emu3_encode_begin(m, pixels->rgb, pixels->count, frames,
                                 frames == 1 ? 1 : filled(m, frames), m->height, m->width, &codes,
                                 &flight->program);
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const emu3 *m = model;
    tsr_token_batch *t = &flight->tokens;
    const size_t each = t->counts[0], n = (size_t)t->count * each;
    const emu3_codes codes = arrays_of(flight->rows, n);
    tsr_status status = tsr_execute_end(m->device, &flight->program);
    if (!status)
        status = tsr_code_table_near_ties(m->ctx, &m->codes, codes.margin, codes.square, (int64_t)n,
                                          &t->near_ties);
    for (int i = 0; i < t->count && !status; ++i)
        memcpy(tsr_token_batch_tile(t, i), codes.ids + (size_t)i * each, each * sizeof *codes.ids);
    return status;
}

/* ---- decode ---- */

/* Planes of -1 .. 1 to RGB of 0 .. 1. The official class cuts to 8 bits where everybody here
 * rounds, which half a step less makes the same. */
static void from_planes(const float *planes, size_t n, size_t pixels, float *rgb) {
    for (size_t f = 0; f < n; ++f)
        for (size_t i = 0; i < pixels; ++i)
            for (size_t ch = 0; ch < 3; ++ch)
                rgb[(f * pixels + i) * 3 + ch] =
                    (planes[(f * 3 + ch) * pixels + i] + 1) / 2 - 0.5f / 255;
}

static tsr_status decode_frames(const emu3 *m, const float *features, const float *modulation,
                                size_t n, float *rgb) {
    const size_t pixels = (size_t)m->height * m->width;
    const size_t step = (size_t)tsr_emu3_frames_at_once(m->height, m->width);
    const int64_t h = m->height / m->factor, w = m->width / m->factor;
    const size_t each = (size_t)(h * w * m->channels);
    float *planes = tsr_alloc(m->ctx, least(step, n), 3 * pixels * sizeof *planes, "emu3: frames");
    tsr_status s = planes ? TSR_OK : TSR_ERROR_MEMORY;
    for (size_t at = 0; at < n && !s; at += step) {
        const size_t some = least(step, n - at);
        s = tsr_emu3_decode_frames(m, features + at * each, modulation + at * each, (int64_t)some,
                                   h, w, planes, NULL);
        if (!s) from_planes(planes, some, pixels, rgb + at * pixels * 3);
    }
    free(planes);
    return s;
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const emu3 *m = model;
    const size_t count = (size_t)batch->count, frames = batch->frames;
    const size_t h = m->height / (size_t)m->factor, w = m->width / (size_t)m->factor;
    const size_t t = token_frames(m, batch->frames), n = t * h * w;
    const size_t each = h * w * (size_t)m->channels;
    for (size_t i = 0; i < count; ++i)
        if (batch->counts[i] != n)
            return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: ids of a tile: wanted %zu, got %u",
                            m->path, n, batch->counts[i]);
    tsr_scratch s = {.ctx = m->ctx};
    int32_t *ids = tsr_scratch_take(&s, count, n * sizeof *ids, "emu3: ids");
    float *half[2];
    for (int i = 0; i < 2; ++i)
        half[i] = tsr_scratch_take(&s, count * frames, each * sizeof(float), "emu3: features");
    tsr_status status = s.status;
    for (size_t i = 0; i < count && !status; ++i)
        memcpy(ids + i * n, tsr_token_batch_tile(batch, (int)i), n * sizeof *ids);
    if (!status)
        status = tsr_emu3_decode_time(m, ids, (int64_t)count, (int64_t)t, (int64_t)h, (int64_t)w,
                                      (int64_t)frames, half[0], half[1], NULL);
    if (!status) status = decode_frames(m, half[0], half[1], count * frames, rgb);
    tsr_scratch_free(&s);
    return status;
}

const tsr_family tsr_family_emu3 = {
    .name = "emu3",
    .about = "Emu3-VisionTokenizer: one of 32768 ids for each 8x8 pixels of a picture or of 4 "
             "frames; tiles of any number of frames",
    .needs = "the model.safetensors of Emu3-VisionTokenizer, or of a transformers model with it",
    .verified = "golden cases of the official class with synthetic weights: pictures and clips",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tokenizer = &(const tsr_tokenizer_ops){.describe = describe,
                                            .resize = resize,
                                            .token_frames = token_frames,
                                            .cost = cost,
                                            .encode_begin = encode_begin,
                                            .encode_end = encode_end,
                                            .decode = decode},
};
