/* SPDX-License-Identifier: MIT */
/* reply_layout.h: a reply while it is read: what reading found (reply_read.c), for repair
 * (reply_repair.c). */
#ifndef RUNNER_REPLY_LAYOUT_H
#define RUNNER_REPLY_LAYOUT_H

#include "vocab_map.h"

typedef struct tsr_reply_reader {
    tsr_context *ctx;
    const tsr_vocab_map *map;
    const tsr_vocab_picture *p;
    const tsr_vocab_block *block;
    const tsr_reply_settings *s;
    const uint32_t *ids; /* [count] */
    uint64_t count;
    const uint64_t *offsets; /* [count + 1] of a string: where each id begins; NULL: ids */
    uint64_t body, stop;     /* from the first code on, and the first id that is no part of it */
    uint32_t size_rows, size_columns; /* that the reply says; 0: none */
    uint32_t want_rows, want_columns; /* the same, or what was asked for, or the one of the map */
    /* The rows (or frames, or the whole) of the body, which separators end. */
    uint32_t *widths; /* [lines] */
    size_t lines, room;
    uint64_t codes;
    bool closed;    /* a separator stands behind the last line */
    bool frame_end; /* and the end of the frame behind that */
} tsr_reply_reader;

/* Place of an id in the block; at least block->count for other ids. */
static inline uint32_t tsr_reply_place(const tsr_reply_reader *r, uint32_t id) {
    return id >= TSR_VOCAB_SIZE_ID ? UINT32_MAX : id - r->block->first_id;
}
/* The id that ends a line: of rows or of frames; TSR_NO_ID for none. */
static inline uint32_t tsr_reply_separator(const tsr_reply_reader *r) {
    const int at = r->p->rows ? r->p->eol : r->p->frame_separator;
    return at < 0 ? TSR_NO_ID : tsr_vocab_id(r->map, at);
}
/* Chooses rows and columns for `codes` codes of a layout without separators, those asked for first.
 * Returns false where none fits, and sets *least and *most to what would. */
bool tsr_reply_grid(const tsr_reply_reader *r, uint64_t codes, tsr_reply *reply, uint64_t *least,
                    uint64_t *most);
/* Repairs what can be and sets reply->usable, or leaves it. Errors: MEMORY. */
tsr_status tsr_reply_repair(tsr_reply_reader *r, tsr_reply *reply);

#endif
