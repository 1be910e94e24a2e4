/* SPDX-License-Identifier: MIT */
/* clip_budget.c: see clip_budget.h. */
#include "clip_budget.h"

#include <stdlib.h>
#include <string.h>
#include <tessera/media.h>

#include "../formats/spool.h"
#include "../formats/tokens/token_layout.h"

/* How an item waits: this, then its key, counts [tiles] and ids [total]. */
typedef struct waiting {
    tsr_token_item item; /* pointers are not read */
    tsr_clip_frame time;
    uint32_t key_bytes, tiles;
    uint64_t total;
} waiting;

struct tsr_clip_budget {
    tsr_context *ctx;
    uint64_t tokens;
    tsr_spool spool;
    /* of each item: [count] */
    double *change;
    uint64_t *least, *most;
    size_t change_room, least_room, most_room;
    uint64_t count;
    /* the item before: */
    uint32_t *last; /* [last_total] */
    size_t last_room;
    uint64_t last_total;
    uint32_t last_tiles;
};

tsr_status tsr_clip_budget_open(tsr_context *ctx, uint64_t tokens, const char *beside,
                                tsr_clip_budget **budget) {
    tsr_clip_budget *b = *budget = tsr_alloc(ctx, 1, sizeof *b, "budget of a clip");
    if (!b) return TSR_ERROR_MEMORY;
    b->ctx = ctx;
    b->tokens = tokens;
    b->spool = (tsr_spool){.ctx = ctx, .beside = beside};
    return TSR_OK;
}

void tsr_clip_budget_close(tsr_clip_budget **budget) {
    tsr_clip_budget *b = budget ? *budget : NULL;
    if (!b) return;
    tsr_spool_clear(&b->spool);
    free(b->change);
    free(b->least);
    free(b->most);
    free(b->last);
    free(b);
    *budget = NULL;
}

static double change_of(const tsr_clip_budget *b, const tsr_token_item *item, uint32_t tiles,
                        uint64_t total) {
    uint64_t changed = 0;
    if (!b->count || total != b->last_total || tiles != b->last_tiles || !total) return 1;
    for (uint64_t i = 0; i < total; ++i)
        changed += item->ids[i] != b->last[i];
    return (double)changed / (double)total;
}

tsr_status tsr_clip_budget_take(tsr_clip_budget *b, const tsr_token_item *item,
                                const tsr_clip_frame *time) {
    const waiting w = {.item = *item,
                       .time = *time,
                       .key_bytes = (uint32_t)strlen(item->key) + 1,
                       .tiles = item->tile_columns * item->tile_rows,
                       .total = tsr_token_item_total(item)};
    tsr_status s = tsr_grow(b->ctx, &b->change, &b->change_room, b->count + 1, sizeof *b->change,
                            "budget of a clip");
    if (!s)
        s = tsr_grow(b->ctx, &b->least, &b->least_room, b->count + 1, sizeof *b->least,
                     "budget of a clip");
    if (!s)
        s = tsr_grow(b->ctx, &b->most, &b->most_room, b->count + 1, sizeof *b->most,
                     "budget of a clip");
    if (!s)
        s = tsr_grow(b->ctx, &b->last, &b->last_room, w.total + 1, sizeof *b->last,
                     "budget of a clip");
    if (!s) s = tsr_spool_put(&b->spool, &w, sizeof w);
    if (!s) s = tsr_spool_put(&b->spool, item->key, w.key_bytes);
    if (!s) s = tsr_spool_put(&b->spool, item->counts, w.tiles * sizeof *item->counts);
    if (!s) s = tsr_spool_put(&b->spool, item->ids, w.total * sizeof *item->ids);
    if (s) return s;
    b->change[b->count] = change_of(b, item, w.tiles, w.total);
    b->least[b->count] = w.tiles;
    b->most[b->count++] = w.total;
    memcpy(b->last, item->ids, w.total * sizeof *b->last);
    b->last_total = w.total;
    b->last_tiles = w.tiles;
    return TSR_OK;
}

/* An item that was read back. */
typedef struct reading {
    char key[TSR_TESS_MAX_KEY + 1];
    uint32_t *counts; /* [tiles] */
    uint32_t *ids;    /* [total] */
    size_t counts_room, ids_room;
} reading;

static tsr_status read_back(tsr_clip_budget *b, uint64_t *at, reading *r, waiting *w) {
    tsr_status s = tsr_spool_read(&b->spool, *at, w, sizeof *w);
    *at += sizeof *w;
    if (!s)
        s = tsr_grow(b->ctx, &r->counts, &r->counts_room, w->tiles, sizeof *r->counts,
                     "budget of a clip");
    if (!s)
        s = tsr_grow(b->ctx, &r->ids, &r->ids_room, w->total + 1, sizeof *r->ids,
                     "budget of a clip");
    if (!s) s = tsr_spool_read(&b->spool, *at, r->key, w->key_bytes);
    *at += w->key_bytes;
    if (!s) s = tsr_spool_read(&b->spool, *at, r->counts, w->tiles * sizeof *r->counts);
    *at += w->tiles * sizeof *r->counts;
    if (!s) s = tsr_spool_read(&b->spool, *at, r->ids, w->total * sizeof *r->ids);
    *at += w->total * sizeof *r->ids;
    w->item.key = r->key;
    w->item.counts = r->counts;
    w->item.ids = r->ids;
    w->item.attributes = NULL;
    w->item.attribute_count = 0;
    return s;
}

/* Keeps the first of `tokens` ids, the same number in every tile, and one more in the first tiles
 * where that does not come out even. */
static void cut(reading *r, uint32_t tiles, uint64_t tokens) {
    uint64_t from = 0, to = 0;
    for (uint32_t t = 0; t < tiles; ++t) {
        const uint64_t share = tokens / tiles + (t < tokens % tiles);
        const uint32_t have = r->counts[t], keep = have < share ? have : (uint32_t)share;
        memmove(r->ids + to, r->ids + from, keep * sizeof *r->ids);
        r->counts[t] = keep;
        from += have;
        to += keep;
    }
}

tsr_status tsr_clip_budget_spend(tsr_clip_budget *b, tsr_clip_budget_fn fn, void *user) {
    reading r = {.counts = NULL};
    waiting w;
    uint64_t at = 0;
    if (!b->count) return TSR_OK;
    uint64_t *tokens = tsr_alloc(b->ctx, b->count, sizeof *tokens, "budget of a clip");
    tsr_status s = tokens ? TSR_OK : TSR_ERROR_MEMORY;
    if (!s) s = tsr_frames_share(b->ctx, b->count, b->tokens, b->change, b->least, b->most, tokens);
    for (uint64_t i = 0; i < b->count && !s; ++i) {
        s = read_back(b, &at, &r, &w);
        if (s) break;
        cut(&r, w.tiles, tokens[i]);
        s = fn(user, &w.item, &w.time);
    }
    free(tokens);
    free(r.counts);
    free(r.ids);
    tsr_spool_clear(&b->spool);
    b->count = 0;
    return s;
}
