/* SPDX-License-Identifier: MIT */
/* Softmax against float64, with masked rows, NaN and infinities, on every device. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_softmax(r, in[0]);
}

static void exact(const float *x, double *y, int64_t cols) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < cols; ++i) {
        if (isnan(x[i]) || x[i] == INFINITY) {
            for (int64_t j = 0; j < cols; ++j)
                y[j] = NAN;
            return;
        }
        most = fmax(most, x[i]);
    }
    for (int64_t i = 0; i < cols; ++i)
        sum += most == -INFINITY ? 0 : exp(x[i] - most);
    for (int64_t i = 0; i < cols; ++i)
        y[i] = most == -INFINITY ? 0 : exp(x[i] - most) / sum;
}

static void try(int64_t b, int64_t rows, int64_t cols, float spread) {
    op_case c = {.run = {.fn = model, .model = &c, .tolerance = 1e-6}};
    op_name(&c, "softmax %lldx%lldx%lld spread %g", (long long)b, (long long)rows, (long long)cols,
            (double)spread);
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(b, rows, cols));
    float *y = op_out(&c, TSR_DTYPE_F32, SHAPE(b, rows, cols));
    for (int64_t i = 0; i < b * rows * cols; ++i)
        x[i] = spread * random_normal();
    for (int64_t i = 0; i < cols; ++i) {
        if (rows > 1) x[cols + i] = -INFINITY;
        if (rows > 2 && random_below(2)) x[2 * cols + i] = -INFINITY;
        if (rows > 5) x[5 * cols + i] = -INFINITY;
    }
    if (rows > 3) x[3 * cols + cols / 2] = NAN;
    if (rows > 4) x[4 * cols + cols / 3] = INFINITY;
    if (rows > 5) x[5 * cols + cols - 1] = NAN;
    op_run(&c);
    double *want = malloc((size_t)(b * rows * cols) * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (int64_t n = 0; n < b * rows; ++n)
        exact(x + n * cols, want + n * cols, cols);
    op_expect(&c, 0, want, 1e-7);
    for (int64_t i = 0; i < cols && rows > 1; ++i)
        ck_assert(y[cols + i] == 0);
    free(want);
    op_free(&c);
}

START_TEST(sizes_around_the_tiles) {
    const int64_t cols[] = {1, 2, 3, 5, 15, 16, 17, 63, 64, 65, 255, 256, 257, 512, 1025, 4099};
    for (unsigned i = 0; i < sizeof cols / sizeof *cols; ++i)
        try(1 + random_below(2), 6 + random_below(5), cols[i], 3);
    try(2, 1000, 7, 3);
    try(1, 1, 40000, 1);
}
END_TEST

START_TEST(large_logits) {
    try(2, 6, 37, 1000); /* without the maximum taken off, exp would be infinite */
    try(2, 6, 37, 1e30f);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    op_case c = {.run = {.name = "softmax batch", .fn = model, .model = &c}};
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 9, 77)), 4 * 9 * 77);
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 9, 77));
    op_same_in_batches(&c);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    op_case c = {.run = {.name = "softmax", .fn = model, .model = &c}};
    op_in(&c, TSR_DTYPE_I32, SHAPE(4, 3));
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 3));
    op_refused(&c, TSR_ERROR_ARGUMENT, "softmax: x: wanted dtype F32, got I32");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_softmax", sizes_around_the_tiles, large_logits,
          batches_of_any_size_give_the_same_bits, refuses)
