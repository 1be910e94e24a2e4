/* SPDX-License-Identifier: MIT */
/* matrix64.c: products, Cholesky's factor and eigenvalues of float64 matrices. */
#include "matrix64.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- products ---- */

enum { TILE = 96, DEPTH = 256, MR = 4, NR = 16 }; /* TILE is a multiple of both */

typedef struct product {
    tsr_matrix64 a, b;
    double sign;
    bool lower;
    double *c, *scratch; /* scratch: two packed panels for each worker */
    int64_t pitch, across;
} product;

/* Packs `count` lines of a matrix, `depth` deep, in groups of `group` lines:
 * [groups][depth][group], zeros for lines that are not there. */
static void pack(const double *from, int64_t line, int64_t step, int64_t count, int64_t depth,
                 int group, double *to) {
    for (int64_t g = 0; g < count; g += group)
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t i = g; i < g + group; ++i)
                *to++ = i < count ? from[i * line + k * step] : 0;
}

TSR_CLONES static void kernel(int64_t depth, const double *restrict a, const double *restrict b,
                              double *restrict sums) {
    double acc[MR][NR] = {{0}};
    for (int64_t k = 0; k < depth; ++k, a += MR, b += NR)
        for (int i = 0; i < MR; ++i)
            for (int j = 0; j < NR; ++j)
                acc[i][j] += a[i] * b[j];
    memcpy(sums, acc, sizeof acc);
}

static void product_tile(void *arg, int64_t index, int worker) {
    const product *p = arg;
    const int64_t i0 = index / p->across * TILE, j0 = index % p->across * TILE;
    const int64_t m = p->a.rows - i0 < TILE ? p->a.rows - i0 : TILE;
    const int64_t n = p->b.columns - j0 < TILE ? p->b.columns - j0 : TILE;
    double *pa = p->scratch + (size_t)worker * 2 * TILE * DEPTH, *pb = pa + TILE * DEPTH;
    double sums[MR * NR];
    if (p->lower && i0 + m <= j0) return;
    for (int64_t k0 = 0; k0 < p->a.columns; k0 += DEPTH) {
        const int64_t depth = p->a.columns - k0 < DEPTH ? p->a.columns - k0 : DEPTH;
        pack(p->a.data + i0 * p->a.down + k0 * p->a.across, p->a.down, p->a.across, m, depth, MR,
             pa);
        pack(p->b.data + j0 * p->b.across + k0 * p->b.down, p->b.across, p->b.down, n, depth, NR,
             pb);
        for (int64_t i = 0; i < m; i += MR)
            for (int64_t j = 0; j < n; j += NR) {
                kernel(depth, pa + i * depth, pb + j * depth, sums);
                for (int64_t r = i; r < i + MR && r < m; ++r)
                    for (int64_t c = j; c < j + NR && c < n; ++c)
                        p->c[(i0 + r) * p->pitch + j0 + c] += p->sign * sums[(r - i) * NR + c - j];
            }
    }
}

tsr_status tsr_matrix64_multiply(tsr_context *ctx, tsr_matrix64 a, tsr_matrix64 b, double sign,
                                 bool lower, double *c, int64_t pitch) {
    product p = {.a = a, .b = b, .sign = sign, .lower = lower, .c = c, .pitch = pitch};
    p.across = (b.columns + TILE - 1) / TILE;
    p.scratch = tsr_alloc(ctx, (size_t)tsr_thread_count(ctx) * 2 * TILE * DEPTH, sizeof *p.scratch,
                          "matrix: panels");
    if (!p.scratch) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, (a.rows + TILE - 1) / TILE * p.across, product_tile, &p);
    free(p.scratch);
    return TSR_OK;
}

/* ---- Cholesky ---- */

enum { BLOCK = 64 };

typedef struct factor {
    double *s, least;
    int64_t n, first, count; /* of the block's columns */
} factor;

/* The block on the diagonal. */
static void factor_block(const factor *f) {
    const int64_t n = f->n, end = f->first + f->count;
    for (int64_t j = f->first; j < end; ++j) {
        double *row = f->s + j * n, pivot = row[j];
        for (int64_t k = f->first; k < j; ++k)
            pivot -= row[k] * row[k];
        const double root = pivot > f->least ? sqrt(pivot) : 0;
        row[j] = root;
        for (int64_t i = j + 1; i < end; ++i) {
            double *below = f->s + i * n, sum = below[j];
            for (int64_t k = f->first; k < j; ++k)
                sum -= below[k] * row[k];
            below[j] = root > 0 ? sum / root : 0;
        }
    }
}

