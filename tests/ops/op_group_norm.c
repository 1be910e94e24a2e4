/* SPDX-License-Identifier: MIT */
/* Group norm against float64, on every device: sizes around the chunks, a mean far from zero, and
 * batches. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct recipe {
    tsr_group_norm_spec spec;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_group_norm(r, in[0], &x->spec);
}

/* x [batch, h, w, channels] = centre + normal * spread, each channel shifted by itself */
static void try(int64_t batch, int64_t h, int64_t w, int64_t channels, int groups, bool affine,
                tsr_activation act, float centre, float spread, double tolerance) {
    recipe m = {.spec = {.eps = 1e-6f, .groups = groups, .act = act}};
    op_case c = {.run = {.fn = model, .model = &m, .tolerance = tolerance}};
    op_name(&c, "group_norm %lldx%lldx%lldx%lld in %d%s act %d", (long long)batch, (long long)h,
            (long long)w, (long long)channels, groups, affine ? " affine" : "", (int)act);
    int64_t count = batch * h * w * channels, positions = h * w;
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(batch, h, w, channels));
    op_out(&c, TSR_DTYPE_F32, SHAPE(batch, h, w, channels));
    for (int64_t i = 0; i < count; ++i)
        x[i] = centre + spread * ((float)(i % channels % 5) + random_normal());
    float *numbers = guarded((size_t)channels * 8);
    random_normals(numbers, channels * 2);
    tsr_weights *weights = NULL;
    tsr_context *ctx = everywhere_context();
    ck_assert_int_eq(tsr_weights_open(ctx, &weights), TSR_OK);
    for (int i = 0; i < 2; ++i) {
        tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, numbers + i * channels, 1, &channels);
        ck_assert_int_eq(tsr_weights_add(ctx, weights, i ? "beta" : "gamma", &t), TSR_OK);
    }
    if (affine) {
        m.spec.gamma = tsr_weights_find(weights, "gamma");
        m.spec.beta = tsr_weights_find(weights, "beta");
    }
    op_run(&c);
    double *want = malloc((size_t)count * sizeof *want);
    ck_assert_ptr_nonnull(want);
    int64_t all = groups ? groups : 32, width = channels / all;
    for (int64_t b = 0; b < batch; ++b)
        for (int64_t g = 0; g < all; ++g) {
            const float *first = x + b * positions * channels + g * width;
            double mean = 0, variance = 0, n = (double)(positions * width);
            for (int64_t p = 0; p < positions; ++p)
                for (int64_t i = 0; i < width; ++i)
                    mean += first[p * channels + i];
            mean /= n;
            for (int64_t p = 0; p < positions; ++p)
                for (int64_t i = 0; i < width; ++i)
                    variance += pow(first[p * channels + i] - mean, 2);
            for (int64_t p = 0; p < positions; ++p)
                for (int64_t i = 0; i < width; ++i) {
                    int64_t channel = g * width + i;
                    double y = (first[p * channels + i] - mean) / sqrt(variance / n + 1e-6);
                    if (affine) y = y * numbers[channel] + numbers[channels + channel];
                    if (act == TSR_ACT_SILU) y = y / (1 + exp(-y));
                    want[(b * positions + p) * channels + channel] = y;
                }
        }
    op_expect(&c, 0, want, 2e-6);
    free(want);
    tsr_weights_close(&weights);
    guarded_free(numbers);
    op_free(&c);
}

START_TEST(sizes_around_the_chunks) {
    try(1, 16, 16, 128, 0, true, TSR_ACT_SILU, 0, 1, 4e-6);
    try(2, 33, 31, 64, 0, true, TSR_ACT_NONE, 0, 1, 4e-6);
    try(1, 1, 1, 96, 0, true, TSR_ACT_SILU, 0, 1, 4e-6);
    try(1, 3, 43, 512, 0, true, TSR_ACT_SILU, 0.5f, 2, 4e-6);
    try(2, 129, 1, 128, 0, false, TSR_ACT_NONE, 0, 1, 4e-6);
    try(1, 7, 5, 1056, 0, true, TSR_ACT_NONE, 0, 1, 4e-6);
    try(1, 90, 91, 3, 1, true, TSR_ACT_SILU, 0, 1, 4e-6);
    try(1, 12, 13, 7, 7, false, TSR_ACT_NONE, 0, 1, 4e-6);
    try(3, 10, 9, 200, 4, true, TSR_ACT_SILU, 0, 1, 4e-6);
}
END_TEST

START_TEST(random_shapes) {
    for (int i = 0; i < 10; ++i) {
        int groups = 1 + (int)random_below(40);
        try(1 + random_below(3), 1 + random_below(30), 1 + random_below(30),
            groups * (1 + random_below(9)), groups, random_below(2),
            random_below(2) ? TSR_ACT_SILU : TSR_ACT_NONE, random_uniform(-1, 1), 1, 4e-6);
    }
}
END_TEST

START_TEST(mean_far_from_zero) {
    /* One pass with E[x^2] - mean^2 would give nothing but noise here. What is left is f32's own
     * error in the mean: 1000 * 2^-24 / 0.17. */
    try(1, 40, 40, 64, 0, false, TSR_ACT_NONE, 1000, 0.1f, 6e-4);
}
END_TEST

START_TEST(one_colour_gives_beta) {
    recipe m = {.spec = {.eps = 1e-6f}};
    op_case c = {.run = {.name = "group_norm flat", .fn = model, .model = &m, .tolerance = 1e-6}};
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(1, 20, 20, 64));
    float *y = op_out(&c, TSR_DTYPE_F32, SHAPE(1, 20, 20, 64));
    for (int i = 0; i < 25600; ++i)
        x[i] = 2.5f;
    op_run(&c);
    for (int i = 0; i < 25600; ++i)
        ck_assert(y[i] == 0);
    op_free(&c);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    recipe m = {.spec = {.eps = 1e-6f, .act = TSR_ACT_SILU}};
    op_case c = {.run = {.name = "group_norm batch", .fn = model, .model = &m}};
    const int64_t n = 4 * 23 * 17 * 96;
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 23, 17, 96)), n);
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 23, 17, 96));
    op_same_in_batches(&c);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    recipe m = {.spec = {.eps = 1e-6f}};
    op_case c = {.run = {.name = "group_norm", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(1, 2, 2, 48));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 2, 2, 48));
    op_refused(&c, TSR_ERROR_ARGUMENT, "groups: wanted a divisor of 48 channels, got 32");
    m.spec.groups = 48;
    m.spec.eps = -1;
    op_refused(&c, TSR_ERROR_ARGUMENT, "eps: wanted at least 0");
    c.in[0].dtype = TSR_DTYPE_I32;
    op_refused(&c, TSR_ERROR_ARGUMENT, "wanted dtype F32, got I32");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_group_norm", sizes_around_the_chunks, random_shapes, mean_far_from_zero,
          one_colour_gives_beta, batches_of_any_size_give_the_same_bits, refuses)
