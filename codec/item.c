/* SPDX-License-Identifier: MIT */
/* item.c: the tokens of one picture while they are made. */
#include "item.h"
#include "../compute/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tsr_item {
    tsr_token_item tokens;
    tsr_token_header header;
    char *key;
    uint32_t *counts;
    void *values;  /* ids, or vectors */
    uint8_t *kept; /* of tokenizers that choose; else NULL, as halting and margin */
    float *halting, *margin;
    double predicted_sum; /* of the tiles' predicted errors; NaN when one has none */
    tsr_selection_details details;
    uint64_t used; /* values so far */
    size_t tiles;  /* tiles so far */
    tsr_canvas canvas;
    uint8_t *cut; /* with fit crop: what the model saw of the canvas */
    bool fitted;  /* there is a canvas */
};

const tsr_token_item *tsr_item_tokens(const tsr_item *item) {
    return &item->tokens;
}

const tsr_token_header *tsr_item_header(const tsr_item *item) {
    return &item->header;
}

tsr_token_item *tsr_item_edit(tsr_item *item) {
    return &item->tokens;
}

const tsr_selection_details *tsr_item_selection(const tsr_item *item) {
    return item->kept ? &item->details : NULL;
}

double tsr_item_predicted_error(const tsr_item *item) {
    return item->tiles ? item->predicted_sum / (double)item->tiles : NAN;
}

const tsr_canvas *tsr_item_canvas(const tsr_item *item) {
    return item->fitted ? &item->canvas : NULL;
}

const uint8_t *tsr_item_fitted(const tsr_item *item, int *width, int *height) {
    const tsr_canvas *c = &item->canvas;
    if (!item->fitted) return NULL;
    *width = item->cut ? c->tile_width : c->width;
    *height = item->cut ? c->tile_height : c->height;
    return item->cut ? item->cut : c->rgb;
}

tsr_status tsr_item_keep_canvas(tsr_context *ctx, tsr_item *item, tsr_canvas *canvas) {
    if (canvas->fit == TSR_FIT_CROP) {
        const size_t pixels = (size_t)canvas->tile_width * (size_t)canvas->tile_height;
        item->cut = tsr_alloc(ctx, (size_t)canvas->frames * pixels, 3, "item: fitted picture");
        if (!item->cut) return TSR_ERROR_MEMORY;
        tsr_canvas_cut(canvas, 0, item->cut);
    }
    item->canvas = *canvas;
    item->fitted = true;
    *canvas = (tsr_canvas){0};
    return TSR_OK;
}

void tsr_item_swap_tokens(tsr_item *a, tsr_item *b) {
    const tsr_item c = *a;
    *a = *b;
    *b = c;
    b->canvas = a->canvas;
    b->cut = a->cut;
    b->fitted = a->fitted;
    a->canvas = c.canvas;
    a->cut = c.cut;
    a->fitted = c.fitted;
}

void tsr_item_shorten(tsr_item *item, uint32_t count) {
    const size_t width = tsr_token_value_bytes(&item->header);
    char *values = item->values;
    uint64_t from = 0, to = 0;
    for (size_t tile = 0; tile < item->tiles; ++tile) {
        const uint32_t have = item->counts[tile], keep = have < count ? have : count;
        memmove(values + to * width, values + from * width, keep * width);
        from += have;
        to += keep;
        item->counts[tile] = keep;
    }
    item->used = to;
}

void tsr_item_close(tsr_item **item) {
    if (!item || !*item) return;
    tsr_item *i = *item;
    free(i->key);
    free(i->counts);
    free(i->values);
    free(i->kept);
    free(i->halting);
    free(i->margin);
    free(i->cut);
    tsr_canvas_free(&i->canvas);
    free(i);
    *item = NULL;
}

