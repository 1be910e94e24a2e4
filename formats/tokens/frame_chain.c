/* SPDX-License-Identifier: MIT */
/* frame_chain.c: see frame_chain.h. */
#include "frame_chain.h"
#include "bitpack.h"

void tsr_frame_chain_free(tsr_frame_chain *c) {
    tsr_time_coder_free(&c->coder);
    tsr_item_memory_free(&c->memory);
    *c = (tsr_frame_chain){0};
}

tsr_time_layout tsr_frame_layout(const tsr_token_header *h, const tsr_token_item *item) {
    return (tsr_time_layout){.lengths = item->counts,
                             .tiles = item->tile_columns * item->tile_rows,
                             .frame = h->frames ? h->rows * h->columns : 0,
                             .columns = h->geometry == TSR_GEOMETRY_GRID ? h->columns : 0};
}

bool tsr_frame_layout_good(const tsr_time_layout *l) {
    for (uint32_t i = 0; l->frame && i < l->tiles; ++i)
        if (l->lengths[i] % l->frame) return false;
    return true;
}

tsr_status tsr_frame_chain_begin(tsr_context *ctx, tsr_frame_chain *c,
                                 const tsr_token_header *header, const tsr_token_item *item,
                                 uint64_t index) {
    tsr_item_memory *m = &c->memory;
    const size_t tiles = (size_t)item->tile_columns * item->tile_rows, key = strlen(item->key) + 1;
    const size_t total = (size_t)tsr_token_item_total(item);
    c->open = false;
    tsr_status s = tsr_grow(ctx, &m->key, &m->key_room, key, 1, "key");
    if (!s) s = tsr_grow(ctx, &m->counts, &m->counts_room, tiles, sizeof *m->counts, "counts");
    if (!s) s = tsr_grow(ctx, &m->ids, &m->ids_room, total ? total : 1, sizeof *m->ids, "ids");
    if (s) return s;
    memcpy(m->key, item->key, key);
    memcpy(m->counts, item->counts, tiles * sizeof *m->counts);
    if (total) memcpy(m->ids, item->ids, total * sizeof *m->ids);
    c->base = *item;
    c->base.key = m->key;
    c->base.counts = m->counts;
    c->base.ids = m->ids;
    c->last = index;
    c->distance = 0;
    c->learnt = false;
    const tsr_time_layout layout = tsr_frame_layout(header, &c->base);
    c->open = !item->kept && tsr_frame_layout_good(&layout);
    return TSR_OK;
}

tsr_status tsr_frame_chain_learn(tsr_context *ctx, tsr_frame_chain *c,
                                 const tsr_token_header *header) {
    if (c->learnt) return TSR_OK;
    const tsr_time_layout layout = tsr_frame_layout(header, &c->base);
    c->model = tsr_range_model_of(header);
    const tsr_status s =
        tsr_time_begin(ctx, &c->coder, &c->model, tsr_time_cells(&layout), layout.tiles);
    if (s) return s;
    tsr_time_learn(&c->coder, &layout, c->memory.ids);
    c->learnt = true;
    return TSR_OK;
}

/* Is all but key, time, ids, attributes and streams as in the chain's first item? */
static bool fits(const tsr_frame_chain *c, const tsr_token_item *i) {
    const tsr_token_item *b = &c->base;
    const size_t tiles = (size_t)i->tile_columns * i->tile_rows;
    return !i->kept && i->source_width == b->source_width && i->source_height == b->source_height &&
           i->orientation == b->orientation && i->width == b->width && i->height == b->height &&
           i->crop_x == b->crop_x && i->crop_y == b->crop_y && i->tile_columns == b->tile_columns &&
           i->tile_rows == b->tile_rows && i->overlap == b->overlap && i->frames == b->frames &&
           i->quality == b->quality && i->target.metric == b->target.metric &&
           i->target.threshold == b->target.threshold && i->target.reached == b->target.reached &&
           !memcmp(i->counts, b->counts, tiles * sizeof *i->counts);
}

tsr_status tsr_frame_chain_put(tsr_context *ctx, tsr_frame_chain *c, const tsr_token_header *header,
                               const tsr_token_item *item, uint64_t number, uint32_t group,
                               size_t room, tsr_bytes *b, bool *done) {
    *done = false;
    if (!c->open || c->last + 1 != number || c->distance + 1 >= group || !fits(c, item))
        return TSR_OK;
    tsr_status s = tsr_frame_chain_learn(ctx, c, header);
    if (s) return s;
    size_t shared = 0, key = strlen(item->key);
    while (item->key[shared] && item->key[shared] == c->base.key[shared])
        ++shared;
    const size_t start = tsr_bytes_chunk_start(b);
    tsr_bytes_varint(b, number);
    tsr_bytes_u8(b, c->distance + 1);
    tsr_bytes_varint(b, shared);
    tsr_bytes_varint(b, key - shared);
    tsr_bytes_put(b, item->key + shared, key - shared);
    tsr_bytes_u8(b, TSR_TESS_CODING_TIME);
    const size_t used = b->size - start, total = (size_t)tsr_token_item_total(item);
    const size_t raw = (size_t)tsr_bitpack_bytes(total, tsr_token_bits(header));
    size_t left = room > used + 1 ? room - used - 1 : 0;
    if (left >= raw) left = raw ? raw - 1 : 0;
    const tsr_time_layout layout = tsr_frame_layout(header, item);
    uint8_t *out = tsr_bytes_extend(b, left ? left : 1);
    if (!out) return tsr_fail(ctx, TSR_ERROR_MEMORY, "coded frame: no memory for %zu bytes", left);
    const size_t size = tsr_time_encode(&c->coder, &layout, item->ids, out, left);
    *done = size != SIZE_MAX && total / TSR_TESS_IDS_OF_BYTE <= size;
    b->size = *done ? start + used + size : start;
    if (*done) {
        tsr_bytes_chunk_finish(b, start, TSR_TESS_PRED, TSR_TESS_CRITICAL);
        c->last = number;
        c->distance++;
    } else {
        c->open = false; /* the coder may have learnt some of it */
    }
    return TSR_OK;
}

bool tsr_frame_get(const uint8_t *payload, size_t size, tsr_frame_fields *f) {
    tsr_cursor c = {.at = payload, .end = payload + size};
    f->number = tsr_cursor_varint(&c, UINT64_MAX);
    f->distance = tsr_cursor_u8(&c);
    f->shared = (size_t)tsr_cursor_varint(&c, TSR_TESS_MAX_KEY);
    f->rest = (size_t)tsr_cursor_varint(&c, TSR_TESS_MAX_KEY);
    f->text = tsr_cursor_take(&c, f->rest);
    f->data = c;
    return !c.bad && f->distance && f->distance <= f->number &&
           f->shared + f->rest <= TSR_TESS_MAX_KEY;
}
