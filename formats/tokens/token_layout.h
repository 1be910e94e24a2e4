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
#define TSR_TESS_FRAM  TSR_TESS_TYPE('F', 'R', 'A', 'M')
#define TSR_TESS_HINT  TSR_TESS_TYPE('H', 'I', 'N', 'T')
#define TSR_TESS_ITEM  TSR_TESS_TYPE('I', 'T', 'E', 'M')
#define TSR_TESS_LAYR  TSR_TESS_TYPE('L', 'A', 'Y', 'R')
#define TSR_TESS_STRM  TSR_TESS_TYPE('S', 'T', 'R', 'M')
#define TSR_TESS_ATTR  TSR_TESS_TYPE('A', 'T', 'T', 'R')
#define TSR_TESS_PRED  TSR_TESS_TYPE('P', 'R', 'E', 'D')
#define TSR_TESS_CLIP  TSR_TESS_TYPE('C', 'L', 'I', 'P')
#define TSR_TESS_KEYS  TSR_TESS_TYPE('K', 'E', 'Y', 'S')
#define TSR_TESS_INDX  TSR_TESS_TYPE('I', 'N', 'D', 'X')
#define TSR_TESS_TEND  TSR_TESS_TYPE('T', 'E', 'N', 'D')
#define TSR_TESS_MAGIC "\x89TSR\r\n\x1a\n"

enum {
    TSR_TESS_MAJOR = 1,
    TSR_TESS_MINOR_HINT = 1,       /* of files with a HINT chunk; 0 without */
    TSR_TESS_MINOR_ATTRIBUTES = 2, /* of files with an ATTR or a KEYS chunk */
    TSR_TESS_MINOR_STREAMS = 3,    /* of files with a STRM chunk */
    TSR_TESS_MINOR_FRAMES = 4,     /* of files with a FRAM or a CLIP chunk */
    TSR_TESS_FRAM_BYTES = 8,
    TSR_TESS_HINT_BYTES = 17,
    TSR_TESS_START_BYTES = 16,
    TSR_TESS_CHUNK_BYTES = 24,
    TSR_TESS_END_BYTES = 32,
    TSR_TESS_CRITICAL = 1,
    TSR_TESS_MAX_HEAD = 256,
    TSR_TESS_MAX_KEY = 1024,
    TSR_TESS_MAX_NAME = 255,    /* of an attribute */
    TSR_TESS_RECORD_BYTES = 16, /* of a key in KEYS */
    TSR_TESS_MAX_TILES = 1 << 20,
    TSR_TESS_MAX_POSITIONS = 1 << 20,
    TSR_TESS_MAX_IDS = 1 << 26,
    TSR_TESS_MAX_TILE_SIDE = 65536,
    TSR_TESS_MAX_CHANNELS = 4096,
    TSR_TESS_MAX_LAYERS = 12,     /* 4^11 > positions */
    TSR_TESS_RATIO = 256,         /* raw size over coded size */
    TSR_TESS_IDS_OF_BYTE = 65536, /* of coding 3 */
};
typedef enum tsr_tess_coding {
    TSR_TESS_CODING_RAW = 0,
    TSR_TESS_CODING_ZSTD = 1,
    TSR_TESS_CODING_RANGE = 2,
    TSR_TESS_CODING_TIME = 3
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
/* Write a number at b, little-endian. */
void tsr_set_u32(uint8_t *b, uint32_t value);
void tsr_set_u64(uint8_t *b, uint64_t value);

/* A growing array of bytes. After a failed allocation further bytes are dropped: check `failed` at
 * the end. */
typedef struct tsr_bytes {
    uint8_t *at;
    size_t size, room;
    bool failed;
} tsr_bytes;
void tsr_bytes_put(tsr_bytes *bytes, const void *data, size_t size);
/* Adds `size` uninitialised bytes and returns their address; NULL without memory. */
uint8_t *tsr_bytes_extend(tsr_bytes *bytes, size_t size);
void tsr_bytes_u8(tsr_bytes *bytes, uint32_t value);
void tsr_bytes_u32(tsr_bytes *bytes, uint32_t value);
void tsr_bytes_u64(tsr_bytes *bytes, uint64_t value);
void tsr_bytes_varint(tsr_bytes *bytes, uint64_t value);
void tsr_bytes_free(tsr_bytes *bytes);
/* Adds an empty chunk header and returns its position, for tsr_bytes_chunk_finish. */
size_t tsr_bytes_chunk_start(tsr_bytes *bytes);
/* Fills in the chunk header at `start`: all bytes after it are the payload. */
void tsr_bytes_chunk_finish(tsr_bytes *bytes, size_t start, uint32_t type, uint32_t flags);

/* Grows the array at the address `memory` to at least `count` elements of `size` bytes, at least
 * doubling it; its contents stay. *room is its capacity in elements. Errors: MEMORY. */
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
/* Address of the next `size` bytes; NULL when fewer are left. */
const uint8_t *tsr_cursor_take(tsr_cursor *c, size_t size);
uint32_t tsr_cursor_u8(tsr_cursor *c);
/* Next variable-length number; bad if it is above `most` or not in its shortest form. */
uint64_t tsr_cursor_varint(tsr_cursor *c, uint64_t most);

typedef struct tsr_chunk {
    uint32_t type, flags;
    uint64_t size; /* of the payload */
    uint32_t payload_crc;
} tsr_chunk;
/* Reads a chunk header. False unless `left` is at least 24, the header's CRC is right and its type
 * is letters and digits. */
bool tsr_chunk_read(const uint8_t *bytes, size_t left, tsr_chunk *chunk);
/* True if the type is one of this version and the flags are those of the type. HINT is not among
 * them: it is looked for in its place alone, and a gap as any other chunk. */
bool tsr_chunk_known(const tsr_chunk *chunk);

/* ---- payloads (token_fields.c) ----------------------------------------------------------- */

/* Where layer `layer` ends, at most `positions`; layer_tokens 0 = one layer. */
uint32_t tsr_layer_end(uint32_t layer_tokens, uint32_t layer, uint32_t positions);
/* Layers of an item whose fullest tile has most_ids ids. */
uint32_t tsr_layer_count(uint32_t layer_tokens, uint32_t most_ids);

/* Fails with `status` when a field is out of range. `name` begins the detail text. */
tsr_status tsr_token_header_check(tsr_context *ctx, tsr_status status, const char *name,
                                  const tsr_token_header *header,
                                  const tsr_token_writer_settings *settings);
void tsr_token_header_put(tsr_bytes *bytes, const tsr_token_header *header,
                          const tsr_token_writer_settings *settings);
tsr_status tsr_token_header_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                                size_t size, tsr_token_header *header,
                                tsr_token_writer_settings *settings);

