/* SPDX-License-Identifier: MIT */
/* token_file.c: the reader. It goes by the index at the end; if that is missing or does not agree
 * with the file, it scans the chunks from the front. Nothing in the file is believed before it was
 * compared with the bytes that are there. */
#include "token_layout.h"
#include "../checksum.h"
#include "../file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct entry {
    uint64_t offset, size; /* of ITEM and LAYR chunks */
    uint64_t tokens;
} entry;

/* What opening left out. */
typedef struct place {
    uint64_t offset;
    tsr_status status;
    const char *what;
} place;

struct tsr_token_file {
    tsr_context *ctx;
    char *name;
    tsr_map map;
    bool mapped;
    const uint8_t *bytes;
    size_t size, head_end;
    tsr_token_header header;
    tsr_token_writer_settings settings;
    tsr_token_file_info info;
    entry *entries;
    size_t entries_room;
    place *damage; /* [info.damaged] */
    size_t damage_room;
    tsr_token_coder *coder;
    tsr_item_memory memory; /* of the item last asked for */
    tsr_item_memory probe;  /* for looking at items without disturbing it */
    char label[512];        /* "name: item 3, layer 1" */
};

/* ---- chunks ----------------------------------------------------------------------------- */

static bool payload_good(const uint8_t *chunk_at, const tsr_chunk *chunk) {
    return tsr_crc32c(chunk_at + TSR_TESS_CHUNK_BYTES, (size_t)chunk->size) == chunk->payload_crc;
}

/* Notes one damaged place. A chunk takes 24 bytes, so the list stays below the size of the file. */
static tsr_status add_damage(tsr_token_file *f, size_t at, tsr_status status, const char *what) {
    if (f->info.damaged == INT_MAX) return TSR_OK;
    const size_t count = (size_t)f->info.damaged;
    tsr_status s = tsr_grow(f->ctx, &f->damage, &f->damage_room, count + 1, sizeof *f->damage,
                            "damaged places");
    if (s) return s;
    f->damage[count] = (place){.offset = at, .status = status, .what = what};
    ++f->info.damaged;
    return TSR_OK;
}

static tsr_status unknown_critical(tsr_token_file *f, size_t at) {
    return tsr_fail(f->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: byte %zu: wanted a chunk this version knows, got critical \"%.4s\" with "
                    "flags %u",
                    f->name, at, (const char *)f->bytes + at, tsr_get_u32(f->bytes + at + 4));
}

/* A chunk with a wrong checksum, in words. */
static const char *chunk_what(const tsr_chunk *chunk) {
    switch (chunk->type) {
    case TSR_TESS_ITEM:
        return "an item with a wrong checksum is left out";
    case TSR_TESS_LAYR:
        return "a layer of an item with a wrong checksum is left out";
    case TSR_TESS_HINT:
        return "hints for decoding with a wrong checksum are left out";
    case TSR_TESS_INDX:
        return "an index with a wrong checksum is left out";
    default:
        return "a chunk with a wrong checksum is left out";
    }
}

/* Reads the chunk at `at`, whole before `end`. */
static bool chunk_within(const tsr_token_file *f, size_t at, size_t end, tsr_chunk *chunk) {
    return tsr_chunk_read(f->bytes + at, end - at, chunk) &&
           chunk->size <= end - at - TSR_TESS_CHUNK_BYTES;
}

/* ---- one item --------------------------------------------------------------------------- */

typedef struct located {
    tsr_item_fields fields;
    tsr_cursor layers[TSR_TESS_MAX_LAYERS];
    uint32_t layer_count;
} located;

static const char *label(tsr_token_file *f, uint64_t item, uint32_t layer) {
    snprintf(f->label, sizeof f->label, "%s: item %llu, layer %u", f->name,
             (unsigned long long)item, layer);
    return f->label;
}

