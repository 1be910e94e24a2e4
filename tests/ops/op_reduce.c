/* SPDX-License-Identifier: MIT */
/* Reductions against float64 on every device; ties and NaN. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_reduce(r, in[0], *(tsr_reduction *)m);
}

static int64_t first_max(const float *x, int64_t cols) {
    for (int64_t i = 0; i < cols; ++i) {
        bool best = true;
        for (int64_t j = 0; j < cols && best; ++j)
            best = isnan(x[i]) || (!isnan(x[j]) && x[j] <= x[i]);
        if (best) return i;
    }
    return -1;
}

/* Small integers make ties, and sums that are exact in any order. */
static void try(tsr_reduction kind, int64_t b, int64_t rows, int64_t cols, bool integers) {
    op_case c = {.run = {.fn = model, .model = &kind, .variant = kind}};
    op_name(&c, "reduce %d %lldx%lldx%lld%s", kind, (long long)b, (long long)rows, (long long)cols,
            integers ? " integers" : "");
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(b, rows, cols));
    void *y =
        op_out(&c, kind == TSR_REDUCE_ARGMAX ? TSR_DTYPE_I32 : TSR_DTYPE_F32, SHAPE(b, rows, 1));
    for (int64_t i = 0; i < b * rows * cols; ++i)
        x[i] = integers ? (float)random_below(5) - 2 : random_normal();
    if (rows > 1) x[cols + cols / 2] = NAN;
    if (rows > 1) x[cols + cols - 1] = NAN;
    for (int64_t i = 0; i < cols && rows > 2; ++i)
        x[2 * cols + i] = -INFINITY;
    /* Relative to the sum of magnitudes, which a sum of both signs may be far below. */
    c.run.tolerance = integers ? 0 : 1e-6 * (kind == TSR_REDUCE_SUM ? sqrt((double)cols) : 1);
    op_run(&c);
    double *want = calloc((size_t)(b * rows), sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (int64_t n = 0; n < b * rows; ++n) {
        const float *row = x + n * cols;
        if (kind == TSR_REDUCE_ARGMAX) {
            ck_assert_int_eq(((int32_t *)y)[n], first_max(row, cols));
            continue;
        }
        for (int64_t i = 0; i < cols; ++i)
            want[n] += kind == TSR_REDUCE_SUMSQ ? (double)row[i] * row[i] : row[i];
        if (kind == TSR_REDUCE_MEAN) want[n] /= (double)cols;
        if (kind == TSR_REDUCE_MAX) want[n] = row[first_max(row, cols)];
    }
    if (kind != TSR_REDUCE_ARGMAX) op_expect(&c, 0, want, 1e-7);
    free(want);
    op_free(&c);
}

START_TEST(every_kind_and_size) {
    const int64_t cols[] = {1, 2, 3, 5, 15, 16, 17, 64, 65, 256, 257, 1025, 4099};
    for (tsr_reduction kind = TSR_REDUCE_SUM; kind <= TSR_REDUCE_SUMSQ; ++kind)
        for (unsigned i = kind % 2; i < sizeof cols / sizeof *cols; i += 2)
            try(kind, 1 + random_below(2), 1 + random_below(9), cols[i], random_below(2));
}
END_TEST

START_TEST(many_rows_and_long_rows) {
    for (tsr_reduction kind = TSR_REDUCE_SUM; kind <= TSR_REDUCE_SUMSQ; ++kind) {
        try(kind, 1, 3001, 5, true);
        try(kind, 1, 1, 50001, kind == TSR_REDUCE_ARGMAX || kind == TSR_REDUCE_MAX);
    }
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    tsr_reduction kind = TSR_REDUCE_SUM;
    op_case c = {.run = {.name = "reduce batch", .fn = model, .model = &kind}};
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 9, 777)), 4 * 9 * 777);
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 9, 1));
    op_same_in_batches(&c);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    tsr_reduction kind = (tsr_reduction)5;
    op_case c = {.run = {.name = "reduce", .fn = model, .model = &kind}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(4, 3));
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 1));
    op_refused(&c, TSR_ERROR_ARGUMENT, "reduce: kind: wanted 0..4, got 5");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_reduce", every_kind_and_size, many_rows_and_long_rows,
          batches_of_any_size_give_the_same_bits, refuses)
