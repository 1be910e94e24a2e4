/* SPDX-License-Identifier: MIT */
/* eigenvalues64.c: eigenvalues of a symmetric float64 matrix, in three steps: to a band by blocks
 * of Householder reflections, whose work is products of matrices (Bischof and Van Loan's WY form);
 * from the band to three diagonals by reflections as short as the band is wide, each chased down to
 * its end (Murata and Horikoshi; Lang 1993); implicit QL. A reduction to three diagonals at once
 * reads the whole matrix for each column, which is what the time was.
 *
 *   full [n, n] ─► band of BAND diagonals below the main one ─► one ─► values */
#include "matrix64.h"
#include "../compute/arena.h"
#include "../compute/cpu/simd.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 32, LANES = 4 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), may_alias, aligned(8)));

/* Sums over lanes first, whatever the instruction set. */
static inline __attribute__((always_inline)) double dot(const double *restrict a,
                                                        const double *restrict b, int64_t n) {
    lanes x = {0}, y = {0};
    double rest = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        x += *(const lanes *)(a + i) * *(const lanes *)(b + i);
        y += *(const lanes *)(a + i + LANES) * *(const lanes *)(b + i + LANES);
    }
    for (; i < n; ++i)
        rest += a[i] * b[i];
    x += y;
    return (x[0] + x[1]) + (x[2] + x[3]) + rest;
}

/* y += t x. */
static inline __attribute__((always_inline)) void add(double t, const double *restrict x,
                                                      double *restrict y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        *(lanes *)(y + i) += t * *(const lanes *)(x + i);
    for (; i < n; ++i)
        y[i] += t * x[i];
}

/* Turns x [n] into v of I - tau v v^T, which takes x to its first place; v[0] is 1. The value there
 * goes to *first. tau is 0 where nothing is to be cleared. */
static inline __attribute__((always_inline)) double reflector(double *x, int64_t n, double *first) {
    const double square = n > 1 ? dot(x + 1, x + 1, n - 1) : 0, x0 = x[0];
    *first = x0;
    x[0] = 1;
    if (square == 0) { /* not where a value is not finite, which is to come out as such */
        memset(x + 1, 0, (size_t)(n - 1) * sizeof *x);
        return 0;
    }
    const double length = sqrt(x0 * x0 + square), head = x0 > 0 ? x0 + length : x0 - length;
    *first = x0 > 0 ? -length : length;
    for (int64_t i = 1; i < n; ++i)
        x[i] /= head;
    return 2 / (1 + square / (head * head));
}

/* ---- to a band ---- */

/* One block of columns: its reflections and what they change. */
typedef struct block {
    tsr_context *ctx;
    double *s;                     /* [n, n] */
    int64_t n, first, rows, count; /* rows below the band; reflections */
    double *v, *x, *u, *w;         /* [BAND, rows] v, V^T S and its two later forms */
    double tau[BAND], t[BAND * BAND], z[BAND * BAND];
} block;

/* Columns first .. first + BAND - 1 below the band, each one contiguous, become R and v. */
TSR_CLONES static void reduce_panel(block *b) {
    const int64_t m = b->rows, top = b->first + BAND;
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < BAND; ++j)
            b->v[j * m + i] = b->s[(top + i) * b->n + b->first + j];
    for (int64_t j = 0; j < BAND; ++j) {
        double *column = b->v + j * m, first;
        if (j < b->count) {
            b->tau[j] = reflector(column + j, m - j, &first);
            for (int64_t k = j + 1; k < BAND; ++k)
                add(-b->tau[j] * dot(column + j, b->v + k * m + j, m - j), column + j,
                    b->v + k * m + j, m - j);
            b->s[(top + j) * b->n + b->first + j] = first;
        }
        const int64_t above = j < m ? j : m; /* R above its diagonal */
        for (int64_t i = 0; i < above; ++i)
            b->s[(top + i) * b->n + b->first + j] = column[i];
        if (j < b->count) memset(column, 0, (size_t)j * sizeof *column);
    }
}

/* T [count, count], upper triangular, of the product of all reflections I - V T V^T. */
TSR_CLONES static void make_t(block *b) {
    const int64_t c = b->count, m = b->rows;
    for (int64_t j = 0; j < c; ++j) {
        double with[BAND];
        for (int64_t i = 0; i < j; ++i)
            with[i] = dot(b->v + i * m, b->v + j * m, m);
        for (int64_t i = 0; i < c; ++i) {
            double sum = 0;
            for (int64_t k = i; k < j; ++k)
                sum += b->t[i * c + k] * with[k];
            b->t[i * c + j] = i < j ? -b->tau[j] * sum : i == j ? b->tau[j] : 0;
        }
    }
}

/* to [count, rows] = a^T from, a [count, count]. */
TSR_CLONES static void combine(const block *b, const double *a, const double *from, double sign,
                               double *to) {
    const int64_t c = b->count, m = b->rows;
    for (int64_t j = 0; j < c; ++j)
        for (int64_t k = 0; k < c; ++k)
            if (a[k * c + j] != 0) add(sign * a[k * c + j], from + k * m, to + j * m, m);
}

