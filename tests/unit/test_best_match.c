/* SPDX-License-Identifier: MIT */
/* test_best_match.c: the most similar row of each row, against a plain search in float64: with and
 * without products of bytes, for every thread count, for rows that f32 cannot bear, and where
 * nearly all rows are as close as the best. */
#include "compute/cpu/gemm_bytes.h"
#include "needs.h"
#include "open_device.h"
#include "reduce/farthest.h"
#include "reduce/products.h"
#include "testing.h"

#include <math.h>
#include <string.h>

enum { N = 420, MANY = 2200, DIM = 37, WIDE = DIM + 3, CENTRES = 20 };

static float x[MANY * WIDE], plain_cosine[MANY], cosine[MANY];
static int32_t plain[MANY], match[MANY];
static int64_t used = N; /* rows */

static const tsr_operator test_operator = {.info = {.name = "test"}};

/* Rows around centres, with copies, a row of zeros, and rows of extreme lengths. */
static void make_rows(void) {
    static float centre[CENTRES * DIM];
    random_normals(x, N * WIDE);
    random_normals(centre, CENTRES * DIM);
    for (int i = 0; i < N; ++i)
        for (int j = 0; j < DIM; ++j)
            x[i * WIDE + j] = centre[i % CENTRES * DIM + j] + 0.3f * x[i * WIDE + j];
    memset(x + 11 * WIDE, 0, DIM * sizeof *x);
    memcpy(x + 400 * WIDE, x + 7 * WIDE, DIM * sizeof *x);
    memcpy(x + 401 * WIDE, x + 7 * WIDE, DIM * sizeof *x);
    for (int j = 0; j < DIM; ++j) {
        x[20 * WIDE + j] *= 1e30f;
        x[21 * WIDE + j] *= 1e-35f;
        x[22 * WIDE + j] *= 1e-20f;
    }
}

static float exact(int64_t i, int64_t j) {
    double dot = 0, a = 0, b = 0;
    for (int k = 0; k < DIM; ++k) {
        dot += (double)x[i * WIDE + k] * x[j * WIDE + k];
        a += (double)x[i * WIDE + k] * x[i * WIDE + k];
        b += (double)x[j * WIDE + k] * x[j * WIDE + k];
    }
    return a > 0 && b > 0 ? (float)(dot / sqrt(a * b)) : 0;
}

static void search(int64_t first, bool others) {
    for (int64_t i = 0; i < used; ++i) {
        plain[i] = -1;
        for (int64_t j = first; j < used; ++j) {
            if (others && i == j) continue;
            const float c = exact(i, j);
            if (plain[i] >= 0 && !(c > plain_cosine[i])) continue;
            plain[i] = (int32_t)j;
            plain_cosine[i] = c;
        }
    }
}

static void compare(const char *mask, int threads, int64_t first, bool others) {
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
    const tsr_row_view rows = {x, WIDE, used, DIM};
    tsr_best_matches(&o, &rows, &rows, first, others, match, cosine);
    ck_assert_int_eq(o.status, TSR_OK);
    for (int i = 0; i < used; ++i) {
        /* a sum in another order may round to the next f32, and so may its rival */
        ck_assert_msg(fabsf(cosine[i] - plain_cosine[i]) <= 0x1p-23f, "row %d: wanted %g, got %g",
                      i, (double)plain_cosine[i], (double)cosine[i]);
        ck_assert_msg(match[i] == plain[i] ||
                          fabsf(exact(i, match[i]) - plain_cosine[i]) <= 0x1p-23f,
                      "row %d: wanted %d, got %d", i, plain[i], match[i]);
    }
    tsr_scratch_free(&o.scratch);
    close_own_device(&d);
}

static void compare_all(int64_t first, bool others) {
    static int32_t before[MANY];
    search(first, others);
    compare(NULL, 1, first, others);
    memcpy(before, match, sizeof before);
    compare(NULL, 3, first, others);
    ck_assert_mem_eq(before, match, (size_t)used * sizeof *match);
    compare("avx512", 2, first, others);
    ck_assert_mem_eq(before, match, (size_t)used * sizeof *match);
    compare("avx512,avx2", 2, first, others);
    ck_assert_mem_eq(before, match, (size_t)used * sizeof *match);
}

