/* SPDX-License-Identifier: MIT */
/* Rows and columns by id: exact; bad ids are refused on the cpu. */
#include "ops/ops.h"
#include "op_case.h"

#include <string.h>

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = *(bool *)m ? tsr_gather_cols(r, in[0], in[1]) : tsr_gather_rows(r, in[0], in[1]);
}

static void equal_bits(const char *where, const everywhere_case *c, const tsr_tensor *got,
                       const tsr_tensor *want) {
    ck_assert_msg(!memcmp(got->data, want->data, (size_t)tsr_elements(got) * 4), "%s on %s differs",
                  c->name, where);
}

static void try_rows(int64_t rows, int64_t cols, int64_t b, int64_t n, tsr_dtype dtype) {
    bool columns = false;
    op_case c = {.run = {.fn = model, .model = &columns, .compare = equal_bits}};
    op_name(&c, "gather_rows %lldx%lld ids %lldx%lld", (long long)rows, (long long)cols,
            (long long)b, (long long)n);
    uint32_t *table = op_in(&c, dtype, SHAPE(rows, cols));
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(b, n));
    uint32_t *y = op_out(&c, dtype, SHAPE(b, n, cols));
    for (int64_t i = 0; i < rows * cols; ++i)
        table[i] = (uint32_t)random_bits();
    for (int64_t i = 0; i < b * n; ++i)
        ids[i] = i == 0 ? 0 : i == 1 ? (int32_t)rows - 1 : (int32_t)random_below(rows);
    op_run(&c);
    for (int64_t i = 0; i < b * n; ++i)
        ck_assert(!memcmp(y + i * cols, table + ids[i] * cols, (size_t)cols * 4));
    op_free(&c);
}

static void try_cols(int64_t b, int64_t rows, int64_t cols, int64_t n, tsr_dtype dtype) {
    bool columns = true;
    op_case c = {.run = {.fn = model, .model = &columns, .variant = 1, .compare = equal_bits}};
    op_name(&c, "gather_cols %lldx%lldx%lld ids %lld", (long long)b, (long long)rows,
            (long long)cols, (long long)n);
    uint32_t *x = op_in(&c, dtype, SHAPE(b, rows, cols));
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(n));
    uint32_t *y = op_out(&c, dtype, SHAPE(b, rows, n));
    for (int64_t i = 0; i < b * rows * cols; ++i)
        x[i] = (uint32_t)random_bits();
    for (int64_t i = 0; i < n; ++i)
        ids[i] = i == 0 ? -1 : i == 1 ? (int32_t)cols - 1 : (int32_t)random_below(cols + 1) - 1;
    op_run(&c);
    for (int64_t i = 0; i < b * rows; ++i)
        for (int64_t j = 0; j < n; ++j)
            ck_assert_uint_eq(y[i * n + j], ids[j] < 0 ? 0 : x[i * cols + ids[j]]);
    op_free(&c);
}

START_TEST(rows) {
    try_rows(1, 1, 1, 1, TSR_DTYPE_F32);
    try_rows(3, 5, 2, 7, TSR_DTYPE_I32);
    try_rows(4096, 8, 3, 257, TSR_DTYPE_F32);
    try_rows(100, 200, 1, 511, TSR_DTYPE_F32);
    try_rows(1 + random_below(99), 1 + random_below(99), 1 + random_below(4), 1 + random_below(99),
             TSR_DTYPE_I32);
}
END_TEST

START_TEST(columns) {
    try_cols(1, 1, 1, 1, TSR_DTYPE_F32);
    try_cols(2, 3, 5, 7, TSR_DTYPE_I32);
    try_cols(1, 257, 33, 12, TSR_DTYPE_F32);
    try_cols(2, 20, 600, 900, TSR_DTYPE_F32);
    try_cols(1 + random_below(4), 1 + random_below(99), 1 + random_below(99), 1 + random_below(99),
             TSR_DTYPE_I32);
}
END_TEST

START_TEST(refuses) {
    bool columns = false;
    op_case c = {.run = {.name = "gather", .fn = model, .model = &columns}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 3)), 0, 48);
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(3));
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, 3));
    memcpy(ids, (int32_t[]){0, 3, 4}, 12);
    op_refused(&c, TSR_ERROR_TOKENS, "gather_rows: id 2: wanted 0..3, got 4");
    ids[2] = -1;
    op_refused(&c, TSR_ERROR_TOKENS, "gather_rows: id 2: wanted 0..3, got -1");
    columns = true;
    op_refused(&c, TSR_ERROR_TOKENS, "gather_cols: id 1: wanted -1..2, got 3");
    ids[1] = INT32_MIN;
    op_refused(&c, TSR_ERROR_TOKENS, "gather_cols: id 1: wanted -1..2, got -2147483648");
    c.in[1].dtype = TSR_DTYPE_F32;
    op_refused(&c, TSR_ERROR_ARGUMENT, "gather_cols: ids: wanted dtype I32, got F32");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_gather", rows, columns, refuses)