/* The number of a whole file among the owners of attributes; item n is n + 1. */
enum { TSR_OWNER_FILE = 0 };
/* Pointers to the attributes of one owner in the order of their names. Starts as zeros. */
typedef struct tsr_attribute_order {
    const tsr_attribute **at;
    size_t room;
} tsr_attribute_order;
/* Checks attributes and sorts pointers to them. Errors: ARGUMENT (an attribute that cannot be
 * written), MEMORY. */
tsr_status tsr_attributes_check(tsr_context *ctx, const char *name, uint64_t owner,
                                const tsr_attribute *attributes, uint32_t count,
                                tsr_attribute_order *order);
/* Writes the ATTR chunk of `count` attributes that were checked; none make no chunk. */
void tsr_attributes_put(tsr_bytes *bytes, uint64_t owner, const tsr_attribute_order *order,
                        uint32_t count);
/* Memory that attributes are read into. Starts as zeros. */
typedef struct tsr_attribute_memory {
    tsr_attribute *list; /* [count] */
    char *text;
    size_t list_room, text_room;
    uint32_t count;
} tsr_attribute_memory;
void tsr_attribute_memory_free(tsr_attribute_memory *memory);
/* Reads the payload of an ATTR chunk. Errors: FORMAT (also when it is not that of `owner`), MEMORY;
 * memory->count is 0 then. */
tsr_status tsr_attributes_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                              size_t size, uint64_t owner, tsr_attribute_memory *memory);
/* The owner that the payload of an ATTR chunk names; UINT64_MAX for none. */
uint64_t tsr_attributes_owner(const uint8_t *payload, size_t size);

/* Writes the FRAM chunk if tiles have frames, and reads its payload into a header that was checked.
 * Errors: FORMAT. */
void tsr_token_frames_put(tsr_bytes *bytes, const tsr_token_header *header);
tsr_status tsr_token_frames_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                                size_t size, const tsr_token_writer_settings *settings,
                                tsr_token_header *header);
/* Writes the HINT chunk if the header has hints. */
void tsr_token_hints_put(tsr_bytes *bytes, const tsr_token_header *header);
void tsr_token_hints_get(const uint8_t *payload, tsr_token_header *header);

