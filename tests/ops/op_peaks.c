/* SPDX-License-Identifier: MIT */
/* Density peaks against float64, the nearest centre, and where tokens go in a matching. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 5 };

static void peaks(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_peaks p = tsr_density_peaks(r, in[0], DIM, *(const int64_t *)m);
    out[0] = p.density;
    out[1] = p.delta;
    out[2] = p.score;
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void try(int64_t n, int64_t k) {
    op_case c = {.run = {.fn = peaks, .model = &k, .variant = k, .tolerance = 1e-5}};
    op_name(&c, "peaks %lld of %lld", (long long)k, (long long)n);
    float *d = op_in(&c, TSR_DTYPE_F32, SHAPE(n, n));
    op_out(&c, TSR_DTYPE_F32, SHAPE(n));
    op_out(&c, TSR_DTYPE_F32, SHAPE(n));
    op_out(&c, TSR_DTYPE_F32, SHAPE(n));
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j)
            d[i * n + j] = d[j * n + i] = i == j ? 0 : random_uniform(0.1f, 9);
    if (n > 3) /* a copy of a row: the lower one is denser */
        for (int64_t j = 0; j < n; ++j)
            d[3 * n + j] = d[j * n + 3] = j == 3 ? 0 : d[n + j];
    op_run(&c);
    double *want = calloc((size_t)(3 * n), sizeof *want);
    float *row = calloc((size_t)n, sizeof *row);
    ck_assert(want && row);
    for (int64_t i = 0; i < n; ++i) {
        memcpy(row, d + i * n, (size_t)n * sizeof *row);
        qsort(row, (size_t)n, sizeof *row, ascending);
        double sum = 0;
        for (int64_t m = 0; m < k; ++m)
            sum += (double)row[m] / DIM;
        want[i] = exp(-sum / (double)k);
    }
    for (int64_t i = 0; i < n; ++i) {
        double least = INFINITY, most = 0;
        for (int64_t j = 0; j < n; ++j)
            if (want[j] > want[i] || (want[j] == want[i] && j < i))
                least = fmin(least, (double)d[i * n + j]);
        for (int64_t j = 0; j < n * n; ++j)
            most = fmax(most, (double)d[j]);
        want[n + i] = sqrt((least < INFINITY ? least : most) / DIM);
        want[2 * n + i] = want[i] * want[n + i];
    }
    for (int o = 0; o < 3; ++o)
        op_expect(&c, o, want + o * n, 1e-6);
    free(want);
    free(row);
    op_free(&c);
}

START_TEST(sizes) {
    try(1, 1);
    try(9, 3);
    try(130, 7);
}
END_TEST

static void join(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_join_centres(r, in[0], in[1]);
}

START_TEST(nearest_centres) {
    enum { N = 4, CENTRES = 3 };
    op_case c = {.run = {.name = "join_centres", .fn = join}};
    float *d = op_in(&c, TSR_DTYPE_F32, SHAPE(N, N));
    int32_t *centres = op_in(&c, TSR_DTYPE_I32, SHAPE(CENTRES));
    int32_t *y = op_out(&c, TSR_DTYPE_I32, SHAPE(N));
    /* rows 1 and 3 are one point; row 0 is as far from 1 as from 2 */
    memcpy(d, (float[]){0, 4, 4, 4, 4, 0, 1, 0, 4, 1, 0, 1, 4, 0, 1, 0}, N * N * sizeof *d);
    memcpy(centres, (int32_t[]){2, 1, 3}, sizeof(int32_t) * CENTRES);
    op_run(&c);
    const int32_t want[N] = {0, 1, 0, 2};
    expect_equal_i32("join_centres", y, want, N);
    centres[0] = 4;
    op_refused(&c, TSR_ERROR_TOKENS, "join_centres: id 0: wanted 0..3, got 4");
    op_free(&c);
}
END_TEST

static void match(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_match_map(r, in[0], in[1], 7, 2);
}

START_TEST(matched_tokens) {
    op_case c = {.run = {.name = "match_map", .fn = match}};
    int32_t *order = op_in(&c, TSR_DTYPE_I32, SHAPE(4)), *odd = op_in(&c, TSR_DTYPE_I32, SHAPE(4));
    int32_t *map = op_out(&c, TSR_DTYPE_I32, SHAPE(7));
    memcpy(order, (int32_t[]){2, 0, 3, 1}, 16); /* tokens 4 and 0 merge; 6 and 2 stay */
    memcpy(odd, (int32_t[]){2, 0, 0, 1}, 16);   /* of tokens 0, 2, 4, 6: 5, 1, 1, 3 */
    op_run(&c);
    const int32_t want[7] = {4, 2, 1, 3, 2, 4, 0};
    expect_equal_i32("match_map", map, want, 7);
    odd[0] = 3;
    op_refused(&c, TSR_ERROR_TOKENS, "match_map: odd: id 0: wanted 0..2, got 3");
    op_free(&c);
}
END_TEST

static const float numbers[] = {1.5f, -0.0f, 3e38f, -7, 0, 1};
static void constant(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    (void)in;
    out[0] = tsr_constant(r, TSR_DTYPE_F32, 2, (int64_t[]){2, 3}, numbers);
}

START_TEST(constants) {
    op_case c = {.run = {.name = "constant", .fn = constant}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(1)), 0, 4);
    float *y = op_out(&c, TSR_DTYPE_F32, SHAPE(2, 3));
    op_run(&c);
    ck_assert(!memcmp(y, numbers, sizeof numbers));
    op_free(&c);
}
END_TEST

TEST_MAIN("op_peaks", sizes, nearest_centres, matched_tokens, constants)
