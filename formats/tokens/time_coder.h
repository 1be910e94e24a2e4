/* SPDX-License-Identifier: MIT */
/* time_coder.h: ids of frames through the range coder, each frame by what the frames before it were
 * at the same places; SPEC.md, section 9.2. Predictions of several contexts are mixed in the
 * logistic domain by weights that learn (M. Mahoney, "Adaptive weighing of context models for
 * lossless data compression", 2005). All arithmetic is in integers, so every machine gives the same
 * bytes. */
#ifndef FORMATS_TIME_CODER_H
#define FORMATS_TIME_CODER_H

#include "range_coder.h"
#include "../../compute/context.h"

enum {
    TSR_TIME_CONTEXT_BITS = 18, /* most bits of the number of a context */
    TSR_TIME_INPUTS = 5,
    TSR_TIME_MIXERS = 2 + 2 * 2 * TSR_RANGE_MAX_DIGITS
};

/* The ids of an item: those of one tile after the other, of each tile frame by frame. */
typedef struct tsr_time_layout {
    const uint32_t *lengths; /* [tiles] ids of each tile */
    uint32_t tiles;
    uint32_t frame;   /* ids of a frame of a tile, of which each length is a multiple; 0: each tile
                         is one frame */
    uint32_t columns; /* of the grid; 0: a sequence */
} tsr_time_layout;

/* What was learnt of the frames so far. Starts as zeros. */
typedef struct tsr_time_coder {
    const tsr_range_model *model;
    tsr_range_context *contexts; /* [2^18], of which 2^bits are used */
    uint32_t bits;
    int32_t weights[TSR_TIME_MIXERS][TSR_TIME_INPUTS]; /* in 1/65536 */
    tsr_range_context still[9];                        /* of whole tiles */
    uint32_t *last, *before; /* [cells] ids of the frame before, and of the one before that */
    uint8_t *copied;         /* [cells] 1: the id of the frame before was a copy */
    uint8_t *same;           /* [tiles] 1: all ids were, 2: not yet known */
    uint8_t *seen;           /* [tiles] frames that were seen, at most 2 */
    size_t last_room, before_room, copied_room, same_room, seen_room;
    int16_t stretch[4096];
    bool ready; /* stretch is */
} tsr_time_coder;
void tsr_time_coder_free(tsr_time_coder *coder);
/* Forgets all frames; items of `cells` ids a frame in `tiles` tiles follow. Errors: MEMORY. */
tsr_status tsr_time_begin(tsr_context *ctx, tsr_time_coder *coder, const tsr_range_model *model,
                          uint64_t cells, uint32_t tiles);
/* Ids of a frame of all tiles. */
uint64_t tsr_time_cells(const tsr_time_layout *layout);
/* Learns an item that is known otherwise. */
void tsr_time_learn(tsr_time_coder *coder, const tsr_time_layout *layout, const uint32_t *ids);
/* Codes an item into at most `room` bytes, and learns it. Returns the number of bytes, or SIZE_MAX
 * when they exceed `room`: the coder has to begin anew then. */
size_t tsr_time_encode(tsr_time_coder *coder, const tsr_time_layout *layout, const uint32_t *ids,
                       uint8_t *bytes, size_t room);
/* Decodes an item, and learns it. Returns 0, or -1 when an id is not below the model's
 * codebook_size or was not coded in the one way that an encoder has: the coder has to begin anew
 * then. */
int tsr_time_decode(tsr_time_coder *coder, const tsr_time_layout *layout, const uint8_t *bytes,
                    size_t size, uint32_t *ids);

#endif
