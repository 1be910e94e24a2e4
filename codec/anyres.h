/* SPDX-License-Identifier: MIT */
/* anyres.h: pictures in tiles of a tower's size beside the whole picture, as LLaVA-1.6 ("anyres")
 * and LLaVA-OneVision ("anyres_max_9") cut them, and the rows of all tiles as one sequence. */
#ifndef CODEC_ANYRES_H
#define CODEC_ANYRES_H

#include "view.h"

/* Height and width. */
typedef struct tsr_anyres_size {
    int64_t height, width;
} tsr_anyres_size;

/* How a picture is cut. Tile 0 is the whole picture squeezed to a square, the others follow row by
 * row. */
typedef struct tsr_anyres_plan {
    int64_t side;            /* pixels of a tile's side */
    tsr_anyres_size picture; /* pixels */
    tsr_anyres_size best;    /* pixels of the canvas that was chosen */
    tsr_anyres_size resized; /* pixels of the picture on it */
    int64_t top, left;       /* pixels of padding before it */
    tsr_anyres_size tiles;   /* rows and columns of tiles */
} tsr_anyres_plan;

/* LLaVA-1.6's canvases for tiles of 336 pixels, in their order. */
enum { TSR_ANYRES_NEXT = 5, TSR_ANYRES_ONEVISION = 36 };
extern const tsr_anyres_size tsr_anyres_next[TSR_ANYRES_NEXT];
/* Fills LLaVA-OneVision's canvases: side a x side b, a and b of 1..6. */
void tsr_anyres_onevision(int64_t side, tsr_anyres_size sizes[TSR_ANYRES_ONEVISION]);

/* Chooses the canvas on which most of the picture's pixels survive, of those the one with the least
 * waste, of those the earliest; the picture keeps its aspect on it. */
tsr_anyres_plan tsr_anyres_choose(tsr_anyres_size picture, const tsr_anyres_size *sizes, int count,
                                  int64_t side);
/* Number of tiles, the whole picture's included. */
int64_t tsr_anyres_tiles(const tsr_anyres_plan *plan);
/* Makes the pixels of all tiles: rgb [tiles, side, side, 3]. Padding is 0. Errors: those of
 * tsr_view_resize. */
tsr_status tsr_anyres_cut(tsr_device *host, const tsr_anyres_plan *plan, const tsr_picture *picture,
                          tsr_resampling filter, uint8_t *rgb);

/* Cells of the tiles without those of the padding, laid out as one grid of cells * tiles. */
typedef struct tsr_anyres_grid {
    int64_t top, left, rows, columns; /* in cells */
} tsr_anyres_grid;
/* `cells` along a tile's side. */
tsr_anyres_grid tsr_anyres_unpad(const tsr_anyres_plan *plan, int64_t cells);

/* Rows of LLaVA-1.6: those of tile 0, then the grid row by row, each row of it followed by one
 * image_newline. order [tsr_anyres_rows] holds tile * cells^2 + cell, -1 for image_newline. */
int64_t tsr_anyres_rows(const tsr_anyres_plan *plan, int64_t cells);
void tsr_anyres_order(const tsr_anyres_plan *plan, int64_t cells, int32_t *order);

/* Size of LLaVA-OneVision's grid: above most * cells^2 cells by more than a tenth in each
 * direction, it is made smaller. */
tsr_anyres_size tsr_anyres_limited(const tsr_anyres_plan *plan, int64_t cells, int64_t most);
/* Packs the rows of all tiles: features [tiles, cells^2, channels] and newline [channels] to
 * [cells^2 + rows * (columns + 1), channels] of tsr_anyres_limited: LLaVA-OneVision's with most 9,
 * LLaVA-1.6's, in the order of tsr_anyres_order, with a `most` that no picture has. Without a
 * newline (NULL) there are as many rows less. Errors: MEMORY. */
tsr_status tsr_anyres_pack(tsr_context *ctx, const tsr_anyres_plan *plan, int64_t cells,
                           int64_t most, const float *features, int64_t channels,
                           const float *newline, float *packed);

#endif
