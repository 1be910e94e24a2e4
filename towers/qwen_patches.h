/* SPDX-License-Identifier: MIT */
/* qwen_patches.h: the rows that Qwen2-VL's towers take: patches of two frames in merge order. */
#ifndef TOWERS_QWEN_PATCHES_H
#define TOWERS_QWEN_PATCHES_H

#include "../nn/family.h"
#include "../nn/grid_resize.h"

enum {
    TSR_QWEN_PATCH = 14, /* pixels of a patch's side */
    TSR_QWEN_MERGE = 2,  /* patches of a cell's side: those that become one token */
    TSR_QWEN_FRAMES = 2  /* of a patch */
};

/* Place of row `index` of a grid in merge order: cells row by row, in a cell (0, 0), (0, 1), (1,
 * 0), (1, 1). */
void tsr_qwen_place(tsr_grid_size grid, int64_t index, int64_t *row, int64_t *column);
/* Cuts tiles into rows [count, frames / 2, N, 3 * 2 * 14^2], values in the order (channel, frame,
 * row, column), normalised by the view's numbers. A picture is shown twice. Sides are multiples of
 * 28. */
void tsr_qwen_cut(const tsr_pixels *pixels, const tsr_view *view, float *rows);

#endif
