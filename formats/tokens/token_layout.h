/* SPDX-License-Identifier: MIT */
/* token_layout.h: what reader, writer and cutter of the token file share: chunk and payload forms
 * (SPEC.md has the tables), growing bytes, a bounded cursor, and the coding of ids. */
#ifndef FORMATS_TOKEN_LAYOUT_H
#define FORMATS_TOKEN_LAYOUT_H

#include <stdbool.h>
#include <string.h>
#include <tessera/tokens.h>
#include "../../compute/context.h"

#define TSR_TESS_TYPE(a, b, c, d)                                                                  \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define TSR_TESS_HEAD  TSR_TESS_TYPE('H', 'E', 'A', 'D')
#define TSR_TESS_HINT  TSR_TESS_TYPE('H', 'I', 'N', 'T')
#define TSR_TESS_ITEM  TSR_TESS_TYPE('I', 'T', 'E', 'M')
#define TSR_TESS_LAYR  TSR_TESS_TYPE('L', 'A', 'Y', 'R')
#define TSR_TESS_INDX  TSR_TESS_TYPE('I', 'N', 'D', 'X')
#define TSR_TESS_TEND  TSR_TESS_TYPE('T', 'E', 'N', 'D')
#define TSR_TESS_MAGIC "\x89TSR\r\n\x1a\n"

enum {
    TSR_TESS_MAJOR = 1,
    TSR_TESS_MINOR_HINT = 1, /* of files with a HINT chunk; 0 without */
    TSR_TESS_HINT_BYTES = 17,
    TSR_TESS_START_BYTES = 16,
    TSR_TESS_CHUNK_BYTES = 24,
    TSR_TESS_END_BYTES = 32,
    TSR_TESS_CRITICAL = 1,
    TSR_TESS_MAX_HEAD = 256,
    TSR_TESS_MAX_KEY = 1024,
    TSR_TESS_MAX_TILES = 1 << 20,
    TSR_TESS_MAX_POSITIONS = 1 << 20,
    TSR_TESS_MAX_IDS = 1 << 26,
    TSR_TESS_MAX_TILE_SIDE = 65536,
    TSR_TESS_MAX_CHANNELS = 4096,
    TSR_TESS_MAX_LAYERS = 12, /* 4^11 > positions */
    TSR_TESS_RATIO = 256,     /* raw size over coded size */
};
typedef enum tsr_tess_coding {
    TSR_TESS_CODING_RAW = 0,
    TSR_TESS_CODING_ZSTD = 1,
    TSR_TESS_CODING_RANGE = 2
} tsr_tess_coding;

/* ---- bytes (token_bytes.c) --------------------------------------------------------------- */

static inline uint16_t tsr_get_u16(const uint8_t *b) {
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t tsr_get_u32(const uint8_t *b) {
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t tsr_get_u64(const uint8_t *b) {
    return tsr_get_u32(b) | (uint64_t)tsr_get_u32(b + 4) << 32;
}
void tsr_set_u32(uint8_t *b, uint32_t value);
void tsr_set_u64(uint8_t *b, uint64_t value);

/* Bytes that grow. After an allocation failed nothing more is added; look at `failed` at the end.
 */
typedef struct tsr_bytes {
    uint8_t *at;
    size_t size, room;
    bool failed;
} tsr_bytes;
void tsr_bytes_put(tsr_bytes *bytes, const void *data, size_t size);
uint8_t *tsr_bytes_extend(tsr_bytes *bytes, size_t size); /* NULL when it failed; not zeroed */
void tsr_bytes_u8(tsr_bytes *bytes, uint32_t value);
void tsr_bytes_u32(tsr_bytes *bytes, uint32_t value);
void tsr_bytes_u64(tsr_bytes *bytes, uint64_t value);
void tsr_bytes_varint(tsr_bytes *bytes, uint64_t value);
void tsr_bytes_free(tsr_bytes *bytes);
/* Leaves room for a chunk header and, once the payload is there, fills it in. */
size_t tsr_bytes_chunk_start(tsr_bytes *bytes);
void tsr_bytes_chunk_finish(tsr_bytes *bytes, size_t start, uint32_t type, uint32_t flags);

/* Makes *memory hold count*size bytes, keeping what it had, at least doubling; room in elements. */
tsr_status tsr_grow(tsr_context *ctx, void *memory, size_t *room, size_t count, size_t size,
                    const char *what);

/* Reads forward, never beyond `end`; after a bad read everything gives 0. */
typedef struct tsr_cursor {
    const uint8_t *at, *end;
    bool bad;
} tsr_cursor;
static inline size_t tsr_cursor_left(const tsr_cursor *c) {
    return (size_t)(c->end - c->at);
}
const uint8_t *tsr_cursor_take(tsr_cursor *c, size_t size); /* NULL when they are not there */
uint32_t tsr_cursor_u8(tsr_cursor *c);
uint64_t tsr_cursor_varint(tsr_cursor *c, uint64_t most); /* bad if above most, or not shortest */

typedef struct tsr_chunk {
    uint32_t type, flags;
    uint64_t size; /* of the payload */
    uint32_t payload_crc;
} tsr_chunk;
/* False unless 24 bytes are there, their CRC is good and the type is letters and digits. */
bool tsr_chunk_read(const uint8_t *bytes, size_t left, tsr_chunk *chunk);
/* One of this version's chunk types with its own flags? */
bool tsr_chunk_known(const tsr_chunk *chunk);

/* ---- payloads (token_fields.c) ----------------------------------------------------------- */

/* Where layer `layer` ends, at most `positions`; layer_tokens 0 = one layer. */
uint32_t tsr_layer_end(uint32_t layer_tokens, uint32_t layer, uint32_t positions);
uint32_t tsr_layer_count(uint32_t layer_tokens, uint32_t most_ids);

/* `name` goes in front of the detail text; `status` is what a bad field gives. */
tsr_status tsr_token_header_check(tsr_context *ctx, tsr_status status, const char *name,
                                  const tsr_token_header *header,
                                  const tsr_token_writer_settings *settings);
void tsr_token_header_put(tsr_bytes *bytes, const tsr_token_header *header,
                          const tsr_token_writer_settings *settings);
tsr_status tsr_token_header_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                                size_t size, tsr_token_header *header,
                                tsr_token_writer_settings *settings);

/* The HINT chunk, if the header has hints. */
void tsr_token_hints_put(tsr_bytes *bytes, const tsr_token_header *header);
void tsr_token_hints_get(const uint8_t *payload, tsr_token_header *header);

/* An item's fields without counts, mask and ids, checked. */
tsr_status tsr_token_item_check(tsr_context *ctx, tsr_status status, const char *name,
                                uint64_t number, const tsr_token_item *item);
/* Up to the coding byte. The item is checked; `kept` says whether the mask is written. */
void tsr_token_item_put(tsr_bytes *bytes, const tsr_token_header *header, uint64_t number,
                        const tsr_token_item *item, bool kept);

/* Memory one item is read into; zeroed at first, freed by tsr_item_memory_free. */
typedef struct tsr_item_memory {
    char *key;
    uint32_t *counts, *lengths, *ids, *flat;
    float *latents;
    uint8_t *kept;
    size_t key_room, counts_room, lengths_room, ids_room, flat_room, latents_room, kept_room;
} tsr_item_memory;
void tsr_item_memory_free(tsr_item_memory *memory);

typedef struct tsr_item_fields { /* of a parsed ITEM payload */
    tsr_token_item item;         /* key, counts and kept point into the memory */
    uint64_t number, total;
    uint32_t most;   /* the greatest count */
    tsr_cursor data; /* from the coding byte on */
} tsr_item_fields;
tsr_status tsr_token_item_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                              size_t size, const tsr_token_header *header, tsr_item_memory *memory,
                              tsr_item_fields *fields);
