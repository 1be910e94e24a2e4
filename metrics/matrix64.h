/* SPDX-License-Identifier: MIT */
/* matrix64.h: the few things that statistics of features need of dense float64 matrices, row by row
 * in memory. Sums have one order for every number of threads. */
#ifndef METRICS_MATRIX64_H
#define METRICS_MATRIX64_H

#include "../compute/context.h"
#include <stdbool.h>
#include <stdint.h>

/* A matrix as a product reads it: element (i, j) is at data[i * down + j * across]. */
typedef struct tsr_matrix64 {
    const double *data;
    int64_t rows, columns, down, across;
} tsr_matrix64;

/* A matrix over memory without gaps, and its transpose. */
static inline tsr_matrix64 tsr_matrix64_of(const double *data, int64_t rows, int64_t columns) {
    return (tsr_matrix64){data, rows, columns, columns, 1};
}
static inline tsr_matrix64 tsr_matrix64_turned(tsr_matrix64 m) {
    return (tsr_matrix64){m.data, m.columns, m.rows, m.across, m.down};
}

/* Adds sign * a b to c [a.rows, b.columns], rows `pitch` apart; lower: only tiles that have a place
 * on or below the diagonal. Errors: MEMORY. */
tsr_status tsr_matrix64_multiply(tsr_context *ctx, tsr_matrix64 a, tsr_matrix64 b, double sign,
                                 bool lower, double *c, int64_t pitch);
/* Turns a symmetric matrix s [n, n] without negative eigenvalues into L, s = L L^T, zeros above the
 * diagonal. A pivot below n * epsilon * the greatest diagonal is one of a singular matrix and gives
 * a column of zeros. Errors: MEMORY. */
tsr_status tsr_matrix64_cholesky(tsr_context *ctx, double *s, int64_t n);
/* Eigenvalues of a symmetric matrix s [n, n], which is lost, into values [n], in no order:
 * Householder's tridiagonal form, then implicit QL. Each is within a few n * epsilon * the
 * greatest. Errors: MEMORY; MODEL (no convergence: a value is not finite). */
tsr_status tsr_matrix64_eigenvalues(tsr_context *ctx, double *s, int64_t n, double *values);
/* Sum of the singular values of m [rows, columns], which is lost. A side of at most 160 goes
 * through one-sided Jacobi rotations, whose values are right to their own last digits; else they
 * are roots of the eigenvalues of the smaller of m m^T and m^T m. Errors: as above. */
tsr_status tsr_matrix64_nuclear_norm(tsr_context *ctx, double *m, int64_t rows, int64_t columns,
                                     double *norm);

#endif
