/* SPDX-License-Identifier: MIT */
/* token_chunks.c: what opening a token file and reading its items and clips stand on: the memory of
 * the mapped file, chunks, entries of the index, and the fields of a frame, which are partly those
 * of the item it is coded from. */
#include "../checksum.h"
#include "token_reader.h"

#include <stdio.h>

/* ---- memory of a mapped file ------------------------------------------------------------- */

enum { WINDOW = 1 << 16, PIECE = 1 << 20 }; /* bytes the system maps around one; of a checksum */
#define BEHIND_MOST  ((uint64_t)2 << 20)    /* of what was read in order */
#define TOUCHED_MOST ((uint64_t)256 << 20)  /* of everything */

void tsr_token_file_give_back(tsr_token_file *f) {
    if (f->map.mapped) tsr_map_release(f->bytes, f->size);
    f->touched = 0;
}

void tsr_token_file_touch(tsr_token_file *f, uint64_t at, uint64_t size) {
    if (!f->map.mapped) return;
    tsr_touched *t = &f->walks[f->index_at && at >= f->index_at - f->keys_bytes];
    const uint64_t to = (at + size + WINDOW - 1) / WINDOW * WINDOW;
    if (at >= t->from && to <= t->to) return;
    if (at < t->from || at > t->to + WINDOW) t->from = t->to = at / WINDOW * WINDOW; /* a jump */
    f->touched += to - t->to;
    t->to = to;
    if (t->to - t->from > BEHIND_MOST) {
        tsr_map_release(f->bytes + t->from, (size_t)(at / WINDOW * WINDOW - t->from));
        t->from = at / WINDOW * WINDOW;
    }
    if (f->touched > TOUCHED_MOST) tsr_token_file_give_back(f);
}

/* ---- chunks ----------------------------------------------------------------------------- */

bool tsr_token_payload_good(tsr_token_file *f, size_t at, const tsr_chunk *chunk) {
    uint32_t crc = 0;
    at += TSR_TESS_CHUNK_BYTES;
    for (size_t left = (size_t)chunk->size, piece; left > 0; left -= piece, at += piece) {
        piece = left < PIECE ? left : PIECE;
        tsr_token_file_touch(f, at, piece);
        crc = tsr_crc32c_add(crc, f->bytes + at, piece);
    }
    return crc == chunk->payload_crc;
}

tsr_status tsr_token_unknown_critical(tsr_token_file *f, size_t at) {
    return tsr_fail(f->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: byte %zu: wanted a chunk this version knows, got critical \"%.4s\" with "
                    "flags %u",
                    f->name, at, (const char *)f->bytes + at, tsr_get_u32(f->bytes + at + 4));
}

bool tsr_token_chunk_within(const tsr_token_file *f, size_t at, size_t end, tsr_chunk *chunk) {
    return tsr_chunk_read(f->bytes + at, end - at, chunk) &&
           chunk->size <= end - at - TSR_TESS_CHUNK_BYTES;
}

/* ---- entries ----------------------------------------------------------------------------- */

bool tsr_token_entry_read(const tsr_token_file *f, tsr_checkpoint *p, tsr_token_entry *e,
                          uint64_t *gap) {
    tsr_cursor c = {.at = f->bytes + p->entry, .end = f->bytes + f->index_end};
    *gap = tsr_cursor_varint(&c, f->index_at - p->offset);
    const uint64_t at = p->offset + *gap;
    const uint64_t size = tsr_cursor_varint(&c, f->index_at - at);
    const uint64_t tokens = tsr_cursor_varint(&c, TSR_TESS_MAX_IDS);
    if (c.bad || size < TSR_TESS_CHUNK_BYTES) return false;
    *e = (tsr_token_entry){.offset = at, .size = size, .tokens = tokens};
    *p = (tsr_checkpoint){.entry = (uint64_t)(c.at - f->bytes), .offset = at + size};
    return true;
}

