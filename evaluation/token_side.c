/* SPDX-License-Identifier: MIT */
/* token_side.c: items of a token file as one side of a comparison, and the original as the
 * tokenizer saw it as the other. */
#include "candidate.h"
#include "../codec/fit.h"
#include "../codec/tokenizer.h"
#include "../codec/view.h"
#include "../compute/clock.h"

#include <tessera/clip.h>
#include <tessera/models.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tokenizer ---- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static void forget(tsr_kept_tokenizer *kept) {
    tsr_tokenizer_close(&kept->tokenizer);
    free(kept->model);
    free(kept->device);
    *kept = (tsr_kept_tokenizer){0};
}

/* Opens `model`, or takes it where it is open already, and asks whether the tokens are its own. */
static tsr_status try_model(tsr_context *ctx, tsr_kept_tokenizer *kept, const char *model,
                            const tsr_measure_settings *s, const tsr_token_side *side) {
    tsr_model_settings settings = s->model;
    settings.model = model;
    const bool open = kept->tokenizer && same_text(kept->model, model) &&
                      same_text(kept->device, settings.device) &&
                      kept->precision == settings.precision;
    tsr_status status = TSR_OK;
    if (!open) {
        forget(kept);
        kept->model = model ? strdup(model) : NULL;
        kept->device = settings.device ? strdup(settings.device) : NULL;
        kept->precision = settings.precision;
        status = tsr_tokenizer_open(ctx, &kept->tokenizer, &settings);
        if (status) forget(kept);
    }
    return status ? status
                  : tsr_tokenizer_accepts(kept->tokenizer, side->header, s->force, side->path);
}

static bool is_other_model(tsr_status status) {
    return status == TSR_ERROR_MODEL_MISMATCH || status == TSR_ERROR_UNSUPPORTED;
}

/* The weights that were given, one after the other; without any, or with several, which all
 * candidates of a report share, then the bundled ones and what the file names. One that was given
 * alone is meant. The first failure is what is told, since it speaks of what the caller gave. */
static tsr_status find_tokenizer(tsr_context *ctx, tsr_originals *o, const tsr_candidate *c,
                                 const tsr_measure_settings *s, tsr_token_side *side) {
    tsr_status status = TSR_ERROR_MODEL_MISMATCH;
    char first[1024] = "";
    for (int i = 0; i < c->model_count && is_other_model(status); ++i) {
        status = try_model(ctx, &o->kept, c->models[i], s, side);
        if (status && !*first) snprintf(first, sizeof first, "%s", tsr_detail(ctx));
    }
    if (c->model_count != 1 && is_other_model(status)) {
        status = try_model(ctx, &o->kept, NULL, s, side);
        if (status && !*first) snprintf(first, sizeof first, "%s", tsr_detail(ctx));
        char *path = NULL;
        if (is_other_model(status) && !tsr_model_locate(ctx, side->header->tokenizer, &path))
            status = try_model(ctx, &o->kept, path, s, side);
        free(path);
    }
    if (status && *first) return tsr_fail(ctx, status, "%s", first);
    side->tokenizer = o->kept.tokenizer;
    return status;
}

/* ---- the file ---- */

static tsr_status read_keys(tsr_token_side *side) {
    side->items = tsr_token_file_properties(side->file)->items;
    side->keys = tsr_alloc(side->ctx, side->items ? side->items : 1, sizeof *side->keys, "keys");
    if (!side->keys) {
        side->items = 0;
        return TSR_ERROR_MEMORY;
    }
    for (uint64_t i = 0; i < side->items; ++i) {
        tsr_token_item item;
        const tsr_status status = tsr_token_file_item(side->file, i, &item);
        if (status == TSR_ERROR_MEMORY) return status;
        if (status) continue;
        const tsr_status copied = tsr_copy_text(side->ctx, item.key, &side->keys[i]);
        if (copied) return copied;
    }
    return TSR_OK;
}

