/* SPDX-License-Identifier: MIT */
/* stream_parts.h: what a stream of an item is made of, and the coding of codebook, ids, gains and
 * map. SPEC.md, section 7.1. */
#ifndef FORMATS_STREAM_PARTS_H
#define FORMATS_STREAM_PARTS_H

#include "token_layout.h"

enum {
    TSR_STREAM_NAME = 63,
    TSR_STREAM_SOURCE = 255,
    TSR_STREAM_MAX_CELLS = 1 << 26,
    TSR_STREAM_MAX_CHANNELS = 65536,
    TSR_STREAM_PROBE = 2 * 10 + 3 + 1 + TSR_STREAM_NAME /* payload bytes up to the name's end */
};
typedef enum tsr_stream_part {
    TSR_STREAM_CODEBOOK = 0,
    TSR_STREAM_IDS = 1,
    TSR_STREAM_GAINS = 2,
    TSR_STREAM_MAP = 3,
    TSR_STREAM_PARTS = 4
} tsr_stream_part;

/* A STRM payload whose fields are good; its parts are not decoded. */
typedef struct tsr_stream_fields {
    tsr_token_stream stream; /* without arrays; name and source point into this struct */
    char name[TSR_STREAM_NAME + 1], source[TSR_STREAM_SOURCE + 1];
    uint64_t item;          /* that it belongs to */
    uint32_t number, count; /* of the stream in its item, and of the item's streams */
    bool newline;
    struct {
        bool there;
        uint32_t coding;
        tsr_cursor data;
    } part[TSR_STREAM_PARTS];
} tsr_stream_fields;

/* Memory that the arrays of a stream are read into. Starts as zeros. */
typedef struct tsr_stream_memory {
    float *codebook, *gains;
    uint32_t *ids, *map;
    size_t codebook_room, gains_room, ids_room, map_room;
} tsr_stream_memory;
void tsr_stream_memory_free(tsr_stream_memory *memory);

/* States of the coders of parts, and scratch. Starts as zeros but `ctx`. */
typedef struct tsr_stream_coder {
    tsr_context *ctx;
    tsr_token_zstd zstd;
    struct tsr_range_context *contexts;
    uint8_t *content, *coded;
    size_t contexts_room, content_room, coded_room;
} tsr_stream_coder;
void tsr_stream_coder_free(tsr_stream_coder *coder);
/* Rounds a codebook row as a stream with this type of codebook gives it back. */
void tsr_stream_round_row(tsr_codebook_type type, float *row, uint32_t channels);

static inline uint64_t tsr_stream_cells(const tsr_token_stream *s) {
    return (uint64_t)s->frames * s->rows * s->columns;
}
static inline uint64_t tsr_stream_finer_cells(const tsr_token_stream *s) {
    return (uint64_t)s->finer_frames * s->finer_rows * s->finer_columns;
}

/* Appends one part. `label` begins detail texts. Errors: TOKENS, MEMORY. */
tsr_status tsr_stream_put_codebook(tsr_stream_coder *coder, const char *label,
                                   const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes);
tsr_status tsr_stream_put_ids(tsr_stream_coder *coder, const char *label,
                              const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes);
tsr_status tsr_stream_put_gains(tsr_stream_coder *coder, const char *label,
                                const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes);
tsr_status tsr_stream_put_map(tsr_stream_coder *coder, const char *label,
                              const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes);
/* Fails with FORMAT when a part cannot be what the fields say, before memory is taken for it. */
tsr_status tsr_stream_check_part(tsr_context *ctx, const char *label,
                                 const tsr_stream_fields *fields, tsr_stream_part part);
/* Decodes all parts and points fields->stream at them. Errors: FORMAT, MEMORY. */
tsr_status tsr_stream_read(tsr_stream_coder *coder, const char *label, tsr_stream_fields *fields,
                           tsr_stream_memory *memory);

#endif