/* What a key would have to be ("no control characters"), or NULL when it is good. */
const char *tsr_token_key_problem(const char *key);
/* Copies a key for a message, '?' in place of control characters, and returns `clean`. */
const char *tsr_token_key_clean(const char *key, char *clean, size_t size);
/* Fails with `status` when a field of an item is out of range; counts, mask and ids are not
 * checked. `number` is the item's, for the detail text. */
tsr_status tsr_token_item_check(tsr_context *ctx, tsr_status status, const char *name,
                                const tsr_token_header *header, uint64_t number,
                                const tsr_token_item *item);
/* Writes the fields of a checked item, up to the coding byte; with `kept` also the kept mask. */
void tsr_token_item_put(tsr_bytes *bytes, const tsr_token_header *header, uint64_t number,
                        const tsr_token_item *item, bool kept);

/* Memory that one item after another is read into. Starts as zeros. */
typedef struct tsr_item_memory {
    char *key;
    uint32_t *counts, *lengths, *ids, *flat;
    float *latents;
    uint8_t *kept;
    size_t key_room, counts_room, lengths_room, ids_room, flat_room, latents_room, kept_room;
} tsr_item_memory;
void tsr_item_memory_free(tsr_item_memory *memory);

typedef struct tsr_item_fields { /* of a parsed ITEM payload */
    tsr_token_item item;         /* key, counts and kept point into the tsr_item_memory */
    uint64_t number, total;
    uint32_t most;   /* the greatest count */
    tsr_cursor data; /* from the coding byte on */
} tsr_item_fields;
tsr_status tsr_token_item_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                              size_t size, const tsr_token_header *header, tsr_item_memory *memory,
                              tsr_item_fields *fields);
/* Lowers the counts, and the kept mask, to at most `most` ids a tile, and updates total and most.
 */
void tsr_item_fields_limit(tsr_item_fields *fields, tsr_item_memory *memory,
                           const tsr_token_header *header, uint32_t most);
/* Clears all set bits of a mask but the first `limit`; returns the number that were set. */
uint32_t tsr_mask_limit(uint8_t *mask, uint32_t positions, uint32_t limit);
/* Number of set bits of a mask. */
uint32_t tsr_mask_count(const uint8_t *mask, uint32_t positions);

/* ---- zstd (token_zstd.c) ----------------------------------------------------------------- */

/* States of zstd, made at first use. Starts as zeros. */
typedef struct tsr_token_zstd {
    struct ZSTD_CCtx_s *compress;
    struct ZSTD_DCtx_s *decompress;
} tsr_token_zstd;
void tsr_token_zstd_free(tsr_token_zstd *zstd);
/* Compresses `size` bytes into out [room]; *coded is SIZE_MAX when they do not fit. Errors: MEMORY.
 */
tsr_status tsr_token_zstd_put(tsr_context *ctx, tsr_token_zstd *zstd, const uint8_t *bytes,
                              size_t size, uint8_t *out, size_t room, size_t *coded);
/* Decompresses `data`, which must give exactly bytes [size]. Errors: FORMAT, MEMORY. */
tsr_status tsr_token_zstd_get(tsr_context *ctx, tsr_token_zstd *zstd, uint8_t *bytes, size_t size,
                              const tsr_cursor *data);

/* ---- ids (token_coding.c) ---------------------------------------------------------------- */

/* Ids that are coded as one payload: for each tile in turn, its ids number first, first + 1, ... */
typedef struct tsr_id_span {
    const uint32_t *lengths; /* [tiles] ids of each tile in the payload */
    uint32_t tiles, first;
    uint64_t total; /* sum of lengths */
    bool sequence;  /* true: neighbours are those of a sequence, whatever the geometry */
} tsr_id_span;

/* States of zstd, and scratch. */
typedef struct tsr_token_coder tsr_token_coder;
tsr_status tsr_token_coder_open(tsr_context *ctx, tsr_token_coder **coder,
                                const tsr_token_header *header);
void tsr_token_coder_close(tsr_token_coder **coder);
/* Appends the coding byte and the coded ids. Errors: MEMORY. */
tsr_status tsr_token_coder_put(tsr_token_coder *coder, const tsr_id_span *span, const uint32_t *ids,
                               bool entropy, tsr_bytes *bytes);
/* Appends the coding byte and `total` coded vectors. Errors: TOKENS (a number that cannot be
 * stored), MEMORY. */