tsr_status tsr_token_side_open(tsr_context *ctx, tsr_originals *originals, const tsr_candidate *c,
                               const tsr_measure_settings *s, tsr_token_side *side) {
    *side = (tsr_token_side){.ctx = ctx, .decode = c->decode, .at = s->at, .path = c->path};
    tsr_status status = tsr_token_file_open(ctx, &side->file, c->path);
    if (status) return status;
    side->header = tsr_token_file_header(side->file);
    if (!side->header->family && !strcmp(side->header->tokenizer, TSR_CLIP_TOKENIZER))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted tokens of pictures, got clip codebooks of features", c->path);
    if (side->header->tile_frames)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted tokens of pictures, got those of videos (decode them, and "
                        "compare the clips)",
                        c->path);
    side->decode.tokens = c->tokens;
    side->decode.progress = NULL;
    status = find_tokenizer(ctx, originals, c, s, side);
    if (!status && c->tokens > tsr_token_positions(side->header))
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: tokens: wanted at most %u, got %u", c->path,
                          tsr_token_positions(side->header), c->tokens);
    if (!status) status = tsr_tokenizer_check_prefix(side->tokenizer, c->tokens, 0);
    if (!status) status = read_keys(side);
    return status;
}

void tsr_token_side_close(tsr_token_side *side) {
    for (uint64_t i = 0; i < side->items; ++i)
        free(side->keys[i]);
    free(side->keys);
    tsr_token_file_close(&side->file);
    *side = (tsr_token_side){0};
}

/* Ids that are decoded of an item: of each tile at most the first `most`. */
static uint64_t used_tokens(const tsr_token_item *item, uint32_t most) {
    uint64_t sum = 0;
    for (uint64_t t = 0; t < (uint64_t)item->tile_columns * item->tile_rows; ++t)
        sum += most && item->counts[t] > most ? most : item->counts[t];
    return sum;
}

tsr_status tsr_token_side_decode(tsr_token_side *side, tsr_pair_slot *slot) {
    tsr_token_item item;
    const uint64_t index = (uint64_t)slot->other;
    tsr_status status = tsr_token_file_item(side->file, index, &item);
    if (status) return status;
    slot->source_width = (int)item.source_width;
    slot->source_height = (int)item.source_height;
    const uint64_t all = tsr_token_item_total(&item);
    slot->tokens = used_tokens(&item, side->decode.tokens);
    status = tsr_token_file_item_storage(side->file, index, &slot->bytes, NULL);
    if (status) return status;
    /* A prefix is not stored: its share of the bits before entropy coding is what it would take. */
    if (slot->tokens < all) slot->bytes = (slot->tokens * tsr_token_bits(side->header) + 7) / 8;
    if (side->header->fit == TSR_FIT_STRETCH && side->at == TSR_AT_FITTED) { /* not resized back */
        item.source_width = side->header->tile_width;
        item.source_height = side->header->tile_height;
    }
    tsr_item_size(side->header, &item, &slot->width, &slot->height);
    const uint64_t pixels = (uint64_t)(slot->width > 0 ? slot->width : 0) *
                            (uint64_t)(slot->height > 0 ? slot->height : 0);
    if (pixels == 0 || pixels > (uint64_t)1 << 28)
        return tsr_fail(side->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted 1 to %llu pixels, got %dx%d", item.key, 1ull << 28,
                        slot->width, slot->height);
    slot->rgb = tsr_alloc_raw(side->ctx, (size_t)pixels, 3, "decode: picture");
    if (!slot->rgb) return TSR_ERROR_MEMORY;
    const double start = tsr_seconds();
    status =
        tsr_tokenizer_decode_with(side->tokenizer, side->header, &item, &side->decode, slot->rgb);
    side->seconds += tsr_seconds() - start;
    return status;
}

/* ---- both sides ---- */

