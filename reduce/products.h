/* SPDX-License-Identifier: MIT */
/* products.h: rows against rows on the cpu, straight from its matrix product (compute/cpu/gemm.h):
 * what similarity.h does where the device is the cpu, without tensors, weights and copies. A value
 * is one chain of additions over its two rows, so that blocks and threads change nothing. */
#ifndef REDUCE_PRODUCTS_H
#define REDUCE_PRODUCTS_H

#include "../compute/cpu/gemm.h"
#include "operator.h"

/* Columns that rows are compared with: n rows of dim numbers, packed. */
typedef struct tsr_products {
    tsr_operation *o;
    const tsr_gemm_kernels *gemm; /* NULL: not open */
    const float *panels;
    int64_t n, dim;
} tsr_products;

/* Packs rows x [n, dim], `stride` floats apart, with all threads, each divided by its length [n]
 * unless that is NULL or 0. Memory: n dim floats until the end of the operation. */
void tsr_products_open(tsr_operation *o, tsr_products *p, const float *x, int64_t stride, int64_t n,
                       int64_t dim, const double *length);
/* y [count, n]: products of rows a, `stride` floats apart, with all columns. */
void tsr_products_all(const tsr_products *p, const float *a, int64_t stride, int64_t count,
                      float *y);

/* Products of `rows` rows, the first of which is row `first`, with columns from .. from + columns:
 * y, `ld` floats from row to row, which the callee may change. */
typedef struct tsr_block {
    int64_t first, rows, from, columns, ld;
    float *y;
} tsr_block;
typedef void (*tsr_block_fn)(void *arg, const tsr_block *block);
/* Hands all products of rows a with all columns to `fn`, block by block, each while it is in the
 * cache. The blocks of a row come one after the other, columns ascending, on one thread; other rows
 * may come at the same time. Memory: a block for each thread. */
void tsr_products_visit(const tsr_products *p, const float *a, int64_t stride, int64_t count,
                        tsr_block_fn fn, void *arg);

/* The same of the packed rows with themselves, each pair once: a block of `rows` rows against as
 * many columns that are other rows, or against the same ones, whose pairs come both ways. No two
 * blocks at the same time share a row, whichever side it is on; rows come in no order. For rows by
 * the thousand. `a` are the packed rows before they were divided. */
void tsr_products_visit_pairs(const tsr_products *p, const float *a, int64_t stride,
                              tsr_block_fn fn, void *arg);

/* ---- rough products --------------------------------------------------------------------------
 */

/* Unit rows as bytes: row i is about step[i] * bytes, and `error` is by how much it is not. */
typedef struct tsr_byte_rows {
    int64_t n, depth; /* dim rounded up to a multiple of 4 */
    int8_t *bytes;    /* [n, depth] */
    int32_t *sum;     /* [n] of the bytes of a row */
    float *step;      /* [n], and room up to a whole panel */
    float *error;     /* [n] length of the difference, rounded up */
} tsr_byte_rows;
/* Whether products of bytes are fast on the operation's device, and rows of dim numbers fit. */
bool tsr_products_have_bytes(tsr_operation *o, int64_t dim);
/* Rounds rows x [n, dim], `stride` floats apart, each divided by its length [n], to bytes. Memory:
 * n dim bytes. */
void tsr_byte_rows_make(tsr_operation *o, tsr_byte_rows *r, const float *x, int64_t stride,
                        int64_t n, int64_t dim, const double *length);
/* At most n of these rows from row `first` on; a view. */
tsr_byte_rows tsr_byte_rows_from(const tsr_byte_rows *r, int64_t first, int64_t n);
/* Hands step[j] * (bytes of row i of a . bytes of row j of b) to `fn`, as tsr_products_visit does:
 * times a->step[i] it is the product of the unit rows to within
 * a->error[i] + b->error[j] + a->error[i] * b->error[j]. Memory: n dim bytes. */
void tsr_byte_rows_visit(tsr_operation *o, const tsr_byte_rows *a, const tsr_byte_rows *b,
                         tsr_block_fn fn, void *arg);
/* The same of rows with themselves, each pair once, as tsr_products_visit_pairs does. */
void tsr_byte_rows_visit_pairs(tsr_operation *o, const tsr_byte_rows *r, tsr_block_fn fn,
                               void *arg);

#endif
