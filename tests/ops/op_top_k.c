/* SPDX-License-Identifier: MIT */
/* The k greatest numbers and ids in order, against a plain search, with ties and NaN. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <string.h>

typedef struct choice {
    int64_t k;
    tsr_order order;
} choice;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const choice *c = m;
    out[0] = tsr_top_k(r, in[0], c->k, c->order, &out[1]);
}

static bool is_before(const float *x, int64_t i, int64_t j) {
    if (isnan(x[i]) != isnan(x[j])) return isnan(x[i]);
    if (isnan(x[i]) || x[i] == x[j]) return i < j;
    return x[i] > x[j];
}

/* Few different numbers make many ties. */
static void try(int64_t n, int64_t k, tsr_order order) {
    choice choice = {k, order};
    op_case c = {.run = {.fn = model, .model = &choice, .variant = 2 * k + order}};
    op_name(&c, "top_k %lld of %lld %d", (long long)k, (long long)n, order);
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(n));
    int32_t *index = op_out(&c, TSR_DTYPE_I32, SHAPE(k));
    float *edge = op_out(&c, TSR_DTYPE_F32, SHAPE(2));
    for (int64_t i = 0; i < n; ++i)
        x[i] = (float)random_below(n / 3 + 2) - 1;
    if (n > 4) x[n / 2] = NAN;
    if (n > 4) x[n / 3] = -INFINITY;
    op_run(&c);
    int64_t listed = 0;
    for (int64_t i = 0; i < n; ++i) {
        int64_t rank = 0;
        for (int64_t j = 0; j < n; ++j)
            rank += j != i && is_before(x, j, i);
        if (rank < k) ck_assert_int_eq(index[order == TSR_ORDER_FALLING ? rank : listed++], i);
        if (rank == k - 1) ck_assert(edge[0] == x[i] || (isnan(x[i]) && isnan(edge[0])));
        if (rank == k) ck_assert(edge[1] == x[i] || (isnan(x[i]) && isnan(edge[1])));
    }
    if (k == n) ck_assert(edge[1] == -INFINITY);
    op_free(&c);
}

START_TEST(sizes) {
    for (int order = 0; order < 2; ++order) {
        try(1, 1, (tsr_order)order);
        try(7, 3, (tsr_order)order);
        try(128, 128, (tsr_order)order);
        try(129, 1, (tsr_order)order);
        try(300, 127, (tsr_order)order);
        try(1 + random_below(500), 1, (tsr_order)order);
    }
}
END_TEST

static void sort_model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_sort_ids(r, in[0]);
}

START_TEST(ids_in_order) {
    const int64_t sizes[] = {1, 2, 128, 301};
    for (int s = 0; s < 4; ++s) {
        op_case c = {.run = {.fn = sort_model}};
        op_name(&c, "sort_ids %lld", (long long)sizes[s]);
        int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(sizes[s]));
        int32_t *y = op_out(&c, TSR_DTYPE_I32, SHAPE(sizes[s]));
        int64_t sum = 0;
        for (int64_t i = 0; i < sizes[s]; ++i)
            sum += ids[i] = (int32_t)random_below(400) - 200;
        op_run(&c);
        for (int64_t i = 0; i < sizes[s]; ++i) {
            ck_assert(i == 0 || y[i] >= y[i - 1]);
            sum -= y[i];
        }
        ck_assert_int_eq(sum, 0);
        op_free(&c);
    }
}
END_TEST

START_TEST(refuses) {
    choice choice = {5, TSR_ORDER_FALLING};
    op_case c = {.run = {.name = "top_k", .fn = model, .model = &choice}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(4)), 0, 16);
    op_out(&c, TSR_DTYPE_I32, SHAPE(4));
    op_out(&c, TSR_DTYPE_F32, SHAPE(2));
    op_refused(&c, TSR_ERROR_ARGUMENT, "top_k: k: wanted 1..4, got 5");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_top_k", sizes, ids_in_order, refuses)
