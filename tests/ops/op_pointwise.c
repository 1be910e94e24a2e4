/* SPDX-License-Identifier: MIT */
/* Pointwise ops against float64 and on every device. The other op tests follow this form. */
#include "ops/ops.h"
#include "everywhere.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct recipe {
    int form, kind;
    float multiply, add;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    if (x->form == 0) out[0] = tsr_unary(r, in[0], (tsr_activation)x->kind);
    if (x->form == 1) out[0] = tsr_binary(r, in[0], in[1], (tsr_binary_kind)x->kind);
    if (x->form == 2) out[0] = tsr_scale(r, in[0], x->multiply, x->add);
}

static double exact(const recipe *r, double a, double b) {
    switch (r->form * 10 + r->kind) {
    case TSR_ACT_NONE:
        return a;
    case TSR_ACT_GELU:
        return 0.5 * a * (1 + erf(a * sqrt(0.5)));
    case TSR_ACT_GELU_TANH:
        return 0.5 * a * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (a + 0.044715 * a * a * a)));
    case TSR_ACT_SILU:
        return a / (1 + exp(-a));
    case TSR_ACT_RELU:
        return a > 0 ? a : isnan(a) ? a : 0;
    case TSR_ACT_TANH:
        return tanh(a);
    case TSR_ACT_SIGMOID:
        return 1 / (1 + exp(-a));
    case TSR_ACT_QUICK_GELU:
        return a / (1 + exp(-1.702 * a));
    case 10 + TSR_BINARY_ADD:
        return a + b;
    case 10 + TSR_BINARY_SUB:
        return a - b;
    case 10 + TSR_BINARY_MUL:
        return a * b;
    case 10 + TSR_BINARY_DIV:
        return a / b;
    case 10 + TSR_BINARY_MIN:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case 10 + TSR_BINARY_MAX:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case 10 + TSR_BINARY_PRELU:
        return a > 0 ? a : a * b;
    default:
        return a * (double)r->multiply + (double)r->add;
    }
}

static void try_shape(recipe r, int rank, const int64_t *dim, int b_rank, const int64_t *b_dim) {
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim),
                        tsr_host_tensor(TSR_DTYPE_F32, NULL, b_rank, b_dim)};
    int64_t n = tsr_elements(&in[0]), bn = tsr_elements(&in[1]);
    float *a = guarded((size_t)n * 4), *b = guarded((size_t)bn * 4), *y = guarded((size_t)n * 4);
    double *want = calloc((size_t)n, sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (int64_t i = 0; i < n; ++i)
        a[i] = random_uniform(-9, 9);
    for (int64_t i = 0; i < bn; ++i)
        b[i] = random_uniform(0.5f, 4) * (random_bits() & 1 ? 1 : -1);
    if (n > 2) a[n / 2] = NAN;
    if (n > 3) a[n / 3] = 0;
    for (int64_t i = 0; i < n; ++i)
        want[i] = exact(&r, a[i], b[i % bn]);
    in[0].data = a;
    in[1].data = b;
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, rank, dim);
    char name[64];
    snprintf(name, sizeof name, "pointwise %d.%d n %lld", r.form, r.kind, (long long)n);
    everywhere(&(everywhere_case){.name = name,
                                  .fn = model,
                                  .model = &r,
                                  .variant = r.form * 10 + r.kind,
                                  .in = in,
                                  .in_count = r.form == 1 ? 2 : 1,
                                  .out = &out,
                                  .out_count = 1,
                                  .tolerance = 1e-6});
    expect_close(name, y, want, n, 1e-6);
    guarded_free(a);
    guarded_free(b);
    guarded_free(y);
    free(want);
}

static const int64_t one[] = {1}, shapes[][3] = {{1, 1, 1},    {2, 3, 5},     {1, 127, 1},
                                                 {3, 43, 127}, {2, 1, 16385}, {1, 1, 16384}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

START_TEST(unary_of_every_kind) {
    for (int s = 0; s < SHAPES; ++s)
        try_shape((recipe){0, s % 7, 0, 0}, 3, shapes[s], 1, one);
    for (int kind = TSR_ACT_NONE; kind <= TSR_ACT_QUICK_GELU; ++kind)
        try_shape((recipe){0, kind, 0, 0}, 3, shapes[3], 1, one);
}
END_TEST

START_TEST(binary_repeats_the_second_operand) {
    for (int kind = TSR_BINARY_ADD; kind <= TSR_BINARY_PRELU; ++kind)
        for (int s = 0; s < SHAPES; s += 2) {
            try_shape((recipe){1, kind, 0, 0}, 3, shapes[s], 3, shapes[s]);
            try_shape((recipe){1, kind, 0, 0}, 3, shapes[s], 2, shapes[s] + 1);
            try_shape((recipe){1, kind, 0, 0}, 3, shapes[s], 1, shapes[s] + 2);
            try_shape((recipe){1, kind, 0, 0}, 3, shapes[s], 1, one);
        }
}
END_TEST

START_TEST(scale_and_add) {
    for (int s = 0; s < SHAPES; ++s)
        try_shape((recipe){2, 0, 0.37f, -1.25f}, 3, shapes[s], 1, one);
}
END_TEST

TEST_MAIN("op_pointwise", unary_of_every_kind, binary_repeats_the_second_operand, scale_and_add)
