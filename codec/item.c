/* SPDX-License-Identifier: MIT */
/* item.c: the tokens of one picture while they are made. */
#include "item.h"
#include "../compute/tensor.h"
#include "../models/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tsr_item {
    tsr_token_item tokens;
    char *key;
    uint32_t *counts;
    void *values;  /* ids, or vectors, */
    size_t width;  /* bytes of each */
    bool half;     /* vectors are rounded to f16 */
    uint8_t *kept; /* of families that choose; else NULL, as what they saw of the positions */
    float *halting, *margin;
    tsr_item_details details;
    uint64_t used; /* ids so far, */
    size_t tiles;  /* and tiles */
};

const tsr_token_item *tsr_item_tokens(const tsr_item *item) {
    return &item->tokens;
}

tsr_token_item *tsr_item_edit(tsr_item *item) {
    return &item->tokens;
}

void tsr_item_swap(tsr_item *a, tsr_item *b) {
    const tsr_item c = *a;
    *a = *b;
    *b = c;
}

const tsr_item_details *tsr_item_get_details(const tsr_item *item) {
    return item->kept ? &item->details : NULL;
}

void tsr_item_shorten(tsr_item *item, uint32_t count) {
    uint64_t from = 0, to = 0;
    for (size_t tile = 0; tile < item->tiles; ++tile) {
        const uint32_t have = item->counts[tile], keep = have < count ? have : count;
        char *values = item->values;
        memmove(values + to * item->width, values + from * item->width, keep * item->width);
        from += have;
        to += keep;
        item->counts[tile] = keep;
    }
    item->used = to;
}

void tsr_item_close(tsr_item **item) {
    if (!item || !*item) return;
    free((*item)->key);
    free((*item)->counts);
    free((*item)->values);
    free((*item)->kept);
    free((*item)->halting);
    free((*item)->margin);
    free(*item);
    *item = NULL;
}

tsr_status tsr_item_open(tsr_context *ctx, const tsr_picture *picture, const tsr_canvas *canvas,
                         const tsr_token_header *header, float quality, bool masked,
                         tsr_item **result) {
    const uint32_t capacity = tsr_token_positions(header);
    tsr_item *item = tsr_alloc(ctx, 1, sizeof *item, "item");
    if (!item) return TSR_ERROR_MEMORY;
    const size_t tiles = (size_t)canvas->columns * (size_t)canvas->rows;
    item->key = strdup(picture->key ? picture->key : "");
    item->counts = tsr_alloc(ctx, tiles, sizeof *item->counts, "item counts");
    item->width = tsr_token_value_bytes(header);
    item->half = header->latent_type == TSR_LATENT_F16;
    item->values = tsr_alloc(ctx, tiles * capacity, item->width, "item tokens");
    if (masked) {
        item->kept = tsr_alloc(ctx, tiles, tsr_token_mask_bytes(capacity), "item mask");
        item->halting = tsr_alloc(ctx, tiles * capacity, sizeof(float), "item halting");
        item->margin = tsr_alloc(ctx, tiles * capacity, sizeof(float), "item margins");
    }
    item->details = (tsr_item_details){.halting = item->halting, .margin = item->margin};
    if (header->channels) item->details.margin = NULL; /* nothing is nearest */
    if (!item->key || !item->counts || !item->values ||
        (masked && !(item->kept && item->halting && item->margin))) {
        tsr_item_close(&item);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "item: no memory for %zu tiles", tiles);
    }
    item->tokens =
        (tsr_token_item){.key = item->key,
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
                         .quality = quality,
                         .counts = item->counts,
                         .ids = header->channels ? NULL : item->values,
                         .latents = header->channels ? item->values : NULL,
                         .kept = item->kept};
    *result = item;
    return TSR_OK;
}

void tsr_item_add(tsr_item *item, const tsr_token_batch *batch, int tile) {
    const uint32_t count = batch->counts[tile];
    void *to = (char *)item->values + item->used * item->width;
    memcpy(to, tsr_token_batch_tile(batch, tile), count * item->width);
    if (item->half) {
        float *x = to;
        for (size_t i = 0; i < count * item->width / sizeof *x; ++i) {
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
    item->used += count;
    item->counts[item->tiles++] = count;
}
