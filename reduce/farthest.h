/* SPDX-License-Identifier: MIT */
/* farthest.h: rows far from each other, by 1 - cosine: the one that is most alone, and from it on
 * the first centroids of a clip. For tokens, of which far more are picked, diversity.h. */
#ifndef REDUCE_FARTHEST_H
#define REDUCE_FARTHEST_H

#include "best_match.h"

/* 1 - cosine in float64; copies are at 0 exactly, rows of zeros at 1 from all. */
double tsr_direction_distance(const float *a, const float *b, int64_t dim);

/* The row whose nearest other row is the farthest, the lowest one on ties; *distance: to that row,
 * exactly 0 for copies. A single row is at 0. With `directions` rows of zeros, which have none, are
 * never it, unless all are. */
int32_t tsr_most_isolated(tsr_operation *o, const tsr_row_view *rows, bool directions,
                          double *distance);

/* Rows picked one by one: the next pick is the row whose nearest pick is the farthest, the lowest
 * row on ties; the first is the most isolated one. So k picks are the first k of more. Rows of
 * zeros come last. Distances are float64. */
typedef struct tsr_farthest {
    tsr_context *ctx;
    const float *unit; /* [n, dim] */
    int64_t n, dim;
    double *nearest; /* [n] distance to the nearest pick; below every distance: picked */
    int64_t *rows;   /* [n] picks in order */
    int64_t count;   /* picks so far */
} tsr_farthest;
/* Most rows among which the first pick is looked for, since that costs their square: of more rows
 * as many are taken at equal distances. */
enum { TSR_FARTHEST_FIRST = 8192 };
/* Opens a search over rows unit [n, dim], which must stay, and picks the first. Errors: ARGUMENT
 * (no row), MEMORY, those of the device. */
tsr_status tsr_farthest_open(tsr_device *device, tsr_farthest *farthest, const float *unit,
                             int64_t n, int64_t dim);
/* Picks until there are `count` of them, or n. */
void tsr_farthest_pick(tsr_farthest *farthest, int64_t count);
/* Frees the memory of a search; one of zeros is accepted. */
void tsr_farthest_close(tsr_farthest *farthest);

#endif
