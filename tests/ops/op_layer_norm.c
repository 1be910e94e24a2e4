/* SPDX-License-Identifier: MIT */
/* Layer norm with every set of operands, against float64 and on every device. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAMMA = 1, BETA = 2, SCALE = 4, SHIFT = 8, BATCH = 16, GROUP = 32, RMS = 64 };

typedef struct recipe {
    tsr_norm_spec spec;
    int with;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    tsr_norm_spec spec = x->spec;
    if (x->with & SCALE) spec.scale = in[1];
    if (x->with & SHIFT) spec.shift = in[2];
    if (x->with & GROUP) spec.group_rows = 4;
    spec.rms = x->with & RMS;
    out[0] = tsr_layer_norm(r, in[0], &spec);
}

/* The norm of x [cols] in y. Returns how much of f32's rounding of the values, 2^-24 of the
 * largest, the division by a small deviation makes; NaN for a spoilt row. */
static double exact(const float *x, int64_t cols, double eps, bool rms, double *y) {
    double mean = 0, variance = 0, largest = 0;
    for (int64_t i = 0; i < cols; ++i) {
        mean += x[i];
        largest = fmax(largest, fabs(x[i]));
    }
    mean = rms ? 0 : mean / (double)cols;
    for (int64_t i = 0; i < cols; ++i)
        variance += (x[i] - mean) * (x[i] - mean);
    const double deviation = sqrt(variance / (double)cols + eps);
    for (int64_t i = 0; i < cols; ++i)
        y[i] = (x[i] - mean) / deviation;
    return ldexp(largest, -24) / deviation;
}

/* x [batch, rows, cols] = centre + normal * spread */
static void try(int64_t batch, int64_t rows, int64_t cols, int with, float centre, float spread,
                double tolerance) {
    recipe m = {.spec = {.eps = 1e-5f}, .with = with};
    op_case c = {.run = {.fn = model, .model = &m, .variant = with, .tolerance = tolerance}};
    op_name(&c, "layer_norm %lldx%lldx%lld with %d", (long long)batch, (long long)rows,
            (long long)cols, with);
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(batch, rows, cols));
    int64_t modulations = with & BATCH ? batch : with & GROUP ? 2 : 1;
    float *scale = op_in(&c, TSR_DTYPE_F32, SHAPE(modulations, cols));
    float *shift = op_in(&c, TSR_DTYPE_F32, SHAPE(modulations, cols));
    op_out(&c, TSR_DTYPE_F32, SHAPE(batch, rows, cols));
    float *affine = guarded((size_t)cols * 8), *gamma = affine, *beta = affine + cols;
    for (int64_t i = 0; i < batch * rows * cols; ++i)
        x[i] = centre + spread * random_normal();
    if (rows > 1) x[cols] = NAN; /* spoils row 1 and nothing else */
    random_normals(scale, modulations * cols);
    random_normals(shift, modulations * cols);
    random_normals(affine, cols * 2);
    tsr_context *ctx = everywhere_context();
    tsr_weights *weights = NULL;
    ck_assert_int_eq(tsr_weights_open(ctx, &weights), TSR_OK);
    for (int i = 0; i < 2; ++i) {
        const char *name = i ? "beta" : "gamma";
        tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, i ? beta : gamma, 1, &cols);
        ck_assert_int_eq(tsr_weights_add(ctx, weights, name, &t), TSR_OK);
        if (with & (i ? BETA : GAMMA))
            *(i ? &m.spec.beta : &m.spec.gamma) = tsr_weights_find(weights, name);
    }
    double *want = malloc((size_t)(batch * rows * cols) * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (int64_t n = 0; n < batch * rows; ++n) {
        double *y = want + n * cols,
               slack = exact(x + n * cols, cols, (double)m.spec.eps, with & RMS, y);
        for (int64_t i = 0; i < cols; ++i) {
            const int64_t group = with & BATCH ? n / rows : with & GROUP && n >= 4 ? 1 : 0;
            const double gain = (with & GAMMA ? (double)gamma[i] : 1) *
                                (with & SCALE ? 1.0 + scale[group * cols + i] : 1);
            if (with & GAMMA) y[i] *= gamma[i];
            if (with & BETA) y[i] += beta[i];
            if (with & SCALE) y[i] *= 1.0 + scale[group * cols + i];
            if (with & SHIFT) y[i] += shift[group * cols + i];
            if (slack > 0) tolerance = fmax(tolerance, 4 * slack * fabs(gain) / (1 + fabs(y[i])));
        }
    }
    c.run.tolerance = tolerance;
    op_run(&c);
    op_expect(&c, 0, want, 1e-6);
    free(want);
    tsr_weights_close(&weights);
    guarded_free(affine);
    op_free(&c);
}