/* Finds and checks the chunks of an item; counts are lowered to the layers that are there. */
static tsr_status locate(tsr_token_file *f, uint64_t index, tsr_item_memory *memory, located *l) {
    const entry *e = &f->entries[index];
    size_t at = (size_t)e->offset, end = at + (size_t)e->size;
    unsigned long long number = index;
    l->layer_count = 0;
    for (bool first = true; at < end; first = false) {
        tsr_chunk chunk;
        if (!chunk_within(f, at, end, &chunk))
            return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                            "%s: item %llu: byte %zu: wanted a chunk, got damaged bytes", f->name,
                            number, at);
        if (!tsr_chunk_known(&chunk) && chunk.flags & TSR_TESS_CRITICAL)
            return unknown_critical(f, at);
        const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
        if (!payload_good(f->bytes + at, &chunk))
            return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                            "%s: item %llu: byte %zu: wanted checksum %08x, got %08x", f->name,
                            number, at, chunk.payload_crc, tsr_crc32c(payload, (size_t)chunk.size));
        if (first != (chunk.type == TSR_TESS_ITEM))
            return tsr_fail(f->ctx, TSR_ERROR_FORMAT,
                            "%s: item %llu: byte %zu: wanted %s, got \"%.4s\"", f->name, number, at,
                            first ? "an ITEM chunk" : "a LAYR chunk", (const char *)f->bytes + at);
        at += TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
        if (first) {
            tsr_status s = tsr_token_item_get(f->ctx, f->name, payload, (size_t)chunk.size,
                                              &f->header, memory, &l->fields);
            if (s) return s;
            l->layers[l->layer_count++] = l->fields.data;
            continue;
        }
        if (!tsr_chunk_known(&chunk)) continue;
        if (chunk.type != TSR_TESS_LAYR)
            return tsr_fail(f->ctx, TSR_ERROR_FORMAT,
                            "%s: item %llu: wanted LAYR chunks, got \"%.4s\"", f->name, number,
                            (const char *)payload - TSR_TESS_CHUNK_BYTES);
        tsr_cursor c = {.at = payload, .end = payload + (size_t)chunk.size};
        uint64_t item = tsr_cursor_varint(&c, UINT64_MAX), layer = tsr_cursor_varint(&c, 64);
        if (c.bad || item != l->fields.number || layer != l->layer_count ||
            layer >= TSR_TESS_MAX_LAYERS)
            return tsr_fail(
                f->ctx, TSR_ERROR_FORMAT,
                "%s: item %llu: wanted layer %u of item %llu, got layer %llu of item %llu", f->name,
                number, l->layer_count, (unsigned long long)l->fields.number,
                (unsigned long long)layer, (unsigned long long)item);
        l->layers[l->layer_count++] = c;
    }
    uint32_t wanted = tsr_layer_count(f->settings.layer_tokens, l->fields.most);
    if (l->layer_count > wanted || (l->layer_count < wanted && !f->info.recovered))
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: item %llu: layers: wanted %u, got %u",
                        f->name, number, wanted, l->layer_count);
    if (l->layer_count < wanted)
        tsr_item_fields_limit(&l->fields, memory, &f->header,
                              tsr_layer_end(f->settings.layer_tokens, l->layer_count - 1,
                                            tsr_token_positions(&f->header)));
    if (!f->info.recovered && (l->fields.number != index || l->fields.total != e->tokens))
        return tsr_fail(
            f->ctx, TSR_ERROR_FORMAT,
            "%s: item %llu: wanted number %llu with %llu ids as in the index, got number "
            "%llu with %llu",
            f->name, number, number, (unsigned long long)e->tokens,
            (unsigned long long)l->fields.number, (unsigned long long)l->fields.total);
    return TSR_OK;
}

static uint64_t layer_ids(const tsr_token_file *f, const tsr_token_item *item, uint32_t layer,
                          uint32_t *first, uint32_t *end) {
    uint32_t positions = tsr_token_positions(&f->header), step = f->settings.layer_tokens;
    uint32_t tiles = item->tile_columns * item->tile_rows;
    uint64_t total = 0;
    *first = layer ? tsr_layer_end(step, layer - 1, positions) : 0;
    *end = tsr_layer_end(step, layer, positions);
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t last = item->counts[t] < *end ? item->counts[t] : *end;
        total += last > *first ? last - *first : 0;
    }
    return total;
}

