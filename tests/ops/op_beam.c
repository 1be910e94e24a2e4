/* SPDX-License-Identifier: MIT */
/* A stage of a beam search: the best of all places in falling order with the lowest place on ties,
 * and what each chosen chain leaves; the same bits on every device. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_beam beam = {.rest = in[0], .score = in[1]};
    const tsr_beam next = tsr_beam_step(r, &beam, in[2], in[3], *(const int *)m);
    out[0] = next.rest;
    out[1] = next.score;
    out[2] = next.choice;
}

static void equal_bits(const char *where, const everywhere_case *c, const tsr_tensor *got,
                       const tsr_tensor *want) {
    for (int i = 0; i < 3; ++i)
        ck_assert_msg(!memcmp(got[i].data, want[i].data, (size_t)tsr_elements(&got[i]) * 4),
                      "%s on %s, output %d: not the reference's bits", c->name, where, i);
}

/* steps: values are multiples of 1 / steps, so that equal scores come up; 0: any values */
static void try(int64_t items, int64_t chains, int64_t codes, int64_t dim, int width, int steps) {
    const int64_t places = chains * codes, next = places < width ? places : width;
    op_case c = {.run = {.fn = model, .model = &width, .variant = width, .compare = equal_bits}};
    op_name(&c, "beam %lldx%lldx%lld of %lld to %d", (long long)items, (long long)chains,
            (long long)codes, (long long)dim, width);
    float *rest = op_in(&c, TSR_DTYPE_F32, SHAPE(items, chains, dim));
    float *score = op_in(&c, TSR_DTYPE_F32, SHAPE(items, chains));
    float *products = op_in(&c, TSR_DTYPE_F32, SHAPE(items, chains, codes));
    float *code = op_in(&c, TSR_DTYPE_F32, SHAPE(codes, dim));
    float *left = op_out(&c, TSR_DTYPE_F32, SHAPE(items, next, dim));
    float *best = op_out(&c, TSR_DTYPE_F32, SHAPE(items, next));
    int32_t *choice = op_out(&c, TSR_DTYPE_I32, SHAPE(items, next));
    random_normals(rest, items * chains * dim);
    random_normals(score, items * chains);
    random_normals(products, items * places);
    random_normals(code, codes * dim);
    for (int64_t i = 0; i < items * chains && steps; ++i)
        score[i] = rintf(score[i] * (float)steps) / (float)steps;
    for (int64_t i = 0; i < items * places && steps; ++i)
        products[i] = rintf(products[i] * (float)steps) / (float)steps;
    op_run(&c);
    char *taken = malloc((size_t)places);
    for (int64_t b = 0; b < items; ++b) {
        memset(taken, 0, (size_t)places);
        for (int64_t k = 0; k < next; ++k) {
            int64_t want = -1;
            for (int64_t i = 0; i < places; ++i) {
                const float v = score[b * chains + i / codes] + products[b * places + i];
                if (taken[i] || (want >= 0 && !(v > score[b * chains + want / codes] +
                                                        products[b * places + want])))
                    continue;
                want = i;
            }
            taken[want] = 1;
            ck_assert_int_eq(choice[b * next + k], want);
            ck_assert_float_eq(best[b * next + k],
                               score[b * chains + want / codes] + products[b * places + want]);
            for (int64_t d = 0; d < dim; ++d)
                ck_assert_float_eq(left[(b * next + k) * dim + d],
                                   rest[(b * chains + want / codes) * dim + d] -
                                       code[want % codes * dim + d]);
        }
    }
    free(taken);
    op_same_in_batches(&c);
    op_free(&c);
}

START_TEST(sizes) {
    try(1, 1, 1, 1, 1, 0);
    try(2, 1, 5, 3, 16, 0); /* fewer places than chains are kept */
    try(3, 16, 512, 24, 16, 0);
    try(2, 32, 40, 8, 32, 0);
    try(1 + random_below(3), 1 + random_below(20), 1 + random_below(200), 1 + random_below(30),
        1 + (int)random_below(32), 0);
}
END_TEST

START_TEST(ties) {
    try(2, 4, 100, 5, 16, 2);
    try(1, 16, 125, 5, 32, 1);
}
END_TEST

START_TEST(nan_is_the_greatest) {
    int width = 3;
    op_case c = {.run = {.name = "beam nan", .fn = model, .model = &width, .compare = equal_bits}};
    float *rest = op_in(&c, TSR_DTYPE_F32, SHAPE(1, 2, 1)),
          *score = op_in(&c, TSR_DTYPE_F32, SHAPE(1, 2)),
          *products = op_in(&c, TSR_DTYPE_F32, SHAPE(1, 2, 3)),
          *code = op_in(&c, TSR_DTYPE_F32, SHAPE(3, 1));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 3, 1));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 3));
    int32_t *choice = op_out(&c, TSR_DTYPE_I32, SHAPE(1, 3));
    memset(rest, 0, 2 * sizeof *rest);
    memset(score, 0, 2 * sizeof *score);
    memset(code, 0, 3 * sizeof *code);
    memcpy(products, (float[]){1, NAN, -INFINITY, 2, -INFINITY, NAN}, 6 * sizeof *products);
    op_run(&c);
    ck_assert_int_eq(choice[0], 1);
    ck_assert_int_eq(choice[1], 5);
    ck_assert_int_eq(choice[2], 3);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    int width = 33;
    op_case c = {.run = {.name = "beam", .fn = model, .model = &width}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(1, 1, 2)), 0, 8);
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(1, 1)), 0, 4);
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(1, 1, 3)), 0, 12);
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(3, 2)), 0, 24);
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 3, 2));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 3));
    op_out(&c, TSR_DTYPE_I32, SHAPE(1, 3));
    op_refused(&c, TSR_ERROR_ARGUMENT, "beam: width: wanted 1 to 32, got 33");
    width = 3;
    c.in[3].dim[0] = 2;
    op_refused(&c, TSR_ERROR_ARGUMENT, "products [B, K, 2] for codes [2, 2], got [1, 1, 2]");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_beam", sizes, ties, nan_is_the_greatest, refuses)
