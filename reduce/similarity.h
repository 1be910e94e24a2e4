/* SPDX-License-Identifier: MIT */
/* similarity.h: rows against rows, by the device's matrix product.
 *
 *     tsr_similarity s;
 *     tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, o->in->features, n, dim);
 *     float *tile = tsr_operation_take(o, s.tile * n, sizeof *tile, "similarities");
 *     for (int64_t first = 0; first < n && !o->status; first += s.tile) {
 *         const int64_t count = tsr_similarity_rows(&s, first, tile); // [count, n]
 *         ...
 *     }
 *     tsr_similarity_close(&s);
 *
 * Every value depends on its two rows alone, so that nothing depends on how rows are cut into
 * tiles, on the number of threads, or on which rows are asked for together; equal rows get equal
 * values. Calls are sticky like those of operator.h: after a failure they do nothing. */
#ifndef REDUCE_SIMILARITY_H
#define REDUCE_SIMILARITY_H

#include "../compute/sums.h"
#include "operator.h"
#include "products.h"

/* What is computed of two rows a and b, in f32. */
typedef enum tsr_similarity_kind {
    TSR_SIMILARITY_DOT = 0,
    TSR_SIMILARITY_COSINE, /* 0 where a row is all zeros */
    /* |a - b|^2, never below 0. The mean of the columns is taken away first; the error is then at
     * most about dim * 2^-24 * (|a| + |b|)^2, so that equal rows may be slightly apart: compare
     * with tsr_square_distance where that decides. */
    TSR_SIMILARITY_SQUARE_DISTANCE
} tsr_similarity_kind;

/* Rows [n, dim], ready to be compared with others. */
typedef struct tsr_similarity {
    tsr_operation *o;
    tsr_device *device;
    tsr_similarity_kind kind;
    int64_t n, dim;
    int64_t tile;   /* rows of a tile: [tile, n] takes a few megabytes */
    const float *x; /* [n, dim] as they came */
    const float
        *staged;    /* [n, dim] unit rows, or rows less their mean, or the rows themselves; NULL
                       for cosines on the cpu, where rows are divided when they are asked for */
    float *mean;    /* [dim] for squared distances */
    double *length; /* [n] squared lengths of staged rows, for squared distances */
    tsr_products products; /* the staged rows where the device is the cpu; else ... */
    tsr_weights *weights;
    tsr_weight *columns; /* ... as the device has them */
    float *gathered;     /* [tile, dim] rows that are asked for by index or from outside */
} tsr_similarity;

/* Prepares rows x [n, dim], which must stay until the end. Memory: 2 n dim floats, n dim for
 * TSR_SIMILARITY_DOT and for cosines on the cpu. */
void tsr_similarity_open(tsr_operation *o, tsr_similarity *s, tsr_similarity_kind kind,
                         const float *x, int64_t n, int64_t dim);
/* Prepares rows x [n, dim], `stride` floats apart, for TSR_SIMILARITY_DOT with rows from outside:
 * each divided by its length [n]. Memory: n dim floats, on other devices than the cpu twice that.
 */
void tsr_similarity_open_rows(tsr_operation *o, tsr_similarity *s, const float *x, int64_t stride,
                              int64_t n, int64_t dim, const double *length);
/* Gives back what the device holds; a similarity of zeros is accepted. */
void tsr_similarity_close(tsr_similarity *s);

/* Compares rows first, first + 1, ..., at most `tile` of them, with all: y [count, n]. Returns
 * count, 0 after a failure. */
int64_t tsr_similarity_rows(tsr_similarity *s, int64_t first, float *y);
/* Compares the rows index[0 .. count-1], count <= tile, with all: y [count, n]. */
void tsr_similarity_picked(tsr_similarity *s, const int32_t *index, int64_t count, float *y);
/* Compares other rows a [count, dim], count <= tile, with all: y [count, n]. */
void tsr_similarity_others(tsr_similarity *s, const float *a, int64_t count, float *y);

/* Hands the products of rows a, `stride` floats apart, with all to `fn`, as tsr_products_visit
 * does; for TSR_SIMILARITY_DOT. */
void tsr_similarity_visit(tsr_similarity *s, const float *a, int64_t stride, int64_t count,
                          tsr_block_fn fn, void *arg);

/* Means of the columns of x [n, dim], summed in float64 in the order of rows: mean [dim]. */
void tsr_mean_of_columns(tsr_operation *o, const float *x, int64_t n, int64_t dim, float *mean);
/* Divides rows x [n, dim] by their length (float64): unit [n, dim], which may be x. Zeros stay. */
void tsr_unit_rows(tsr_operation *o, const float *x, int64_t n, int64_t dim, float *unit);

#endif
