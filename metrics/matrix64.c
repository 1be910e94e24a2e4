/* SPDX-License-Identifier: MIT */
/* matrix64.c: products, Cholesky's factor and singular values of float64 matrices. */
#include "matrix64.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- products ---- */

/* TILE is a multiple of MR and NR; MR x NR sums fill the 16 registers of AVX2 but for four. */
enum { TILE = 96, DEPTH = 256, MR = 6, NR = 8, LANES = 4 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), may_alias, aligned(8)));

typedef struct product {
    tsr_matrix64 a, b;
    double sign;
    bool lower;
    double *c, *scratch; /* scratch: two packed panels for each worker */
    int64_t pitch, across;
} product;

/* Packs `count` lines of a matrix, `depth` deep, in groups of `group` lines:
 * [groups][depth][group], zeros for lines that are not there. False where all of it is zero, as
 * half of a triangular matrix is. */
static inline __attribute__((always_inline)) bool pack(const double *from, int64_t line,
                                                       int64_t step, int64_t count, int64_t depth,
                                                       int group, double *to) {
    bool some = false;
    for (int64_t g = 0; g < count; g += group)
        for (int64_t k = 0; k < depth; ++k, to += group)
            if (g + group <= count)
                for (int i = 0; i < group; ++i)
                    some |= (to[i] = from[(g + i) * line + k * step]) != 0;
            else
                for (int i = 0; i < group; ++i)
                    some |= (to[i] = g + i < count ? from[(g + i) * line + k * step] : 0) != 0;
    return some;
}

/* One of the two strides is 1 almost always; as a constant it lets the compiler move vectors. */
TSR_CLONES static bool pack_rows(const double *from, int64_t line, int64_t step, int64_t count,
                                 int64_t depth, double *to) {
    return line == 1   ? pack(from, 1, step, count, depth, MR, to)
           : step == 1 ? pack(from, line, 1, count, depth, MR, to)
                       : pack(from, line, step, count, depth, MR, to);
}
TSR_CLONES static bool pack_columns(const double *from, int64_t line, int64_t step, int64_t count,
                                    int64_t depth, double *to) {
    return line == 1   ? pack(from, 1, step, count, depth, NR, to)
           : step == 1 ? pack(from, line, 1, count, depth, NR, to)
                       : pack(from, line, step, count, depth, NR, to);
}

/* Adds sign * a b to MR x NR places of c. */
TSR_CLONES static void kernel(int64_t depth, const double *restrict a, const double *restrict b,
                              double sign, double *restrict c, int64_t pitch) {
    lanes acc[MR][NR / LANES] = {{{0}}};
    for (int64_t k = 0; k < depth; ++k, a += MR, b += NR) {
        const lanes b0 = *(const lanes *)b, b1 = *(const lanes *)(b + LANES);
        for (int i = 0; i < MR; ++i) {
            acc[i][0] += a[i] * b0;
            acc[i][1] += a[i] * b1;
        }
    }
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NR / LANES; ++j)
            *(lanes *)(c + i * pitch + j * LANES) += sign * acc[i][j];
}

/* A product tile of packed panels that are not all zero. */
static void multiply_panels(const product *p, int64_t i0, int64_t j0, int64_t m, int64_t n,
                            int64_t depth, const double *pa, const double *pb) {
    for (int64_t j = 0; j < n; j += NR)
        for (int64_t i = 0; i < m; i += MR) {
            double *c = p->c + (i0 + i) * p->pitch + j0 + j, sums[MR * NR] = {0};
            const bool whole = i + MR <= m && j + NR <= n;
            kernel(depth, pa + i * depth, pb + j * depth, p->sign, whole ? c : sums,
                   whole ? p->pitch : NR);
            for (int64_t y = 0; !whole && y < MR && i + y < m; ++y)
                for (int64_t x = 0; x < NR && j + x < n; ++x)
                    c[y * p->pitch + x] += sums[y * NR + x];
        }
}

static void product_tile(void *arg, int64_t index, int worker) {
    const product *p = arg;
    const int64_t i0 = index / p->across * TILE, j0 = index % p->across * TILE;
    const int64_t m = p->a.rows - i0 < TILE ? p->a.rows - i0 : TILE;
    const int64_t n = p->b.columns - j0 < TILE ? p->b.columns - j0 : TILE;
    double *pa = p->scratch + (size_t)worker * 2 * TILE * DEPTH, *pb = pa + TILE * DEPTH;
    if (p->lower && i0 + m <= j0) return;
    for (int64_t k0 = 0; k0 < p->a.columns; k0 += DEPTH) {
        const int64_t depth = p->a.columns - k0 < DEPTH ? p->a.columns - k0 : DEPTH;
        if (pack_rows(p->a.data + i0 * p->a.down + k0 * p->a.across, p->a.down, p->a.across, m,
                      depth, pa) &&
            pack_columns(p->b.data + j0 * p->b.across + k0 * p->b.down, p->b.across, p->b.down, n,
                         depth, pb))
            multiply_panels(p, i0, j0, m, n, depth, pa, pb);
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

enum { ROWS = 8 }; /* that a tile below the block has */

/* Rows below the block, side by side: each step is the same for all of them. */
TSR_CLONES static void factor_rows(void *arg, int64_t tile, int worker) {
    const factor *f = arg;
    (void)worker;
    const int64_t n = f->n, end = f->first + f->count, top = end + tile * ROWS;
    const int rows = n - top < ROWS ? (int)(n - top) : ROWS;
    lanes x[BLOCK][ROWS / LANES] = {{{0}}};
    for (int r = 0; r < rows; ++r)
        for (int64_t j = 0; j < f->count; ++j)
            x[j][r / LANES][r % LANES] = f->s[(top + r) * n + f->first + j];
    for (int64_t j = 0; j < f->count; ++j) {
        const double *row = f->s + (f->first + j) * n + f->first;
        lanes a = x[j][0], b = x[j][1];
        for (int64_t k = 0; k < j; ++k) {
            a -= row[k] * x[k][0];
            b -= row[k] * x[k][1];
        }
        x[j][0] = x[j][1] = (lanes){0};
        if (!(row[j] > 0)) continue;
        x[j][0] = a / row[j];
        x[j][1] = b / row[j];
    }
    for (int r = 0; r < rows; ++r)
        for (int64_t j = 0; j < f->count; ++j)
            f->s[(top + r) * n + f->first + j] = x[j][r / LANES][r % LANES];
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
        tsr_parallel(ctx, (rest + ROWS - 1) / ROWS, factor_rows, &f);
        const tsr_matrix64 panel = {s + end * n + f.first, rest, f.count, n, 1};
        status = tsr_matrix64_multiply(ctx, panel, tsr_matrix64_turned(panel), -1, true,
                                       s + end * n + end, n);
    }
    for (int64_t i = 0; i < n; ++i)
        memset(s + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *s);
    return status;
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