/* Memory for the tokens of an item whose fields are set; its key is copied. */
static tsr_status make_room(tsr_context *ctx, bool masked, tsr_item *item) {
    tsr_token_item *t = &item->tokens;
    const tsr_token_header *h = &item->header;
    const uint32_t capacity = tsr_token_positions(h);
    const size_t tiles = (size_t)t->tile_columns * t->tile_rows, all = tiles * capacity;
    item->key = strdup(t->key);
    item->counts = tsr_alloc(ctx, tiles, sizeof *item->counts, "item counts");
    item->values = tsr_alloc(ctx, all, tsr_token_value_bytes(h), "item tokens");
    if (masked) {
        item->kept = tsr_alloc(ctx, tiles, tsr_token_mask_bytes(capacity), "item mask");
        item->halting = tsr_alloc(ctx, all, sizeof(float), "item halting");
        item->margin = tsr_alloc(ctx, all, sizeof(float), "item margins");
    }
    if (!item->key || !item->counts || !item->values ||
        (masked && !(item->kept && item->halting && item->margin)))
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "item: no memory for %zu tiles", tiles);
    item->details = (tsr_selection_details){.halting = item->halting, .margin = item->margin};
    if (h->channels) item->details.margin = NULL; /* nothing is nearest */
    t->key = item->key;
    t->counts = item->counts;
    t->ids = h->channels ? NULL : item->values;
    t->latents = h->channels ? item->values : NULL;
    t->kept = item->kept;
    return TSR_OK;
}

tsr_status tsr_item_open(tsr_context *ctx, const tsr_picture *picture, const tsr_canvas *canvas,
                         const tsr_token_header *header, float quality, bool masked,
                         tsr_item **result) {
    tsr_item *item = tsr_alloc(ctx, 1, sizeof *item, "item");
    if (!item) return TSR_ERROR_MEMORY;
    item->header = *header;
    item->tokens =
        (tsr_token_item){.key = picture->key ? picture->key : "",
                         .source_width = (uint32_t)picture->width,
                         .source_height = (uint32_t)picture->height,
                         .orientation = picture->orientation ? (uint32_t)picture->orientation : 1,
                         .width = (uint32_t)canvas->width,
                         .height = (uint32_t)canvas->height,
                         .crop_x = canvas->crop_x,
                         .crop_y = canvas->crop_y,
                         .tile_columns = (uint32_t)canvas->columns,
                         .tile_rows = (uint32_t)canvas->rows,
                         .overlap = (uint32_t)canvas->overlap,
                         .frames = header->tile_frames ? (uint32_t)canvas->frames : 0,
                         .quality = quality};
    tsr_status status = make_room(ctx, masked, item);
    if (status)
        tsr_item_close(&item);
    else
        *result = item;
    return status;
}

tsr_status tsr_item_open_like(tsr_context *ctx, const tsr_item *other, float quality,
                              tsr_item **result) {
    tsr_item *item = tsr_alloc(ctx, 1, sizeof *item, "item");
    if (!item) return TSR_ERROR_MEMORY;
    item->header = other->header;
    item->tokens = other->tokens;
    item->tokens.quality = quality;
    tsr_status status = make_room(ctx, other->kept != NULL, item);
    if (status)
        tsr_item_close(&item);
    else
        *result = item;
    return status;
}

void tsr_item_add(tsr_item *item, const tsr_token_batch *batch, int tile) {
    const uint32_t count = batch->counts[tile];
    const size_t width = tsr_token_batch_value_bytes(batch);
    void *to = (char *)item->values + item->used * width;
    memcpy(to, tsr_token_batch_tile(batch, tile), count * width);
    if (item->header.latent_type == TSR_LATENT_F16) {
        float *x = to;
        for (size_t i = 0; i < count * width / sizeof *x; ++i) {
            const float rounded = tsr_f16_to_f32(tsr_f32_to_f16(x[i]));
            if (isfinite(rounded)) x[i] = rounded; /* others are refused by the writer */
        }
    }
    if (batch->kept) {
        const size_t bytes = tsr_token_mask_bytes(batch->capacity), n = batch->judged;
        const size_t at = (size_t)tile * batch->capacity;
        memcpy(item->kept + item->tiles * bytes, batch->kept + (size_t)tile * bytes, bytes);
        memcpy(item->halting + item->tiles * n, batch->halting + at, n * sizeof(float));
        if (item->details.margin)
            memcpy(item->margin + item->used, batch->margin + at, count * sizeof(float));
        item->details.positions = batch->judged;
    }
    item->predicted_sum += batch->predicted ? (double)batch->predicted[tile] : NAN;
    item->used += count;
    item->counts[item->tiles++] = count;
}
