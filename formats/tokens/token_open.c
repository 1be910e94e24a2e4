/* SPDX-License-Identifier: MIT */
/* token_open.c: opening a token file. It goes by the index at the end; if that is missing or does
 * not agree with the file, it scans the chunks from the front. Nothing in the file is believed
 * before it was compared with the bytes that are there. */
#include "../checksum.h"
#include "token_reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- chunks ----------------------------------------------------------------------------- */

/* Notes one damaged place. A chunk takes 24 bytes, so the list stays below the size of the file. */
static tsr_status add_damage(tsr_token_file *f, size_t at, tsr_status status, const char *what) {
    if (f->info.damaged == INT_MAX) return TSR_OK;
    const size_t count = (size_t)f->info.damaged;
    tsr_status s = tsr_grow(f->ctx, &f->damage, &f->damage_room, count + 1, sizeof *f->damage,
                            "damaged places");
    if (s) return s;
    f->damage[count] = (tsr_left_out){.offset = at, .status = status, .what = what};
    ++f->info.damaged;
    return TSR_OK;
}

/* A chunk with a wrong checksum, in words. */
static const char *chunk_what(const tsr_chunk *chunk) {
    switch (chunk->type) {
    case TSR_TESS_ITEM:
        return "an item with a wrong checksum is left out";
    case TSR_TESS_PRED:
        return "a frame with a wrong checksum is left out";
    case TSR_TESS_LAYR:
        return "a layer of an item with a wrong checksum is left out";
    case TSR_TESS_STRM:
        return "a stream of an item with a wrong checksum is left out";
    case TSR_TESS_HINT:
        return "hints for decoding with a wrong checksum are left out";
    case TSR_TESS_ATTR:
        return "attributes with a wrong checksum are left out";
    case TSR_TESS_CLIP:
        return "facts and times of a clip with a wrong checksum are left out";
    case TSR_TESS_KEYS:
        return "an index of keys with a wrong checksum is left out";
    case TSR_TESS_INDX:
        return "an index with a wrong checksum is left out";
    default:
        return "a chunk with a wrong checksum is left out";
    }
}

/* ---- chunks between items ----------------------------------------------------------------- */

/* Takes the attributes of the file from the ATTR chunk at `at`. *taken is false if they are none,
 * or cannot be read. Errors: MEMORY. */
static tsr_status take_own(tsr_token_file *f, size_t at, const tsr_chunk *chunk, bool *taken) {
    const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    *taken = false;
    if (f->own_at || tsr_attributes_owner(payload, (size_t)chunk->size) != TSR_OWNER_FILE)
        return TSR_OK;
    const tsr_status s =
        tsr_attributes_get(f->ctx, f->name, payload, (size_t)chunk->size, TSR_OWNER_FILE, &f->own);
    if (s) return s == TSR_ERROR_MEMORY ? s : TSR_OK;
    f->own_at = at;
    f->info.header_bytes += TSR_TESS_CHUNK_BYTES + chunk->size;
    *taken = true;
    return TSR_OK;
}

/* Takes the records of the KEYS chunk at `at`, whose checksum is right, when they can be an index
 * of the file's items. */
static bool open_keys(tsr_token_file *f, size_t at, const tsr_chunk *chunk) {
    const size_t end = at + TSR_TESS_CHUNK_BYTES + (size_t)chunk->size;
    if (end != f->index_at || chunk->size % TSR_TESS_RECORD_BYTES ||
        chunk->size / TSR_TESS_RECORD_BYTES != f->info.items)
        return false;
    f->keys = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    f->key_count = f->info.items;
    f->keys_bytes = end - at;
    uint64_t hash = 0, item = 0;
    for (uint64_t i = 0; i < f->key_count; ++i) {
        const uint64_t h = tsr_key_record_hash(f, i), n = tsr_key_record_item(f, i);
        const bool rises = i == 0 || h > hash || (h == hash && n > item);
        if (n >= f->info.items || !rises) {
            f->keys = NULL;
            f->key_count = f->keys_bytes = 0;
            return false;
        }
        hash = h;
        item = n;
        if (i % 65536 == 0)
            tsr_token_file_touch(f, (uint64_t)(f->keys - f->bytes) + i * TSR_TESS_RECORD_BYTES,
                                 65536 * TSR_TESS_RECORD_BYTES);
    }
    f->info.key_index = 1;
    return true;
}

