/* SPDX-License-Identifier: MIT */
/* item.h: an item that owns its tokens and, where that was asked for, its fitted picture. */
#ifndef CODEC_ITEM_H
#define CODEC_ITEM_H

#include "../nn/family.h"
#include "fit.h"

/* Opens an empty item for the tiles of a canvas. `masked`: each tile has a mask of the positions
 * kept. Errors: MEMORY. */
tsr_status tsr_item_open(tsr_context *ctx, const tsr_picture *picture, const tsr_canvas *canvas,
                         const tsr_token_header *header, float quality, bool masked,
                         tsr_item **item);
/* Opens an empty item for the tiles of another item. Errors: MEMORY. */
tsr_status tsr_item_open_like(tsr_context *ctx, const tsr_item *other, float quality,
                              tsr_item **item);
/* Puts tile `tile` of a batch at the end of an item. */
void tsr_item_add(tsr_item *item, const tsr_token_batch *batch, int tile);
/* Mean absolute error that the tokenizer predicted of the item's tiles, their mean, on the 0..1
 * scale; NaN where it predicted none. */
double tsr_item_predicted_error(const tsr_item *item);
/* Hands a canvas over to an item: tsr_item_fitted and tsr_item_canvas show it from here on.
 * Errors: MEMORY; then the canvas is still the caller's. */
tsr_status tsr_item_keep_canvas(tsr_context *ctx, tsr_item *item, tsr_canvas *canvas);
/* The canvas an item keeps, or NULL. Owned by the item. */
const tsr_canvas *tsr_item_canvas(const tsr_item *item);
/* The tokens of an item, to be changed. */
tsr_token_item *tsr_item_edit(tsr_item *item);
/* Keeps the first `count` ids of each tile; for items without a kept mask. */
void tsr_item_shorten(tsr_item *item, uint32_t count);
/* Exchanges the tokens of two items of one picture; key and canvas stay. */
void tsr_item_swap_tokens(tsr_item *a, tsr_item *b);

#endif
