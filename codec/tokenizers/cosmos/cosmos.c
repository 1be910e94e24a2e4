/* SPDX-License-Identifier: MIT */
/* cosmos.c: Cosmos tokenizers as a family: what tiles they take, the padding of the official
 * classes, 8 bits to numbers and back.
 *
 * Tiles may have any size. As the official classes do, they are padded to multiples of 16 pixels by
 * black and to 8k + 1 frames by copies of the first and the last frame, half of it (rounded down)
 * in front, whatever the factor of the model; decoding takes the padding away. */
#include "cosmos_model.h"
#include "../../../compute/arena.h"
#include "../../../nn/family.h"
#include "../../../quantizer/quantizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAD_PIXELS = 16, PAD_FRAMES = 8, MOST_PIXELS = 1 << 13, MOST_FRAMES = 1 << 12 };
enum { PICTURE_SIDE = 512, CLIP_SIDE = 256, CLIP_FRAMES = 17 }; /* of a tile, unless asked for */

/* Devices may differ where a bounded value is this close to a rounding boundary, as in FlexTok. */
static const float tie_margin = 1e-3f;

/* ---- files ---- */

static bool recognise(const tsr_safetensors *file) {
    const bool clip = tsr_safetensors_find(file, "encoder.conv_in.0.conv3d.weight") >= 0;
    const char *quant = clip ? "quant_conv.conv3d.weight" : "quant_conv.weight";
    return tsr_safetensors_find(file, quant) >= 0 &&
           tsr_safetensors_find(file, clip ? "encoder.mid.attn_1.1.q.conv3d.weight"
                                           : "encoder.mid.attn_1.q.weight") >= 0 &&
           tsr_safetensors_find(file, "quantize.embedding.weight") < 0;
}

/* The factors in a name like "Cosmos-0.1-Tokenizer-DV8x16x16": time, height, width. */
static void find_factors(const char *name, cosmos_hints *hints) {
    for (const char *p = name; *p; ++p) {
        int time = 0, height = 0, width = 0;
        if ((p[0] != 'D' && p[0] != 'C' && p[0] != 'd' && p[0] != 'c') ||
            (p[1] != 'V' && p[1] != 'v') ||
            sscanf(p + 2, "%2dx%2dx%2d", &time, &height, &width) != 3 || height != width)
            continue;
        hints->space_factor = height;
        hints->time_factor = time;
    }
}

/* A small number among the metadata; 0: there is none. */
static int read_fact(const tsr_model_source *source, const char *key) {
    const char *text = tsr_safetensors_metadata(source->weights, key);
    const long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n <= 4096 ? (int)n : 0;
}

/* What the file says beside its tensors: the code of the archive it was, or else a name. */
static cosmos_hints read_hints(const tsr_model_source *source) {
    static const char *const names[] = {"tessera.source", "tessera.name"}; /* the last one wins */
    cosmos_hints hints = {.groups = read_fact(source, "torchscript.group_norm"),
                          .space_halvings = read_fact(source, "torchscript.space_pools"),
                          .time_halvings = read_fact(source, "torchscript.time_pools")};
    if (hints.space_halvings) return hints;
    find_factors(source->path, &hints);
    for (int i = 0; i < 2; ++i) {
        const char *name = tsr_safetensors_metadata(source->weights, names[i]);
        if (name) find_factors(name, &hints);
    }
    return hints;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    const cosmos_hints hints = read_hints(source);
    cosmos c = {.ctx = source->ctx};
    c.clip = tsr_weights_find(loader->weights, "encoder.conv_in.0.conv3d.weight") != NULL;
    tsr_cosmos_load(loader, &c, &hints);
}

static void close_model(void **model) {
    if (model) tsr_cosmos_close((cosmos **)model);
}

