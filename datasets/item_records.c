/* SPDX-License-Identifier: MIT */
/* item_records.c: see item_records.h. */
#include "item_records.h"
#include "../formats/utf8.h"

#include <stdio.h>
#include <stdlib.h>

void tsr_item_shape(const tsr_token_header *h, const tsr_token_item *item, int *rank,
                    uint64_t shape[TSR_RECORD_MAX_RANK]) {
    const uint64_t tiles = (uint64_t)item->tile_rows * item->tile_columns;
    const uint32_t positions = tsr_token_positions(h);
    const bool grid = h->geometry == TSR_GEOMETRY_GRID;
    bool full = !item->kept, equal = !item->kept;
    for (uint64_t t = 0; t < tiles; ++t) {
        full &= item->counts[t] == positions;
        equal &= item->counts[t] == item->counts[0];
    }
    if (h->frames && tiles > 1) full = false; /* five axes are more than a record has */
    *rank = 0;
    if (tiles > 1 && (grid ? full : equal)) {
        shape[(*rank)++] = item->tile_rows;
        shape[(*rank)++] = item->tile_columns;
    }
    if (grid && full && h->frames) shape[(*rank)++] = h->frames;
    if (grid && full) shape[(*rank)++] = h->rows;
    shape[(*rank)++] = grid && full                  ? h->columns
                       : !grid && equal && tiles > 1 ? item->counts[0]
                                                     : tsr_token_item_total(item);
}

/* "[2, 3]" whose product is `count`. */
static bool read_shape(const tsr_attribute *a, tsr_record *r) {
    uint64_t shape[TSR_RECORD_MAX_RANK];
    int rank = 0;
    if (a->type != TSR_ATTRIBUTE_TEXT || strcmp(a->name, "shape") || !a->size) return false;
    tsr_json j = tsr_json_start(a->bytes, a->size);
    tsr_json_enter(&j, '[');
    while (tsr_json_element(&j)) {
        if (rank == TSR_RECORD_MAX_RANK)
            tsr_json_wrong(&j, "at most 4 axes");
        else
            shape[rank++] = tsr_json_unsigned(&j);
    }
    const bool good = !tsr_json_finish(&j) && rank && tsr_shape_fits(shape, rank, r->count);
    tsr_json_free(&j);
    if (!good) return false;
    r->rank = rank;
    memcpy(r->shape, shape, sizeof shape[0] * (size_t)rank);
    return true;
}

tsr_status tsr_item_to_record(tsr_context *ctx, const char *where, const tsr_token_header *header,
                              const tsr_token_item *item, tsr_item_record *to) {
    char clean[128];
    tsr_record *r = &to->record;
    if (!tsr_utf8_valid(item->key, strlen(item->key), NULL))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: key: wanted UTF-8, got '%s'", where,
                        tsr_token_key_clean(item->key, clean, sizeof clean));
    if (item->stream_count) /* they would be lost without a word */
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted items of ids alone, got one with %u streams", where,
                        item->stream_count);
    *r = (tsr_record){.key = item->key, .ids = item->ids, .count = tsr_token_item_total(item)};
    tsr_item_shape(header, item, &r->rank, r->shape);
    tsr_status s = tsr_grow(ctx, &to->attributes, &to->room, (size_t)item->attribute_count + 1,
                            sizeof *to->attributes, "attributes");
    if (s) return s;
    for (uint32_t i = 0; i < item->attribute_count; ++i)
        if (!read_shape(&item->attributes[i], r))
            to->attributes[r->attribute_count++] = item->attributes[i];
    r->attributes = to->attributes;
    return TSR_OK;
}

void tsr_item_record_free(tsr_item_record *r) {
    free(r->attributes);
    *r = (tsr_item_record){0};
}

/* How many tiles the ids fill, and how these lie. */
static tsr_status choose_tiles(tsr_context *ctx, const char *where, const tsr_token_header *h,
                               const tsr_record *r, tsr_token_item *item) {
    const uint64_t positions = tsr_token_positions(h), n = r->count;
    const bool grid = h->geometry == TSR_GEOMETRY_GRID;
    const bool rows = !grid && r->rank > 1 && r->shape[r->rank - 1] == positions;
    const uint64_t tiles = n > positions ? n / positions : 1;
    item->tile_columns = item->tile_rows = 1;
    if ((grid && n && n % positions) || (!grid && n > positions && !rows) ||
        tiles > TSR_TESS_MAX_TILES)
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: wanted %s%llu ids (%u x %u), got %llu", where,
                        grid ? "a multiple of " : "at most ", (unsigned long long)positions,
                        h->rows, h->columns, (unsigned long long)n);
    if (n <= positions) return TSR_OK;
    item->tile_columns = (uint32_t)tiles;
    const int inner = grid ? 2 : 1; /* axes of a tile */
    if (r->rank == inner + 2 && r->shape[0] && r->shape[0] <= tiles &&
        r->shape[0] * r->shape[1] == tiles) {
        item->tile_rows = (uint32_t)r->shape[0];
        item->tile_columns = (uint32_t)r->shape[1];
    }
    return TSR_OK;
}

tsr_status tsr_record_to_item(tsr_context *ctx, const char *where, const tsr_token_header *h,
                              const tsr_record *r, uint64_t number, tsr_record_item *to) {
    tsr_token_item *item = &to->item;
    *item = (tsr_token_item){.key = r->key, .orientation = 1, .ids = r->ids};
    tsr_status s = choose_tiles(ctx, where, h, r, item);
    const uint32_t tiles = item->tile_rows * item->tile_columns;
    if (!s) s = tsr_grow(ctx, &to->counts, &to->counts_room, tiles, sizeof *to->counts, "counts");
    if (!s)
        s = tsr_grow(ctx, &to->attributes, &to->attributes_room, (size_t)r->attribute_count + 1,
                     sizeof *to->attributes, "attributes");
    if (s) return s;
    for (uint32_t t = 0; t < tiles; ++t)
        to->counts[t] = (uint32_t)(r->count / tiles);
    item->counts = to->counts;
    item->width = item->source_width = h->tile_width * item->tile_columns;
    item->height = item->source_height = h->tile_height * item->tile_rows;
    if (!r->key) {
        snprintf(to->key, sizeof to->key, "%08llu", (unsigned long long)number);
        item->key = to->key;
    }
    if (r->attribute_count)
        memcpy(to->attributes, r->attributes, r->attribute_count * sizeof *to->attributes);
    item->attributes = to->attributes;
    item->attribute_count = r->attribute_count;
    int rank;
    uint64_t shape[TSR_RECORD_MAX_RANK];
    tsr_item_shape(h, item, &rank, shape);
    if (rank == r->rank && !memcmp(shape, r->shape, sizeof *shape * (size_t)rank)) return TSR_OK;
    int used = snprintf(to->shape, sizeof to->shape, "[");
    for (int i = 0; i < r->rank; ++i)
        used += snprintf(to->shape + used, sizeof to->shape - (size_t)used, i ? ", %llu" : "%llu",
                         (unsigned long long)r->shape[i]);
    used += snprintf(to->shape + used, sizeof to->shape - (size_t)used, "]");
    uint32_t at = 0; /* in place of another attribute of the name */
    while (at < r->attribute_count && strcmp(to->attributes[at].name, "shape"))
        ++at;
    if (at == item->attribute_count) ++item->attribute_count;
    to->attributes[at] = (tsr_attribute){.name = "shape", .bytes = to->shape, .size = (size_t)used};
    return TSR_OK;
}

void tsr_record_item_free(tsr_record_item *r) {
    free(r->counts);
    free(r->attributes);
    *r = (tsr_record_item){0};
}
