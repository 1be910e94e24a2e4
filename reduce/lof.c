/* SPDX-License-Identifier: MIT */
/* lof.c: local outlier factors in one dimension. Sorted, the neighbours of a number are a window
 * around it, so no table of distances is needed. */
#include "lof.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct number {
    double x;
    int32_t index;
} number;

static int ascending(const void *a, const void *b) {
    const number *p = a, *q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return (p->index > q->index) - (p->index < q->index);
}

static int lowest_index(const void *a, const void *b) {
    const number *p = a, *q = b;
    return (p->index > q->index) - (p->index < q->index);
}

static double apart(const number *sorted, int64_t a, int64_t b) {
    return fabs(sorted[a].x - sorted[b].x);
}

/* Finds the q nearest others of sorted[p]: their indices in near [q], the distance to the farthest
 * as the answer. `tied` [n] is scratch. */
static double find_nearest(const number *sorted, int64_t n, int64_t p, int64_t q, number *tied,
                           int32_t *near) {
    int64_t l = p - 1, r = p + 1; /* the window is l+1 .. r-1 */
    double kd = 0;
    for (int64_t i = 0; i < q; ++i)
        if (r == n || (l >= 0 && apart(sorted, p, l) <= apart(sorted, p, r)))
            kd = apart(sorted, p, l--);
        else
            kd = apart(sorted, p, r++);

    /* Everything nearer than kd is a neighbour. Of those at kd the lowest indices are, which
     * matters only between the two sides: equal numbers have equal densities. */
    int64_t found = 0, ties = 0;
    for (int64_t i = l + 1; i < r; ++i)
        if (i != p && apart(sorted, p, i) < kd) near[found++] = sorted[i].index;
    if (kd == 0) {
        for (int64_t i = l + 1; i < r; ++i)
            if (i != p) near[found++] = sorted[i].index;
        return kd;
    }
    while (l >= 0 && apart(sorted, p, l) == kd)
        --l;
    while (r < n && apart(sorted, p, r) == kd)
        ++r;
    for (int64_t i = l + 1; i < r; ++i)
        if (i != p && apart(sorted, p, i) == kd) tied[ties++] = sorted[i];
    if (ties > q - found) qsort(tied, (size_t)ties, sizeof *tied, lowest_index);
    for (int64_t i = 0; found < q; ++i)
        near[found++] = tied[i].index;
    return kd;
}

void tsr_lof(tsr_operation *o, const float *x, int64_t n, int64_t neighbours, double *lof) {
    const int64_t q = neighbours < n ? neighbours : n - 1;
    number *sorted = tsr_operation_take(o, n, sizeof *sorted, "numbers");
    number *tied = tsr_operation_take(o, n, sizeof *tied, "numbers");
    int32_t *near = tsr_operation_take(o, n * q, sizeof *near, "neighbours");
    double *kd = tsr_operation_take(o, n, sizeof *kd, "distances");
    double *lrd = tsr_operation_take(o, n, sizeof *lrd, "densities");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        sorted[i] = (number){x[i], (int32_t)i};
        lof[i] = 1;
    }
    if (q < 1) return;
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    for (int64_t p = 0; p < n; ++p) {
        const int64_t i = sorted[p].index;
        kd[i] = find_nearest(sorted, n, p, q, tied, near + i * q);
    }
    for (int64_t i = 0; i < n; ++i) {
        double reach = 0;
        for (int64_t j = 0; j < q; ++j) {
            const int32_t other = near[i * q + j];
            reach += fmax(fabs((double)x[i] - (double)x[other]), kd[other]);
        }
        lrd[i] = 1 / (reach / (double)q + 1e-10);
    }
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < q; ++j)
            sum += lrd[near[i * q + j]];
        lof[i] = sum / (double)q / lrd[i];
    }
}

int64_t tsr_lof_outliers(const double *lof, int64_t n) {
    int64_t outliers = 0;
    for (int64_t i = 0; i < n; ++i)
        outliers += lof[i] > 1.5;
    return outliers;
}
