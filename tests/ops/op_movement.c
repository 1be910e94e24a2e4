/* SPDX-License-Identifier: MIT */
/* Slices, concatenation and transposition: exact, for floats (NaN payloads too) and integers. */
#include "ops/ops.h"
#include "op_case.h"

#include <string.h>

enum { SLICE_ROWS, SLICE_COLS, CONCAT, TRANSPOSE };

typedef struct recipe {
    int kind;
    int64_t start, count;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    if (x->kind == SLICE_ROWS) out[0] = tsr_slice_rows(r, in[0], x->start, x->count);
    if (x->kind == SLICE_COLS) out[0] = tsr_slice_cols(r, in[0], x->start, x->count);
    if (x->kind == CONCAT) out[0] = tsr_concat_rows(r, in[0], in[1]);
    if (x->kind == TRANSPOSE) out[0] = tsr_transpose(r, in[0]);
}

/* Bits must pass unchanged, so comparison with a tolerance is not enough. */
static void equal_bits(const char *where, const everywhere_case *c, const tsr_tensor *got,
                       const tsr_tensor *want) {
    ck_assert_msg(!memcmp(got->data, want->data, (size_t)tsr_elements(got) * 4), "%s on %s differs",
                  c->name, where);
}

static void fill(uint32_t *x, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        x[i] = (uint32_t)random_bits(); /* NaN payloads among them */
}

static tsr_dtype any_dtype(void) {
    return random_below(2) ? TSR_DTYPE_F32 : TSR_DTYPE_I32;
}

static op_case start(recipe *m) {
    op_case c = {.run = {.fn = model, .model = m, .compare = equal_bits}};
    static int64_t variant; /* start and count belong to the structure of the function */
    c.run.variant = ++variant;
    return c;
}

static void try_slice(bool cols, int64_t b, int64_t n, int64_t d, int64_t first, int64_t count) {
    recipe m = {cols ? SLICE_COLS : SLICE_ROWS, first, count};
    op_case c = start(&m);
    op_name(&c, "slice_%s %lldx%lldx%lld from %lld take %lld", cols ? "cols" : "rows", (long long)b,
            (long long)n, (long long)d, (long long)first, (long long)count);
    tsr_dtype dtype = any_dtype();
    int64_t rows = cols ? n : count, width = cols ? count : d;
    uint32_t *x = op_in(&c, dtype, SHAPE(b, n, d)), *y = op_out(&c, dtype, SHAPE(b, rows, width));
    fill(x, b * n * d);
    op_run(&c);
    for (int64_t k = 0; k < b; ++k)
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < width; ++j)
                ck_assert_uint_eq(y[(k * rows + i) * width + j],
                                  x[(k * n + i + (cols ? 0 : first)) * d + j + (cols ? first : 0)]);
    op_free(&c);
}

/* shared: 1 the second, 2 the first is [N, D], repeated for each batch item. */
static void try_concat(int64_t b, int64_t na, int64_t nb, int64_t d, int shared) {
    recipe m = {.kind = CONCAT};
    op_case c = start(&m);
    op_name(&c, "concat_rows %lldx(%lld+%lld)x%lld shared %d", (long long)b, (long long)na,
            (long long)nb, (long long)d, shared);
    tsr_dtype dtype = any_dtype();
    uint32_t *x, *z;
    if (shared == 2)
        x = op_in(&c, dtype, SHAPE(na, d));
    else
        x = op_in(&c, dtype, SHAPE(b, na, d));
    if (shared == 1)
        z = op_in(&c, dtype, SHAPE(nb, d));
    else
        z = op_in(&c, dtype, SHAPE(b, nb, d));
    uint32_t *y = op_out(&c, dtype, SHAPE(b, na + nb, d));
    fill(x, (shared == 2 ? 1 : b) * na * d);
    fill(z, (shared == 1 ? 1 : b) * nb * d);
    op_run(&c);
    for (int64_t k = 0; k < b; ++k)
        for (int64_t i = 0; i < na + nb; ++i)
            for (int64_t j = 0; j < d; ++j)
                ck_assert_uint_eq(y[(k * (na + nb) + i) * d + j],
                                  i < na ? x[((shared == 2 ? 0 : k * na) + i) * d + j]
                                         : z[((shared == 1 ? 0 : k * nb) + i - na) * d + j]);
    op_free(&c);
}

