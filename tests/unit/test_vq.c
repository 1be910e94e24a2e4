/* SPDX-License-Identifier: MIT */
/* test_vq.c: nearest codes against brute force in float64, on every device; and what must not
 * change them: threads, chunks, the data's distance from the origin. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "everywhere.h"
#include "open_device.h"
#include "quantizer/quantizer.h"

static void normalise(const float *x, int64_t dim, double *to) {
    double sum = 0;
    for (int64_t i = 0; i < dim; ++i)
        sum += (double)x[i] * x[i];
    for (int64_t i = 0; i < dim; ++i)
        to[i] = sum > 0 ? x[i] / sqrt(sum) : 0;
}

/* Squared distance in float64 and the lengths that rounding errors are proportional to. */
static double distance(const float *x, const float *c, int64_t dim, tsr_metric metric) {
    double a[512], b[512], sum = 0;
    if (metric == TSR_METRIC_COSINE) {
        normalise(x, dim, a);
        normalise(c, dim, b);
    }
    for (int64_t i = 0; i < dim; ++i) {
        double d = metric == TSR_METRIC_COSINE ? a[i] - b[i] : (double)x[i] - c[i];
        sum += d * d;
    }
    return sum;
}

typedef struct problem {
    int64_t n, k, dim;
    tsr_metric metric;
    float *x, *codes;
} problem;

static problem make(int64_t n, int64_t k, int64_t dim, tsr_metric metric, float offset) {
    problem p = {n,
                 k,
                 dim,
                 metric,
                 malloc(sizeof(float) * (size_t)(n * dim)),
                 malloc(sizeof(float) * (size_t)(k * dim))};
    random_normals(p.x, n * dim);
    random_normals(p.codes, k * dim);
    for (int64_t i = 0; i < n * dim; ++i)
        p.x[i] += offset;
    for (int64_t i = 0; i < k * dim; ++i)
        p.codes[i] += offset;
    return p;
}

static void drop(problem *p) {
    free(p->x);
    free(p->codes);
}

/* Equal to brute force, except where the chosen code is as near as rounding can tell. */
static void check_problem(tsr_device *device, const char *where, const problem *p) {
    int32_t *ids = guarded(sizeof *ids * (size_t)p->n);
    float *margin = guarded(sizeof *margin * (size_t)p->n);
    uint64_t near_ties = 0;
    tsr_status status = tsr_vq_assign(device, p->x, p->n, p->dim, p->codes, p->k, p->metric, 0, ids,
                                      margin, &near_ties);
    ck_assert_msg(!status, "%s: %s", where, tsr_detail(tsr_device_context(device)));
    uint64_t differ = 0;
    for (int64_t i = 0; i < p->n; ++i) {
        const float *x = p->x + i * p->dim;
        double best = INFINITY, second = INFINITY, scale = 0;
        int64_t id = 0;
        for (int64_t c = 0; c < p->k; ++c) {
            double d = distance(x, p->codes + c * p->dim, p->dim, p->metric);
            if (d < best) {
                second = best;
                best = d;
                id = c;
            } else if (d < second)
                second = d;
        }
        /* Lengths after staging are not longer than the farthest distance between any two. */
        scale = p->metric == TSR_METRIC_COSINE ? 2 : 4 * (sqrt((double)p->dim) + sqrt(best));
        double bound = tsr_vq_tie_bound(p->dim, scale, 0);
        ck_assert(ids[i] >= 0 && ids[i] < p->k);
        double got = distance(x, p->codes + ids[i] * p->dim, p->dim, p->metric);
        ck_assert_msg(got - best <= bound, "%s: row %lld: code %d at %.9g, but %lld at %.9g", where,
                      (long long)i, ids[i], got, (long long)id, best);
        differ += ids[i] != id;
        if (p->k > 1)
            ck_assert_msg(fabs(margin[i] - (second - best)) <= bound + 1e-6 * (second - best),
                          "%s: row %lld: margin %.9g, wanted %.9g", where, (long long)i,
                          (double)margin[i], second - best);
        else
            ck_assert(margin[i] == 0);
    }
    ck_assert_msg(differ <= near_ties, "%s: %llu ids differ, %llu near ties counted", where,
                  (unsigned long long)differ, (unsigned long long)near_ties);
    ck_assert_msg(near_ties <= (uint64_t)p->n / 20 + 1, "%s: %llu near ties of %lld rows", where,
                  (unsigned long long)near_ties, (long long)p->n);
    guarded_free(ids);
    guarded_free(margin);
}

static const int64_t sizes[][3] = {{1, 1, 1},     {1, 2, 3},    {5, 1, 4},      {300, 17, 8},
                                   {257, 64, 16}, {64, 500, 7}, {1000, 33, 64}, {130, 129, 192}};

START_TEST(against_brute_force) {
    char name[32] = "cpu", where[96];
    for (int v = 0; v <= everywhere_vulkan_count(); ++v) {
        if (v > 0) snprintf(name, sizeof name, "vulkan:%d", v - 1);
        tsr_device *device = everywhere_device(name, NULL);
        ck_assert_msg(device != NULL, "%s could not be opened", name);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
            for (int metric = 0; metric < 2; ++metric)
                for (int offset = 0; offset < 2; ++offset) {
                    problem p = make(sizes[i][0], sizes[i][1], sizes[i][2], (tsr_metric)metric,
                                     offset && !metric ? 100.0f : 0.0f);
                    snprintf(where, sizeof where, "%s: n %lld, k %lld, dim %lld, %s, offset %d",
                             name, (long long)p.n, (long long)p.k, (long long)p.dim,
                             metric ? "cosine" : "euclid", offset * 100);
                    check_problem(device, where, &p);
                    drop(&p);
                }
    }
}
END_TEST

