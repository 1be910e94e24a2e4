/* SPDX-License-Identifier: MIT */
/* tokenizer.c: a model that is a tokenizer, and the token files that are its own. */
#include "tokenizer.h"
#include "../compute/context.h"
#include "../ops/ops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static tsr_tile_size tile_of(const tsr_token_header *h) {
    return (tsr_tile_size){h->tile_frames, h->tile_height, h->tile_width};
}

static bool same_tile(tsr_tile_size a, tsr_tile_size b) {
    return a.frames == b.frames && a.height == b.height && a.width == b.width;
}

static tsr_status set_tile(tsr_tokenizer *t, tsr_tile_size size) {
    tsr_token_header *h = &t->header;
    if (same_tile(size, tile_of(h))) return TSR_OK;
    if (size.frames && !h->tile_frames)
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: frames of a tile: wanted none, since it is no tokenizer of video, got "
                        "%u",
                        h->tokenizer, size.frames);
    if (!t->model.family->tokenizer->resize)
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: tile: wanted %ux%u, the only size it was trained for, got %ux%u",
                        h->tokenizer, h->tile_width, h->tile_height, size.width, size.height);
    return t->model.family->tokenizer->resize(t->model.state, size, h);
}

/* The tile size that settings ask for; what they leave open is the model's. */
static tsr_tile_size chosen_tile(const tsr_token_header *h, const tsr_model_settings *s) {
    tsr_tile_size size = tile_of(h);
    if (s->tile_frames) size.frames = s->tile_frames;
    if (s->tile_width || s->tile_height) size.width = s->tile_width, size.height = s->tile_height;
    return size;
}

/* Nothing can be left out of ids that are not nested. */
tsr_status tsr_tokenizer_check_prefix(tsr_tokenizer *t, uint32_t tokens, float quality) {
    const tsr_token_header *h = &t->header;
    const uint32_t capacity = tsr_token_positions(h);
    if (h->nested || (quality <= 0 && (tokens == 0 || tokens >= capacity))) return TSR_OK;
    const char *why = h->geometry == TSR_GEOMETRY_GRID ? "each id is a place of the picture"
                                                       : "its ids are not in an order of weight";
    if (quality > 0)
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: quality: wanted none: a tile always has %u ids (%s), got %g",
                        h->tokenizer, capacity, why, quality);
    return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: tokens: wanted all %u of a tile: a prefix is no picture (%s), got %u",
                    h->tokenizer, capacity, why, tokens);
}

/* Weights of a tower or a judge are good weights, but make no tokens. */
static tsr_status check_trade(tsr_tokenizer *t) {
    if (t->model.family->tokenizer) return TSR_OK;
    return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: wanted a tokenizer, got the weights of %s, which makes no tokens",
                    t->model.file, t->model.family->name);
}

tsr_status tsr_tokenizer_open(tsr_context *ctx, tsr_tokenizer **tokenizer,
                              const tsr_model_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!tokenizer)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokenizer: wanted a pointer, got NULL");
    *tokenizer = NULL;
    const tsr_model_settings s = settings ? *settings : tsr_model_settings_default();
    tsr_tokenizer *t = tsr_alloc(ctx, 1, sizeof *t, "tokenizer");
    if (!t) return TSR_ERROR_MEMORY;
    t->model.ctx = ctx;
    tsr_status status = tsr_model_find(&t->model, s.model);
    t->header.family = t->model.family_id;
    if (!status) status = tsr_model_open_devices(&t->model, &s);
    if (!status) status = check_trade(t);
    if (!status) status = tsr_model_open_state(&t->model);
    if (!status) status = t->model.family->tokenizer->describe(t->model.state, &t->header);
    if (!status) status = set_tile(t, chosen_tile(&t->header, &s));
    if (status) {
        tsr_tokenizer_close(&t);
        return status;
    }
    status = tsr_safetensors_hash(ctx, t->model.weights, &t->header.weights_hash);
    if (!status) status = tsr_model_check_values(&t->model);
    if (status) {
        tsr_tokenizer_close(&t);
        return status;
    }
    if (t->header.fit == TSR_FIT_AUTO) {
        t->header.fit = TSR_FIT_TILE;
        t->header.filter = TSR_FILTER_LANCZOS; /* pictures are mostly made smaller */
    }
    memset(t->header.background, 255, 3);
    if (t->header.channels) t->header.latent_type = TSR_LATENT_F16; /* unless asked */
    *tokenizer = t;
    return TSR_OK;
}

void tsr_tokenizer_close(tsr_tokenizer **tokenizer) {
    if (!tokenizer || !*tokenizer) return;
    tsr_tokenizer *t = *tokenizer;
    tsr_model_close(&t->model);
    free(t);
    *tokenizer = NULL;
}

const tsr_token_header *tsr_tokenizer_header(const tsr_tokenizer *tokenizer) {
    return &tokenizer->header;
}

const char *tsr_tokenizer_device(const tsr_tokenizer *tokenizer) {
    return tokenizer->model.device_text;
}

const char *tsr_tokenizer_host_stages(const tsr_tokenizer *tokenizer, int decoding) {
    const tsr_tokenizer_ops *ops = tokenizer->model.family->tokenizer;
    const char *stages = decoding ? ops->decodes_on_host : ops->encodes_on_host;
    return stages ? stages : "";
}