static void try_transpose(int64_t b, int64_t n, int64_t d) {
    recipe m = {.kind = TRANSPOSE};
    op_case c = start(&m);
    op_name(&c, "transpose %lldx%lldx%lld", (long long)b, (long long)n, (long long)d);
    tsr_dtype dtype = any_dtype();
    uint32_t *x = op_in(&c, dtype, SHAPE(b, n, d)), *y = op_out(&c, dtype, SHAPE(b, d, n));
    fill(x, b * n * d);
    op_run(&c);
    for (int64_t k = 0; k < b; ++k)
        for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < d; ++j)
                ck_assert_uint_eq(y[(k * d + j) * n + i], x[(k * n + i) * d + j]);
    op_free(&c);
}

START_TEST(slices) {
    for (int cols = 0; cols < 2; ++cols) {
        try_slice(cols, 1, 1, 1, 0, 1);
        try_slice(cols, 3, 7, 5, 2, 3);
        try_slice(cols, 2, 33, 65, 0, 33);
        try_slice(cols, 2, 33, 65, 32, 1);
        try_slice(cols, 2, 130, 129, 1, 127);
        try_slice(cols, 1, 512, 96, 0, 96);
        try_slice(cols, 1 + random_below(4), 50 + random_below(50), 50 + random_below(50),
                  random_below(20), 1 + random_below(30));
    }
}
END_TEST

START_TEST(concatenations) {
    for (int shared = 0; shared < 3; ++shared) {
        try_concat(1, 1, 1, 1, shared);
        try_concat(3, 2, 5, 7, shared);
        try_concat(2, 256, 31, 64, shared);
        try_concat(1 + random_below(4), 1 + random_below(40), 1 + random_below(40),
                   1 + random_below(90), shared);
    }
}
END_TEST

START_TEST(concatenation_without_a_batch) {
    recipe m = {.kind = CONCAT};
    op_case c = start(&m);
    op_name(&c, "concat_rows 2+3");
    uint32_t *x = op_in(&c, TSR_DTYPE_I32, SHAPE(2, 4)), *z = op_in(&c, TSR_DTYPE_I32, SHAPE(3, 4));
    uint32_t *y = op_out(&c, TSR_DTYPE_I32, SHAPE(5, 4));
    fill(x, 8);
    fill(z, 12);
    op_run(&c);
    ck_assert(!memcmp(y, x, 32) && !memcmp(y + 8, z, 48));
    op_free(&c);
}
END_TEST

START_TEST(transpositions) {
    const int64_t sizes[] = {1, 2, 31, 32, 33, 65, 200};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (unsigned j = i % 2; j < sizeof sizes / sizeof *sizes; j += 2)
            try_transpose(1 + random_below(3), sizes[i], sizes[j]);
}
END_TEST

START_TEST(refuses) {
    recipe m = {SLICE_ROWS, 3, 2};
    op_case c = start(&m);
    op_name(&c, "movement");
    fill(op_in(&c, TSR_DTYPE_F32, SHAPE(2, 4, 8)), 64);
    fill(op_in(&c, TSR_DTYPE_F32, SHAPE(3, 4, 8)), 96);
    op_out(&c, TSR_DTYPE_F32, SHAPE(2, 2, 8));
    op_refused(&c, TSR_ERROR_ARGUMENT, "slice_rows: range: wanted at least one and inside 0..4");
    m = (recipe){SLICE_ROWS, -1, 2};
    op_refused(&c, TSR_ERROR_ARGUMENT, "got start -1 count 2");
    m = (recipe){SLICE_COLS, 0, 0};
    op_refused(&c, TSR_ERROR_ARGUMENT, "got start 0 count 0");
    m = (recipe){SLICE_COLS, 1, INT64_MAX};
    op_refused(&c, TSR_ERROR_ARGUMENT, "slice_cols: range");
    m.kind = CONCAT;
    op_refused(&c, TSR_ERROR_ARGUMENT, "for a [2, 4, 8], got [3, 4, 8]");
    c.in[0].rank = 1;
    m.kind = TRANSPOSE;
    op_refused(&c, TSR_ERROR_ARGUMENT, "transpose: x: wanted at least 2 dimensions, got [2]");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_movement", slices, concatenations, concatenation_without_a_batch, transpositions,
          refuses)
