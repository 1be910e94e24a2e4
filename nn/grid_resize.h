/* SPDX-License-Identifier: MIT */
/* grid_resize.h: grids of rows at another size: tables of learned positions for pictures of other
 * sizes than the table was trained for, and maps of features that are pooled. Half-pixel centres,
 * sums in double, on the host. */
#ifndef NN_GRID_RESIZE_H
#define NN_GRID_RESIZE_H

#include "../compute/context.h"
#include <stdint.h>

/* How a row is made of its neighbours. They are PyTorch's interpolate(align_corners=False). */
typedef enum tsr_grid_filter {
    TSR_GRID_BILINEAR = 0,       /* 2 neighbours on an axis, whatever the scale */
    TSR_GRID_BICUBIC,            /* 4 neighbours, a = -0.75; beyond the edge the edge is repeated */
    TSR_GRID_BILINEAR_ANTIALIAS, /* a triangle that is stretched where an axis shrinks, normalised
                                  */
    TSR_GRID_BICUBIC_ANTIALIAS   /* a = -0.5, stretched where an axis shrinks, normalised */
} tsr_grid_filter;

/* Sizes of a grid. */
typedef struct tsr_grid_size {
    int64_t rows, columns;
} tsr_grid_size;

/* Resizes from [from_size, channels] to [to_size, channels], row by row. All sizes are 1 or more.
 * Errors: MEMORY. */
tsr_status tsr_grid_resize(tsr_context *ctx, const float *from, tsr_grid_size from_size,
                           int64_t channels, tsr_grid_filter filter, float *to,
                           tsr_grid_size to_size);

#endif
