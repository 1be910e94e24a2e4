/* SPDX-License-Identifier: MIT */
/* Segmented sums: the same bits on every device and for every thread count, near float64, rows with
 * id -1 left out. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_segment_sum(r, in[0], in[1], *(int64_t *)m, &out[1]);
}

static void equal_bits(const char *where, const everywhere_case *c, const tsr_tensor *got,
                       const tsr_tensor *want) {
    for (int i = 0; i < 2; ++i)
        ck_assert_msg(!memcmp(got[i].data, want[i].data, (size_t)tsr_elements(&got[i]) * 4),
                      "%s on %s, output %d: not the reference's bits", c->name, where, i);
}

/* skew: most rows go to segment 0 */
static void try(int64_t n, int64_t d, int64_t k, bool skew) {
    op_case c = {.run = {.fn = model, .model = &k, .variant = k, .compare = equal_bits}};
    op_name(&c, "segment_sum %lldx%lld into %lld%s", (long long)n, (long long)d, (long long)k,
            skew ? " skewed" : "");
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(n, d));
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(n));
    op_out(&c, TSR_DTYPE_F32, SHAPE(k, d));
    int32_t *counts = op_out(&c, TSR_DTYPE_I32, SHAPE(k));
    random_normals(x, n * d);
    for (int64_t i = 0; i < n; ++i)
        ids[i] = (int32_t)(skew && random_below(10) ? 0 : random_below(k + 1) - 1);
    op_run(&c);
    double *want = calloc((size_t)(k * d), sizeof *want);
    int32_t *count = calloc((size_t)k, sizeof *count);
    ck_assert(want && count);
    for (int64_t i = 0; i < n; ++i) {
        if (ids[i] < 0) continue;
        count[ids[i]]++;
        for (int64_t j = 0; j < d; ++j)
            want[ids[i] * d + j] += x[i * d + j];
    }
    expect_equal_i32("segment_sum counts", counts, count, k);
    op_expect(&c, 0, want, 1e-6 * (1 + sqrt((double)n)));
    free(want);
    free(count);
    op_free(&c);
}

START_TEST(sizes) {
    try(1, 1, 1, false);
    try(5, 3, 2, false);
    try(257, 8, 16, false);
    try(1000, 130, 7, true);
    try(2000, 64, 300, false);
    try(1 + random_below(999), 1 + random_below(300), 1 + random_below(99), random_below(2));
}
END_TEST

START_TEST(several_chunks) {
    try(16384, 3, 5, false);
    try(16385, 3, 5, true);
    try(70001, 4, 9, true);
}
END_TEST

START_TEST(refuses) {
    int64_t k = 3;
    op_case c = {.run = {.name = "segment_sum", .fn = model, .model = &k}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 2)), 0, 32);
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(4));
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, 2));
    op_out(&c, TSR_DTYPE_I32, SHAPE(3));
    memcpy(ids, (int32_t[]){0, 1, -1, 3}, 16);
    op_refused(&c, TSR_ERROR_TOKENS, "segment_sum: id 3: wanted -1..2, got 3");
    k = 0;
    op_refused(&c, TSR_ERROR_ARGUMENT, "segment_sum: k: wanted 1 to");
    k = 3;
    c.in[1].dim[0] = 3;
    op_refused(&c, TSR_ERROR_ARGUMENT, "wanted x [N, D] and ids [N], got [4, 2] and [3]");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_segment_sum", sizes, several_chunks, refuses)