START_TEST(same_for_threads_and_chunks) {
    problem p = make(3001, 100, 24, TSR_METRIC_EUCLID, 0);
    static const int64_t chunks[] = {0, 1, 7, 64, 1000, 3000, 3001, 10000};
    int32_t *first = malloc(4 * 3001), *ids = malloc(4 * 3001);
    float *first_margin = malloc(4 * 3001), *margin = malloc(4 * 3001);
    for (int metric = 0; metric < 2; ++metric)
        for (int threads = 1; threads <= 3; ++threads) {
            own_device d = open_own_device("cpu", threads);
            for (size_t c = 0; c < sizeof chunks / sizeof *chunks; ++c) {
                bool start = threads == 1 && c == 0;
                uint64_t near_ties;
                ck_assert_int_eq(tsr_vq_assign(d.device, p.x, p.n, p.dim, p.codes, p.k,
                                               (tsr_metric)metric, chunks[c], start ? first : ids,
                                               start ? first_margin : margin, &near_ties),
                                 TSR_OK);
                if (start) continue;
                expect_equal_i32("ids", ids, first, p.n);
                ck_assert_msg(!memcmp(margin, first_margin, 4 * 3001),
                              "%d threads, chunk %lld: margins differ", threads,
                              (long long)chunks[c]);
            }
            close_own_device(&d);
        }
    free(first);
    free(ids);
    free(first_margin);
    free(margin);
    drop(&p);
}
END_TEST

START_TEST(ties_go_to_the_lowest) {
    own_device d = open_own_device("cpu", 1);
    /* Codes 1 and 3 are equal, 0 and 2 are far away. The direction of the second row is nearest to
     * that of code 0, by 3.5 / 2.5 sqrt(2) against 5.5 / 2.5 sqrt(5); zeros have none. */
    const float codes[8] = {9, 9, 1, 2, -9, 9, 1, 2}, x[6] = {1, 2, 1.5f, 2, 0, 0};
    static const int32_t wanted[2][3] = {{1, 1, 1}, {1, 0, 0}};
    static const uint64_t wanted_ties[2] = {3, 2};
    const double apart = 2 * (1.4 / sqrt(2) - 2.2 / sqrt(5));
    int32_t ids[3];
    float margin[3];
    uint64_t near_ties = 0;
    for (int metric = 0; metric < 2; ++metric) {
        ck_assert_int_eq(tsr_vq_assign(d.device, x, 3, 2, codes, 4, (tsr_metric)metric, 0, ids,
                                       margin, &near_ties),
                         TSR_OK);
        expect_equal_i32("ids", ids, wanted[metric], 3);
        ck_assert(margin[0] == 0 && margin[2] == 0);
        ck_assert_double_eq_tol(margin[1], metric ? apart : 0, 1e-6);
        ck_assert_uint_eq(near_ties, wanted_ties[metric]);
    }
    /* Cosine ignores lengths: a longer code in the same direction is the same code. */
    const float along[4] = {100, 200, 3, 1};
    ck_assert_int_eq(
        tsr_vq_assign(d.device, x, 1, 2, along, 2, TSR_METRIC_COSINE, 0, ids, margin, &near_ties),
        TSR_OK);
    ck_assert(ids[0] == 0 && near_ties == 0);
    ck_assert_int_eq(
        tsr_vq_assign(d.device, x, 1, 2, along, 2, TSR_METRIC_EUCLID, 0, ids, margin, &near_ties),
        TSR_OK);
    ck_assert(ids[0] == 1);
    ck_assert_int_eq(
        tsr_vq_assign(d.device, NULL, 0, 2, codes, 4, TSR_METRIC_EUCLID, 0, NULL, NULL, &near_ties),
        TSR_OK);
    close_own_device(&d);
}
END_TEST

START_TEST(bad_values) {
    own_device d = open_own_device("cpu", 2);
    enum { N = 1000, DIM = 5 };
    float x[N * DIM];
    random_normals(x, N * DIM);
    ck_assert_int_eq(tsr_vq_check(d.ctx, "rows", x, N, DIM), TSR_OK);
    x[999 * DIM + 4] = INFINITY;
    ck_assert_int_eq(tsr_vq_check(d.ctx, "rows", x, N, DIM), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(d.ctx),
                     "rows: row 999, column 4: wanted a number within +-1e+15, got inf");
    x[700 * DIM + 2] = 2e15f;
    x[513 * DIM + 1] = NAN;
    ck_assert_int_eq(tsr_vq_check(d.ctx, "rows", x, N, DIM), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(d.ctx), "row 513, column 1: "));
    tsr_vq_pass pass;
    ck_assert_int_eq(tsr_vq_pass_open(d.device, &pass, 0, 4, TSR_METRIC_EUCLID, 0, false),
                     TSR_ERROR_ARGUMENT);
    tsr_vq_pass_close(&pass);
    /* Memory for a codebook beyond the limit is refused, not tried. */
    ck_assert_int_eq(
        tsr_vq_pass_open(d.device, &pass, INT32_MAX, 100000, TSR_METRIC_EUCLID, 0, false),
        TSR_ERROR_MEMORY);
    close_own_device(&d);
}
END_TEST

TEST_MAIN("vq", against_brute_force, same_for_threads_and_chunks, ties_go_to_the_lowest, bad_values)