static const char no_owner[] = "attributes that belong to nothing before them are left out";

static const char no_items[] = "facts and times of a clip that fit no items are left out";

/* What a chunk of a known type, whose checksum is right, means behind `items` items. */
static tsr_status gap_chunk(tsr_token_file *f, size_t at, const tsr_chunk *chunk, uint64_t items) {
    if (chunk->type == TSR_TESS_CLIP) {
        bool taken = false;
        const tsr_status s = tsr_token_take_clip(f, at, chunk, items, &taken);
        return s || taken ? s : add_damage(f, at, TSR_ERROR_FORMAT, no_items);
    }
    if (chunk->type == TSR_TESS_ATTR) {
        bool taken = false;
        const tsr_status s = items ? TSR_OK : take_own(f, at, chunk, &taken);
        return s || taken ? s : add_damage(f, at, TSR_ERROR_FORMAT, no_owner);
    }
    if (open_keys(f, at, chunk)) return TSR_OK;
    return add_damage(f, at, TSR_ERROR_FORMAT,
                      "an index of keys that does not fit the items is left out");
}

/* ---- index ------------------------------------------------------------------------------- */

/* Are the bytes from `at` to `end`, behind `items` items, whole chunks that may stand between
 * items? Sets *s for a critical one. One with a wrong checksum is damage that costs no item: hints,
 * for example. */
static bool gap_good(tsr_token_file *f, size_t at, size_t end, uint64_t items, tsr_status *s) {
    while (at < end) {
        tsr_chunk chunk;
        if (!tsr_token_chunk_within(f, at, end, &chunk)) return false;
        const bool known = tsr_chunk_known(&chunk);
        if (known && chunk.type != TSR_TESS_ATTR && chunk.type != TSR_TESS_KEYS &&
            chunk.type != TSR_TESS_CLIP)
            return false;
        if (chunk.flags & TSR_TESS_CRITICAL) {
            *s = tsr_token_unknown_critical(f, at);
            return false;
        }
        if (known && chunk.type == TSR_TESS_KEYS) f->settings.key_index = 1;
        if (!tsr_token_payload_good(f, at, &chunk))
            *s = add_damage(f, at, TSR_ERROR_CHECKSUM, chunk_what(&chunk));
        else if (known)
            *s = gap_chunk(f, at, &chunk, items);
        if (*s) return false;
        at += TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    }
    return true;
}

/* Finds INDX by TEND: index_at and index_end, and the cursor at the number of items. */
static bool find_index(tsr_token_file *f, tsr_cursor *c) {
    if (f->size - f->head_end < TSR_TESS_CHUNK_BYTES + TSR_TESS_END_BYTES) return false;
    const size_t tail = f->size - TSR_TESS_END_BYTES;
    tsr_chunk chunk;
    if (!tsr_token_chunk_within(f, tail, f->size, &chunk) || chunk.type != TSR_TESS_TEND ||
        !tsr_chunk_known(&chunk) || chunk.size != 8 || !tsr_token_payload_good(f, tail, &chunk))
        return false;
    const uint64_t offset = tsr_get_u64(f->bytes + tail + TSR_TESS_CHUNK_BYTES);
    if (offset < f->head_end || offset > tail) return false;
    const size_t index_at = (size_t)offset;
    if (!tsr_token_chunk_within(f, index_at, tail, &chunk) || chunk.type != TSR_TESS_INDX ||
        !tsr_chunk_known(&chunk) || chunk.size != tail - index_at - TSR_TESS_CHUNK_BYTES ||
        !tsr_token_payload_good(f, index_at, &chunk))
        return false;
    f->index_at = index_at;
    f->index_end = tail;
    *c = (tsr_cursor){.at = f->bytes + index_at + TSR_TESS_CHUNK_BYTES, .end = f->bytes + tail};
    return true;
}

/* True if the index was used; false: scan, unless *s is an error. Most files have two gaps, before
 * the first item and behind the last, so what is walked in a file of a million items is its index.
 */
