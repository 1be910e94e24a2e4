/* SPDX-License-Identifier: MIT */
/* Squared distances of all pairs against float64; copies are at distance 0. */
#include "ops/ops.h"
#include "op_case.h"

#include <stdlib.h>
#include <string.h>

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_square_distances(r, in[0], in[1]);
}

static void try(int64_t m, int64_t n, int64_t d) {
    op_case c = {.run = {.fn = model, .tolerance = 1e-5}};
    op_name(&c, "distances %lld %lld %lld", (long long)m, (long long)n, (long long)d);
    float *a = op_in(&c, TSR_DTYPE_F32, SHAPE(m, d)), *b = op_in(&c, TSR_DTYPE_F32, SHAPE(n, d));
    float *y = op_out(&c, TSR_DTYPE_F32, SHAPE(m, n));
    random_normals(a, m * d);
    random_normals(b, n * d);
    for (int64_t i = 0; i < m * d; ++i)
        a[i] += 1000; /* far from the origin */
    for (int64_t i = 0; i < n * d; ++i)
        b[i] += 1000;
    memcpy(b + (n - 1) * d, a, (size_t)d * sizeof *a);
    op_run(&c);
    double *want = calloc((size_t)(m * n), sizeof *want);
    ck_assert(want);
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j)
            for (int64_t l = 0; l < d; ++l) {
                const double e = (double)a[i * d + l] - (double)b[j * d + l];
                want[i * n + j] += e * e;
            }
    op_expect(&c, 0, want, 1e-6);
    ck_assert(y[n - 1] == 0);
    free(want);
    op_free(&c);
}

START_TEST(sizes) {
    try(1, 1, 1);
    try(32, 32, 32);
    try(33, 31, 65);
    try(1 + random_below(90), 1 + random_below(90), 1 + random_below(90));
}
END_TEST

START_TEST(refuses) {
    op_case c = {.run = {.name = "distances", .fn = model}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(4, 3));
    op_in(&c, TSR_DTYPE_F32, SHAPE(4, 2));
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 4));
    op_refused(&c, TSR_ERROR_ARGUMENT, "distances: b: wanted [N, 3], got [4, 2]");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_distances", sizes, refuses)
