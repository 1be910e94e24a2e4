/* SPDX-License-Identifier: MIT */
/* token_streams.h: STRM chunks: their fields, and what streams of an item say of each other.
 * SPEC.md, section 7.1. */
#ifndef FORMATS_TOKEN_STREAMS_H
#define FORMATS_TOKEN_STREAMS_H

#include "stream_parts.h"

/* Checks the streams of an item and what they say of each other; numbers in their arrays are looked
 * at when they are put. Errors: ARGUMENT. */
tsr_status tsr_streams_check(tsr_context *ctx, const char *name, uint64_t item,
                             const tsr_token_stream *streams, uint32_t count);
/* Appends the STRM chunks of checked streams. Errors: TOKENS (an id or a number that cannot be
 * stored), MEMORY. */
tsr_status tsr_streams_put(tsr_stream_coder *coder, const char *name, uint64_t item,
                           const tsr_token_stream *streams, uint32_t count, bool entropy,
                           tsr_bytes *bytes);
/* Reads number, count and name alone from the first bytes of a payload. False: they are none. */
bool tsr_stream_probe(const uint8_t *payload, size_t size, uint64_t *item, uint32_t *number,
                      uint32_t *count, char name[TSR_STREAM_NAME + 1]);
/* Reads the fields of a payload and checks that its parts can be what they say. `fields` must not
 * be moved afterwards. Errors: FORMAT. */
tsr_status tsr_stream_get(tsr_context *ctx, const char *name, const uint8_t *payload, size_t size,
                          tsr_stream_fields *fields);
/* Fails with FORMAT unless the finer stream of each stream that is there has the size said of it.
 */
tsr_status tsr_streams_agree(tsr_context *ctx, const char *name, const tsr_token_stream *streams,
                             uint32_t count);

#endif