static bool read_index(tsr_token_file *f, tsr_status *s) {
    tsr_cursor c;
    if (!find_index(f, &c)) return false;
    const uint64_t count =
        tsr_cursor_varint(&c, tsr_cursor_left(&c) / 3); /* an entry is 3 bytes or more */
    if (c.bad) return false;
    if ((*s = tsr_grow(f->ctx, &f->checkpoints, &f->checkpoints_room,
                       (size_t)(count / TSR_CHECKPOINT_ITEMS + 1), sizeof *f->checkpoints,
                       "item index")))
        return false;
    tsr_checkpoint p = {.entry = (uint64_t)(c.at - f->bytes), .offset = f->head_end};
    tsr_token_entry e;
    uint64_t tokens = 0, payload = 0, gap;
    f->info.items = count;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t end = p.offset;
        if (i % TSR_CHECKPOINT_ITEMS == 0) {
            f->checkpoints[i / TSR_CHECKPOINT_ITEMS] = p;
            tsr_token_file_touch(f, p.entry, TSR_ENTRY_WINDOW);
        }
        if (!tsr_token_entry_read(f, &p, &e, &gap)) return false;
        if (gap && !gap_good(f, (size_t)end, (size_t)(end + gap), i, s)) return false;
        tokens += e.tokens;
        payload += e.size;
    }
    if (p.entry != f->index_end || !gap_good(f, (size_t)p.offset, (size_t)f->index_at, count, s))
        return false;
    f->info.tokens = tokens;
    f->info.payload_bytes += payload;
    f->info.index_bytes = f->size - f->index_at + f->keys_bytes;
    return true;
}

/* ---- scan -------------------------------------------------------------------------------- */

typedef struct scan {
    tsr_item_fields fields; /* of the last item */
    uint32_t layers;        /* of it, so far */
    uint32_t streams;       /* likewise */
    bool open;              /* may more layers follow? */
    bool broken;            /* is something left out since the last item? */
    uint64_t next_number;
} scan;

static void finish_item(tsr_token_file *f, scan *z) {
    if (z->layers == 0) return;
    tsr_token_entry *e = &f->entries[f->info.items - 1];
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
    z->broken = true; /* until it is seen to be good */
    tsr_item_fields fields;
    const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    const bool frame = chunk->type == TSR_TESS_PRED;
    uint32_t distance;
    tsr_status s = frame ? tsr_token_frame_fields(f, f->info.items, payload, (size_t)chunk->size,
                                                  &f->probe, &fields, &distance)
                         : tsr_token_item_get(f->ctx, f->name, payload, (size_t)chunk->size,
                                              &f->header, &f->probe, &fields);
    if (s == TSR_ERROR_MEMORY) return s;
    if (s && frame)
        return add_damage(f, at, s, "a frame without all that it is coded from is left out");
    if (s) return add_damage(f, at, s, "an item whose fields are out of range is left out");
    if (fields.number < z->next_number || fields.number == UINT64_MAX)
        return add_damage(f, at, TSR_ERROR_FORMAT, "an item out of order is left out");
    s = tsr_grow(f->ctx, &f->entries, &f->entries_room, (size_t)f->info.items + 1,
                 sizeof *f->entries, "item index");
    if (s) return s;
    f->entries[f->info.items++] = (tsr_token_entry){
        .offset = at, .size = TSR_TESS_CHUNK_BYTES + chunk->size, .number = fields.number};
    *z = (scan){.fields = fields, .layers = 1, .open = true, .next_number = fields.number + 1};
    return TSR_OK;
}

static tsr_status scan_layer(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk) {
    const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    tsr_cursor c = {.at = payload, .end = payload + (size_t)chunk->size};
    uint64_t item = tsr_cursor_varint(&c, UINT64_MAX), layer = tsr_cursor_varint(&c, 64);
    const bool ended = z->open && f->entries[f->info.items - 1].attributes_at;
    if (z->open && !ended && !z->streams && !c.bad && item == z->fields.number &&
        layer == z->layers && layer < tsr_layer_count(f->settings.layer_tokens, z->fields.most)) {
        tsr_token_entry *e = &f->entries[f->info.items - 1];
        e->size = at + TSR_TESS_CHUNK_BYTES + chunk->size - e->offset;
        ++z->layers;
    } else if (z->open) {
        z->open = false; /* the one that was wanted is lost */
        return add_damage(f, at, TSR_ERROR_FORMAT,
                          "a layer of an item without the one before it is left out");
    }
    return TSR_OK;
}

