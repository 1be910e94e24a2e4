/* SPDX-License-Identifier: MIT */
/* info_streams.h: what info says of the streams of items: tokens and bytes, which are not the same.
 */
#ifndef TOOLS_INFO_STREAMS_H
#define TOOLS_INFO_STREAMS_H

#include "tool.h"

/* Sums over the streams of the items that were read. Starts as zeros. */
typedef struct stream_totals {
    uint64_t items, streams; /* items that have some */
    uint64_t clips;          /* streams with a codebook */
    uint64_t rows, newlines; /* of their codebooks: tokens that a language model gets */
    uint64_t cells, frames;  /* of the clips */
    uint64_t all, codebook, ids, gains, map; /* bytes of all streams, and of their parts */
    uint64_t clip_bytes;
    double perplexity; /* sum over the clips */
} stream_totals;

void stream_totals_add(stream_totals *sum, const tsr_token_item *item);
/* Lines for people; nothing without streams. accuracy above 0: also the token density. */
void stream_totals_print(const stream_totals *sum, double accuracy);
/* The member "streams" of the document; none without streams. */
void stream_totals_json(json_out *j, const stream_totals *sum, double accuracy);
/* A line for each stream of an item, and the member "streams" of an item. */
void stream_lines(const char *before, const tsr_token_item *item);
void stream_json(json_out *j, const tsr_token_item *item);

#endif
