/* SPDX-License-Identifier: MIT */
/* map_coder.h: a grid of frames of ids through the range coder, by copies of the cell of the frame
 * before, of the left one and of the upper one; SPEC.md, section 9.1. */
#ifndef FORMATS_MAP_CODER_H
#define FORMATS_MAP_CODER_H

#include "range_bits.h"

/* A grid of ids in raster order, frame by frame: each side 1 or more, the product below 2^32. */
typedef struct tsr_map_layout {
    uint32_t frames, rows, columns;
    uint32_t codes; /* ids are below it; 2 or more */
} tsr_map_layout;

/* Contexts that a map of so many codes needs. */
size_t tsr_map_context_count(uint32_t codes);
/* Codes the ids of a map into at most `room` bytes. Returns the number of bytes, or SIZE_MAX when
 * they exceed `room`. `contexts` is scratch, [tsr_map_context_count]. */
size_t tsr_map_encode(const tsr_map_layout *layout, tsr_range_context *contexts,
                      const uint32_t *ids, uint8_t *bytes, size_t room);
/* Decodes the ids of a map. Returns 0, or -1 when an id is not below `codes`. `contexts` is
 * scratch, [tsr_map_context_count]. */
int tsr_map_decode(const tsr_map_layout *layout, tsr_range_context *contexts, const uint8_t *bytes,
                   size_t size, uint32_t *ids);

#endif