static tsr_status scan_stream(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk) {
    char name[TSR_STREAM_NAME + 1];
    uint64_t item = 0;
    uint32_t number = 0, count = 0;
    const bool good = tsr_stream_probe(f->bytes + at + TSR_TESS_CHUNK_BYTES, (size_t)chunk->size,
                                       &item, &number, &count, name);
    if (!z->open) return TSR_OK; /* the damage before it was counted */
    tsr_token_entry *e = &f->entries[f->info.items - 1];
    if (good && !e->attributes_at && item == z->fields.number && number == z->streams + 1 &&
        z->layers == tsr_layer_count(f->settings.layer_tokens, z->fields.most)) {
        e->size = at + TSR_TESS_CHUNK_BYTES + chunk->size - e->offset;
        ++z->streams;
        return TSR_OK;
    }
    z->open = false;
    return add_damage(f, at, TSR_ERROR_FORMAT,
                      "a stream of an item without what comes before it is left out");
}

static tsr_status scan_attributes(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk) {
    const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    if (f->info.items == 0) {
        bool taken;
        const tsr_status s = take_own(f, at, chunk, &taken);
        if (s || taken) return s;
    } else if (z->layers &&
               tsr_attributes_owner(payload, (size_t)chunk->size) == z->fields.number + 1) {
        tsr_token_entry *e = &f->entries[f->info.items - 1];
        if (!e->attributes_at) {
            e->attributes_at = at;
            f->info.payload_bytes += TSR_TESS_CHUNK_BYTES + chunk->size;
            return TSR_OK;
        }
    }
    /* Those of a damaged item are no damage of their own. */
    return z->broken ? TSR_OK : add_damage(f, at, TSR_ERROR_FORMAT, no_owner);
}

static tsr_status scan_clip(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk) {
    bool taken = false;
    finish_item(f, z);
    const tsr_status s = tsr_token_take_clip(f, at, chunk, z->next_number, &taken);
    if (taken) z->next_number = f->clips[f->info.clips - 1].end;
    /* That of items that are lost is no damage of its own. */
    return s || taken || z->broken ? s : add_damage(f, at, TSR_ERROR_FORMAT, no_items);
}

/* What to do with the whole chunk at `at`. *end: nothing behind it counts. */
static tsr_status scan_chunk(tsr_token_file *f, scan *z, size_t at, const tsr_chunk *chunk,
                             bool *end) {
    const bool known = tsr_chunk_known(chunk);
    if (known && chunk->type == TSR_TESS_KEYS) f->settings.key_index = 1;
    if (!tsr_token_payload_good(f, at, chunk)) {
        z->open = false;
        z->broken = true;
        return add_damage(f, at, TSR_ERROR_CHECKSUM, chunk_what(chunk));
    }
    if (known && (chunk->type == TSR_TESS_HEAD || chunk->type == TSR_TESS_FRAM)) {
        *end = true;
        return add_damage(f, at, TSR_ERROR_FORMAT,
                          "a second header; everything from there on is left out");
    }
    if (known && (chunk->type == TSR_TESS_ITEM || chunk->type == TSR_TESS_PRED))
        return scan_item(f, z, at, chunk);
    if (known && chunk->type == TSR_TESS_LAYR) return scan_layer(f, z, at, chunk);
    if (known && chunk->type == TSR_TESS_STRM) return scan_stream(f, z, at, chunk);
    if (known && chunk->type == TSR_TESS_ATTR) return scan_attributes(f, z, at, chunk);
    if (known && chunk->type == TSR_TESS_CLIP) return scan_clip(f, z, at, chunk);
    return TSR_OK;
}

