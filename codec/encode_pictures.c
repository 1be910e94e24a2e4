/* SPDX-License-Identifier: MIT */
/* encode_pictures.c: pictures in memory to items. */
#include "encode_pictures.h"
#include "../models/tiles.h"
#include "fit.h"
#include "item.h"

#include <stdlib.h>

/* Tiles that go through the model together. */
typedef struct batch {
    tsr_item **owner; /* [plan->batch] whose tile it is */
    int count;
    tsr_token_batch tokens;
    tsr_tiles_flight flight;
} batch;

/* Tiles of all pictures form one stream that is cut into batches; since a tile's tokens do not
 * depend on its neighbours in the batch, neither do the results. One batch is on its way while the
 * next is filled. */
struct tsr_encode_stream {
    tsr_tokenizer *t;
    tsr_encode_plan *plan;
    uint8_t *tiles; /* [plan->batch] of them */
    size_t tile_bytes;
    uint32_t frames;     /* of each tile that waits */
    batch *fills, *goes; /* fills: its tiles wait; goes: on its way, where count is not 0 */
    batch both[2];
    tsr_fitted_picture *const *pictures;
    tsr_item **items;
    int picture_count;
    tsr_scratch scratch; /* of all arrays */
};
typedef struct tsr_encode_stream stream;

static tsr_status stream_open(stream *s, tsr_tokenizer *t, tsr_encode_plan *plan) {
    const tsr_token_header *h = &plan->header;
    const bool selects = t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS;
    const size_t n = (size_t)plan->batch;
    *s = (stream){.t = t, .plan = plan, .scratch = {.ctx = t->model.ctx, .reuse = true}};
    s->fills = &s->both[0];
    s->goes = &s->both[1];
    s->tile_bytes = (size_t)h->tile_width * h->tile_height * 3;
    s->tiles = tsr_scratch_take_raw(&s->scratch, n * (h->tile_frames ? h->tile_frames : 1),
                                    s->tile_bytes, "encode: tiles");
    for (int i = 0; i < 2; ++i) {
        s->both[i].owner =
            tsr_scratch_take(&s->scratch, n, sizeof *s->both[i].owner, "encode: owners");
        s->both[i].tokens = tsr_token_batch_take(&s->scratch, h, plan->batch, selects);
    }
    return s->scratch.status;
}

/* Waits for the batch that is on its way, and gives its tokens to their items. */
static tsr_status stream_arrive(stream *s) {
    batch *b = s->goes;
    tsr_status status = tsr_encode_tiles_end(&s->t->model, &b->flight);
    for (int i = 0; i < b->count && !status; ++i)
        tsr_item_add(b->owner[i], &b->tokens, i);
    b->count = 0;
    return status;
}

/* Sends the tiles that wait on their way; then those that were before them arrive. */
static tsr_status stream_flush(stream *s) {
    const tsr_token_header *h = &s->plan->header;
    batch *b = s->fills;
    const tsr_pixels pixels = {s->tiles, b->count, {s->frames, h->tile_height, h->tile_width}};
    tsr_status status = tsr_encode_plan_take_noise(s->t->model.ctx, s->plan, b->count);
    b->tokens.count = b->count;
    if (!status)
        status = tsr_encode_tiles_begin(&s->t->model, &pixels, &s->plan->request, &b->tokens,
                                        &b->flight);
    if (status) b->count = 0;
    if (!status) status = stream_arrive(s);
    s->fills = s->goes;
    s->goes = b;
    return status;
}

/* Adds the tiles of a canvas; `last`: nothing comes after them. */
static tsr_status stream_add(stream *s, const tsr_canvas *canvas, tsr_item *item, bool last) {
    const int total = canvas->columns * canvas->rows;
    const tsr_encode_plan *plan = s->plan;
    tsr_status status = TSR_OK;
    if (s->fills->count && s->frames != (uint32_t)canvas->frames) status = stream_flush(s);
    s->frames = (uint32_t)canvas->frames;
    const size_t tile_bytes = s->frames * s->tile_bytes;
    for (int tile = 0; tile < total && !status; ++tile) {
        batch *b = s->fills;
        tsr_canvas_cut(canvas, tile, s->tiles + (size_t)b->count * tile_bytes);
        b->owner[b->count++] = item;
        if (b->count < plan->batch && !(last && tile + 1 == total)) continue;
        status = stream_flush(s);
        if (plan->progress && !status &&
            plan->progress(plan->progress_user, "encode", (uint64_t)tile + 1, (uint64_t)total))
            status =
                tsr_fail(s->t->model.ctx, TSR_ERROR_INTERRUPTED, "encode: stopped by the caller");
    }
    return status;
}

