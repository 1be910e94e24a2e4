/* SPDX-License-Identifier: MIT */
/* batching.h: how many tiles make a batch. The number bounds memory and fills a device; the result
 * of a tile never depends on the number. */
#ifndef NN_BATCHING_H
#define NN_BATCHING_H

#include "../compute/device.h"

/* Cost of one tile of a batch. */
typedef struct tsr_tile_cost {
    uint64_t bytes; /* of activations at their peak; 0: a batch may have any number of tiles */
    uint64_t tensor_bytes; /* of the largest tensor */
    /* Of the product that has the least outputs: what decides when a GPU is full. 0: not known. */
    uint64_t rows, columns;
    bool alone;        /* a tile is cut into windows, and makes a batch of its own */
    bool equal_counts; /* decoding: the tiles of a batch must have equally many tokens; a tile
                          without tokens makes a batch of its own */
} tsr_tile_cost;

/* Number of tiles of a batch: 1 to `count`. For a GPU the least number whose smallest product has
 * four output tiles of 128 x 128 for each core (32 cores where the driver does not say), if
 * - the largest tensor fits into a binding and an allocation, and has at most a sixteenth of the
 *   memory and 2^31 - 1 floats;
 * - all activations fit into an eighth of the memory, and into half of what was free of it when the
 *   device was opened, where the driver says so.
 * Where the product is not known, the largest tensor may have 2^26 floats. A processor gets a few
 * small tiles, for one large tile makes it busy; its batch stays below half of the context's memory
 * limit. */
int64_t tsr_tiles_in_run(tsr_device *device, const tsr_tile_cost *cost, int64_t count);
/* Cost of a transformer that sees a tile as `rows` rows of `width` floats. */
tsr_tile_cost tsr_tile_cost_rows(int64_t rows, int64_t width);
/* Cost of two parts of a model that a tile goes through one after the other: the larger of each
 * number, and the smaller product. */
tsr_tile_cost tsr_tile_cost_larger(tsr_tile_cost a, tsr_tile_cost b);

#endif
