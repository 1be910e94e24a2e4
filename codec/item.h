/* SPDX-License-Identifier: MIT */
/* item.h: an item that owns its tokens. */
#ifndef CODEC_ITEM_H
#define CODEC_ITEM_H

#include "../nn/family.h"
#include "fit.h"

/* An empty item for the tiles of a canvas; `masked`: each has a mask of the positions kept. */
tsr_status tsr_item_open(tsr_context *ctx, const tsr_picture *picture, const tsr_canvas *canvas,
                         const tsr_token_header *header, float quality, bool masked,
                         tsr_item **item);
/* Puts tile `tile` of a batch at the end of an item. */
void tsr_item_add(tsr_item *item, const tsr_token_batch *batch, int tile);
/* The tokens of an item, to be changed. */
tsr_token_item *tsr_item_edit(tsr_item *item);
/* Keeps the first `count` ids of each tile; for items without a kept mask. */
void tsr_item_shorten(tsr_item *item, uint32_t count);
/* Gives *a's tokens to *b and the other way round. */
void tsr_item_swap(tsr_item *a, tsr_item *b);

#endif