START_TEST(every_set_of_operands) {
    for (int with = 0; with < 32; ++with)
        if (with < 5 || with % 5 == 0 || with % 8 == 7) /* each one alone, and many together */
            try(2, 3, 37, with, 0.3f, 2, 4e-6);
    try(3, 5, 37, GROUP + SCALE + SHIFT, 0.3f, 2, 4e-6); /* the second group has the rest */
    try(2, 3, 37, RMS, 3, 2, 4e-6);
    try(3, 9, 260, RMS + GAMMA, 3, 0.1f, 4e-6);
}
END_TEST

START_TEST(sizes_around_the_tiles) {
    const int64_t cols[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 192, 255, 256, 257, 1023, 4099};
    for (unsigned i = 0; i < sizeof cols / sizeof *cols; ++i)
        try(1, 1 + random_below(9), cols[i], i % 2 ? 15 + BATCH : 0, 0, 1, 4e-6);
    try(3, 257, 5, GAMMA + BETA, 0, 1, 4e-6);
    try(1, 1, 40000, 0, 0, 1, 4e-6);
}
END_TEST

START_TEST(mean_far_from_zero) {
    /* 1,000 +- 0.1: a single pass with E[x^2] would lose the variance entirely. The error is f32's
     * own in the mean: 1000 * 2^-24 / 0.1. */
    try(1, 4, 192, 0, 1000, 0.1f, 2e-3);
}
END_TEST

START_TEST(equal_values_give_zero) {
    recipe m = {.spec = {.eps = 1e-5f}};
    op_case c = {.run = {.name = "layer_norm flat", .fn = model, .model = &m, .tolerance = 1e-6}};
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(2, 48)), *y = op_out(&c, TSR_DTYPE_F32, SHAPE(2, 48));
    for (int i = 0; i < 96; ++i)
        x[i] = i < 48 ? 0.0f : 2.5f;
    op_run(&c);
    for (int i = 0; i < 96; ++i)
        ck_assert(y[i] == 0);
    op_free(&c);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    recipe m = {.spec = {.eps = 1e-5f}, .with = SCALE + SHIFT};
    op_case c = {.run = {.name = "layer_norm batch", .fn = model, .model = &m}};
    const int64_t cols = 193;
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(5, 7, cols)), 5 * 7 * cols);
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(5, cols)), 5 * cols);
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(5, cols)), 5 * cols);
    op_out(&c, TSR_DTYPE_F32, SHAPE(5, 7, cols));
    op_same_in_batches(&c);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    recipe m = {.spec = {.eps = 1e-5f}, .with = SCALE};
    op_case c = {.run = {.name = "layer_norm", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(2, 3, 8));
    op_in(&c, TSR_DTYPE_F32, SHAPE(3, 8));
    op_out(&c, TSR_DTYPE_F32, SHAPE(2, 3, 8));
    op_refused(&c, TSR_ERROR_ARGUMENT, "scale: wanted [8] or [2, 8], got [3, 8]");
    m.with = 0;
    m.spec.eps = -1;
    op_refused(&c, TSR_ERROR_ARGUMENT, "eps: wanted at least 0");
    m.spec.eps = 0;
    c.in[0].dtype = TSR_DTYPE_I32;
    op_refused(&c, TSR_ERROR_ARGUMENT, "wanted dtype F32, got I32");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_layer_norm", every_set_of_operands, sizes_around_the_tiles, mean_far_from_zero,
          equal_values_give_zero, batches_of_any_size_give_the_same_bits, refuses)
