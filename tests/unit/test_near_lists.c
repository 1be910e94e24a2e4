/* SPDX-License-Identifier: MIT */
/* test_near_lists.c: the nearest of each row, the nearest of lower rank and the two that are
 * farthest apart, against a plain search in float64; all that is nearer than a row's radius is
 * listed, and threads change no bit. */
#include "needs.h"
#include "open_device.h"
#include "reduce/near_lists.h"
#include "reduce/products.h"
#include "testing.h"

#include <math.h>
#include <string.h>

enum { N = 1200, DIM = 37, GROUPS = 90, K = 5, LISTED = 16, LOWER = 200, ENDS = 2 };

static float x[N * DIM], centred[N * DIM], near[N * LISTED], radius[N];
static double length[N], plain[N][N];
static int32_t nearest[N * LISTED], count[N], rank[N], row[LOWER], lower[LOWER];

static const tsr_operator test_operator = {.info = {.name = "test"}};

static void centre(void) {
    double mean[DIM] = {0};
    for (int i = 0; i < N * DIM; ++i)
        mean[i % DIM] += x[i] / (double)N;
    for (int i = 0; i < N; ++i) {
        length[i] = 0;
        for (int j = 0; j < DIM; ++j) {
            const float c = x[i * DIM + j] - (float)mean[j];
            centred[i * DIM + j] = c;
            length[i] += (double)c * c;
        }
    }
}

/* Groups of rows, some copies, and two groups that are far away. */
static void make_rows(void) {
    static float middle[GROUPS * DIM];
    random_normals(x, N * DIM);
    random_normals(middle, GROUPS * DIM);
    for (int i = 0; i < N; ++i)
        for (int j = 0; j < DIM; ++j) {
            const int group = i % GROUPS;
            const float far = group < ENDS ? 3.0f : 1.0f;
            x[i * DIM + j] = far * middle[group * DIM + j] + 0.3f * x[i * DIM + j];
        }
    for (int i = 700; i < 706; ++i)
        memcpy(x + i * DIM, x + 7 * DIM, DIM * sizeof *x);
    centre();
    for (int i = 0; i < N; ++i) {
        rank[i] = (int32_t)((i * 7LL + 3) % N);
        for (int j = 0; j < N; ++j) {
            plain[i][j] = 0;
            for (int k = 0; k < DIM; ++k) {
                const double d = (double)x[i * DIM + k] - x[j * DIM + k];
                plain[i][j] += d * d;
            }
        }
    }
}

static bool find(const char *mask, int threads, int64_t n, tsr_near_lists *l) {
    own_device d = open_own_device("cpu", threads);
    if (mask) {
        tsr_device_settings settings = tsr_device_settings_default();
        settings.name = "cpu";
        settings.mask = mask;
        tsr_device_close(&d.device);
        ck_assert_int_eq(tsr_device_open(d.ctx, &d.device, &settings), TSR_OK);
    }
    tsr_operation o = {
        .ctx = d.ctx, .device = &d.device, .op = &test_operator, .scratch = {.ctx = d.ctx}};
    *l = (tsr_near_lists){.o = &o,
                          .x = x,
                          .centred = centred,
                          .length = length,
                          .n = n,
                          .dim = DIM,
                          .k = K,
                          .listed = LISTED,
                          .near = near,
                          .nearest = nearest,
                          .count = count,
                          .radius = radius};
    const bool found = tsr_near_lists_find(l);
    if (found) tsr_near_lists_lower(l, row, LOWER, rank, lower);
    ck_assert_int_eq(o.status, TSR_OK);
    tsr_scratch_free(&o.scratch);
    close_own_device(&d);
    return found;
}

static bool have_bytes(void) {
    own_device d = open_own_device("cpu", 1);
    tsr_operation o = {
        .ctx = d.ctx, .device = &d.device, .op = &test_operator, .scratch = {.ctx = d.ctx}};
    const bool have = tsr_products_have_bytes(&o, DIM);
    close_own_device(&d);
    if (!have) leave_out("no products of bytes");
    return have;
}

