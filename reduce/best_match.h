/* SPDX-License-Identifier: MIT */
/* best_match.h: the most similar row of each row, for operators. */
#ifndef REDUCE_BEST_MATCH_H
#define REDUCE_BEST_MATCH_H

#include "operator.h"

/* Rows [n, dim], `stride` floats apart. */
typedef struct tsr_row_view {
    const float *x;
    int64_t stride, n, dim;
} tsr_row_view;

/* Finds for each row a the row b of the greatest cosine, the lowest index among equals: match [a.n]
 * and its cosine [a.n]. Rows b below `first` are no match, and with `others` row i of a is none for
 * itself; there must be one. A row of zeros has cosine 0 with every row.
 *
 * Cosines are those of float64 sums, rounded to f32, and so are matches, on every device: products
 * of less precision say which rows can be the best, within a bound of their error, and those are
 * looked at again. Where very many rows are that close, it takes as long as all cosines in float64.
 * Memory: the packed rows b; no matrix of cosines. */
void tsr_best_matches(tsr_operation *o, const tsr_row_view *a, const tsr_row_view *b, int64_t first,
                      bool others, int32_t *match, float *cosine);
/* Of rows among themselves those whose greatest cosine may be the least of all, that of rows of
 * zeros left out: match and cosine as above, for all other rows -1 and infinity. */
void tsr_isolated_matches(tsr_operation *o, const tsr_row_view *rows, int32_t *match,
                          float *cosine);

#endif