/* "cosmos-dv8x16x16", with the patch where it is not 4. */
static void make_name(const tsr_model_source *source, cosmos *c) {
    const char *given = tsr_safetensors_metadata(source->weights, "tessera.name");
    char time[16] = "", patch[16] = "";
    if (c->clip) snprintf(time, sizeof time, "%dx", (int)c->time_factor);
    if (c->haar.patch != 4) snprintf(patch, sizeof patch, "-patch%d", c->haar.patch);
    if (given)
        snprintf(c->name, sizeof c->name, "%s", given);
    else
        snprintf(c->name, sizeof c->name, "cosmos-%c%c%s%dx%d%s", c->continuous ? 'c' : 'd',
                 c->clip ? 'v' : 'i', time, (int)c->factor, (int)c->factor, patch);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    const cosmos_hints hints = read_hints(source);
    tsr_weights *weights = NULL;
    cosmos *c = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_cosmos_open(device, weights, source->path, &hints, &c);
    if (status) return status;
    make_name(source, c);
    c->width = c->height = c->clip ? CLIP_SIDE : PICTURE_SIDE;
    c->frames = c->clip ? CLIP_FRAMES : 1;
    *model = c;
    return TSR_OK;
}

/* ---- tiles ---- */

static uint32_t up_to(uint32_t n, uint32_t step) {
    return (n + step - 1) / step * step;
}

static uint32_t larger(uint32_t a, int64_t b) {
    return a > b ? a : (uint32_t)b;
}

/* The size that a tile is padded to. */
static tsr_tile_size padded(const cosmos *c, tsr_tile_size tile) {
    const uint32_t step = larger(PAD_PIXELS, c->factor), times = larger(PAD_FRAMES, c->time_factor);
    return (tsr_tile_size){.frames = c->clip ? 1 + up_to(tile.frames - 1, times) : 1,
                           .height = up_to(tile.height, step),
                           .width = up_to(tile.width, step)};
}

static tsr_tile_size tile_of(const cosmos *c) {
    return (tsr_tile_size){c->frames, c->height, c->width};
}

static uint32_t token_frames(const void *model, uint32_t frames) {
    const cosmos *c = model;
    return (uint32_t)tsr_cosmos_times(c, padded(c, (tsr_tile_size){frames, 1, 1}).frames);
}

/* Activations of a tile: maps of the largest level, some at a time, and the taps over time. */
static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const cosmos *c = model;
    const cosmos_half *h = request ? &c->encoder : &c->decoder;
    const tsr_tile_size size = padded(c, tile_of(c));
    const uint64_t patch = (uint64_t)c->haar.patch, taps = c->clip ? 3 : 1;
    const uint64_t frames = c->clip ? (size.frames - 1) / patch + 1 : 1;
    uint64_t channels = (uint64_t)c->haar.channels;
    for (int i = 0; i < 2 && i < h->levels; ++i)
        if ((uint64_t)h->width[i] >> (2 * i) > channels) channels = (uint64_t)h->width[i];
    const uint64_t map = frames * (size.height / patch) * (size.width / patch) * channels * 4;
    return (tsr_tile_cost){.bytes = (4 + taps) * map, .tensor_bytes = taps * map};
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const cosmos *c = model;
    const tsr_tile_size size = padded(c, tile_of(c));
    const uint64_t bytes = cost(c, NULL).bytes;
    if (bytes > c->ctx->settings.memory_limit)
        return tsr_fail(c->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: tile: wanted one that takes at most %llu bytes (the memory limit), "
                        "got %ux%ux%u, which takes about %llu",
                        c->path, (unsigned long long)c->ctx->settings.memory_limit, c->width,
                        c->height, c->frames, (unsigned long long)bytes);
    snprintf(h->tokenizer, sizeof h->tokenizer, "%s", c->name);
    h->geometry = TSR_GEOMETRY_GRID;
    h->rows = (uint32_t)(size.height / c->factor);
    h->columns = (uint32_t)(size.width / c->factor);
    h->tile_height = c->height;
    h->tile_width = c->width;
    h->tile_frames = c->clip ? c->frames : 0;
    h->frames = c->clip ? token_frames(c, c->frames) : 0;
    if (c->continuous) {
        h->channels = (uint32_t)c->channels;
        return TSR_OK;
    }
    h->codebook_size = 1;
    h->level_count = TSR_COSMOS_FSQ;
    for (int i = 0; i < TSR_COSMOS_FSQ; ++i) {
        h->levels[i] = (uint32_t)tsr_cosmos_levels[i];
        h->codebook_size *= h->levels[i];
    }
    return TSR_OK;
}

