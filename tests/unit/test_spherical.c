/* SPDX-License-Identifier: MIT */
/* test_spherical.c: clusters of directions: the order of first centroids vanishes, threads change
 * nothing, as many clusters as rows are the rows; and the choice of their number. */
#include "open_device.h"
#include "quantizer/spherical.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 700, DIM = 37, K = 9, PASSES = 100 };

typedef struct made {
    int32_t labels[N], counts[N];
    float margins[N], codebook[N * DIM];
    tsr_spherical_result result;
} made;

static void cluster_some(int threads, const float *x, int64_t n, int64_t k, const float *first,
                         bool margins, made *m) {
    static float centroids[N * DIM];
    own_device d = open_own_device("cpu", threads);
    m->result =
        (tsr_spherical_result){.labels = m->labels, .counts = m->counts, .codebook = m->codebook};
    if (margins) m->result.margins = m->margins;
    memcpy(centroids, first, sizeof *first * (size_t)(k * DIM));
    ck_assert_int_eq(tsr_spherical_kmeans(d.device, x, n, DIM, k, PASSES, centroids, &m->result),
                     TSR_OK);
    close_own_device(&d);
}

static void cluster(int threads, const float *x, int64_t n, int64_t k, const float *first,
                    made *m) {
    cluster_some(threads, x, n, k, first, true, m);
}

static void canonical(int64_t n, int64_t k, made *m) {
    own_device d = open_own_device("cpu", 1);
    ck_assert_int_eq(tsr_spherical_canonical(d.ctx, n, DIM, k, &m->result), TSR_OK);
    close_own_device(&d);
}

static float x[N * DIM];
static made a, b;

START_TEST(the_order_of_first_centroids_vanishes) {
    float turned[K * DIM];
    random_normals(x, N * DIM);
    cluster(1, x, N, K, x, &a);
    for (int c = 0; c < K; ++c)
        memcpy(turned + c * DIM, x + (c + 4) % K * DIM, sizeof *x * DIM);
    cluster(1, x, N, K, turned, &b);
    ck_assert_int_ne(memcmp(a.labels, b.labels, sizeof a.labels), 0);
    canonical(N, K, &a);
    canonical(N, K, &b);
    ck_assert_int_eq(a.labels[0], 0);
    ck_assert_uint_gt(a.result.passes, 2);
    ck_assert_uint_eq(a.result.passes, b.result.passes);
    expect_equal_i32("labels", a.labels, b.labels, N);
    expect_equal_i32("counts", a.counts, b.counts, K);
    ck_assert_int_eq(memcmp(a.codebook, b.codebook, sizeof *x * K * DIM), 0);
}
END_TEST

START_TEST(threads_change_nothing) {
    random_normals(x, N * DIM);
    cluster(1, x, N, K, x, &a);
    cluster(2, x, N, K, x, &b);
    expect_equal_i32("labels", a.labels, b.labels, N);
    ck_assert_int_eq(memcmp(a.codebook, b.codebook, sizeof *x * K * DIM), 0);
    ck_assert_int_eq(memcmp(a.margins, b.margins, sizeof a.margins), 0);
}
END_TEST

/* Without margins most rows need not look again in later passes. Rows that stand twice, negated or
 * right between two centroids are among them. */
START_TEST(rows_that_need_not_look_keep_their_labels) {
    random_normals(x, N * DIM);
    for (int i = 0; i < 60; ++i)
        for (int j = 0; j < DIM; ++j) {
            x[(100 + i) * DIM + j] = x[(i % K) * DIM + j] + x[(i + 1) % K * DIM + j];
            x[(200 + i) * DIM + j] = -x[(300 + i) * DIM + j];
            x[(400 + i) * DIM + j] = i < 3 ? 0 : x[(500 + i) * DIM + j];
        }
    for (int threads = 1; threads < 4; threads += 2)
        for (int64_t k = 2; k <= 40; k += 19) {
            cluster_some(1, x, N, k, x, true, &a);
            cluster_some(threads, x, N, k, x, false, &b);
            ck_assert_uint_gt(a.result.passes, 4);
            ck_assert_uint_eq(a.result.passes, b.result.passes);
            expect_equal_i32("labels", a.labels, b.labels, N);
            ck_assert_int_eq(memcmp(a.codebook, b.codebook, sizeof *x * (size_t)k * DIM), 0);
        }
}
END_TEST

