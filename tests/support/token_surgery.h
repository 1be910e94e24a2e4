/* SPDX-License-Identifier: MIT */
/* token_surgery.h: a good token file in memory, taken apart and put together again with faults in
 * it, its checksums made new as someone who knows the format would make them. */
#ifndef TESTS_TOKEN_SURGERY_H
#define TESTS_TOKEN_SURGERY_H

#include <stdbool.h>
#include <tessera/tokens.h>
#include "formats/tokens/token_layout.h"

/* What the good file holds. */
extern const tsr_token_header surgery_header;
extern tsr_token_item surgery_items[3];

/* Fills the items; good_file and what is made from it uses this context. */
void surgery_open(tsr_context *context);

/* The good file: three items. With layers each has an ITEM and two LAYR chunks (ends 4, 16, 64). */
tsr_bytes good_file(bool layers);
/* Where the n-th chunk of a type begins, and its payload; where the chunk at `at` ends. */
size_t chunk_at(const tsr_bytes *b, uint32_t type, int n);
size_t payload_at(const tsr_bytes *b, uint32_t type, int n);
size_t chunk_end(const tsr_bytes *b, size_t at);
/* New checksums for the chunk at `at`, and for the start of the file. */
void sign_chunk(tsr_bytes *b, size_t at);
void sign_start(tsr_bytes *b);
/* Puts bytes in, or takes some out when `size` is negative. */
void splice_bytes(tsr_bytes *b, size_t at, const void *bytes, long size);
/* Puts a chunk in; the end still points to the old place of the index. */
void insert_chunk(tsr_bytes *b, size_t at, uint32_t type, uint32_t flags);
/* The same with a payload. */
void splice_chunk(tsr_bytes *b, size_t at, uint32_t type, uint32_t flags, const void *payload,
                  size_t size);
/* Replaces index and end by those of `entries`: gap, size, ids of each. */
void new_index(tsr_bytes *b, size_t index_at, uint64_t count, const uint64_t *entries,
               size_t numbers);
void item_entries(const tsr_bytes *b, bool layers, uint64_t *entries);
/* A file of the header and one hand-made ITEM payload, with index. */
tsr_bytes file_of(const tsr_bytes *payload, uint64_t tokens);

/* The file's header changed to vectors of so many numbers. */
void make_vectors(tsr_bytes *b, uint32_t channels, uint8_t type);

typedef struct item_fields { /* of a hand-made item */
    uint64_t number;
    uint32_t flags;
    const char *key;
    size_t key_bytes;
    uint64_t width, tile_columns, tile_rows, count;
    uint32_t coding;
    const void *data;
    size_t data_bytes;
} item_fields;
tsr_bytes item_of(item_fields f, uint64_t tokens);

#endif
