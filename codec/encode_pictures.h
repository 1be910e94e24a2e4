/* SPDX-License-Identifier: MIT */
/* encode_pictures.h: pictures in memory to items, by a plan. */
#ifndef CODEC_ENCODE_PICTURES_H
#define CODEC_ENCODE_PICTURES_H

#include "encode_plan.h"
#include "fit.h"

/* Encodes `count` pictures; items[i] is opened for each (all or none). *near_ties is added to.
 * Errors: ARGUMENT (pictures, noise), TOO_LARGE, MEMORY, INTERRUPTED, those of the family. */
tsr_status tsr_encode_pictures(tsr_tokenizer *tokenizer, tsr_encode_plan *plan,
                               const tsr_picture *pictures, int count, tsr_item **items,
                               uint64_t *near_ties);
/* A picture that stands ready to be cut into tiles. */
typedef struct tsr_fitted_picture {
    tsr_picture picture; /* rgb is not read */
    tsr_canvas canvas;
} tsr_fitted_picture;
/* Pictures on their way to items. */
typedef struct tsr_encode_stream tsr_encode_stream;
/* Begins what tsr_encode_pictures does, of pictures that were fitted to plan->header before. The
 * last tiles may be on their way when this returns; items, pictures and the arrays of both stay in
 * their places until the end. After a failure nothing is on its way and no item is open. Errors: as
 * above. */
tsr_status tsr_encode_canvases_begin(tsr_tokenizer *tokenizer, tsr_encode_plan *plan,
                                     tsr_fitted_picture *const *pictures, int count,
                                     tsr_item **items, tsr_encode_stream **stream);
/* Waits for them and sets *stream to NULL; with NULL in it does nothing. With plan->keep_fitted a
 * canvas is handed over to its item. Streams end in the order of their beginning. Errors: as above.
 */
tsr_status tsr_encode_canvases_end(tsr_encode_stream **stream, uint64_t *near_ties);
/* Encodes the canvas that an item keeps once more, by another request; the item stays as it is.
 * Errors: as above. */
tsr_status tsr_encode_again(tsr_tokenizer *tokenizer, const tsr_encode_plan *plan,
                            const tsr_item *item, tsr_item **again);

#endif