/* S <- Q^T S Q = S - V W^T - W V^T, W = X - V (T^T V^T X) / 2, X = S V T. */
static tsr_status apply_block(block *b) {
    const int64_t c = b->count, m = b->rows, top = b->first + BAND;
    double *below = b->s + top * b->n + top;
    const tsr_matrix64 v = tsr_matrix64_of(b->v, c, m), s = {below, m, m, b->n, 1};
    make_t(b);
    memset(b->x, 0, (size_t)(c * m) * sizeof *b->x);
    tsr_status status = tsr_matrix64_multiply(b->ctx, v, s, 1, false, b->x, m);
    memset(b->w, 0, (size_t)(c * m) * sizeof *b->w);
    combine(b, b->t, b->x, 1, b->w); /* X^T */
    memset(b->z, 0, sizeof b->z);
    const tsr_matrix64 x = tsr_matrix64_of(b->w, c, m);
    if (!status) /* V^T X */
        status = tsr_matrix64_multiply(b->ctx, v, tsr_matrix64_turned(x), 1, false, b->z, c);
    double u[BAND * BAND] = {0}; /* T^T V^T X */
    for (int64_t i = 0; i < c; ++i)
        for (int64_t k = 0; k <= i; ++k)
            for (int64_t j = 0; j < c; ++j)
                u[i * c + j] += b->t[k * c + i] * b->z[k * c + j];
    combine(b, u, b->v, -0.5, b->w);
    /* [V W] [W V]^T in one product: v and u, w and x lie one behind the other. */
    double *left = b->v, *right = b->x;
    memcpy(left + c * m, b->w, (size_t)(c * m) * sizeof *left);
    memcpy(right, b->w, (size_t)(c * m) * sizeof *right);
    memcpy(right + c * m, b->v, (size_t)(c * m) * sizeof *right);
    if (!status)
        status = tsr_matrix64_multiply(b->ctx, tsr_matrix64_turned(tsr_matrix64_of(left, 2 * c, m)),
                                       tsr_matrix64_of(right, 2 * c, m), -1, false, below, b->n);
    return status;
}

static tsr_status to_band(tsr_context *ctx, double *s, int64_t n) {
    const int64_t most = n > BAND ? n - BAND : 0;
    tsr_scratch scratch = {.ctx = ctx};
    block *b = tsr_scratch_take(&scratch, 1, sizeof *b, "matrix: reflections");
    double *values = tsr_scratch_take(&scratch, (size_t)(5 * BAND * most + 1), sizeof *values,
                                      "matrix: reflections");
    tsr_status status = scratch.status;
    for (int64_t first = 0; first + BAND < n && !status; first += BAND) {
        const int64_t m = n - first - BAND, c = m < BAND ? m : BAND;
        *b = (block){.ctx = ctx, .s = s, .n = n, .first = first, .rows = m, .count = c};
        b->v = values;
        b->x = values + 2 * BAND * m;
        b->w = values + 4 * BAND * m;
        reduce_panel(b);
        status = apply_block(b);
    }
    tsr_scratch_free(&scratch);
    return status;
}

/* ---- from the band to three diagonals ---- */

/* The lower half of a band that has room for twice as many diagonals: element (i, j) is at
 * data[i * PITCH + j], where the rows of its neighbours begin in what it leaves free. */
enum { PITCH = 2 * BAND };

/* The block of rows and columns i .. i + n - 1 on the diagonal, v on both sides. */
static inline __attribute__((always_inline)) void reflect_both(double *at, const double *v,
                                                               double tau, int64_t n) {
    double p[BAND] = {0}, w[BAND];
    for (int64_t i = 0; i < n; ++i) {
        const double *row = at + i * PITCH;
        p[i] += dot(row, v, i + 1);
        add(v[i], row, p, i);
    }
    const double half = tau * tau * dot(p, v, n) / 2;
    for (int64_t i = 0; i < n; ++i)
        w[i] = tau * p[i] - half * v[i];
    for (int64_t i = 0; i < n; ++i) {
        add(-v[i], w, at + i * PITCH, i + 1);
        add(-w[i], v, at + i * PITCH, i + 1);
    }
}

/* The block below: v from the right; then its first column is cleared below its first place by a
 * reflection from the left, which becomes v. Returns its tau. */
static inline __attribute__((always_inline)) double reflect_below(double *at, double *v, double tau,
                                                                  int64_t columns, int64_t rows) {
    double next[BAND], sums[BAND] = {0}, first;
    for (int64_t i = 0; i < rows; ++i) {
        double *row = at + i * PITCH;
        add(-tau * dot(row, v, columns), v, row, columns);
        next[i] = row[0];
        row[0] = 0;
    }
    const double next_tau = reflector(next, rows, &first);
    at[0] = first;
    for (int64_t i = 0; i < rows; ++i)
        add(next_tau * next[i], at + i * PITCH + 1, sums, columns - 1);
    for (int64_t i = 0; i < rows; ++i)
        add(-next[i], sums, at + i * PITCH + 1, columns - 1);
    memcpy(v, next, (size_t)rows * sizeof *v);
    return next_tau;
}

