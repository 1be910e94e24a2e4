/* SPDX-License-Identifier: MIT */
/* windows.h: pooling over windows of a grid, for operators: windows along each axis, means over
 * their product, and the map from tokens to windows. */
#ifndef REDUCE_WINDOWS_H
#define REDUCE_WINDOWS_H

#include "operator.h"

/* Windows along one axis of a grid: window i holds the places from[i] .. to[i] - 1. */
typedef struct tsr_windows {
    int64_t in, out;     /* places along the axis, windows */
    int64_t *from, *to;  /* [out], from ascending */
    const int64_t *pick; /* [in] where each place stands in the grid, ascending; NULL: as counted */
} tsr_windows;

/* Windows of one size with one stride; a tail that fills no window is left out. The axis must be at
 * least a window long. */
tsr_windows tsr_windows_sliding(tsr_operation *o, int64_t in, int64_t size, int64_t stride);
/* Windows of adaptive pooling: [floor(i in / out), ceil((i + 1) in / out)), which overlap where
 * `out` does not divide `in`. */
tsr_windows tsr_windows_adaptive(tsr_operation *o, int64_t in, int64_t out);

/* How tokens of a window are weighted: equally with weight NULL, else by the softmax of
 * weight[token] / temperature inside the window. */
typedef struct tsr_window_weights {
    const float *weight; /* [tokens], not negative where temperature is below 1 */
    double temperature;
} tsr_window_weights;

/* A pooling of a grid. */
typedef struct tsr_pooling {
    int64_t grid[3];
    tsr_windows axis[3];
    bool line; /* the new tokens are a line, without a grid */
} tsr_pooling;

/* Means over windows of x [grid[0] * grid[1] * grid[2], channels]: y [product of out, channels] in
 * raster order. Sums are float64 in raster order. */
void tsr_windows_mean(tsr_operation *o, const float *x, int64_t channels, const int64_t grid[3],
                      const tsr_windows axis[3], tsr_window_weights weights, float *y);
/* The first window that holds each token of the grid, plus `base`, or -1: map [tokens]. */
void tsr_windows_map(const int64_t grid[3], const tsr_windows axis[3], int64_t base, int32_t *map);
/* The tokens of every window, as tsr_list_mean takes them: starts [windows + 1], then tokens. NULL
 * after a failure. */
int32_t *tsr_windows_lists(tsr_operation *o, const tsr_pooling *p);
/* Pools the tokens of the set, which stand on the grid, and replaces them. */
void tsr_windows_replace(tsr_operation *o, const tsr_pooling *p, tsr_window_weights weights);

#endif
