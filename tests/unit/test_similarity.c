/* SPDX-License-Identifier: MIT */
/* test_similarity.c: rows against rows: every kind against float64, tiles and threads change no
 * bit, equal rows get equal values. */
#include "open_device.h"
#include "reduce/similarity.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 150, DIM = 37, KINDS = 3, ZERO_ROW = 11, COPY = 140, COPIED = 3 };

static float x[N * DIM], y[N * N], z[N * N];

static void make_rows(void) {
    random_normals(x, N * DIM);
    for (int i = 0; i < N * DIM; ++i)
        x[i] += 2;
    memset(x + ZERO_ROW * DIM, 0, DIM * sizeof *x);
    memcpy(x + COPY * DIM, x + COPIED * DIM, DIM * sizeof *x);
}

static const tsr_operator test_operator = {.info = {.name = "test"}};

typedef struct opened {
    own_device d;
    tsr_operation o;
    tsr_similarity s;
} opened;

static void open_rows(opened *t, tsr_similarity_kind kind, int threads) {
    *t = (opened){.d = open_own_device("cpu", threads)};
    t->o = (tsr_operation){.ctx = t->d.ctx,
                           .device = &t->d.device,
                           .op = &test_operator,
                           .scratch = {.ctx = t->d.ctx}};
    tsr_similarity_open(&t->o, &t->s, kind, x, N, DIM);
    ck_assert_int_eq(t->o.status, TSR_OK);
}
static void close_rows(opened *t) {
    tsr_similarity_close(&t->s);
    tsr_scratch_free(&t->o.scratch);
    close_own_device(&t->d);
}

static void all_rows(opened *t, float *to) {
    for (int64_t first = 0, count; first < N; first += count) {
        count = tsr_similarity_rows(&t->s, first, to + first * N);
        ck_assert_int_gt(count, 0);
    }
}

static double brute(tsr_similarity_kind kind, const float *a, const float *b) {
    double dot = 0, aa = 0, bb = 0, square = 0;
    for (int j = 0; j < DIM; ++j) {
        dot += (double)a[j] * b[j];
        aa += (double)a[j] * a[j];
        bb += (double)b[j] * b[j];
        square += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
    }
    if (kind == TSR_SIMILARITY_DOT) return dot;
    if (kind == TSR_SIMILARITY_SQUARE_DISTANCE) return square;
    return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

START_TEST(every_kind_is_what_float64_says) {
    static double want[N * N];
    make_rows();
    for (int kind = 0; kind < KINDS; ++kind) {
        opened t;
        open_rows(&t, kind, 2);
        all_rows(&t, y);
        for (int i = 0; i < N * N; ++i)
            want[i] = brute(kind, x + i / N * DIM, x + i % N * DIM);
        expect_close("similarities", y, want, N * N,
                     kind == TSR_SIMILARITY_SQUARE_DISTANCE ? 1e-4 : 2e-6);
        ck_assert_int_eq(memcmp(y + COPY * N, y + COPIED * N, N * sizeof *y), 0);
        close_rows(&t);
    }
}
END_TEST

/* Rows by index and rows from outside are the rows of tiles, to the bit. */
START_TEST(tiles_and_threads_change_no_bit) {
    const int32_t some[] = {149, 0, 77, 11};
    make_rows();
    for (int kind = 0; kind < KINDS; ++kind) {
        opened t;
        open_rows(&t, kind, 1);
        all_rows(&t, y);
        close_rows(&t);
        open_rows(&t, kind, 4);
        ck_assert_int_lt(t.s.tile, N + 1);
        t.s.tile = 64;
        all_rows(&t, z);
        ck_assert_int_eq(memcmp(y, z, sizeof y), 0);
        tsr_similarity_picked(&t.s, some, 4, z);
        for (int i = 0; i < 4; ++i)
            ck_assert_int_eq(memcmp(z + i * N, y + some[i] * N, N * sizeof *y), 0);
        tsr_similarity_others(&t.s, x + 70 * DIM, 5, z);
        ck_assert_int_eq(memcmp(z, y + 70 * N, 5 * N * sizeof *y), 0);
        close_rows(&t);
    }
}
END_TEST

START_TEST(lengths_and_sums) {
    static float unit[N * DIM];
    opened t;
    make_rows();
    open_rows(&t, TSR_SIMILARITY_DOT, 2);
    tsr_unit_rows(&t.o, x, N, DIM, unit);
    close_rows(&t);
    for (int i = 0; i < N; ++i) {
        const float *a = x + i * DIM, *b = x + (N - 1 - i) * DIM;
        ck_assert_double_eq_tol(tsr_dot(unit + i * DIM, unit + i * DIM, DIM), i != ZERO_ROW, 1e-6);
        ck_assert_double_eq_tol(tsr_dot(a, b, DIM), brute(TSR_SIMILARITY_DOT, a, b), 1e-9);
        ck_assert_double_eq_tol(tsr_square_distance(a, b, DIM),
                                brute(TSR_SIMILARITY_SQUARE_DISTANCE, a, b), 1e-9);
    }
    ck_assert_double_eq(tsr_square_distance(x + COPY * DIM, x + COPIED * DIM, DIM), 0);
}
END_TEST

TEST_MAIN("similarity", every_kind_is_what_float64_says, tiles_and_threads_change_no_bit,
          lengths_and_sums)
