/* SPDX-License-Identifier: MIT */
/* frame_chain.h: items of a clip that are coded from the items before them: an ITEM chunk, then
 * PRED chunks, each by the one before it. SPEC.md, section 7.3. */
#ifndef FORMATS_FRAME_CHAIN_H
#define FORMATS_FRAME_CHAIN_H

#include "time_coder.h"
#include "token_layout.h"

/* A chain as far as it was written or read. Starts as zeros. */
typedef struct tsr_frame_chain {
    bool open;
    uint64_t last;     /* index of the item that was coded last */
    uint32_t distance; /* of that from the one that the chain begins with */
    bool learnt;       /* the coder knows the items so far; it learns the first when it must */
    tsr_time_coder coder;
    tsr_range_model model;
    tsr_token_item base; /* that it begins with, in `memory` */
    tsr_item_memory memory;
} tsr_frame_chain;
void tsr_frame_chain_free(tsr_frame_chain *chain);
/* How ids of an item lie in frames. */
tsr_time_layout tsr_frame_layout(const tsr_token_header *header, const tsr_token_item *item);
/* Can the ids of such an item be coded frame by frame? */
bool tsr_frame_layout_good(const tsr_time_layout *layout);
/* Begins a chain with an item, whose fields and ids are copied. Errors: MEMORY. */
tsr_status tsr_frame_chain_begin(tsr_context *ctx, tsr_frame_chain *chain,
                                 const tsr_token_header *header, const tsr_token_item *item,
                                 uint64_t index);
/* Learns the first item, whose ids are chain->memory.ids, unless that was done. Errors: MEMORY. */
tsr_status tsr_frame_chain_learn(tsr_context *ctx, tsr_frame_chain *chain,
                                 const tsr_token_header *header);
/* Appends an item as a PRED chunk of fewer bytes than `room`; *done is false, and nothing is left
 * in `bytes`, when that cannot be. Errors: MEMORY. */
tsr_status tsr_frame_chain_put(tsr_context *ctx, tsr_frame_chain *chain,
                               const tsr_token_header *header, const tsr_token_item *item,
                               uint64_t number, uint32_t group, size_t room, tsr_bytes *bytes,
                               bool *done);

/* A PRED payload. */
typedef struct tsr_frame_fields {
    uint64_t number;
    uint32_t distance;   /* of the ITEM before it that the chain begins with, 1..255 */
    size_t shared, rest; /* bytes of the key: as in that ITEM, and of its own */
    const uint8_t *text; /* [rest] */
    tsr_cursor data;     /* from the coding byte on */
} tsr_frame_fields;
/* Reads a payload; false: its fields are out of range. */
bool tsr_frame_get(const uint8_t *payload, size_t size, tsr_frame_fields *fields);

#endif