/* Forgets what the walk along the index met: it is met again. */
static void forget_index(tsr_token_file *f) {
    if (f->own_at)
        f->info.header_bytes -= TSR_TESS_CHUNK_BYTES + tsr_get_u64(f->bytes + f->own_at + 8);
    f->own_at = 0;
    f->own.count = 0;
    f->keys = NULL;
    f->key_count = f->keys_bytes = 0;
    f->index_at = 0;
    f->info.clips = f->next_clip = f->info.payload_bytes = 0;
    f->info.damaged = 0;
    f->info.items = 0;
    f->info.key_index = 0;
    f->info.recovered = 1;
}

static tsr_status read_by_scan(tsr_token_file *f) {
    forget_index(f);
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
            z.broken = true;
            ++at;
            continue;
        }
        lost = false;
        if (!tsr_chunk_known(&chunk) && chunk.flags & TSR_TESS_CRITICAL)
            return tsr_token_unknown_critical(f, at);
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

/* The FRAM chunk, if one stands behind HEAD. Without it no item would be understood. */
static tsr_status read_frames(tsr_token_file *f) {
    const size_t at = f->head_end, left = f->size - at;
    tsr_chunk chunk;
    if (!tsr_chunk_read(f->bytes + at, left, &chunk) || chunk.type != TSR_TESS_FRAM) {
        if (f->info.version_minor < TSR_TESS_MINOR_FRAMES || left < TSR_TESS_CHUNK_BYTES ||
            memcmp(f->bytes + at, "FRAM", 4) != 0)
            return TSR_OK;
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                        "%s: header: wanted the FRAM chunk, got damaged bytes", f->name);
    }
    if (!tsr_chunk_known(&chunk)) return tsr_token_unknown_critical(f, at);
    if (chunk.size > left - TSR_TESS_CHUNK_BYTES)
        return tsr_fail(f->ctx, TSR_ERROR_TRUNCATED, "%s: frames: wanted %llu bytes, got %zu",
                        f->name, (unsigned long long)chunk.size, left - TSR_TESS_CHUNK_BYTES);
    if (!tsr_token_payload_good(f, at, &chunk))
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM, "%s: frames: wanted checksum %08x, got another",
                        f->name, chunk.payload_crc);
    f->head_end += TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    return tsr_token_frames_get(f->ctx, f->name, f->bytes + at + TSR_TESS_CHUNK_BYTES,
                                (size_t)chunk.size, &f->settings, &f->header);
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
    if (!tsr_token_payload_good(f, (size_t)(at - b), &chunk))
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM, "%s: header: wanted checksum %08x, got another",
                        f->name, chunk.payload_crc);
    f->head_end = TSR_TESS_START_BYTES + TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    tsr_status s = tsr_token_header_get(f->ctx, f->name, at + TSR_TESS_CHUNK_BYTES,
                                        (size_t)chunk.size, &f->header, &f->settings);
    if (!s) s = read_frames(f);
    f->info.header_bytes = f->head_end;
    if (s) return s;
    /* Hints come directly after; a damaged chunk is met, and counted, again when items are read. */
    at = b + f->head_end;
    left = f->size - f->head_end;
    if (tsr_chunk_read(at, left, &chunk) && chunk.type == TSR_TESS_HINT && !chunk.flags &&
        chunk.size == TSR_TESS_HINT_BYTES && left >= TSR_TESS_CHUNK_BYTES + TSR_TESS_HINT_BYTES &&
        tsr_token_payload_good(f, (size_t)(at - b), &chunk)) {
        tsr_token_hints_get(at + TSR_TESS_CHUNK_BYTES, &f->header);
        f->info.header_bytes += TSR_TESS_CHUNK_BYTES + TSR_TESS_HINT_BYTES;
    }
    return TSR_OK;
}

tsr_status tsr_token_file_read_all(tsr_token_file *f) {
    f->info.bytes = f->size;
    f->clip_index = UINT64_MAX;
    tsr_status s = read_start(f);
    if (!s) s = tsr_token_coder_open(f->ctx, &f->coder, &f->header);
    if (s) return s;
    if (!read_index(f, &s) && !s) s = read_by_scan(f);
    tsr_token_file_give_back(f);
    return s;
}