/* Opens the item of a canvas and adds its tiles. */
static tsr_status stream_picture(stream *s, const tsr_picture *picture, const tsr_canvas *canvas,
                                 bool last, tsr_item **item) {
    tsr_context *ctx = s->t->model.ctx;
    const bool selects = s->t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS;
    tsr_status status = tsr_item_open(ctx, picture, canvas, &s->plan->header,
                                      s->plan->request.quality, selects, item);
    return status ? status : stream_add(s, canvas, *item, last);
}

/* The last batch arrives; after a failure no item stays. When a batch could not begin, the one
 * before it is still on its way. */
static tsr_status stream_close(stream *s, tsr_status status, int count, tsr_item **items,
                               uint64_t *near_ties) {
    for (int i = 0; i < 2 && status; ++i)
        (void)tsr_encode_tiles_end(&s->t->model, &s->both[i].flight);
    if (!status) status = stream_arrive(s);
    for (int i = 0; i < 2; ++i)
        *near_ties += s->both[i].tokens.near_ties;
    tsr_scratch_free(&s->scratch);
    for (int i = 0; i < count && status; ++i)
        tsr_item_close(&items[i]);
    return status;
}

tsr_status tsr_encode_pictures(tsr_tokenizer *t, tsr_encode_plan *plan, const tsr_picture *pictures,
                               int count, tsr_item **items, uint64_t *near_ties) {
    if (count < 0 || (count && (!pictures || !items)))
        return tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT, "pictures: wanted an array, got count %d",
                        count);
    for (int i = 0; i < count; ++i)
        items[i] = NULL;
    stream s;
    tsr_status status = stream_open(&s, t, plan);
    for (int i = 0; i < count && !status; ++i) {
        tsr_canvas canvas = {0};
        status = tsr_canvas_open(t->model.host, &pictures[i], &plan->header, &canvas);
        if (!status) status = stream_picture(&s, &pictures[i], &canvas, i + 1 == count, &items[i]);
        if (!status && plan->keep_fitted)
            status = tsr_item_keep_canvas(t->model.ctx, items[i], &canvas);
        tsr_canvas_free(&canvas);
    }
    return stream_close(&s, status, count, items, near_ties);
}

tsr_status tsr_encode_canvases_begin(tsr_tokenizer *t, tsr_encode_plan *plan,
                                     tsr_fitted_picture *const *pictures, int count,
                                     tsr_item **items, tsr_encode_stream **on_way) {
    for (int i = 0; i < count; ++i)
        items[i] = NULL;
    stream *s = tsr_alloc(t->model.ctx, 1, sizeof *s, "encode: stream");
    *on_way = NULL;
    if (!s) return TSR_ERROR_MEMORY;
    tsr_status status = stream_open(s, t, plan);
    for (int i = 0; i < count && !status; ++i)
        status = stream_picture(s, &pictures[i]->picture, &pictures[i]->canvas, i + 1 == count,
                                &items[i]);
    if (status) {
        uint64_t none = 0;
        (void)stream_close(s, status, count, items, &none);
        free(s);
        return status;
    }
    s->pictures = pictures;
    s->items = items;
    s->picture_count = count;
    *on_way = s;
    return TSR_OK;
}

tsr_status tsr_encode_canvases_end(tsr_encode_stream **on_way, uint64_t *near_ties) {
    stream *s = *on_way;
    *on_way = NULL;
    if (!s) return TSR_OK;
    tsr_context *ctx = s->t->model.ctx;
    tsr_status status = stream_close(s, TSR_OK, s->picture_count, s->items, near_ties);
    /* Only now: after a failure the pictures can be encoded again. */
    for (int i = 0; i < s->picture_count && s->plan->keep_fitted && !status; ++i)
        status = tsr_item_keep_canvas(ctx, s->items[i], &s->pictures[i]->canvas);
    for (int i = 0; i < s->picture_count && status; ++i)
        tsr_item_close(&s->items[i]);
    free(s);
    return status;
}

tsr_status tsr_encode_again(tsr_tokenizer *t, const tsr_encode_plan *plan, const tsr_item *item,
                            tsr_item **again) {
    tsr_encode_plan own = *plan;
    own.request.noise = NULL;
    own.progress = NULL;
    uint64_t ties = 0;
    stream s;
    tsr_status status = stream_open(&s, t, &own);
    if (!status) status = tsr_item_open_like(t->model.ctx, item, plan->request.quality, again);
    if (!status) status = stream_add(&s, tsr_item_canvas(item), *again, true);
    return stream_close(&s, status, 1, again, &ties);
}