/* Clears column `c` below the first diagonal, and chases what that makes to the end. */
TSR_CLONES static void chase(double *band, int64_t n, int64_t c) {
    double v[BAND], first;
    int64_t i = c + 1, count = n - i < BAND ? n - i : BAND;
    for (int64_t k = 0; k < count; ++k) {
        v[k] = band[(i + k) * PITCH + c];
        band[(i + k) * PITCH + c] = 0;
    }
    double tau = reflector(v, count, &first);
    band[i * PITCH + c] = first;
    for (;;) {
        if (tau != 0) reflect_both(band + i * PITCH + i, v, tau, count);
        const int64_t below = i + count, rows = n - below < BAND ? n - below : BAND;
        if (rows < 1) return;
        tau = reflect_below(band + below * PITCH + i, v, tau, count, rows);
        i = below;
        count = rows;
    }
}

/* Diagonal d [n] and what is beside it e [n], of which the last is 0. */
static tsr_status tridiagonal(tsr_context *ctx, double *s, int64_t n, double *d, double *e) {
    tsr_scratch scratch = {.ctx = ctx};
    tsr_status status = to_band(ctx, s, n);
    double *band =
        tsr_scratch_take(&scratch, (size_t)(n * (PITCH + 1)), sizeof *band, "matrix: band");
    if (!status) status = scratch.status;
    if (!status) {
        for (int64_t i = 0; i < n; ++i)
            for (int64_t j = i > BAND ? i - BAND : 0; j <= i; ++j)
                band[i * PITCH + j] = s[i * n + j];
        for (int64_t c = 0; c + 2 < n; ++c)
            chase(band, n, c);
        for (int64_t i = 0; i < n; ++i) {
            d[i] = band[i * PITCH + i];
            e[i] = i + 1 < n ? band[(i + 1) * PITCH + i] : 0;
        }
    }
    tsr_scratch_free(&scratch);
    return status;
}

/* ---- implicit QL ---- */

enum { SOON = 20, LAST = 60 }; /* rounds for a value */

/* Eigenvalues of the tridiagonal matrix into d; false without convergence. */
static bool implicit_ql(double *d, double *e, int64_t n) {
    double norm = 0;
    for (int64_t i = 0; i < n; ++i)
        norm = fmax(norm, fabs(d[i]) + (i + 1 < n ? fabs(e[i]) : 0));
    for (int64_t l = 0; l < n; ++l)
        for (int round = 0;; ++round) {
            int64_t m = l;
            for (; m + 1 < n; ++m) {
                /* Small values keep their own digits where that converges; beside great ones, in
                 * no order that helps, they are within the rounding of those at best. */
                const double near =
                    round < SOON ? fmax(fabs(d[m]) + fabs(d[m + 1]), norm * 1e-6) : norm;
                if (fabs(e[m]) <= DBL_EPSILON * near) break;
            }
            if (m == l) break;
            if (round == LAST) return false;
            double g = (d[l + 1] - d[l]) / (2 * e[l]), r = sqrt(g * g + 1);
            g = d[m] - d[l] + e[l] / (g + copysign(r, g));
            double sine = 1, cosine = 1, shift = 0;
            int64_t i = m - 1;
            for (; i >= l; --i) {
                const double f = sine * e[i], b = cosine * e[i];
                r = sqrt(f * f + g * g);
                if (i + 1 < n - 1 || m < n - 1) e[i + 1] = r;
                if (r == 0) {
                    d[i + 1] -= shift;
                    break;
                }
                sine = f / r;
                cosine = g / r;
                g = d[i + 1] - shift;
                r = (d[i] - g) * sine + 2 * cosine * b;
                shift = sine * r;
                d[i + 1] = g + shift;
                g = cosine * r - b;
            }
            if (r == 0 && i >= l) continue;
            d[l] -= shift;
            e[l] = g;
            if (m < n - 1) e[m] = 0;
        }
    return true;
}

tsr_status tsr_matrix64_eigenvalues(tsr_context *ctx, double *s, int64_t n, double *values) {
    double *e = tsr_alloc(ctx, (size_t)n + 1, sizeof *e, "matrix: diagonal");
    if (!e) return TSR_ERROR_MEMORY;
    tsr_status status = tridiagonal(ctx, s, n, values, e);
    bool finite = true;
    for (int64_t i = 0; i < n && !status; ++i)
        finite = finite && isfinite(values[i]) && isfinite(e[i]);
    if (!status && (!finite || !implicit_ql(values, e, n)))
        status = tsr_fail(ctx, TSR_ERROR_MODEL, "eigenvalues: wanted finite features, got %s",
                          finite ? "no convergence" : "a value that is not finite");
    free(e);
    return status;
}