static tsr_status read_layer(tsr_token_file *f, uint64_t index, const located *l, uint32_t layer) {
    tsr_item_memory *m = &f->memory;
    const tsr_token_item *item = &l->fields.item;
    uint32_t tiles = item->tile_columns * item->tile_rows, first, end;
    tsr_id_span span = {.lengths = m->counts, .tiles = tiles, .sequence = item->kept != NULL};
    span.total = layer_ids(f, item, layer, &first, &end);
    span.first = first;
    if (f->header.channels)
        return tsr_token_coder_get_latents(f->coder, label(f, index, layer), span.total,
                                           l->layers[layer], m->latents);
    if (l->layer_count == 1 && end >= l->fields.most)
        return tsr_token_coder_get(f->coder, label(f, index, layer), &span, l->layers[layer],
                                   m->ids);
    tsr_status s = tsr_grow(f->ctx, &m->lengths, &m->lengths_room, tiles, 4, "layer");
    if (!s) s = tsr_grow(f->ctx, &m->flat, &m->flat_room, (size_t)span.total, 4, "layer");
    if (s) return s;
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t last = m->counts[t] < end ? m->counts[t] : end;
        m->lengths[t] = last > first ? last - first : 0;
    }
    span.lengths = m->lengths;
    s = tsr_token_coder_get(f->coder, label(f, index, layer), &span, l->layers[layer], m->flat);
    if (s) return s;
    const uint32_t *from = m->flat;
    uint32_t *tile = m->ids;
    for (uint32_t t = 0; t < tiles; tile += m->counts[t++]) {
        if (m->lengths[t]) memcpy(tile + first, from, m->lengths[t] * sizeof *from);
        from += m->lengths[t];
    }
    return TSR_OK;
}

tsr_status tsr_token_file_item(tsr_token_file *f, uint64_t index, tsr_token_item *item) {
    if (!f || !item)
        return f ? tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: item: got NULL", f->name)
                 : TSR_ERROR_ARGUMENT;
    *item = (tsr_token_item){0};
    if (index >= f->info.items)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: item: wanted below %llu, got %llu",
                        f->name, (unsigned long long)f->info.items, (unsigned long long)index);
    located l;
    tsr_status s = locate(f, index, &f->memory, &l);
    /* First all layers are looked at, then memory is taken. */
    for (uint32_t layer = 0; !s && layer < l.layer_count; ++layer) {
        uint32_t first, end;
        tsr_tess_coding coding;
        uint64_t total = layer_ids(f, &l.fields.item, layer, &first, &end);
        s = tsr_token_coder_check(f->coder, label(f, index, layer), l.layers[layer], total,
                                  &coding);
    }
    size_t total = s ? 0 : (size_t)l.fields.total;
    const uint32_t channels = f->header.channels;
    if (!s && channels)
        s = tsr_grow(f->ctx, &f->memory.latents, &f->memory.latents_room,
                     total ? total * channels : 1, sizeof(float), "vectors");
    else if (!s)
        s = tsr_grow(f->ctx, &f->memory.ids, &f->memory.ids_room, total ? total : 1, 4, "ids");
    for (uint32_t layer = 0; !s && layer < l.layer_count; ++layer)
        s = read_layer(f, index, &l, layer);
    if (s) return s;
    *item = l.fields.item;
    if (channels)
        item->latents = f->memory.latents;
    else
        item->ids = f->memory.ids;
    return TSR_OK;
}

tsr_status tsr_token_file_item_storage(tsr_token_file *f, uint64_t index, uint64_t *bytes,
                                       const char **coding) {
    static const char *const names[] = {"raw", "zstd", "range"};
    if (!f) return TSR_ERROR_ARGUMENT;
    if (index >= f->info.items)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: item: wanted below %llu, got %llu",
                        f->name, (unsigned long long)f->info.items, (unsigned long long)index);
    located l;
    tsr_status s = locate(f, index, &f->probe, &l);
    const char *name = NULL;
    for (uint32_t layer = 0; !s && layer < l.layer_count; ++layer) {
        uint32_t first, end;
        tsr_tess_coding got;
        uint64_t total = layer_ids(f, &l.fields.item, layer, &first, &end);
        s = tsr_token_coder_check(f->coder, label(f, index, layer), l.layers[layer], total, &got);
        if (!s) name = !name || name == names[got] ? names[got] : "mixed";
    }
    if (s) return s;
    if (bytes) *bytes = f->entries[index].size;
    if (coding) *coding = name;
    return TSR_OK;
}