/* The k-th smallest of n distances. */
static double kth_of(const double *distance, int k) {
    double least[K];
    for (int i = 0; i < K; ++i)
        least[i] = INFINITY;
    for (int j = 0; j < N; ++j)
        for (int at = 0; at < K; ++at)
            if (distance[j] < least[at]) {
                memmove(least + at + 1, least + at, (size_t)(K - 1 - at) * sizeof *least);
                least[at] = distance[j];
                break;
            }
    return least[k];
}

static void check_row(int i) {
    const float *d = near + i * LISTED;
    const int32_t *j = nearest + i * LISTED;
    int within = 0;
    ck_assert_int_ge(count[i], K);
    ck_assert_int_le(count[i], LISTED);
    for (int at = 0; at < count[i]; ++at) {
        ck_assert_double_eq_tol(d[at], plain[i][j[at]], 1e-5 * plain[i][j[at]] + 1e-9);
        if (at) ck_assert(d[at] > d[at - 1] || (d[at] == d[at - 1] && j[at] > j[at - 1]));
        if (at < K)
            ck_assert_double_eq_tol(plain[i][j[at]], kth_of(plain[i], at),
                                    1e-5 * plain[i][j[at]] + 1e-9);
        within += plain[i][j[at]] < (double)radius[i] * (1 - 1e-5);
    }
    for (int other = 0; other < N; ++other)
        within -= plain[i][other] < (double)radius[i] * (1 - 1e-5);
    ck_assert_int_eq(within, 0);
}

static void check_lower(int at) {
    const int i = row[at];
    double least = INFINITY;
    for (int j = 0; j < N; ++j)
        if (rank[j] < rank[i]) least = fmin(least, plain[i][j]);
    ck_assert_int_lt(rank[lower[at]], rank[i]);
    ck_assert_double_eq_tol(plain[i][lower[at]], least, 1e-5 * least + 1e-9);
}

START_TEST(lists) {
    if (!have_bytes()) return;
    tsr_near_lists l;
    double most = 0;
    make_rows();
    for (int at = 0; at < LOWER; ++at) {
        row[at] = at * 5 + 2;
        ck_assert_int_gt(rank[row[at]], 0);
    }
    ck_assert(find(NULL, 1, N, &l));
    for (int i = 0; i < N; ++i) {
        check_row(i);
        for (int j = 0; j < N; ++j)
            most = fmax(most, plain[i][j]);
    }
    for (int at = 0; at < LOWER; ++at)
        check_lower(at);
    ck_assert_double_eq_tol(plain[l.apart[0]][l.apart[1]], most, 1e-5 * most);
    ck_assert_float_eq(near[7 * LISTED + 1], 0); /* a copy */

    static float before[N * LISTED];
    static int32_t rows[N * LISTED], low[LOWER];
    const int32_t apart = l.apart[0];
    memcpy(before, near, sizeof before);
    memcpy(rows, nearest, sizeof rows);
    memcpy(low, lower, sizeof low);
    ck_assert(find(NULL, 3, N, &l));
    for (int i = 0; i < N; ++i) {
        const size_t listed = (size_t)count[i];
        ck_assert_mem_eq(before + i * LISTED, near + i * LISTED, listed * sizeof *near);
        ck_assert_mem_eq(rows + i * LISTED, nearest + i * LISTED, listed * sizeof *nearest);
    }
    ck_assert_mem_eq(low, lower, sizeof low);
    ck_assert_int_eq(l.apart[0], apart);
}
END_TEST

/* Where bytes are not fast, of too few rows, of rows that are all as far from each other, and of a
 * row that is far too long, the caller is left to look himself. */
START_TEST(refusals) {
    tsr_near_lists l;
    make_rows();
    ck_assert(!find("avx512,avx2", 2, N, &l));
    ck_assert(!find(NULL, 2, 100, &l));
    x[3] = 1e6f;
    centre();
    ck_assert(!find(NULL, 2, N, &l));
    memset(x, 0, sizeof x);
    for (int i = 0; i < N; ++i)
        x[i * DIM + i % DIM] = 1;
    for (int i = 0; i < N; ++i) /* so near the others of its kind that bytes show no difference */
        x[i * DIM + (i + 1) % DIM] = 1e-4f * (float)(i / DIM);
    centre();
    ck_assert(!find(NULL, 2, N, &l));
}
END_TEST

TEST_MAIN("near lists", lists, refusals)