/* From a checkpoint, or from `next` if that is nearer. False: the index changed under us. */
static bool find_entry(const tsr_token_file *f, uint64_t index, tsr_checkpoint *p,
                       tsr_token_entry *e) {
    uint64_t i = index / TSR_CHECKPOINT_ITEMS * TSR_CHECKPOINT_ITEMS, gap;
    const bool nearer = f->next_item > i && f->next_item <= index;
    *p = nearer ? f->next : f->checkpoints[index / TSR_CHECKPOINT_ITEMS];
    for (i = nearer ? f->next_item : i; i <= index; ++i)
        if (!tsr_token_entry_read(f, p, e, &gap)) return false;
    return true;
}

tsr_status tsr_token_entry_at(tsr_token_file *f, uint64_t index, tsr_token_entry *entry) {
    if (f->info.recovered) {
        *entry = f->entries[index];
        return TSR_OK;
    }
    tsr_checkpoint p;
    tsr_token_file_touch(f, f->checkpoints[index / TSR_CHECKPOINT_ITEMS].entry, TSR_ENTRY_WINDOW);
    if (!find_entry(f, index, &p, entry))
        return tsr_fail(f->ctx, TSR_ERROR_IO, "%s: index: wanted what was there when it was opened",
                        f->name);
    f->next_item = index + 1;
    f->next = p;
    return TSR_OK;
}

uint64_t tsr_token_file_item_offset(const tsr_token_file *f, uint64_t index) {
    tsr_checkpoint p;
    tsr_token_entry e;
    if (index >= f->info.items) return 0;
    if (f->info.recovered) return f->entries[index].offset;
    return find_entry(f, index, &p, &e) ? e.offset : 0;
}

/* ---- frames ----------------------------------------------------------------------------- */

tsr_status tsr_token_no_base(tsr_token_file *f, uint64_t index, const char *wanted) {
    return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: item %llu: wanted %s", f->name,
                    (unsigned long long)index, wanted);
}

tsr_status tsr_token_frame_fields(tsr_token_file *f, uint64_t index, const uint8_t *payload,
                                  size_t size, tsr_item_memory *memory, tsr_item_fields *fields,
                                  uint32_t *distance) {
    tsr_frame_fields frame;
    tsr_token_entry e;
    tsr_chunk chunk;
    if (!tsr_frame_get(payload, size, &frame) || frame.distance > index || f->header.channels ||
        f->settings.layer_tokens)
        return tsr_token_no_base(f, index, "fields of a frame in range, got others");
    const uint64_t base = index - frame.distance, number = frame.number - frame.distance;
    tsr_status s = tsr_token_entry_at(f, base, &e);
    if (s) return s;
    const size_t at = (size_t)e.offset;
    if (!tsr_token_chunk_within(f, at, (size_t)(e.offset + e.size), &chunk) ||
        chunk.type != TSR_TESS_ITEM || !tsr_chunk_known(&chunk) ||
        !tsr_token_payload_good(f, at, &chunk))
        return tsr_token_no_base(f, index, "the item that it is coded from, which is lost");
    s = tsr_token_item_get(f->ctx, f->name, f->bytes + at + TSR_TESS_CHUNK_BYTES,
                           (size_t)chunk.size, &f->header, memory, fields);
    if (s) return s;
    const tsr_time_layout layout = tsr_frame_layout(&f->header, &fields->item);
    if (fields->number != number || fields->item.kept || frame.shared > strlen(memory->key) ||
        !tsr_frame_layout_good(&layout))
        return tsr_token_no_base(f, index, "an item that it can be coded from, got another");
    const size_t key = frame.shared + frame.rest;
    s = tsr_grow(f->ctx, &memory->key, &memory->key_room, key + 1, 1, "key");
    if (s) return s;
    memcpy(memory->key + frame.shared, frame.text, frame.rest);
    memory->key[key] = 0;
    fields->item.key = memory->key;
    if (strlen(memory->key) != key || tsr_token_key_problem(memory->key))
        return tsr_token_no_base(f, index, "a key that items may have, got another");
    fields->number = frame.number;
    fields->data = frame.data;
    *distance = frame.distance;
    return TSR_OK;
}