/* A row below the block. */
static void factor_row(void *arg, int64_t index, int worker) {
    const factor *f = arg;
    (void)worker;
    const int64_t n = f->n, end = f->first + f->count;
    double *x = f->s + (end + index) * n;
    for (int64_t j = f->first; j < end; ++j) {
        const double *row = f->s + j * n;
        double sum = x[j];
        for (int64_t k = f->first; k < j; ++k)
            sum -= x[k] * row[k];
        x[j] = row[j] > 0 ? sum / row[j] : 0;
    }
}

tsr_status tsr_matrix64_cholesky(tsr_context *ctx, double *s, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; ++i)
        if (s[i * n + i] > most) most = s[i * n + i];
    factor f = {.s = s, .n = n, .least = (double)n * DBL_EPSILON * most};
    tsr_status status = TSR_OK;
    for (; f.first < n && !status; f.first += BLOCK) {
        f.count = n - f.first < BLOCK ? n - f.first : BLOCK;
        factor_block(&f);
        const int64_t end = f.first + f.count, rest = n - end;
        if (!rest) break;
        tsr_parallel(ctx, rest, factor_row, &f);
        const tsr_matrix64 panel = {s + end * n + f.first, rest, f.count, n, 1};
        status = tsr_matrix64_multiply(ctx, panel, tsr_matrix64_turned(panel), -1, true,
                                       s + end * n + end, n);
    }
    for (int64_t i = 0; i < n; ++i)
        memset(s + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *s);
    return status;
}

/* ---- eigenvalues ---- */

/* A step of the tridiagonal form: the rank-2 change of the step before is applied in the same pass
 * that multiplies by this step's vector. */
typedef struct reflection {
    double *s, *v, *w, *u, *p; /* [n] of the whole matrix's indices */
    int64_t n, first;          /* first row and column that remain */
} reflection;

enum { ROWS = 32, SUMS = 16 };

TSR_CLONES static double reflect_row(double *restrict row, const double *restrict v,
                                     const double *restrict w, const double *restrict u, double vi,
                                     double wi, int64_t n) {
    double lane[SUMS] = {0}, sum = 0;
    const int64_t whole = n / SUMS * SUMS;
    for (int64_t j = 0; j < whole; j += SUMS)
        for (int l = 0; l < SUMS; ++l) {
            const double x = row[j + l] - vi * w[j + l] - wi * v[j + l];
            row[j + l] = x;
            lane[l] += x * u[j + l];
        }
    for (int64_t j = whole; j < n; ++j) {
        row[j] -= vi * w[j] + wi * v[j];
        sum += row[j] * u[j];
    }
    for (int l = 0; l < SUMS; ++l)
        sum += lane[l];
    return sum;
}

static void reflect_tile(void *arg, int64_t tile, int worker) {
    const reflection *r = arg;
    (void)worker;
    const int64_t f = r->first, end = f + (tile + 1) * ROWS < r->n ? f + (tile + 1) * ROWS : r->n;
    for (int64_t i = f + tile * ROWS; i < end; ++i)
        r->p[i] = reflect_row(r->s + i * r->n + f, r->v + f, r->w + f, r->u + f, r->v[i], r->w[i],
                              r->n - f);
}

/* Diagonal d [n] and what is beside it e [n - 1]; work [4 n]. */
static void tridiagonal(tsr_context *ctx, double *s, int64_t n, double *d, double *e,
                        double *work) {
    reflection r = {.s = s, .v = work, .w = work + n, .u = work + 2 * n, .p = work + 3 * n, .n = n};
    for (int64_t k = 0; k < n; ++k) {
        d[k] = s[k * n + k] - 2 * r.v[k] * r.w[k];
        if (k + 1 == n) break;
        double square = 0;
        for (int64_t i = k + 1; i < n; ++i) {
            r.u[i] = s[i * n + k] - r.v[i] * r.w[k] - r.w[i] * r.v[k];
            if (i > k + 1) square += r.u[i] * r.u[i];
        }
        const double x = r.u[k + 1];
        const double length = sqrt(x * x + square);
        double tau = 0;
        e[k] = x;
        if (square > 0) { /* else nothing is to be cleared */
            e[k] = x > 0 ? -length : length;
            r.u[k + 1] = x - e[k];
            tau = 2 / (r.u[k + 1] * r.u[k + 1] + square);
        }
        r.first = k + 1;
        tsr_parallel(ctx, (n - k - 1 + ROWS - 1) / ROWS, reflect_tile, &r);
        double dot = 0;
        for (int64_t i = k + 1; i < n; ++i)
            dot += r.p[i] * r.u[i];
        const double half = tau * tau * dot / 2;
        for (int64_t i = k + 1; i < n; ++i) {
            r.v[i] = r.u[i];
            r.w[i] = tau * r.p[i] - half * r.u[i];
        }
    }
}

