/* SPDX-License-Identifier: MIT */
/* encode_pictures.c: pictures in memory to items. */
#include "encode_pictures.h"
#include "../formats/arrays/npy.h"
#include "../models/tiles.h"
#include "fit.h"
#include "item.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How many tiles there is noise for; 0: a shape the family refuses. */
static uint64_t noise_tiles(const tsr_encode_noise *noise) {
    const tsr_tensor *n = &noise->tensor;
    return n->rank == 4 ? (uint64_t)n->dim[0] : n->rank == 3;
}

tsr_status tsr_encode_noise_open(tsr_tokenizer *t, const tsr_encode_settings *s,
                                 tsr_encode_noise *noise) {
    *noise = (tsr_encode_noise){0};
    if (!s->noise) return TSR_OK;
    if (!(t->model.family->tokenizer->abilities & TSR_TOKENIZER_DRAWS))
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: noise: wanted none: it draws no latents when it encodes, got %s",
                        t->header.tokenizer, s->noise);
    noise->given = true;
    return tsr_npy_read(t->model.ctx, s->noise, &noise->tensor);
}

tsr_status tsr_encode_noise_finish(tsr_context *ctx, const tsr_encode_noise *noise) {
    if (!noise->given || noise->used == noise_tiles(noise)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "noise: wanted it for %" PRIu64 " tiles, got it for %" PRIu64, noise->used,
                    noise_tiles(noise));
}

tsr_status tsr_tokenizer_encode(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties) {
    const tsr_encode_settings s = settings ? *settings : tsr_encode_settings_default();
    for (int i = 0; items && i < count; ++i)
        items[i] = NULL;
    if (near_ties) *near_ties = 0;
    tsr_encode_noise noise;
    tsr_status status = tsr_encode_noise_open(t, &s, &noise);
    if (!status)
        status = tsr_tokenizer_encode_drawn(t, pictures, count, &s, &noise, items, near_ties);
    if (!status) {
        status = tsr_encode_noise_finish(t->model.ctx, &noise);
        for (int i = 0; i < count && status; ++i)
            tsr_item_close(&items[i]);
    }
    free(noise.tensor.data);
    return status;
}

/* What the settings ask of a family, checked. */
static tsr_status make_request(tsr_tokenizer *t, const tsr_encode_settings *s,
                               const tsr_encode_noise *noise, tsr_encode_request *request) {
    tsr_context *ctx = t->model.ctx;
    const tsr_tokenizer_ops *ops = t->model.family->tokenizer;
    const uint32_t capacity = tsr_token_positions(&t->header);
    const bool selects = ops->abilities & TSR_TOKENIZER_SELECTS;
    if (s->tokens > capacity)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokens: wanted 1 to %u, got %u", capacity,
                        s->tokens);
    if (!(s->quality >= 0 && s->quality <= 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "quality: wanted 0 to 1, got %g", s->quality);
    if ((int)s->fit < TSR_FIT_AUTO || s->fit > TSR_FIT_TILE)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fit: wanted 0 to 4, got %d", (int)s->fit);
    if (!selects && (s->budget || s->no_halt))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: budget and no-halt: wanted none: it does not choose tokens itself",
                        t->header.tokenizer);
    tsr_status status = tsr_tokenizer_check_prefix(t, s->tokens, selects ? 0 : s->quality);
    if (status) return status;
    if (s->quality > 0 && !selects && !(ops->abilities & TSR_TOKENIZER_QUALITY))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: quality: wanted a number of tokens, got %g (%s)", t->model.file,
                        (double)s->quality, ops->no_quality);
    *request = (tsr_encode_request){.tokens = s->tokens,
                                    .budget = s->budget,
                                    .quality = s->quality,
                                    .keep_all = s->no_halt != 0,
                                    .noise = noise->given ? &noise->tensor : NULL};
    return TSR_OK;
}

/* Tiles of all pictures form one stream that is cut into batches; since a tile's tokens do not
 * depend on its neighbours in the batch, neither do the results. */
typedef struct stream {
    tsr_tokenizer *t;
    tsr_encode_request request;
    tsr_encode_noise *noise;
    tsr_pixels pixels; /* .count: how many wait */
    uint8_t *tiles;
    size_t tile_bytes;
    tsr_item **owner; /* [most] whose tile it is */
    int most;
    tsr_token_batch batch;
} stream;