/* Every label is the cosine's own choice, and codebook rows are the means of unit vectors. */
START_TEST(labels_and_codebook_are_what_they_are_said_to_be) {
    static double sum[K][DIM];
    int used[K] = {0};
    float centroids[K * DIM];
    random_normals(x, N * DIM);
    memcpy(centroids, x, sizeof centroids);
    own_device d = open_own_device("cpu", 2);
    a.result = (tsr_spherical_result){
        .labels = a.labels, .margins = a.margins, .counts = a.counts, .codebook = a.codebook};
    ck_assert_int_eq(tsr_spherical_kmeans(d.device, x, N, DIM, K, PASSES, centroids, &a.result),
                     TSR_OK);
    close_own_device(&d);
    memset(sum, 0, sizeof sum);
    for (int i = 0; i < N; ++i) {
        double cosine[K], best = -2, second = -2, length = 0;
        int label = 0;
        for (int j = 0; j < DIM; ++j)
            length += (double)x[i * DIM + j] * x[i * DIM + j];
        for (int c = 0; c < K; ++c) {
            double dot = 0, other = 0;
            for (int j = 0; j < DIM; ++j) {
                dot += (double)x[i * DIM + j] * centroids[c * DIM + j];
                other += (double)centroids[c * DIM + j] * centroids[c * DIM + j];
            }
            cosine[c] = dot / sqrt(length * other);
            if (cosine[c] > best)
                second = best, best = cosine[c], label = c;
            else if (cosine[c] > second)
                second = cosine[c];
        }
        if (best - second > 1e-6) ck_assert_int_eq(a.labels[i], label);
        ck_assert_double_eq_tol(a.margins[i], best - second, 1.5e-6);
        used[a.labels[i]]++;
        for (int j = 0; j < DIM; ++j)
            sum[a.labels[i]][j] += x[i * DIM + j] / sqrt(length);
    }
    for (int c = 0; c < K; ++c) {
        ck_assert_int_eq(a.counts[c], used[c]);
        for (int j = 0; j < DIM; ++j)
            ck_assert_double_eq_tol(a.codebook[c * DIM + j], sum[c][j] / used[c], 1e-6);
    }
}
END_TEST

START_TEST(as_many_clusters_as_rows_are_the_rows) {
    enum { FEW = 40 };
    random_normals(x, FEW * DIM);
    cluster(2, x, FEW, FEW, x, &a);
    for (int i = 0; i < FEW; ++i) {
        double length = 0;
        for (int j = 0; j < DIM; ++j)
            length += (double)x[i * DIM + j] * x[i * DIM + j];
        ck_assert_int_eq(a.labels[i], i);
        ck_assert_int_eq(a.counts[i], 1);
        for (int j = 0; j < DIM; ++j)
            ck_assert_double_eq_tol(a.codebook[i * DIM + j], x[i * DIM + j] / sqrt(length), 1e-6);
    }
}
END_TEST

START_TEST(sizes_are_checked) {
    own_device d = open_own_device("cpu", 1);
    a.result =
        (tsr_spherical_result){.labels = a.labels, .counts = a.counts, .codebook = a.codebook};
    ck_assert_int_eq(tsr_spherical_kmeans(d.device, x, 3, DIM, 4, PASSES, b.codebook, &a.result),
                     TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(d.ctx),
                     "cosine clusters: wanted 1 to 3 of them and a pass, got 4 and 100");
    close_own_device(&d);
}
END_TEST

/* Cosine 0 with everything, although a vector of zeros is nearer to a unit vector than one at more
 * than 60 degrees is. */
START_TEST(what_has_no_direction) {
    enum { ROWS = 3 };
    const float centroids[] = {0, 0, 1, 0, 0, 0}, rows[ROWS * 2] = {0.3f, 1, -1, 0.5f, 0, 0};
    const int32_t wanted[ROWS] = {1, 0, 0};
    const float apart[ROWS] = {0.28734788f, 0, 0};
    float margins[ROWS], distances[ROWS];
    own_device d = open_own_device("cpu", 1);
    ck_assert_int_eq(
        tsr_spherical_assign(d.device, rows, ROWS, 2, centroids, 3, a.labels, margins, distances),
        TSR_OK);
    expect_equal_i32("labels", a.labels, wanted, ROWS);
    for (int i = 0; i < ROWS; ++i) {
        ck_assert_float_eq_tol(margins[i], apart[i], 1e-6f);
        ck_assert_float_eq_tol(distances[i], 1 - apart[i], 1e-6f);
    }
    close_own_device(&d);
}
END_TEST

START_TEST(the_elbow) {
    /* falls by 10 down to 15 clusters, by 1 from there */
    const float curve[] = {100, 90, 80, 70, 69, 68, 67};
    ck_assert_int_eq(tsr_elbow(curve, 7, 12), 15);
    ck_assert_int_eq(tsr_elbow(curve, 7, 2), 5);
    ck_assert_int_eq(tsr_elbow(curve, 2, 12), 12);
    ck_assert_int_eq(tsr_elbow_released(curve, 7), 12);
}
END_TEST

TEST_MAIN("spherical", the_order_of_first_centroids_vanishes, threads_change_nothing,
          rows_that_need_not_look_keep_their_labels,
          labels_and_codebook_are_what_they_are_said_to_be, as_many_clusters_as_rows_are_the_rows,
          sizes_are_checked, what_has_no_direction, the_elbow)