tsr_status tsr_token_file_item_key(tsr_token_file *f, uint64_t index, const char **key) {
    located l;
    tsr_status s = locate(f, index, &f->probe, &l);
    *key = s ? NULL : f->probe.key;
    return s;
}

uint64_t tsr_token_file_item_offset(const tsr_token_file *f, uint64_t index) {
    return index < f->info.items ? f->entries[index].offset : 0;
}

void tsr_token_file_item_damage(const tsr_token_file *f, uint64_t index, tsr_status status,
                                tsr_token_damage *damage) {
    *damage = (tsr_token_damage){.item = index,
                                 .offset = tsr_token_file_item_offset(f, index),
                                 .status = status,
                                 .detail = tsr_detail(f->ctx)};
}

tsr_status tsr_token_file_damage(tsr_token_file *f, int index, tsr_token_damage *damage) {
    if (!f) return TSR_ERROR_ARGUMENT;
    if (!damage || index < 0 || index >= f->info.damaged)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: damage: wanted 0 to %d, got %d", f->name,
                        f->info.damaged - 1, index);
    const place *p = &f->damage[index];
    snprintf(f->label, sizeof f->label, "%s: byte %llu: %s", f->name, (unsigned long long)p->offset,
             p->what);
    *damage = (tsr_token_damage){
        .item = TSR_NO_ITEM, .offset = p->offset, .status = p->status, .detail = f->label};
    return TSR_OK;
}

/* ---- opening: index --------------------------------------------------------------------- */

/* Are the bytes from `at` to `end` whole chunks of other kinds? Sets *s for a critical one. One
 * with a wrong checksum is damage that costs no item: hints, for example. */
static bool gap_good(tsr_token_file *f, size_t at, size_t end, tsr_status *s) {
    while (at < end) {
        tsr_chunk chunk;
        if (!chunk_within(f, at, end, &chunk) || tsr_chunk_known(&chunk)) return false;
        if (chunk.flags & TSR_TESS_CRITICAL) {
            *s = unknown_critical(f, at);
            return false;
        }
        if (!payload_good(f->bytes + at, &chunk) &&
            (*s = add_damage(f, at, TSR_ERROR_CHECKSUM, chunk_what(&chunk))))
            return false;
        at += TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    }
    return true;
}

/* True if the index was used; false: scan, unless *s is an error. */
static bool read_index(tsr_token_file *f, tsr_status *s) {
    if (f->size - f->head_end < TSR_TESS_CHUNK_BYTES + TSR_TESS_END_BYTES) return false;
    size_t tail = f->size - TSR_TESS_END_BYTES;
    tsr_chunk chunk;
    if (!chunk_within(f, tail, f->size, &chunk) || chunk.type != TSR_TESS_TEND ||
        !tsr_chunk_known(&chunk) || chunk.size != 8 || !payload_good(f->bytes + tail, &chunk))
        return false;
    uint64_t offset = tsr_get_u64(f->bytes + tail + TSR_TESS_CHUNK_BYTES);
    if (offset < f->head_end || offset > tail) return false;
    size_t index_at = (size_t)offset;
    if (!chunk_within(f, index_at, tail, &chunk) || chunk.type != TSR_TESS_INDX ||
        !tsr_chunk_known(&chunk) || chunk.size != tail - index_at - TSR_TESS_CHUNK_BYTES ||
        !payload_good(f->bytes + index_at, &chunk))
        return false;
    tsr_cursor c = {.at = f->bytes + index_at + TSR_TESS_CHUNK_BYTES, .end = f->bytes + tail};
    uint64_t count =
        tsr_cursor_varint(&c, tsr_cursor_left(&c) / 3); /* an entry is 3 bytes or more */
    if (c.bad) return false;
    if ((*s = tsr_grow(f->ctx, &f->entries, &f->entries_room, (size_t)count, sizeof *f->entries,
                       "item index")))
        return false;
    size_t at = f->head_end;
    uint64_t tokens = 0, payload = 0;
    for (uint64_t i = 0; i < count; ++i) {
        uint64_t gap = tsr_cursor_varint(&c, index_at - at);
        if (c.bad || !gap_good(f, at, at + (size_t)gap, s)) return false;
        at += (size_t)gap;
        uint64_t size = tsr_cursor_varint(&c, index_at - at);
        uint64_t ids = tsr_cursor_varint(&c, TSR_TESS_MAX_IDS);
        if (c.bad || size < TSR_TESS_CHUNK_BYTES) return false;
        f->entries[i] = (entry){.offset = at, .size = size, .tokens = ids};
        at += (size_t)size;
        tokens += ids;
        payload += size;
    }
    if (tsr_cursor_left(&c) || !gap_good(f, at, index_at, s)) return false;
    f->info.items = count;
    f->info.tokens = tokens;
    f->info.payload_bytes = payload;
    f->info.index_bytes = f->size - index_at;
    return true;
}