static tsr_status resize(void *model, tsr_tile_size size, tsr_token_header *header) {
    cosmos *c = model;
    const tsr_tile_size before = tile_of(c);
    if (size.width < 1 || size.height < 1 || size.width > MOST_PIXELS || size.height > MOST_PIXELS)
        return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT, "%s: tile: wanted 1 to %d pixels, got %ux%u",
                        c->path, MOST_PIXELS, size.width, size.height);
    if (c->clip && (size.frames < 1 || size.frames > MOST_FRAMES))
        return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT, "%s: tile: wanted 1 to %d frames, got %u",
                        c->path, MOST_FRAMES, size.frames);
    c->width = size.width;
    c->height = size.height;
    if (c->clip) c->frames = size.frames;
    const tsr_status status = describe(c, header);
    if (status) c->frames = before.frames, c->height = before.height, c->width = before.width;
    return status;
}

/* ---- encode ---- */

static uint32_t clamp(uint32_t at, uint32_t before, uint32_t count) {
    return at < before ? 0 : at - before < count ? at - before : count - 1;
}

/* One tile [frames, height, width, 3] in the middle of a padded one. */
static void pad(const uint8_t *rgb, tsr_tile_size tile, tsr_tile_size size, uint8_t *to) {
    const size_t row = (size_t)tile.width * 3, whole = (size_t)size.width * 3;
    const uint32_t top = (size.height - tile.height) / 2, front = (size.frames - tile.frames) / 2;
    memset(to, 0, size.frames * size.height * whole); /* black */
    to += top * whole + (size.width - tile.width) / 2 * 3;
    for (uint32_t f = 0; f < size.frames; ++f, to += size.height * whole) {
        const uint8_t *from = rgb + clamp(f, front, tile.frames) * tile.height * row;
        for (size_t y = 0; y < tile.height; ++y)
            memcpy(to + y * whole, from + y * row, row);
    }
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    (void)request; /* all ids or none: the plan has seen to it */
    const cosmos *c = model;
    const tsr_tile_size tile = pixels->tile, size = padded(c, tile);
    const size_t count = (size_t)pixels->count;
    const size_t from = (size_t)tile.frames * tile.height * tile.width * 3;
    const size_t values = (size_t)size.frames * size.height * size.width * 3;
    const size_t n = (size_t)tsr_cosmos_times(c, size.frames) * (size.height / (size_t)c->factor) *
                     (size.width / (size_t)c->factor);
    const bool whole = !memcmp(&tile, &size, sizeof tile);
    tsr_scratch s = {.ctx = c->ctx};
    uint8_t *tiles = whole ? NULL : tsr_scratch_take_raw(&s, count, values, "cosmos: tiles");
    /* Latents, or bounded values and then ids; a tile may have fewer than there is room for. */
    flight->rows = tsr_scratch_take_raw(&flight->scratch, count * n,
                                        (c->continuous ? (size_t)c->channels : TSR_COSMOS_FSQ + 1) *
                                            sizeof *flight->rows,
                                        "cosmos: tokens");
    tsr_status status = s.status ? s.status : flight->scratch.status;
    for (size_t i = 0; i < count && !status; ++i) {
        if (!whole) pad(pixels->rgb + i * from, tile, size, tiles + i * values);
        flight->tokens.counts[i] = (uint32_t)n;
    }
    if (!status) {
        float *rows = flight->rows, *ids = rows + count * n * TSR_COSMOS_FSQ;
        status = tsr_cosmos_encode_begin(c, whole ? pixels->rgb : tiles, pixels->count, size.frames,
                                         size.height, size.width, c->continuous ? rows : NULL,
                                         c->continuous ? NULL : rows,
                                         c->continuous ? NULL : (int32_t *)ids, &flight->program);
    }
    tsr_scratch_free(&s);
    return status;
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const cosmos *c = model;
    tsr_token_batch *t = &flight->tokens;
    const size_t count = (size_t)t->count, n = t->counts[0];
    const size_t bytes = n * tsr_token_batch_value_bytes(t);
    const float *rows = flight->rows;
    const char *made = (const char *)(c->continuous ? rows : rows + count * n * TSR_COSMOS_FSQ);
    const tsr_status status = tsr_execute_end(c->device, &flight->program);
    for (size_t i = 0; i < count && !status; ++i)
        memcpy(tsr_token_batch_tile(t, (int)i), made + i * bytes, bytes);
    for (size_t i = 0; i < count * n && !c->continuous && !status; ++i)
        t->near_ties += tsr_levels_margin(TSR_COSMOS_FSQ, rows + i * TSR_COSMOS_FSQ) < tie_margin;
    return status;
}

