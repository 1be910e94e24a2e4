/* SPDX-License-Identifier: MIT */
/* Logits of attention against float64, on every device. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>

typedef struct recipe {
    int heads;
    float scale;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_attention_scores(r, in[0], in[1], x->heads, x->scale);
}

static void try(int64_t b, int64_t nq, int64_t nk, int heads, int64_t width, float scale) {
    recipe m = {heads, scale};
    op_case c = {.run = {.fn = model, .model = &m, .tolerance = 2e-6}};
    const int64_t d = heads * width;
    op_name(&c, "scores %lld x %lldx%lld, %d heads of %lld", (long long)b, (long long)nq,
            (long long)nk, heads, (long long)width);
    float *q = op_in(&c, TSR_DTYPE_F32, SHAPE(b, nq, d)),
          *k = op_in(&c, TSR_DTYPE_F32, SHAPE(b, nk, d));
    op_out(&c, TSR_DTYPE_F32, SHAPE(b, heads, nq, nk));
    random_normals(q, b * nq * d);
    random_normals(k, b * nk * d);
    op_run(&c);
    double *want = malloc((size_t)(b * heads * nq * nk) * sizeof *want), *at = want;
    ck_assert_ptr_nonnull(want);
    for (int64_t pair = 0; pair < b * heads; ++pair)
        for (int64_t i = 0; i < nq * nk; ++i) {
            const float *x = q + (pair / heads * nq + i / nk) * d + pair % heads * width;
            const float *y = k + (pair / heads * nk + i % nk) * d + pair % heads * width;
            double sum = 0;
            for (int64_t l = 0; l < width; ++l)
                sum += (double)x[l] * y[l];
            *at++ = sum * (scale != 0 ? (double)scale : 1 / sqrt((double)width));
        }
    op_expect(&c, 0, want, 2e-6);
    free(want);
    op_free(&c);
}

START_TEST(sizes) {
    try(1, 1, 1, 1, 1, 0);
    try(2, 1, 30, 4, 16, 0); /* a class row alone */
    try(3, 17, 17, 4, 16, 0);
    try(2, 16, 16, 2, 72, 0); /* no power of two */
    try(1, 53, 131, 3, 20, 0.5f);
    for (int i = 0; i < 4; ++i)
        try(1 + random_below(3), 1 + random_below(70), 1 + random_below(70),
            1 + (int)random_below(5), 1 + random_below(40), 0);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    recipe m = {3, 0};
    op_case c = {.run = {.name = "scores batch", .fn = model, .model = &m}};
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 9, 36)), 4 * 9 * 36);
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 11, 36)), 4 * 11 * 36);
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 3, 9, 11));
    op_same_in_batches(&c);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    recipe m = {5, 0};
    op_case c = {.run = {.name = "scores", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(2, 4, 12));
    op_in(&c, TSR_DTYPE_F32, SHAPE(2, 4, 12));
    op_out(&c, TSR_DTYPE_F32, SHAPE(2, 5, 4, 4));
    op_refused(&c, TSR_ERROR_ARGUMENT,
               "attention scores: heads: wanted a divisor of 12 channels, got 5");
    op_free(&c);
    c = (op_case){.run = {.name = "scores", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(2, 4, 10));
    op_in(&c, TSR_DTYPE_F32, SHAPE(2, 4, 12));
    op_out(&c, TSR_DTYPE_F32, SHAPE(2, 5, 4, 4));
    op_refused(&c, TSR_ERROR_ARGUMENT, "attention scores: k: wanted [2, Nk, 10]");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_attention_scores", sizes, batches_of_any_size_give_the_same_bits, refuses)