/* ---- opening: scan ---------------------------------------------------------------------- */

typedef struct scan {
    tsr_item_fields fields; /* of the last item */
    uint32_t layers;        /* of it, so far */
    bool open;              /* may more layers follow? */
    uint64_t next_number;
} scan;

static void finish_item(tsr_token_file *f, scan *z) {
    if (z->layers == 0) return;
    entry *e = &f->entries[f->info.items - 1];
    uint32_t step = f->settings.layer_tokens;
    if (z->layers < tsr_layer_count(step, z->fields.most))
        tsr_item_fields_limit(&z->fields, &f->probe, &f->header,
                              tsr_layer_end(step, z->layers - 1, tsr_token_positions(&f->header)));
    e->tokens = z->fields.total;
    f->info.tokens += e->tokens;
    f->info.payload_bytes += e->size;
    z->layers = 0;
    z->open = false;
}

static tsr_status scan_item(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk) {
    finish_item(f, z);
    tsr_item_fields fields;
    tsr_status s = tsr_token_item_get(f->ctx, f->name, f->bytes + at + TSR_TESS_CHUNK_BYTES,
                                      (size_t)chunk->size, &f->header, &f->probe, &fields);
    if (s == TSR_ERROR_MEMORY) return s;
    if (s) return add_damage(f, at, s, "an item whose fields are out of range is left out");
    if (fields.number < z->next_number || fields.number == UINT64_MAX)
        return add_damage(f, at, TSR_ERROR_FORMAT, "an item out of order is left out");
    s = tsr_grow(f->ctx, &f->entries, &f->entries_room, (size_t)f->info.items + 1,
                 sizeof *f->entries, "item index");
    if (s) return s;
    f->entries[f->info.items++] = (entry){.offset = at, .size = TSR_TESS_CHUNK_BYTES + chunk->size};
    *z = (scan){.fields = fields, .layers = 1, .open = true, .next_number = fields.number + 1};
    return TSR_OK;
}

static tsr_status scan_layer(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk) {
    const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    tsr_cursor c = {.at = payload, .end = payload + (size_t)chunk->size};
    uint64_t item = tsr_cursor_varint(&c, UINT64_MAX), layer = tsr_cursor_varint(&c, 64);
    if (z->open && !c.bad && item == z->fields.number && layer == z->layers &&
        layer < tsr_layer_count(f->settings.layer_tokens, z->fields.most)) {
        entry *e = &f->entries[f->info.items - 1];
        e->size = at + TSR_TESS_CHUNK_BYTES + chunk->size - e->offset;
        ++z->layers;
    } else if (z->open) {
        z->open = false; /* the one that was wanted is lost */
        return add_damage(f, at, TSR_ERROR_FORMAT,
                          "a layer of an item without the one before it is left out");
    }
    return TSR_OK;
}

/* What to do with the whole chunk at `at`. *end: nothing behind it counts. */
static tsr_status scan_chunk(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk,
                             bool *end) {
    const bool known = tsr_chunk_known(chunk);
    if (!payload_good(f->bytes + at, chunk)) {
        z->open = false;
        return add_damage(f, at, TSR_ERROR_CHECKSUM, chunk_what(chunk));
    }
    if (known && chunk->type == TSR_TESS_HEAD) {
        *end = true;
        return add_damage(f, at, TSR_ERROR_FORMAT,
                          "a second header; everything from there on is left out");
    }
    if (known && chunk->type == TSR_TESS_ITEM) return scan_item(f, z, at, chunk);
    if (known && chunk->type == TSR_TESS_LAYR) return scan_layer(f, z, at, chunk);
    return TSR_OK;
}