START_TEST(matches) {
    make_rows();
    compare_all(0, true);
    compare_all(3, false);
}
END_TEST

/* Copies of one row: every row is as near as the best, and the lowest one wins. */
START_TEST(copies) {
    make_rows();
    for (int i = 1; i < N; ++i)
        memcpy(x + i * WIDE, x, DIM * sizeof *x);
    compare_all(5, true);
    ck_assert_int_eq(match[0], 5);
    ck_assert_int_eq(match[5], 6);
}
END_TEST

/* So many rows that each pair is looked at once: with copies at both ends of them, and a row of
 * zeros; not so where one is very long. */
START_TEST(pairs) {
    random_normals(x, MANY * WIDE);
    memset(x + 11 * WIDE, 0, DIM * sizeof *x);
    memcpy(x + 2110 * WIDE, x + 7 * WIDE, DIM * sizeof *x);
    memcpy(x + 300 * WIDE, x + 7 * WIDE, DIM * sizeof *x);
    for (int j = 0; j < DIM; ++j)
        x[20 * WIDE + j] *= 1e-5f;
    used = MANY;
    search(0, true);
    static const char *const masks[] = {NULL, "avx512", "avx512,avx2"};
    for (int i = 0; i < 3; ++i) {
        compare(masks[i], 1, 0, true);
        ck_assert_int_eq(match[2110], 7);
        ck_assert_int_eq(match[300], 7);
        ck_assert_int_eq(match[7], 300);
        compare(masks[i], 4, 0, true);
    }
    for (int j = 0; j < DIM; ++j)
        x[21 * WIDE + j] *= 1e30f;
    for (int i = 0; i < 3; ++i)
        compare(masks[i], 2, 0, true);
    used = N;
}
END_TEST

/* So few rows beside so many that products of bytes are asked first, and tell nothing. */
START_TEST(few_beside_many) {
    random_normals(x, MANY * WIDE);
    for (int64_t i = 0; i < MANY; ++i)
        for (int j = 0; j < DIM; ++j)
            x[i * WIDE + j] = x[j] + 1e-4f * x[i * WIDE + j];
    own_device d = open_own_device("cpu", 2);
    tsr_operation o = {
        .ctx = d.ctx, .device = &d.device, .op = &test_operator, .scratch = {.ctx = d.ctx}};
    const tsr_row_view few = {x, WIDE, 31, DIM}, many = {x + 40 * WIDE, WIDE, MANY - 40, DIM};
    ck_assert_int_ge(few.n * many.n, 1 << 16);
    tsr_best_matches(&o, &few, &many, 0, false, match, cosine);
    ck_assert_int_eq(o.status, TSR_OK);
    for (int64_t i = 0; i < few.n; ++i)
        for (int64_t j = 0; j < many.n; ++j)
            ck_assert_float_le(exact(i, 40 + j), exact(i, 40 + match[i]) + 0x1p-23f);
    tsr_scratch_free(&o.scratch);
    close_own_device(&d);
}
END_TEST

/* A few rows of a few hundred are as close to all: they alone are looked at again. */
START_TEST(few_left) {
    make_rows();
    for (int i = 100; i < 180; ++i)
        for (int j = 0; j < DIM; ++j)
            x[i * WIDE + j] = x[100 * WIDE + j] + 1e-4f * (float)((i * 7 + j) % 11);
    compare_all(0, true);
}
END_TEST

/* Of the first n rows, as they are and with row 11, of zeros, against a plain search. */
static void find_isolated(tsr_operation *o, int64_t n) {
    const tsr_row_view rows = {x, WIDE, n, DIM};
    double distance, most = -1;
    int32_t wanted = 0;
    for (int64_t i = 0; i < n; ++i) {
        double least = 3;
        for (int64_t j = 0; j < n; ++j)
            if (i != j)
                least = fmin(least, tsr_direction_distance(x + i * WIDE, x + j * WIDE, DIM));
        if (i != 11 && least > most) {
            most = least;
            wanted = (int32_t)i;
        }
    }
    ck_assert_int_eq(tsr_most_isolated(o, &rows, true, &distance), wanted);
    ck_assert_double_eq_tol(distance, most, 1e-12);
    ck_assert_int_eq(tsr_most_isolated(o, &rows, false, &distance), 11); /* zeros: 1 from all */
    ck_assert_double_eq(distance, 1);
}