static tsr_status stream_flush(stream *s) {
    tsr_encode_noise *noise = s->noise;
    s->request.first_tile = noise->used;
    noise->used += (uint64_t)s->pixels.count;
    if (s->request.noise && noise_tiles(noise) && noise->used > noise_tiles(noise))
        return tsr_fail(s->t->model.ctx, TSR_ERROR_ARGUMENT,
                        "noise: wanted it for at least %" PRIu64 " tiles, got it for %" PRIu64,
                        noise->used, noise_tiles(noise));
    s->batch.count = s->pixels.count;
    tsr_status status = tsr_encode_tiles(&s->t->model, &s->pixels, &s->request, &s->batch);
    for (int i = 0; i < s->pixels.count && !status; ++i)
        tsr_item_add(s->owner[i], &s->batch, i);
    s->pixels.count = 0;
    return status;
}

static void stream_close(stream *s) {
    free(s->tiles);
    free(s->owner);
    tsr_token_batch_free(&s->batch);
}

static tsr_status stream_open(stream *s, const tsr_token_header *header, uint32_t batch) {
    tsr_context *ctx = s->t->model.ctx;
    const bool selects = s->t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS;
    s->most = tsr_tokenizer_batch(s->t, batch);
    s->tile_bytes = (size_t)header->tile_width * header->tile_height * 3;
    s->tiles = tsr_alloc(ctx, (size_t)s->most, s->tile_bytes, "encode: tiles");
    s->owner = tsr_alloc(ctx, (size_t)s->most, sizeof *s->owner, "encode: owners");
    s->pixels = (tsr_pixels){
        .rgb = s->tiles,
        .tile = {.frames = 1, .height = header->tile_height, .width = header->tile_width}};
    tsr_status status = s->tiles && s->owner ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) status = tsr_token_batch_alloc(ctx, header, s->most, selects, &s->batch);
    if (status) stream_close(s);
    return status;
}

tsr_status tsr_tokenizer_encode_drawn(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                      const tsr_encode_settings *settings, tsr_encode_noise *noise,
                                      tsr_item **items, uint64_t *near_ties) {
    const tsr_encode_settings s = *settings;
    tsr_context *ctx = t->model.ctx;
    if (count < 0 || (count && (!pictures || !items)))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "pictures: wanted an array, got count %d", count);
    stream tiles = {.t = t, .noise = noise};
    tsr_status status = make_request(t, &s, noise, &tiles.request);
    if (status) return status;
    tsr_token_header header = t->header;
    if (s.fit != TSR_FIT_AUTO) header.fit = s.fit;
    memcpy(header.background, s.background, 3);
    status = tsr_tokenizer_set_latents(t, &header, &s);
    if (!status) status = stream_open(&tiles, &header, s.batch);
    if (status) return status;
    for (int i = 0; i < count; ++i)
        items[i] = NULL;
    for (int i = 0; i < count && !status; ++i) {
        tsr_canvas canvas;
        status = tsr_canvas_open(t->model.host, &pictures[i], &header, &canvas);
        if (status) break;
        status = tsr_item_open(ctx, &pictures[i], &canvas, &header, s.quality,
                               tiles.batch.kept != NULL, &items[i]);
        const int total = canvas.columns * canvas.rows;
        for (int tile = 0; tile < total && !status; ++tile) {
            tsr_canvas_cut(&canvas, tile,
                           tiles.tiles + (size_t)tiles.pixels.count * tiles.tile_bytes);
            tiles.owner[tiles.pixels.count++] = items[i];
            if (tiles.pixels.count < tiles.most && !(i + 1 == count && tile + 1 == total)) continue;
            status = stream_flush(&tiles);
            if (s.progress && !status &&
                s.progress(s.progress_user, "encode", (uint64_t)tile + 1, (uint64_t)total))
                status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "encode: stopped by the caller");
        }
        tsr_canvas_free(&canvas);
    }
    if (near_ties) *near_ties = tiles.batch.near_ties;
    stream_close(&tiles);
    for (int i = 0; i < count && status; ++i)
        tsr_item_close(&items[i]);
    return status;
}
