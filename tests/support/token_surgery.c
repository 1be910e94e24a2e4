/* SPDX-License-Identifier: MIT */
/* token_surgery.c: see token_surgery.h. */
#include "token_surgery.h"
#include "testing.h"

#include <string.h>
#include "formats/checksum.h"

static tsr_context *ctx;
const tsr_token_header surgery_header = {.tokenizer = "mosaic-256",
                                         .family = 3,
                                         .weights_hash = 0x0123456789abcdefu,
                                         .codebook_size = 1000,
                                         .level_count = 3,
                                         .levels = {10, 10, 10},
                                         .rows = 1,
                                         .columns = 20,
                                         .nested = 1,
                                         .tile_width = 256,
                                         .tile_height = 256,
                                         .fit = TSR_FIT_TILE,
                                         .filter = 2,
                                         .background = {255, 255, 255}};
static uint32_t counts[2] = {20, 7}, ids[27];
tsr_token_item surgery_items[3];

void surgery_open(tsr_context *context) {
    ctx = context;
    for (uint32_t i = 0; i < 27; ++i)
        ids[i] = (i * 7919 + 13) % 1000;
    for (uint32_t i = 0; i < 3; ++i)
        surgery_items[i] = (tsr_token_item){.key = i == 0   ? "one.png"
                                                   : i == 1 ? "two.png"
                                                            : "three.png",
                                            .source_width = 300 + i,
                                            .source_height = 200,
                                            .orientation = 1,
                                            .width = 300,
                                            .height = 200,
                                            .tile_columns = 2,
                                            .tile_rows = 1,
                                            .overlap = 32,
                                            .quality = 0.05f,
                                            .counts = counts,
                                            .ids = ids};
}

/* The good file: three items. With layers each has an ITEM and two LAYR chunks (ends 4, 16, 64). */
tsr_bytes good_file(bool layers) {
    tsr_token_writer *writer;
    tsr_token_writer_settings settings = {.layer_tokens = layers ? 4 : 0, .entropy = 0};
    tsr_bytes b = {0};
    ck_assert_int_eq(tsr_token_writer_open_memory(ctx, &writer, &surgery_header, &settings),
                     TSR_OK);
    for (int i = 0; i < 3; ++i)
        ck_assert_int_eq(tsr_token_writer_add(writer, &surgery_items[i]), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_close_memory(&writer, &b.at, &b.size), TSR_OK);
    b.room = b.size;
    return b;
}

/* Where the n-th chunk of a type begins. */
size_t chunk_at(const tsr_bytes *b, uint32_t type, int n) {
    for (size_t at = TSR_TESS_START_BYTES; at < b->size;) {
        tsr_chunk c;
        ck_assert(tsr_chunk_read(b->at + at, b->size - at, &c));
        if (c.type == type && n-- == 0) return at;
        at += TSR_TESS_CHUNK_BYTES + (size_t)c.size;
    }
    ck_abort_msg("no such chunk");
    return 0;
}

size_t payload_at(const tsr_bytes *b, uint32_t type, int n) {
    return chunk_at(b, type, n) + TSR_TESS_CHUNK_BYTES;
}

size_t chunk_end(const tsr_bytes *b, size_t at) {
    return at + TSR_TESS_CHUNK_BYTES + (size_t)tsr_get_u64(b->at + at + 8);
}

/* New checksums for the chunk at `at`, as someone who knows the format would make them. */
void sign_chunk(tsr_bytes *b, size_t at) {
    uint64_t size = tsr_get_u64(b->at + at + 8);
    if (size <= b->size - at - TSR_TESS_CHUNK_BYTES)
        tsr_set_u32(b->at + at + 16, tsr_crc32c(b->at + at + TSR_TESS_CHUNK_BYTES, (size_t)size));
    tsr_set_u32(b->at + at + 20, tsr_crc32c(b->at + at, 20));
}

void sign_start(tsr_bytes *b) {
    tsr_set_u32(b->at + 12, tsr_crc32c(b->at, 12));
}

/* Puts bytes in, or takes some out when `size` is negative. */
void splice_bytes(tsr_bytes *b, size_t at, const void *bytes, long size) {
    if (size < 0) {
        memmove(b->at + at, b->at + at + -size, b->size - at - (size_t)-size);
        b->size -= (size_t)-size;
        return;
    }
    tsr_bytes_extend(b, (size_t)size);
    ck_assert(!b->failed);
    memmove(b->at + at + size, b->at + at, b->size - at - (size_t)size);
    if (bytes) memcpy(b->at + at, bytes, (size_t)size);
}

static tsr_bytes chunk_of(uint32_t type, uint32_t flags, const void *payload, size_t size) {
    tsr_bytes b = {0};
    size_t start = tsr_bytes_chunk_start(&b);
    tsr_bytes_put(&b, payload, size);
    tsr_bytes_chunk_finish(&b, start, type, flags);
    ck_assert(!b.failed);
    return b;
}