tsr_status tsr_token_coder_put_latents(tsr_token_coder *coder, const char *name, uint64_t total,
                                       const float *latents, bool entropy, tsr_bytes *bytes);
/* Decoding says what is wrong with the payload; which layer of which item it is, the caller adds.
 * Fails with FORMAT when `data` cannot hold `total` ids (or vectors), before memory is taken for
 * them. *coding becomes the coding of `data`. */
tsr_status tsr_token_coder_check(tsr_token_coder *coder, tsr_cursor data, uint64_t total,
                                 tsr_tess_coding *coding);
/* Decodes ids [span->total], of coding 3 those of an item that is coded alone. */
tsr_status tsr_token_coder_get(tsr_token_coder *coder, const tsr_id_span *span, tsr_cursor data,
                               uint32_t *ids);
/* Decodes `total` vectors. */
tsr_status tsr_token_coder_get_latents(tsr_token_coder *coder, uint64_t total, tsr_cursor data,
                                       float *latents);

/* ---- writer and reader, inside ------------------------------------------------------------ */

/* Ends a writer like tsr_token_writer_close, but under "<name without .tess>.partial.tess", for
 * what was done when the rest cannot be: *name of `size` bytes becomes the name. Errors: STATE
 * (nothing was added, or the output has no name), those of tsr_token_writer_close. */
tsr_status tsr_token_writer_close_partial(tsr_token_writer **writer, char *name, size_t size);
/* Writer settings that a file was written with. Owned by the file. */
const tsr_token_writer_settings *tsr_token_file_settings(const tsr_token_file *file);
/* Context that a file was opened with. */
tsr_context *tsr_token_file_context(const tsr_token_file *file);
/* Sets *key to the key of item `index`, valid until the next call on the file. The tokens are not
 * decoded. Errors: as tsr_token_file_item. */
tsr_status tsr_token_file_item_key(tsr_token_file *file, uint64_t index, const char **key);
/* A search for the items of a key. Starts as zeros. */
typedef struct tsr_key_search {
    bool begun;
    uint64_t hash, at; /* of the key; the next record of the key index, or the next item */
} tsr_key_search;
/* Finds the next item of that key; *found is false behind the last. Errors: MEMORY. */
tsr_status tsr_token_file_next_key(tsr_token_file *file, const char *key, tsr_key_search *search,
                                   uint64_t *index, bool *found);
/* What stands for a key in KEYS. */
uint64_t tsr_token_key_hash(const char *key);
/* Sets *damage to what reading item `index` just failed with, which is in the context's detail. */
void tsr_token_file_item_damage(const tsr_token_file *file, uint64_t index, tsr_status status,
                                tsr_token_damage *damage);
/* Memory of the items that are cut, and the clip that is open. Starts as zeros. */
typedef struct tsr_token_cutter {
    bool clip_open;
    uint64_t clip;          /* of the input */
    tsr_clip_frame *frames; /* of the item at hand */
    size_t frames_room;
    uint32_t *counts, *ids;
    float *latents;
    uint8_t *kept;
    size_t counts_room, ids_room, latents_room, kept_room;
} tsr_token_cutter;
void tsr_token_cutter_free(tsr_token_cutter *cutter);
/* Adds item `index` of a file to a writer, and the clip that it belongs to. What cannot be read is
 * told to settings->damaged and counted. *key becomes the key of an item that was added, valid
 * until the next call on the file, or NULL. Errors end the copying. */
tsr_status tsr_token_file_copy_item(tsr_token_file *file, uint64_t index, tsr_token_writer *writer,
                                    tsr_token_cutter *cutter,
                                    const tsr_token_cut_settings *settings,
                                    tsr_token_cut_report *report, const char **key);
/* Ends the clip that copying left open, if it did: behind the last item of a file. */
tsr_status tsr_token_file_copy_end(tsr_token_cutter *cutter, tsr_token_writer *writer);
/* Tells what opening left out, and notes it in the report. */
void tsr_token_file_copy_begin(tsr_token_file *file, const tsr_token_cut_settings *settings,
                               tsr_token_cut_report *report);
/* Adds the items of a file that the settings keep to a writer. DAMAGED when some could not be read
 * or opening left something out; the rest was added then. Other errors end the copying. */
tsr_status tsr_token_file_copy(tsr_context *ctx, tsr_token_file *file, tsr_token_writer *writer,
                               const tsr_token_cut_settings *settings,
                               tsr_token_cut_report *report);

#endif
