/* SPDX-License-Identifier: MIT */
/* Greedy picks (farthest first, facility location) against a plain search, on whole numbers, whose
 * sums are exact, so that every tie must go to the lowest row. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct wanted {
    tsr_farthest_rule rule;
    int64_t first, k;
} wanted;

static void farthest(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const wanted *w = m;
    const tsr_picks p = tsr_pick_farthest(r, in[0], w->rule, w->first, w->k);
    out[0] = p.order;
    out[1] = p.at;
    out[2] = p.margin;
    out[3] = p.score;
}

/* Score of row i after the picks of `order`. */
static double score_of(const wanted *w, const float *d, int64_t n, const int32_t *order, int64_t p,
                       int64_t i) {
    double sum = 0, least = INFINITY;
    for (int64_t q = 0; q < p; ++q)
        if (order[q] == i) return -INFINITY;
    if (p == 0 && w->first >= 0) return i == w->first ? 0 : -INFINITY;
    for (int64_t q = 0; q < (p ? p : n); ++q) {
        const double e = (double)d[(p ? order[q] : q) * n + i];
        sum += e;
        if ((p || q != i) && e < least) least = e;
    }
    if (w->rule == TSR_FARTHEST_MAXSUM) return sum;
    if (w->rule == TSR_FARTHEST_KCENTRE && p == 0) return -sum;
    return n > 1 ? least : 0;
}

static void try(int64_t n, wanted w) {
    op_case c = {
        .run = {.fn = farthest, .model = &w, .variant = w.k * 8192 + w.rule * 1024 + w.first}};
    op_name(&c, "pick_farthest %lld of %lld rule %d first %lld", (long long)w.k, (long long)n,
            w.rule, (long long)w.first);
    float *d = op_in(&c, TSR_DTYPE_F32, SHAPE(n, n));
    int32_t *order = op_out(&c, TSR_DTYPE_I32, SHAPE(w.k));
    float *at = op_out(&c, TSR_DTYPE_F32, SHAPE(w.k));
    float *margin = op_out(&c, TSR_DTYPE_F32, SHAPE(w.k));
    float *score = op_out(&c, TSR_DTYPE_F32, SHAPE(n));
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j)
            d[i * n + j] = d[j * n + i] = i == j ? 0 : (float)(1 + random_below(9));
    op_run(&c);
    for (int64_t p = 0; p <= w.k; ++p) {
        int64_t best = 0;
        double most = -INFINITY, second = -INFINITY;
        for (int64_t i = 0; i < n; ++i) {
            const double s = score_of(&w, d, n, order, p, i);
            if (p == w.k) ck_assert(score[i] == (float)s);
            if (s > most) {
                second = most;
                most = s;
                best = i;
            } else if (s > second)
                second = s;
        }
        if (p == w.k) break;
        ck_assert_int_eq(order[p], best);
        ck_assert(at[p] == (float)most && margin[p] == (float)(most - second));
    }
    op_free(&c);
}

START_TEST(farthest_first) {
    for (int rule = 0; rule < 3; ++rule) {
        try(1, (wanted){(tsr_farthest_rule)rule, -1, 1});
        try(5, (wanted){(tsr_farthest_rule)rule, -1, 5});
        try(130, (wanted){(tsr_farthest_rule)rule, -1, 40});
    }
    try(70, (wanted){TSR_FARTHEST_KCENTRE, 69, 20});
}
END_TEST

static void cover(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_picks p = tsr_cover(r, in[0], *(const int64_t *)m);
    out[0] = p.order;
    out[1] = p.at;
    out[2] = p.margin;
}

static void try_cover(int64_t n, int64_t m, int64_t k) {
    op_case c = {.run = {.fn = cover, .model = &k, .variant = k}};
    op_name(&c, "cover %lld of %lld by %lld", (long long)k, (long long)n, (long long)m);
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(n, m));
    int32_t *order = op_out(&c, TSR_DTYPE_I32, SHAPE(k));
    float *gain = op_out(&c, TSR_DTYPE_F32, SHAPE(k)),
          *margin = op_out(&c, TSR_DTYPE_F32, SHAPE(k));
    float *best = calloc((size_t)m, sizeof *best);
    ck_assert(best);
    for (int64_t i = 0; i < n * m; ++i)
        x[i] = (float)random_below(4);
    op_run(&c);
    for (int64_t p = 0; p < k; ++p) {
        int64_t pick = -1;
        double most = -1, second = -INFINITY;
        for (int64_t i = 0; i < n; ++i) {
            double sum = 0;
            for (int64_t q = 0; q < p && sum >= 0; ++q)
                if (order[q] == i) sum = -1;
            for (int64_t j = 0; j < m && sum >= 0; ++j)
                sum += fmax(0, (double)x[i * m + j] - (double)best[j]);
            if (sum < 0) continue;
            if (sum > most) {
                second = pick < 0 ? -INFINITY : most;
                most = sum;
                pick = i;
            } else if (sum > second)
                second = sum;
        }
        ck_assert_int_eq(order[p], pick);
        ck_assert(gain[p] == (float)most && margin[p] == (float)(most - second));
        for (int64_t j = 0; j < m; ++j)
            best[j] = fmaxf(best[j], x[pick * m + j]);
    }
    free(best);
    op_free(&c);
}

START_TEST(facility_location) {
    try_cover(1, 1, 1);
    try_cover(6, 9, 6); /* beyond the fifth pick nothing is gained any more */
    try_cover(140, 150, 11);
}
END_TEST

START_TEST(refuses) {
    wanted w = {TSR_FARTHEST_MAXMIN, -1, 5};
    op_case c = {.run = {.name = "pick_farthest", .fn = farthest, .model = &w}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(4, 4));
    for (int i = 0; i < 4; ++i)
        op_out(&c, TSR_DTYPE_F32, SHAPE(4));
    op_refused(&c, TSR_ERROR_ARGUMENT, "got [4, 4], 5 and -1");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_picks", farthest_first, facility_location, refuses)
