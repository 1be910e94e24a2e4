/* SPDX-License-Identifier: MIT */
/* test_lof.c: local outlier factors against the definition, computed from all pairs. */
#include "reduce/lof.h"
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 160 };

static float x[MOST];
static int by_distance_of;

static double apart(int i, int j) {
    return fabs((double)x[i] - (double)x[j]);
}
static int nearer(const void *a, const void *b) {
    const int i = *(const int *)a, j = *(const int *)b;
    const double p = apart(by_distance_of, i), q = apart(by_distance_of, j);
    if (p != q) return p < q ? -1 : 1;
    return (i > j) - (i < j);
}

/* From all pairs: the q nearest others of each, ties by index. */
static void slow_lof(int n, int q, double *lof) {
    static int near[MOST][MOST];
    double kd[MOST], lrd[MOST];
    if (q > n - 1) q = n - 1;
    for (int i = 0; i < n; ++i) {
        int others = 0;
        for (int j = 0; j < n; ++j)
            if (j != i) near[i][others++] = j;
        by_distance_of = i;
        qsort(near[i], (size_t)others, sizeof(int), nearer);
        kd[i] = apart(i, near[i][q - 1]);
    }
    for (int i = 0; i < n; ++i) {
        double reach = 0;
        for (int j = 0; j < q; ++j)
            reach += fmax(apart(i, near[i][j]), kd[near[i][j]]);
        lrd[i] = 1 / (reach / q + 1e-10);
    }
    for (int i = 0; i < n; ++i) {
        double sum = 0;
        for (int j = 0; j < q; ++j)
            sum += lrd[near[i][j]];
        lof[i] = sum / q / lrd[i];
    }
}

static void fast_lof(tsr_context *ctx, int n, int q, double *lof) {
    static const tsr_operator op = {.info = {.name = "test"}};
    tsr_operation o = {.ctx = ctx, .op = &op, .scratch = {.ctx = ctx}};
    tsr_lof(&o, x, n, q, lof);
    tsr_scratch_free(&o.scratch);
    ck_assert_int_eq(o.status, TSR_OK);
}

static void compare(tsr_context *ctx, int n, int q) {
    double want[MOST], got[MOST];
    slow_lof(n, q, want);
    fast_lof(ctx, n, q, got);
    for (int i = 0; i < n; ++i)
        ck_assert_msg(fabs(got[i] - want[i]) <= 1e-9 * fabs(want[i]),
                      "n %d, q %d, number %d: wanted %.15g, got %.15g", n, q, i, want[i], got[i]);
}

START_TEST(equals_the_definition) {
    tsr_context *ctx = set_context(1);
    for (int i = 0; i < MOST; ++i)
        x[i] = expf(3 * random_normal());
    for (int q = 1; q <= 40; q += 3)
        compare(ctx, MOST, q);
    compare(ctx, 2, 20);
    compare(ctx, 5, 20);
    tsr_context_close(&ctx);
}
END_TEST

/* Whole numbers: equal values, and equal distances to both sides. */
START_TEST(ties_go_by_index) {
    tsr_context *ctx = set_context(1);
    for (int values = 2; values < 40; values += 5) {
        for (int i = 0; i < MOST; ++i)
            x[i] = (float)random_below(values);
        for (int q = 1; q <= 30; q += 4)
            compare(ctx, MOST, q);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(outliers_are_counted) {
    tsr_context *ctx = set_context(1);
    double lof[MOST];
    for (int i = 0; i < 50; ++i)
        x[i] = (float)i;
    x[7] = 1e4f;
    x[33] = -1e4f; /* low ones count as well */
    fast_lof(ctx, 50, 10, lof);
    ck_assert_int_eq(tsr_lof_outliers(lof, 50), 2);
    ck_assert(lof[7] > 1.5 && lof[33] > 1.5);
    fast_lof(ctx, 1, 10, lof);
    ck_assert(lof[0] == 1);
    int above = 0, far_above = 0;
    for (int i = 0; i < MOST; ++i)
        x[i] = expf(3 * random_normal());
    slow_lof(MOST, 10, lof);
    for (int i = 0; i < MOST; ++i) {
        above += lof[i] > 1.5;
        far_above += lof[i] > 5;
    }
    ck_assert_int_gt(above, far_above);
    ck_assert_int_eq(tsr_lof_outliers(lof, MOST), above);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("lof", equals_the_definition, ties_go_by_index, outliers_are_counted)