static tsr_status compare_header(tsr_tokenizer *t, const tsr_token_header *h, int force,
                                 const char *name) {
    const tsr_token_header *own = &t->header;
    if (h->family != own->family)
        return tsr_fail(t->model.ctx, TSR_ERROR_MODEL_MISMATCH,
                        "%s: family: wanted %u (%s), got %u (%.63s)", name, own->family,
                        own->tokenizer, h->family, h->tokenizer);
    if (h->channels != own->channels)
        return tsr_fail(
            t->model.ctx, TSR_ERROR_MODEL_MISMATCH, "%s: tokens: wanted %s of %u, got %s of %u",
            name, own->channels ? "vectors" : "ids",
            own->channels ? own->channels : own->codebook_size, h->channels ? "vectors" : "ids",
            h->channels ? h->channels : h->codebook_size);
    if (h->codebook_size != own->codebook_size || h->rows != own->rows ||
        h->columns != own->columns || !same_tile(tile_of(h), tile_of(own)) ||
        h->frames != own->frames || h->geometry != own->geometry)
        return tsr_fail(t->model.ctx, TSR_ERROR_MODEL_MISMATCH,
                        "%s: tokens: wanted %ux%u of %u codes for %ux%u pixels and %u frames, got "
                        "%ux%u of %u for %ux%u and %u",
                        name, own->rows, own->columns, own->codebook_size, own->tile_width,
                        own->tile_height, own->tile_frames, h->rows, h->columns, h->codebook_size,
                        h->tile_width, h->tile_height, h->tile_frames);
    if (h->weights_hash && h->weights_hash != own->weights_hash && !force)
        return tsr_fail(t->model.ctx, TSR_ERROR_MODEL_MISMATCH,
                        "%s: weights hash: wanted %016" PRIx64 " (%s), got %016" PRIx64 " (%.63s)",
                        name, own->weights_hash, own->tokenizer, h->weights_hash, h->tokenizer);
    if (h->weights_hash && h->weights_hash != own->weights_hash)
        tsr_log(t->model.ctx, TSR_LOG_WARNING,
                "%s: made with weights %016" PRIx64 " (%.63s), decoded with %016" PRIx64 " (%s)",
                name, h->weights_hash, h->tokenizer, own->weights_hash, own->tokenizer);
    return TSR_OK;
}

tsr_status tsr_tokenizer_accepts(tsr_tokenizer *t, const tsr_token_header *h, int force,
                                 const char *name) {
    const tsr_token_header *own = &t->header;
    if (h->family == own->family && t->model.family->tokenizer->resize &&
        h->codebook_size == own->codebook_size && h->channels == own->channels &&
        !h->tile_frames == !own->tile_frames && !same_tile(tile_of(h), tile_of(own))) {
        const tsr_tile_size was = tile_of(own);
        tsr_status status = set_tile(t, tile_of(h));
        if (!status) status = compare_header(t, h, force, name);
        if (status) (void)set_tile(t, was); /* had before, so nothing speaks against it */
        return status;
    }
    return compare_header(t, h, force, name);
}

tsr_status tsr_tokenizer_retile(tsr_tokenizer *t, const tsr_token_header *header) {
    if (!t) return TSR_ERROR_ARGUMENT;
    if (!header)
        return tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT, "header: wanted an address, got NULL");
    return tsr_tokenizer_accepts(t, header, 0, "tile");
}

/* Tiles that fill the device. */
static uint64_t usual_batch(const tsr_tokenizer *t, const tsr_encode_request *request) {
    enum { USUAL = 16 };
    const tsr_device_info *info = tsr_device_properties(t->model.device);
    const tsr_tokenizer_ops *ops = t->model.family->tokenizer;
    tsr_tile_cost cost = {0};
    if (ops->cost) cost = ops->cost(t->model.state, request);
    if (info->kind == TSR_DEVICE_CPU || info->software || !cost.bytes || cost.alone) return USUAL;
    return (uint64_t)tsr_tiles_in_run(t->model.device, &cost, TSR_MAX_BATCH);
}

/* All tiles in flight, as f32, take an eighth of the memory limit. */
tsr_status tsr_tokenizer_batch(const tsr_tokenizer *t, uint32_t wanted,
                               const tsr_encode_request *request, int *batch) {
    const uint64_t frames = t->header.tile_frames ? t->header.tile_frames : 1;
    const uint64_t tile = frames * t->header.tile_width * t->header.tile_height * 12;
    const uint64_t fit = t->model.ctx->settings.memory_limit / 8 / tile;
    if (wanted > TSR_MAX_BATCH)
        return tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT, "batch: wanted 1 to %d, got %u",
                        TSR_MAX_BATCH, wanted);
    const uint64_t most = wanted ? wanted : usual_batch(t, request);
    *batch = fit < 1 ? 1 : (int)(fit < most ? fit : most);
    if (!wanted)
        tsr_log(t->model.ctx, TSR_LOG_DEBUG, "%s: %d tiles together", t->header.tokenizer, *batch);
    return TSR_OK;
}