/* Lowers counts (and the mask) to `most` ids a tile; fields' total and most follow. */
void tsr_item_fields_limit(tsr_item_fields *fields, tsr_item_memory *memory,
                           const tsr_token_header *header, uint32_t most);
/* Sets bits 0 .. limit-1 of those set stay set; returns how many were set before. */
uint32_t tsr_mask_limit(uint8_t *mask, uint32_t positions, uint32_t limit);
uint32_t tsr_mask_count(const uint8_t *mask, uint32_t positions);

/* ---- ids (token_coding.c) ---------------------------------------------------------------- */

/* The ids number first .. end-1 of each tile, one tile after the other. */
typedef struct tsr_id_run {
    const uint32_t *lengths; /* of each tile: how many of its ids are in the run */
    uint32_t tiles, first;
    uint64_t total;
    bool sequence; /* neighbours as in a sequence, whatever the geometry */
} tsr_id_run;

typedef struct tsr_token_coder tsr_token_coder; /* zstd's states and scratch */
tsr_status tsr_token_coder_open(tsr_context *ctx, tsr_token_coder **coder,
                                const tsr_token_header *header);
void tsr_token_coder_close(tsr_token_coder **coder);
/* Appends coding byte and data. */
tsr_status tsr_token_coder_put(tsr_token_coder *coder, const tsr_id_run *run, const uint32_t *ids,
                               bool entropy, tsr_bytes *bytes);
/* The same of `total` vectors. Errors: TOKENS (a number that cannot be stored), MEMORY. */
tsr_status tsr_token_coder_put_latents(tsr_token_coder *coder, const char *name, uint64_t total,
                                       const float *latents, bool entropy, tsr_bytes *bytes);
/* Is it possible that `data` holds `total` ids (or vectors)? Checked before memory is taken. */
tsr_status tsr_token_coder_check(tsr_token_coder *coder, const char *name, tsr_cursor data,
                                 uint64_t total, tsr_tess_coding *coding);
tsr_status tsr_token_coder_get(tsr_token_coder *coder, const char *name, const tsr_id_run *run,
                               tsr_cursor data, uint32_t *ids);
tsr_status tsr_token_coder_get_latents(tsr_token_coder *coder, const char *name, uint64_t total,
                                       tsr_cursor data, float *latents);

/* ---- writer and reader, inside ------------------------------------------------------------ */

/* Writes to memory; *bytes is malloc'd by close_memory. */
tsr_status tsr_token_writer_open_memory(tsr_context *ctx, tsr_token_writer **writer,
                                        const tsr_token_header *header,
                                        const tsr_token_writer_settings *settings);
tsr_status tsr_token_writer_close_memory(tsr_token_writer **writer, uint8_t **bytes, size_t *size);
/* What the file was written with. */
const tsr_token_writer_settings *tsr_token_file_settings(const tsr_token_file *file);
/* Adds every item, each tile cut to `tokens` ids. */
tsr_status tsr_token_file_copy(tsr_context *ctx, tsr_token_file *file, tsr_token_writer *writer,
                               uint32_t tokens);

#endif
