/* SPDX-License-Identifier: MIT */
/* tiles.h: tiles through a tokenizer, as many in one run as are good for the device. */
#ifndef MODELS_TILES_H
#define MODELS_TILES_H

#include "../compute/arena.h"
#include "model.h"

/* Batch for the tokens of `count` tiles under a header, in memory of the scratch; `selects`: with
 * kept, halting and margin. */
tsr_token_batch tsr_token_batch_take(tsr_scratch *scratch, const tsr_token_header *header,
                                     int count, bool selects);

/* Tiles on their way to tokens. The caller's, at one place until it has ended. */
typedef struct tsr_tiles_flight {
    tsr_token_batch *batch;
    tsr_encode_flight run[TSR_FLIGHTS]; /* a ring of those that have not ended */
    int first, count;
} tsr_tiles_flight;
/* Begins to turn tiles into tokens, in runs of as many tiles as the model's cost allows. batch has
 * room for pixels->count tiles and stays where it is until the end; the pixels are read when this
 * returns. near_ties is added to. After a failure nothing is on its way. Errors: those of the
 * family. */
tsr_status tsr_encode_tiles_begin(const tsr_model *model, const tsr_pixels *pixels,
                                  const tsr_encode_request *request, tsr_token_batch *batch,
                                  tsr_tiles_flight *flight);
/* Waits for what was begun; ending again does nothing. Flights end in the order of their beginning.
 * Errors: as above. */
tsr_status tsr_encode_tiles_end(const tsr_model *model, tsr_tiles_flight *flight);
/* Both at once. */
tsr_status tsr_encode_tiles(const tsr_model *model, const tsr_pixels *pixels,
                            const tsr_encode_request *request, tsr_token_batch *batch);
/* Tokens to RGB f32 [count, (batch->frames,) height, width, 3] in 0..1, in runs as above; `values`
 * is the number of floats of a tile. Errors: those of the family, MEMORY. */
tsr_status tsr_decode_tiles(const tsr_model *model, const tsr_token_batch *batch,
                            const tsr_sampling *sampling, size_t values, float *rgb);

#endif