/* Eigenvalues of the tridiagonal matrix into d; false without convergence. */
static bool implicit_ql(double *d, double *e, int64_t n) {
    double norm = 0;
    for (int64_t i = 0; i < n; ++i)
        norm = fmax(norm, fabs(d[i]) + (i + 1 < n ? fabs(e[i]) : 0));
    for (int64_t l = 0; l < n; ++l)
        for (int round = 0;; ++round) {
            int64_t m = l;
            for (; m + 1 < n; ++m) {
                const double near = fmax(fabs(d[m]) + fabs(d[m + 1]), norm * 1e-6);
                if (fabs(e[m]) <= DBL_EPSILON * near) break;
            }
            if (m == l) break;
            if (round == 60) return false;
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
    double *work = tsr_alloc(ctx, (size_t)n * 5 + 1, sizeof *work, "matrix: reflections");
    if (!work) return TSR_ERROR_MEMORY;
    double *e = work + 4 * n;
    tridiagonal(ctx, s, n, values, e, work);
    e[n - 1] = 0;
    bool finite = true;
    for (int64_t i = 0; i < n; ++i)
        finite = finite && isfinite(values[i]) && isfinite(e[i]);
    const bool done = finite && implicit_ql(values, e, n);
    free(work);
    return done ? TSR_OK
                : tsr_fail(ctx, TSR_ERROR_MODEL, "eigenvalues: wanted finite features, got %s",
                           finite ? "no convergence" : "a value that is not finite");
}

/* ---- singular values ---- */

enum { JACOBI = 160, SWEEPS = 40 };

/* Rotates rows of m [rows, columns] until they are at right angles; their lengths are the singular
 * values. */
static double jacobi(double *m, int64_t rows, int64_t columns) {
    double worst = 1;
    for (int sweep = 0; sweep < SWEEPS && worst > 1e-15; ++sweep) {
        worst = 0;
        for (int64_t i = 0; i + 1 < rows; ++i)
            for (int64_t j = i + 1; j < rows; ++j) {
                double *x = m + i * columns, *y = m + j * columns, xx = 0, yy = 0, xy = 0;
                for (int64_t k = 0; k < columns; ++k) {
                    xx += x[k] * x[k];
                    yy += y[k] * y[k];
                    xy += x[k] * y[k];
                }
                const double angle = xx > 0 && yy > 0 ? fabs(xy) / sqrt(xx * yy) : 0;
                if (angle > worst) worst = angle;
                if (angle <= 1e-15) continue;
                const double zeta = (yy - xx) / (2 * xy);
                const double t = copysign(1, zeta) / (fabs(zeta) + sqrt(1 + zeta * zeta));
                const double c = 1 / sqrt(1 + t * t), s = c * t;
                for (int64_t k = 0; k < columns; ++k) {
                    const double a = x[k];
                    x[k] = c * a - s * y[k];
                    y[k] = s * a + c * y[k];
                }
            }
    }
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i) {
        double square = 0;
        for (int64_t k = 0; k < columns; ++k)
            square += m[i * columns + k] * m[i * columns + k];
        sum += sqrt(square);
    }
    return sum;
}

/* m lies on its longer side. */
static void turn(const double *from, int64_t rows, int64_t columns, double *to) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
            to[j * rows + i] = from[i * columns + j];
}

tsr_status tsr_matrix64_nuclear_norm(tsr_context *ctx, double *m, int64_t rows, int64_t columns,
                                     double *norm) {
    const int64_t small = rows < columns ? rows : columns, large = rows < columns ? columns : rows;
    double *more = tsr_alloc(ctx, (size_t)(small <= JACOBI ? small * large : small * small + small),
                             sizeof *more, "matrix: square");
    if (!more) return TSR_ERROR_MEMORY;
    tsr_status status = TSR_OK;
    if (small <= JACOBI) {
        if (rows > columns) turn(m, rows, columns, more);
        *norm = jacobi(rows > columns ? more : m, small, large);
    } else {
        tsr_matrix64 a = tsr_matrix64_of(m, rows, columns);
        if (rows > columns) a = tsr_matrix64_turned(a);
        status = tsr_matrix64_multiply(ctx, a, tsr_matrix64_turned(a), 1, true, more, small);
        for (int64_t i = 0; i < small; ++i)
            for (int64_t j = i + 1; j < small; ++j)
                more[i * small + j] = more[j * small + i];
        double *values = more + small * small;
        if (!status) status = tsr_matrix64_eigenvalues(ctx, more, small, values);
        *norm = 0;
        for (int64_t i = 0; i < small && !status; ++i)
            *norm += values[i] > 0 ? sqrt(values[i]) : 0;
    }
    free(more);
    return status;
}