tsr_status tsr_slot_resize(const tsr_measure_worker *worker, tsr_pair_slot *slot, int width,
                           int height) {
    if (slot->width == width && slot->height == height) return TSR_OK;
    uint8_t *rgb = tsr_alloc_raw(worker->ctx, (size_t)width * (size_t)height, 3, "resize");
    if (!rgb) return TSR_ERROR_MEMORY;
    const tsr_picture picture = {.rgb = slot->rgb, .width = slot->width, .height = slot->height};
    const tsr_status status = tsr_view_resize(worker->host, &picture, TSR_RESAMPLING_LANCZOS,
                                              (uint32_t)width, (uint32_t)height, rgb);
    if (status) {
        free(rgb);
        return status;
    }
    free(slot->rgb);
    slot->rgb = rgb;
    slot->width = width;
    slot->height = height;
    return TSR_OK;
}

/* Cuts a part out of a picture, in place of the picture. */
static tsr_status cut(tsr_context *ctx, const uint8_t *rgb, int stride, int x, int y, int width,
                      int height, tsr_image *image) {
    uint8_t *part = tsr_alloc_raw(ctx, (size_t)width * (size_t)height, 3, "fit: part");
    if (!part) return TSR_ERROR_MEMORY;
    for (int row = 0; row < height; ++row)
        memcpy(part + (size_t)row * (size_t)width * 3,
               rgb + ((size_t)(y + row) * (size_t)stride + (size_t)x) * 3, (size_t)width * 3);
    free(image->rgb);
    image->rgb = part;
    image->width = width;
    image->height = height;
    return TSR_OK;
}

/* A border at `at` of `canvas` pixels, in whole pixels of `source`. */
static int border(int at, int canvas, int source) {
    const int place = (int)nearbyint((double)at * source / canvas);
    return place < 0 ? 0 : place > source ? source : place;
}

static tsr_status cut_seen(tsr_context *ctx, const tsr_canvas *c, tsr_image *image) {
    int x0 = border(c->crop_x, c->width, image->width);
    int y0 = border(c->crop_y, c->height, image->height);
    int x1 = border(c->crop_x + c->tile_width, c->width, image->width);
    int y1 = border(c->crop_y + c->tile_height, c->height, image->height);
    if (x1 == x0) x0 -= x0 == image->width, x1 = x0 + 1;
    if (y1 == y0) y0 -= y0 == image->height, y1 = y0 + 1;
    return cut(ctx, image->rgb, image->width, x0, y0, x1 - x0, y1 - y0, image);
}

tsr_status tsr_slot_fit(const tsr_measure_worker *worker, const tsr_token_header *header,
                        tsr_measure_at at, const char *name, tsr_pair_slot *slot) {
    tsr_image *image = &slot->original;
    if (slot->source_width &&
        (slot->source_width != image->width || slot->source_height != image->height))
        return tsr_fail(worker->ctx, TSR_ERROR_ARGUMENT,
                        "%s: size: wanted %dx%d, of which the tokens were made, got %dx%d", name,
                        slot->source_width, slot->source_height, image->width, image->height);
    const tsr_picture picture = {
        .rgb = image->rgb, .width = image->width, .height = image->height, .key = name};
    tsr_canvas canvas;
    tsr_status status = TSR_OK;
    if (header->fit == TSR_FIT_TILE || (at == TSR_AT_ORIGINAL && header->fit != TSR_FIT_CROP)) {
        canvas = (tsr_canvas){0};
    } else {
        status = tsr_canvas_open(worker->host, &picture, header, &canvas);
        if (status) return status;
        if (header->fit == TSR_FIT_CROP && at == TSR_AT_ORIGINAL)
            status = cut_seen(worker->ctx, &canvas, image);
        else if (header->fit == TSR_FIT_CROP)
            status = cut(worker->ctx, canvas.rgb, canvas.width, canvas.crop_x, canvas.crop_y,
                         canvas.tile_width, canvas.tile_height, image);
        else if (canvas.owned)
            status = cut(worker->ctx, canvas.rgb, canvas.width, 0, 0, canvas.width, canvas.height,
                         image);
    }
    tsr_canvas_free(&canvas);
    if (!status && slot->rgb && at == TSR_AT_ORIGINAL)
        status = tsr_slot_resize(worker, slot, image->width, image->height);
    return status;
}