/* Puts a chunk in; the end still points to the old place of the index. */
void insert_chunk(tsr_bytes *b, size_t at, uint32_t type, uint32_t flags) {
    splice_chunk(b, at, type, flags, "hello", 5);
}

void splice_chunk(tsr_bytes *b, size_t at, uint32_t type, uint32_t flags, const void *payload,
                  size_t size) {
    tsr_bytes c = chunk_of(type, flags, payload, size);
    splice_bytes(b, at, c.at, (long)c.size);
    tsr_bytes_free(&c);
}

/* Replaces index and end by those of `entries`: gap, size, ids of each. */
void new_index(tsr_bytes *b, size_t index_at, uint64_t count, const uint64_t *entries,
               size_t numbers) {
    b->size = index_at;
    size_t start = tsr_bytes_chunk_start(b);
    tsr_bytes_varint(b, count);
    for (size_t i = 0; i < numbers; ++i)
        tsr_bytes_varint(b, entries[i]);
    tsr_bytes_chunk_finish(b, start, TSR_TESS_INDX, 0);
    start = tsr_bytes_chunk_start(b);
    tsr_bytes_u64(b, index_at);
    tsr_bytes_chunk_finish(b, start, TSR_TESS_TEND, 0);
    ck_assert(!b->failed);
}

void item_entries(const tsr_bytes *b, bool layers, uint64_t *entries) {
    for (int i = 0; i < 3; ++i) {
        size_t at = chunk_at(b, TSR_TESS_ITEM, i);
        size_t end =
            layers ? chunk_end(b, chunk_at(b, TSR_TESS_LAYR, 2 * i + 1)) : chunk_end(b, at);
        entries[3 * i] = 0;
        entries[3 * i + 1] = end - at;
        entries[3 * i + 2] = 27;
    }
}

/* A file of the header and one hand-made ITEM payload, with index. */
tsr_bytes file_of(const tsr_bytes *payload, uint64_t tokens) {
    tsr_bytes b = good_file(false);
    b.size = chunk_at(&b, TSR_TESS_ITEM, 0);
    tsr_bytes c = chunk_of(TSR_TESS_ITEM, TSR_TESS_CRITICAL, payload->at, payload->size);
    tsr_bytes_put(&b, c.at, c.size);
    uint64_t entry[3] = {0, c.size, tokens};
    tsr_bytes_free(&c);
    new_index(&b, b.size, 1, entry, 3);
    return b;
}

void make_vectors(tsr_bytes *b, uint32_t channels, uint8_t type) {
    enum { LEVELS = 3 * 4, TAIL = 5 };
    uint8_t tail[TAIL] = {0, 0, 0, 0, type}, *head = b->at + payload_at(b, TSR_TESS_HEAD, 0);
    tsr_set_u32(tail, channels);
    tsr_set_u32(head + 12, 0); /* codebook */
    head[39] = 0;              /* nested */
    head[43] = 0;              /* levels */
    splice_bytes(b, chunk_end(b, TSR_TESS_START_BYTES) - LEVELS, NULL, -LEVELS);
    tsr_set_u64(b->at + 24, tsr_get_u64(b->at + 24) - LEVELS);
    splice_bytes(b, chunk_end(b, TSR_TESS_START_BYTES), tail, TAIL);
    tsr_set_u64(b->at + 24, tsr_get_u64(b->at + 24) + TAIL);
    sign_chunk(b, TSR_TESS_START_BYTES);
    tsr_set_u64(b->at + b->size - 8, chunk_at(b, TSR_TESS_INDX, 0));
    sign_chunk(b, b->size - TSR_TESS_END_BYTES);
}

tsr_bytes item_of(item_fields f, uint64_t tokens) {
    tsr_bytes b = {0};
    tsr_bytes_varint(&b, f.number);
    tsr_bytes_u8(&b, f.flags);
    tsr_bytes_varint(&b, f.key_bytes);
    tsr_bytes_put(&b, f.key, f.key_bytes);
    tsr_bytes_varint(&b, f.width);
    tsr_bytes_varint(&b, 5);
    tsr_bytes_u8(&b, 1);
    tsr_bytes_varint(&b, 5);
    tsr_bytes_varint(&b, 5);
    tsr_bytes_varint(&b, 0);
    tsr_bytes_varint(&b, 0);
    tsr_bytes_varint(&b, f.tile_columns);
    tsr_bytes_varint(&b, f.tile_rows);
    tsr_bytes_varint(&b, 0);
    tsr_bytes_varint(&b, f.count);
    tsr_bytes_u8(&b, f.coding);
    tsr_bytes_put(&b, f.data, f.data_bytes);
    tsr_bytes file = file_of(&b, tokens);
    tsr_bytes_free(&b);
    return file;
}