static tsr_status read_by_scan(tsr_token_file *f) {
    f->info.recovered = 1;
    f->info.damaged = 0; /* what the walk along the index met is met again */
    scan z = {0};
    tsr_status s = TSR_OK;
    bool lost = false, end = false; /* inside a stretch without a chunk */
    for (size_t at = f->head_end; at < f->size && !end && !s;) {
        tsr_chunk chunk;
        if (!tsr_chunk_read(f->bytes + at, f->size - at, &chunk)) {
            /* The last bytes of a file that was cut inside a chunk header are no damage. */
            bool cut = !lost && f->size - at < TSR_TESS_CHUNK_BYTES;
            if (!lost && !cut)
                s = add_damage(f, at, TSR_ERROR_FORMAT, "damaged bytes are left out");
            lost = true;
            z.open = false;
            ++at;
            continue;
        }
        lost = false;
        if (!tsr_chunk_known(&chunk) && chunk.flags & TSR_TESS_CRITICAL)
            return unknown_critical(f, at);
        if (chunk.size > f->size - at - TSR_TESS_CHUNK_BYTES) break; /* cut here */
        s = scan_chunk(f, &z, at, &chunk, &end);
        at += TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    }
    if (s) return s;
    finish_item(f, &z);
    tsr_log(f->ctx, TSR_LOG_WARNING,
            "%s: no usable index; %llu items found by scanning, %d damaged", f->name,
            (unsigned long long)f->info.items, f->info.damaged);
    return TSR_OK;
}

/* ---- opening ---------------------------------------------------------------------------- */

static bool looks_translated(const uint8_t *b, size_t size) {
    /* The three letters are there, but not where or between what they should be. */
    for (size_t i = 0; i + 3 <= size && i < 4; ++i)
        if (memcmp(b + i, "TSR", 3) == 0) return i > 0;
    return false;
}

static tsr_status read_start(tsr_token_file *f) {
    const uint8_t *b = f->bytes;
    size_t have = f->size < 8 ? f->size : 8;
    if (memcmp(b, TSR_TESS_MAGIC, have) != 0) {
        if (looks_translated(b, f->size))
            return tsr_fail(
                f->ctx, TSR_ERROR_FORMAT,
                "%s: start: wanted 89 54 53 52 0d 0a 1a 0a, got a token file damaged by "
                "a text-mode transfer",
                f->name);
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: start: wanted a token file, got other bytes",
                        f->name);
    }
    if (f->size < TSR_TESS_START_BYTES)
        return tsr_fail(f->ctx, TSR_ERROR_TRUNCATED, "%s: start: wanted 16 bytes, got %zu", f->name,
                        f->size);
    if (tsr_get_u32(b + 12) != tsr_crc32c(b, 12))
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM, "%s: start: wanted checksum %08x, got %08x",
                        f->name, tsr_get_u32(b + 12), tsr_crc32c(b, 12));
    f->info.version_major = tsr_get_u16(b + 8);
    f->info.version_minor = tsr_get_u16(b + 10);
    if (f->info.version_major != TSR_TESS_MAJOR)
        return tsr_fail(f->ctx, TSR_ERROR_VERSION, "%s: major version: wanted %d, got %u", f->name,
                        TSR_TESS_MAJOR, f->info.version_major);
    size_t left = f->size - TSR_TESS_START_BYTES;
    const uint8_t *at = b + TSR_TESS_START_BYTES;
    tsr_chunk chunk;
    if (left < TSR_TESS_CHUNK_BYTES)
        return tsr_fail(f->ctx, TSR_ERROR_TRUNCATED, "%s: header: wanted 24 bytes, got %zu",
                        f->name, left);
    if (!tsr_chunk_read(at, left, &chunk))
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                        "%s: header: wanted the HEAD chunk, got damaged bytes", f->name);
    if (chunk.type != TSR_TESS_HEAD || !tsr_chunk_known(&chunk))
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: header: wanted the HEAD chunk, got \"%.4s\"",
                        f->name, (const char *)at);
    if (chunk.size > TSR_TESS_MAX_HEAD)
        return tsr_fail(f->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: header: wanted at most %d bytes, got %llu", f->name, TSR_TESS_MAX_HEAD,
                        (unsigned long long)chunk.size);
    left -= TSR_TESS_CHUNK_BYTES;
    if (chunk.size > left)
        return tsr_fail(f->ctx, TSR_ERROR_TRUNCATED, "%s: header: wanted %llu bytes, got %zu",
                        f->name, (unsigned long long)chunk.size, left);
    if (!payload_good(at, &chunk))
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM, "%s: header: wanted checksum %08x, got another",
                        f->name, chunk.payload_crc);
    f->head_end = TSR_TESS_START_BYTES + TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    tsr_status s = tsr_token_header_get(f->ctx, f->name, at + TSR_TESS_CHUNK_BYTES,
                                        (size_t)chunk.size, &f->header, &f->settings);
    f->info.header_bytes = f->head_end;
    if (s) return s;
    /* Hints come directly after; a damaged chunk is met, and counted, again when items are read. */
    at = b + f->head_end;
    left = f->size - f->head_end;
    if (tsr_chunk_read(at, left, &chunk) && chunk.type == TSR_TESS_HINT && !chunk.flags &&
        chunk.size == TSR_TESS_HINT_BYTES && left >= TSR_TESS_CHUNK_BYTES + TSR_TESS_HINT_BYTES &&
        payload_good(at, &chunk)) {
        tsr_token_hints_get(at + TSR_TESS_CHUNK_BYTES, &f->header);
        f->info.header_bytes += TSR_TESS_CHUNK_BYTES + TSR_TESS_HINT_BYTES;
    }
    return TSR_OK;
}

