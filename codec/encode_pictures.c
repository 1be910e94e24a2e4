/* SPDX-License-Identifier: MIT */
/* encode_pictures.c: pictures in memory to items. */
#include "encode_pictures.h"
#include "../models/tiles.h"
#include "fit.h"
#include "item.h"

/* Tiles of all pictures form one stream that is cut into batches; since a tile's tokens do not
 * depend on its neighbours in the batch, neither do the results. */
typedef struct stream {
    tsr_tokenizer *t;
    tsr_encode_plan *plan;
    uint8_t *tiles; /* [plan->batch] of them */
    size_t tile_bytes;
    tsr_item **owner; /* [plan->batch] whose tile it is */
    int waiting;
    uint32_t frames; /* of each tile that waits */
    tsr_token_batch batch;
    tsr_scratch scratch; /* of all arrays; freed by the caller */
} stream;

static tsr_status stream_open(stream *s, tsr_tokenizer *t, tsr_encode_plan *plan) {
    const tsr_token_header *h = &plan->header;
    const bool selects = t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS;
    const size_t n = (size_t)plan->batch;
    *s = (stream){.t = t, .plan = plan, .scratch = {.ctx = t->model.ctx}};
    s->tile_bytes = (size_t)h->tile_width * h->tile_height * 3;
    s->tiles = tsr_scratch_take(&s->scratch, n * (h->tile_frames ? h->tile_frames : 1),
                                s->tile_bytes, "encode: tiles");
    s->owner = tsr_scratch_take(&s->scratch, n, sizeof *s->owner, "encode: owners");
    s->batch = tsr_token_batch_take(&s->scratch, h, plan->batch, selects);
    return s->scratch.status;
}

/* Encodes the tiles that wait, and gives them to their items. */
static tsr_status stream_flush(stream *s) {
    const tsr_token_header *h = &s->plan->header;
    const tsr_pixels pixels = {s->tiles, s->waiting, {s->frames, h->tile_height, h->tile_width}};
    tsr_status status = tsr_encode_plan_take_noise(s->t->model.ctx, s->plan, s->waiting);
    s->batch.count = s->waiting;
    if (!status) status = tsr_encode_tiles(&s->t->model, &pixels, &s->plan->request, &s->batch);
    for (int i = 0; i < s->waiting && !status; ++i)
        tsr_item_add(s->owner[i], &s->batch, i);
    s->waiting = 0;
    return status;
}

/* Adds the tiles of a canvas; `last`: nothing comes after them. */
static tsr_status stream_add(stream *s, const tsr_canvas *canvas, tsr_item *item, bool last) {
    const int total = canvas->columns * canvas->rows;
    const tsr_encode_plan *plan = s->plan;
    tsr_status status = TSR_OK;
    if (s->waiting && s->frames != (uint32_t)canvas->frames) status = stream_flush(s);
    s->frames = (uint32_t)canvas->frames;
    const size_t tile_bytes = s->frames * s->tile_bytes;
    for (int tile = 0; tile < total && !status; ++tile) {
        tsr_canvas_cut(canvas, tile, s->tiles + (size_t)s->waiting * tile_bytes);
        s->owner[s->waiting++] = item;
        if (s->waiting < plan->batch && !(last && tile + 1 == total)) continue;
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

static tsr_status stream_close(stream *s, tsr_status status, int count, tsr_item **items,
                               uint64_t *near_ties) {
    *near_ties += s->batch.near_ties;
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

tsr_status tsr_encode_canvases(tsr_tokenizer *t, tsr_encode_plan *plan,
                               tsr_fitted_picture *const *pictures, int count, tsr_item **items,
                               uint64_t *near_ties) {
    for (int i = 0; i < count; ++i)
        items[i] = NULL;
    stream s;
    tsr_status status = stream_open(&s, t, plan);
    for (int i = 0; i < count && !status; ++i)
        status = stream_picture(&s, &pictures[i]->picture, &pictures[i]->canvas, i + 1 == count,
                                &items[i]);
    /* Only now: after a failure the pictures can be encoded again. */
    for (int i = 0; i < count && plan->keep_fitted && !status; ++i)
        status = tsr_item_keep_canvas(t->model.ctx, items[i], &pictures[i]->canvas);
    return stream_close(&s, status, count, items, near_ties);
}

tsr_status tsr_encode_again(tsr_tokenizer *t, const tsr_encode_plan *plan, const tsr_item *item,
                            tsr_item **again) {
    tsr_encode_plan own = *plan;
    own.request.noise = NULL;
    own.progress = NULL;
    stream s;
    tsr_status status = stream_open(&s, t, &own);
    if (!status) status = tsr_item_open_like(t->model.ctx, item, plan->request.quality, again);
    if (!status) status = stream_add(&s, tsr_item_canvas(item), *again, true);
    tsr_scratch_free(&s.scratch);
    if (status) tsr_item_close(again);
    return status;
}
