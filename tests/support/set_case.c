/* SPDX-License-Identifier: MIT */
#include "set_case.h"
#include "testing.h"

#include <string.h>

#include "compute/context.h"

tsr_context *set_context(int threads) {
    tsr_context *ctx = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = threads;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    return ctx;
}

tsr_token_set *set_of(tsr_context *ctx, const float *x, int64_t n, int64_t dim,
                      const int64_t *grid) {
    tsr_token_set *set = NULL;
    const tsr_status status = tsr_token_set_create(ctx, x, n, dim, grid, &set);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    return set;
}

void add_column(tsr_token_set *set, const char *name, tsr_array_type type, tsr_token_axis axis,
                int rank, const int64_t *dim, const void *data) {
    tsr_token_array a = {.name = name, .type = type, .axis = axis, .rank = rank, .data = data};
    memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    ck_assert_int_eq(tsr_token_set_add(set, &a), TSR_OK);
}

tsr_token_set *reduce_one(const tsr_token_set *set, const char *operation) {
    tsr_token_set *made = NULL;
    const tsr_status status = tsr_token_set_reduce(set, &operation, 1, NULL, &made);
    ck_assert_msg(status == TSR_OK, "%s: status %d", operation, status);
    return made;
}

void refuses(tsr_context *ctx, const tsr_token_set *set, const char *operation, tsr_status status,
             const char *words) {
    tsr_token_set *made = NULL;
    const tsr_status got = set ? tsr_token_set_reduce(set, &operation, 1, NULL, &made)
                               : tsr_operator_plan(ctx, operation, &made);
    ck_assert_msg(got == status, "%s: wanted status %d, got %d: %s", operation, status, got,
                  tsr_detail(ctx));
    ck_assert_msg(strstr(tsr_detail(ctx), words) != NULL, "%s: wanted \"%s\", got \"%s\"",
                  operation, words, tsr_detail(ctx));
    ck_assert_ptr_null(made);
}

int64_t kept_tokens(const tsr_token_set *made, int32_t *kept) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    for (int64_t i = 0; i < info.source; ++i)
        if (info.source_map[i] >= 0) kept[info.source_map[i]] = (int32_t)i;
    return info.count;
}

tsr_token_array trace_of(const tsr_token_set *made, const char *name) {
    const tsr_token_array a = tsr_token_set_trace(made, name);
    ck_assert_msg(a.name != NULL, "wanted the array %s of the trace", name);
    return a;
}

static void same_arrays(const tsr_token_array *a, const tsr_token_array *b) {
    size_t bytes = a->type == TSR_ARRAY_F64 ? 8 : 4;
    ck_assert_str_eq(a->name, b->name);
    ck_assert_int_eq(a->type, b->type);
    ck_assert_int_eq(a->rank, b->rank);
    for (int i = 0; i < a->rank; ++i) {
        ck_assert_int_eq(a->dim[i], b->dim[i]);
        bytes *= (size_t)a->dim[i];
    }
    ck_assert_msg(!memcmp(a->data, b->data, bytes), "%s differs", a->name);
}

void same_sets(const tsr_token_set *a, const tsr_token_set *b) {
    tsr_token_set_info x, y;
    tsr_token_set_info_get(a, &x);
    tsr_token_set_info_get(b, &y);
    ck_assert_int_eq(x.count, y.count);
    ck_assert_int_eq(x.channels, y.channels);
    ck_assert_int_eq(x.source, y.source);
    ck_assert(!memcmp(x.features, y.features, (size_t)(x.count * x.channels) * sizeof(float)));
    ck_assert(!memcmp(x.source_map, y.source_map, (size_t)x.source * sizeof(int32_t)));
    ck_assert(!memcmp(x.positions, y.positions, (size_t)x.count * 3 * sizeof(float)));
    ck_assert_int_eq(tsr_token_set_column_count(a), tsr_token_set_column_count(b));
    for (int i = 0; i < tsr_token_set_column_count(a); ++i) {
        const tsr_token_array p = tsr_token_set_column_at(a, i), q = tsr_token_set_column_at(b, i);
        same_arrays(&p, &q);
    }
    ck_assert_int_eq(tsr_token_set_trace_count(a), tsr_token_set_trace_count(b));
    for (int i = 0; i < tsr_token_set_trace_count(a); ++i) {
        const tsr_token_array p = tsr_token_set_trace_at(a, i), q = tsr_token_set_trace_at(b, i);
        same_arrays(&p, &q);
    }
}
