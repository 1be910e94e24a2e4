/* SPDX-License-Identifier: MIT */
/* batching.h: how many tiles go through a model in one run. The number bounds memory and fills a
 * device; the result of a tile never depends on it. */
#ifndef NN_BATCHING_H
#define NN_BATCHING_H

#include "../compute/device.h"

/* What a tile costs in one run of the model; the caller cuts batches by it. */
typedef struct tsr_tile_cost {
    uint64_t bytes; /* of activations at their peak; 0: any number of tiles may share a run */
    uint64_t tensor_bytes; /* of the largest tensor */
    bool alone;            /* a tile does not fit into one run and is computed by itself */
    bool equal_counts;     /* decoding: tiles of a run must have equally many tokens; a tile without
                              any is decoded alone */
} tsr_tile_cost;

/* 1 to `count` tiles of this cost. A GPU gets as many as an eighth of its memory holds: the more
 * rows, the busier it is. A processor gets a few small tiles: one large tile keeps it busy. All of
 * them together stay below half of the context's memory limit. */
int64_t tsr_tiles_in_run(tsr_device *device, const tsr_tile_cost *cost, int64_t count);
/* Cost of a transformer over `rows` of `width` floats a tile. */
tsr_tile_cost tsr_tile_cost_rows(int64_t rows, int64_t width);
/* Cost of two parts that a tile goes through one after the other. */
tsr_tile_cost tsr_tile_cost_larger(tsr_tile_cost a, tsr_tile_cost b);

#endif
