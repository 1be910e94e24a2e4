/* SPDX-License-Identifier: MIT */
/* fit.h: pictures of any size to tiles of one size, and back.
 *
 *   crop     short side resized to the tile, centre cut out          -> the tile
 *   pad      long side resized to the tile, rest filled              -> the filled part
 *   stretch  both sides resized to the tile                          -> resized back
 *   tile     no resizing; tiles overlap and are spread evenly, and where they overlap they fade
 * into each other, so no seam shows; a side shorter than a tile repeats its edge -> same size */
#ifndef CODEC_FIT_H
#define CODEC_FIT_H

#include <tessera/tessera.h>
#include "../compute/device.h"

enum { TSR_TILE_OVERLAP = 32 }; /* pixels, at most a quarter of a tile */

/* A picture after resizing, ready to be cut. */
typedef struct tsr_canvas {
    const uint8_t *rgb; /* [frames, height, width, 3]: `owned`, or the caller's picture */
    uint8_t *owned;
    int frames; /* 1 of a picture */
    int width, height;
    int crop_x, crop_y; /* of the tile area; negative where padding stands before the picture */
    int columns, rows;
    int tile_width, tile_height, overlap;
    tsr_fit fit;
    uint8_t background[3];
} tsr_canvas;

/* fit AUTO means TILE. `host` is a cpu device for the resampling. Errors: ARGUMENT, TOO_LARGE,
 * MEMORY. On success free with tsr_canvas_free; picture->rgb must outlive the canvas. */
tsr_status tsr_canvas_open(tsr_device *host, const tsr_picture *picture,
                           const tsr_token_header *header, tsr_canvas *canvas);
void tsr_canvas_free(tsr_canvas *canvas);
/* Copies tile `index` (row by row) to tile [frames, tile_height, tile_width, 3]. */
void tsr_canvas_cut(const tsr_canvas *canvas, int index, uint8_t *tile);

/* Puts decoded tiles together again. */
typedef struct tsr_unfit {
    int frames, width, height; /* of the canvas */
    int columns, rows, tile_width, tile_height, overlap, crop_x, crop_y;
    tsr_fit fit;
    float *rgb;           /* [frames, height, width, 3] sums of weighted tiles */
    float *sum_x, *sum_y; /* [width], [height]: what the weights along an axis are divided by */
} tsr_unfit;

/* Checks that the item's geometry is one that tsr_canvas_open makes. Errors: TOKENS, TOO_LARGE,
 * MEMORY. */
tsr_status tsr_unfit_open(tsr_context *ctx, const tsr_token_header *header,
                          const tsr_token_item *item, tsr_unfit *unfit);
/* Adds tile `index`, RGB f32 [frames, tile_height, tile_width, 3] of 0..1, not clamped. */
void tsr_unfit_add(tsr_unfit *unfit, int index, const float *tile);
/* Rounds to 8 bits and, for stretch, resizes to the source's size. rgb has tsr_item_size's bytes
 * for each frame. */
tsr_status tsr_unfit_finish(tsr_device *host, const tsr_unfit *unfit,
                            const tsr_token_header *header, const tsr_token_item *item,
                            uint8_t *rgb);
void tsr_unfit_close(tsr_unfit *unfit);

#endif