static tsr_status read_all(tsr_token_file *f) {
    f->info.bytes = f->size;
    tsr_status s = read_start(f);
    if (!s) s = tsr_token_coder_open(f->ctx, &f->coder, &f->header);
    if (s) return s;
    if (!read_index(f, &s) && !s) s = read_by_scan(f);
    return s;
}

static tsr_status open_named(tsr_context *ctx, tsr_token_file **file, const char *name) {
    tsr_token_file *f = *file = tsr_alloc(ctx, 1, sizeof *f, "token file");
    if (!f) return TSR_ERROR_MEMORY;
    f->ctx = ctx;
    f->name = strdup(strcmp(name, "-") == 0 ? "standard input" : name);
    if (f->name) return TSR_OK;
    tsr_token_file_close(file);
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", name);
}

tsr_status tsr_token_file_open(tsr_context *ctx, tsr_token_file **file, const char *path) {
    if (file) *file = NULL;
    if (!file || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token file: wanted an address and a path, got NULL");
    tsr_token_file *f;
    tsr_status s = open_named(ctx, &f, path);
    if (s) return s;
    s = tsr_map_open(ctx, path, &f->map);
    if (!s) {
        f->mapped = true;
        f->bytes = f->map.bytes;
        f->size = f->map.size;
        s = read_all(f);
    }
    if (s) tsr_token_file_close(&f);
    *file = f;
    return s;
}

tsr_status tsr_token_file_parse(tsr_context *ctx, tsr_token_file **file, const char *name,
                                const void *bytes, size_t size) {
    if (file) *file = NULL;
    if (!file || (!bytes && size))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token file: wanted an address and bytes, got NULL");
    tsr_token_file *f;
    tsr_status s = open_named(ctx, &f, name ? name : "token file in memory");
    if (s) return s;
    f->bytes = bytes ? bytes : (const uint8_t *)"";
    f->size = size;
    s = read_all(f);
    if (s) tsr_token_file_close(&f);
    *file = f;
    return s;
}

void tsr_token_file_close(tsr_token_file **file) {
    if (!file || !*file) return;
    tsr_token_file *f = *file;
    if (f->mapped) tsr_map_close(&f->map);
    tsr_token_coder_close(&f->coder);
    tsr_item_memory_free(&f->memory);
    tsr_item_memory_free(&f->probe);
    free(f->entries);
    free(f->damage);
    free(f->name);
    free(f);
    *file = NULL;
}

const tsr_token_header *tsr_token_file_header(const tsr_token_file *f) {
    return &f->header;
}

const tsr_token_file_info *tsr_token_file_properties(const tsr_token_file *f) {
    return &f->info;
}

const tsr_token_writer_settings *tsr_token_file_settings(const tsr_token_file *f) {
    return &f->settings;
}

tsr_context *tsr_token_file_context(const tsr_token_file *f) {
    return f->ctx;
}