START_TEST(isolated) {
    make_rows();
    own_device d = open_own_device("cpu", 2);
    tsr_operation o = {
        .ctx = d.ctx, .device = &d.device, .op = &test_operator, .scratch = {.ctx = d.ctx}};
    const tsr_row_view one = {x, WIDE, 1, DIM}, pair = {x + 400 * WIDE, WIDE, 2, DIM};
    double distance;
    find_isolated(&o, 200); /* f32 products */
    find_isolated(&o, 300); /* products of bytes */
    find_isolated(&o, N);   /* each pair once */
    for (int i = 0; i < N; ++i)
        for (int j = 0; j < DIM; ++j)
            x[i * WIDE + j] *= 1e-3f;
    find_isolated(&o, 300);
    find_isolated(&o, N);
    ck_assert_int_eq(tsr_most_isolated(&o, &one, true, &distance), 0);
    ck_assert_double_eq(distance, 0);
    ck_assert_int_eq(tsr_most_isolated(&o, &pair, true, &distance), 0);
    ck_assert_double_eq(distance, 0); /* copies, exactly */
    tsr_scratch_free(&o.scratch);
    close_own_device(&d);
}
END_TEST

/* Products of bytes are exact, those of the greatest bytes too. */
static void multiply(const tsr_byte_kernels *k) {
    enum { ROWS = 15, COLUMNS = 70, DEPTH = 36, PANELS = 96 };
    static int8_t a[ROWS * DEPTH], b[COLUMNS * DEPTH];
    static uint8_t panels[PANELS * DEPTH];
    static float scale[PANELS], y[ROWS * PANELS];
    const int most = k->most, kinds = 2 * most + 1;
    int32_t sum[ROWS] = {0};
    for (int i = 0; i < ROWS * DEPTH; ++i) {
        a[i] = (int8_t)(i < DEPTH ? most : i < 2 * DEPTH ? -most : i * 37 % kinds - most);
        sum[i / DEPTH] += a[i];
    }
    for (int i = 0; i < COLUMNS * DEPTH; ++i)
        b[i] = (int8_t)(i < DEPTH ? most : i < 2 * DEPTH ? -most : i * 91 % kinds - most);
    for (int j = 0; j < COLUMNS; ++j)
        scale[j] = j % 2 ? 0.5f : 1;
    ck_assert_uint_le(k->panel_bytes(DEPTH, COLUMNS), sizeof panels);
    k->pack(panels, b, DEPTH, COLUMNS);
    k->product(a, sum, ROWS, DEPTH, panels, scale, 0, COLUMNS, y, PANELS);
    for (int i = 0; i < ROWS; ++i)
        for (int j = 0; j < COLUMNS; ++j) {
            int32_t wanted = 0;
            for (int l = 0; l < DEPTH; ++l)
                wanted += a[i * DEPTH + l] * b[j * DEPTH + l];
            ck_assert_float_eq(y[i * PANELS + j], (float)wanted * scale[j]);
        }
}

START_TEST(bytes) {
    own_device d = open_own_device("cpu", 2);
    tsr_device_settings settings = tsr_device_settings_default();
    const tsr_byte_kernels *k = tsr_byte_select(d.device);
    settings.name = "cpu";
    settings.mask = "avx512";
    if (k) multiply(k);
    tsr_device_close(&d.device);
    ck_assert_int_eq(tsr_device_open(d.ctx, &d.device, &settings), TSR_OK);
    if ((k = tsr_byte_select(d.device)))
        multiply(k);
    else
        leave_out("no AVX2");
    close_own_device(&d);
}
END_TEST

TEST_MAIN("best match", matches, copies, pairs, few_left, few_beside_many, isolated, bytes)