/* ---- decode ---- */

/* Padded planes of -1 .. 1 to one tile RGB [frames, height, width, 3] of 0 .. 1. */
static void from_planes(const float *planes, tsr_tile_size size, tsr_tile_size tile, float *rgb) {
    const uint32_t top = (size.height - tile.height) / 2, left = (size.width - tile.width) / 2;
    const uint32_t front = (size.frames - tile.frames) / 2;
    const size_t plane = (size_t)size.height * size.width;
    for (uint32_t f = 0; f < tile.frames; ++f) {
        const float *from =
            planes + (size_t)(f + front) * 3 * plane + (size_t)top * size.width + left;
        for (uint32_t y = 0; y < tile.height; ++y)
            for (uint32_t x = 0; x < tile.width; ++x, rgb += 3)
                for (size_t ch = 0; ch < 3; ++ch)
                    rgb[ch] = from[ch * plane + (size_t)y * size.width + x] * 0.5f + 0.5f;
    }
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const cosmos *c = model;
    const tsr_tile_size tile = {c->clip ? batch->frames : 1, c->height, c->width};
    const tsr_tile_size size = padded(c, tile);
    const size_t count = (size_t)batch->count;
    const size_t to = (size_t)tile.frames * tile.height * tile.width * 3;
    const size_t values = (size_t)size.frames * size.height * size.width * 3;
    const size_t n = (size_t)tsr_cosmos_times(c, size.frames) * (size.height / (size_t)c->factor) *
                     (size.width / (size_t)c->factor);
    const size_t width = c->continuous ? (size_t)c->channels : 1;
    for (size_t i = 0; i < count; ++i)
        if (batch->counts[i] != n)
            return tsr_fail(c->ctx, TSR_ERROR_TOKENS, "%s: tokens of a tile: wanted %zu, got %u",
                            c->path, n, batch->counts[i]);
    tsr_scratch s = {.ctx = c->ctx};
    float *planes = tsr_scratch_take(&s, count, values * sizeof *planes, "cosmos: tiles");
    uint32_t *tokens = tsr_scratch_take(&s, count, n * width * sizeof *tokens, "cosmos: tokens");
    tsr_status status = s.status;
    for (size_t i = 0; i < count && !status; ++i)
        memcpy(tokens + i * n * width, tsr_token_batch_tile(batch, (int)i),
               n * width * sizeof *tokens);
    if (!status)
        status = tsr_cosmos_decode(c, (int32_t *)tokens, (float *)tokens, batch->count, size.frames,
                                   size.height, size.width, planes, NULL);
    for (size_t i = 0; i < count && !status; ++i)
        from_planes(planes + i * values, size, tile, rgb + i * to);
    tsr_scratch_free(&s);
    return status;
}

const tsr_family tsr_family_cosmos = {
    .name = "cosmos",
    .about = "Cosmos tokenizers: one of 64000 ids, or 16 numbers, for each 8x8 or 16x16 pixels of "
             "pictures (DI, CI) or of 4 or 8 frames (DV, CV); tiles of any size",
    .needs = "autoencoder.jit or model.pt of a Cosmos tokenizer through `tessera model convert`",
    .verified = "golden cases of the official classes with synthetic weights: DI, CI, DV, CV",
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
