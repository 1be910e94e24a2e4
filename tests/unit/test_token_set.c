/* SPDX-License-Identifier: MIT */
/* test_token_set.c: token sets in memory and in files: what is kept, merged, undone, refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reduce/operator.h"
#include "testing.h"

static tsr_context *ctx;
static const int64_t grid23[3] = {1, 2, 3};

/* Six tokens of two channels on a grid of 2 x 3; feature of token i is (i, -i). */
static tsr_token_set *six(void) {
    float x[12];
    tsr_token_set *set = NULL;
    for (int i = 0; i < 6; ++i) {
        x[2 * i] = (float)i;
        x[2 * i + 1] = (float)-i;
    }
    ck_assert_int_eq(tsr_token_set_create(ctx, x, 6, 2, grid23, &set), TSR_OK);
    return set;
}

static void add(tsr_token_set *set, const char *name, tsr_token_axis axis, int rank, int64_t a,
                int64_t b, int64_t c, const float *data) {
    const tsr_token_array array = {
        .name = name, .axis = axis, .rank = rank, .dim = {a, b, c}, .data = data};
    ck_assert_int_eq(tsr_token_set_add(set, &array), TSR_OK);
}

/* An operation of a test: `what` is done with the set. */
static tsr_token_set *operate(tsr_token_set *set, void (*what)(tsr_operation *o)) {
    static const tsr_operator op = {.info = {.name = "test"}};
    tsr_operation o = {.ctx = ctx, .op = &op, .in = set, .scratch = {.ctx = ctx}};
    what(&o);
    ck_assert_msg(o.status == TSR_OK, "%s", tsr_detail(ctx));
    tsr_scratch_free(&o.scratch);
    return o.out;
}
static void keep_4_1(tsr_operation *o) {
    static const int32_t index[2] = {4, 1};
    tsr_operation_keep(o, index, 2);
}
static void merge_pairs(tsr_operation *o) {
    static const int32_t map[6] = {0, 0, 1, 1, -1, 1};
    tsr_operation_merge(o, map, 2, NULL);
}
static void merge_both(tsr_operation *o) {
    static const int32_t map[2] = {0, 0};
    tsr_operation_merge(o, map, 1, NULL);
}

START_TEST(created) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = six();
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    ck_assert_int_eq(info.count, 6);
    ck_assert_int_eq(info.source, 6);
    ck_assert(info.positions[3 * 4] == 0 && info.positions[3 * 4 + 1] == 1 &&
              info.positions[3 * 4 + 2] == 1);
    ck_assert(info.source_map[5] == 5 && info.sizes[5] == 1);
    tsr_token_set_close(&set);

    float bad[2] = {1, NAN};
    ck_assert_int_eq(tsr_token_set_create(ctx, bad, 2, 1, NULL, &set), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(set);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "token 1, channel 0: wanted a finite number"));
    ck_assert_int_eq(tsr_token_set_create(ctx, bad, 0, 1, NULL, &set), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_set_create(ctx, bad, 1, 1, grid23, &set), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "grid: wanted"));
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(kept_columns_follow) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = six();
    float keys[18], attention[12], square[2 * 7 * 7], text[5] = {1, 2, 3, 4, 5};
    for (int i = 0; i < 18; ++i)
        keys[i] = (float)i;
    for (int i = 0; i < 12; ++i)
        attention[i] = (float)i;
    for (int i = 0; i < 98; ++i)
        square[i] = (float)i;
    add(set, "keys", TSR_TOKEN_AXIS_FIRST, 2, 6, 3, 1, keys);
    add(set, "attention", TSR_TOKEN_AXIS_LAST, 2, 2, 6, 1, attention);
    add(set, "attention_all", TSR_TOKEN_AXIS_SQUARE, 3, 2, 7, 7, square);
    add(set, "text", TSR_TOKEN_AXIS_NONE, 1, 5, 1, 1, text);
    tsr_token_set *less = operate(set, keep_4_1);
    tsr_token_set_info info;
    tsr_token_set_info_get(less, &info);
    ck_assert_int_eq(info.count, 2);
    ck_assert(info.features[0] == 4 && info.features[2] == 1);
    ck_assert(info.source_map[4] == 0 && info.source_map[1] == 1 && info.source_map[0] == -1);
    ck_assert_int_eq(info.grid[0], 0);
    ck_assert_int_eq(info.source_grid[2], 3);
    const float *k = tsr_token_set_column(less, "keys").data;
    ck_assert(k[0] == 12 && k[3] == 3);
    const float *a = tsr_token_set_column(less, "attention").data;
    ck_assert(a[0] == 4 && a[1] == 1 && a[2] == 10 && a[3] == 7);
    const tsr_token_array all = tsr_token_set_column(less, "attention_all");
    const float *s = all.data; /* rows 0 (class), 5, 2 */
    ck_assert(all.dim[1] == 3 && all.dim[2] == 3);
    ck_assert(s[0] == 0 && s[1] == 5 && s[2] == 2 && s[3] == 35 && s[4] == 40 && s[5] == 37);
    ck_assert(s[9] == 49);
    ck_assert_int_eq(tsr_token_set_column(less, "text").dim[0], 5);
    tsr_token_set_close(&less);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(merged_by_size) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = six();
    float keys[6] = {0, 1, 2, 3, 4, 5};
    add(set, "keys", TSR_TOKEN_AXIS_FIRST, 2, 6, 1, 1, keys);
    tsr_token_set *two = operate(set, merge_pairs), *one = operate(two, merge_both);
    tsr_token_set_info info;
    tsr_token_set_info_get(two, &info);
    ck_assert(info.sizes[0] == 2 && info.sizes[1] == 3);
    ck_assert_float_eq(info.features[2], (2 + 3 + 5) / 3.0f);
    ck_assert(info.source_map[4] == -1 && info.source_map[5] == 1);
    tsr_token_set_info_get(one, &info);
    ck_assert_int_eq(info.source, 6);
    ck_assert(info.sizes[0] == 5);
    ck_assert_float_eq_tol(info.features[0], (0 + 1 + 2 + 3 + 5) / 5.0f, 1e-6f);
    ck_assert_float_eq_tol(((const float *)tsr_token_set_column(one, "keys").data)[0], 2.2f, 1e-6f);
    float back[12];
    ck_assert_int_eq(tsr_token_set_unmerge(one, back), TSR_OK);
    ck_assert(back[8] == 0 && back[9] == 0 && back[0] == info.features[0]);
    tsr_token_set_comparison c;
    ck_assert_int_eq(tsr_token_set_compare(set, two, &c), TSR_OK);
    ck_assert_int_eq(c.dropped, 1);
    ck_assert_double_eq_tol(c.cosine, 4.0 / 6, 1e-6); /* token 0 is zeros, token 4 dropped */
    ck_assert_int_eq(tsr_token_set_compare(two, set, &c), TSR_ERROR_ARGUMENT);
    tsr_token_set_close(&one);
    tsr_token_set_close(&two);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(through_a_file) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    char path[] = "/tmp/token-set-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    tsr_token_set *set = six(), *got = NULL;
    float keys[6] = {0, 1, 2, 3, 4, 5}, attention[2 * 7 * 7] = {0};
    add(set, "keys", TSR_TOKEN_AXIS_FIRST, 2, 6, 1, 1, keys);
    add(set, "attention", TSR_TOKEN_AXIS_SQUARE, 3, 2, 7, 7, attention);
    add(set, "text", TSR_TOKEN_AXIS_NONE, 2, 6, 1, 1, keys); /* six texts, as many as tokens */
    tsr_token_set *two = operate(set, merge_pairs);
    tsr_token_sets_writer *w = NULL;
    ck_assert_int_eq(tsr_token_sets_create(ctx, path, &w), TSR_OK);
    ck_assert_int_eq(tsr_token_sets_describe(w, "tower", "none"), TSR_OK);
    ck_assert_int_eq(tsr_token_sets_describe(w, "tower", "none"), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_sets_append(w, "b/c", set), TSR_OK);
    ck_assert_int_eq(tsr_token_sets_append(w, "a", two), TSR_OK);
    ck_assert_int_eq(tsr_token_sets_append(w, "", two), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_sets_finish(&w), TSR_OK);
    ck_assert_ptr_null(w);
    tsr_token_sets *sets = NULL;
    ck_assert_int_eq(tsr_token_sets_open(ctx, path, &sets), TSR_OK);
    ck_assert_int_eq(tsr_token_sets_count(sets), 2);
    ck_assert_str_eq(tsr_token_sets_key(sets, 0), "a");
    ck_assert_int_eq(tsr_token_sets_read(sets, 0, &got), TSR_OK);
    tsr_token_set_info was, is;
    tsr_token_set_info_get(two, &was);
    tsr_token_set_info_get(got, &is);
    ck_assert_int_eq(memcmp(was.features, is.features, 4 * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(was.source_map, is.source_map, 6 * sizeof(int32_t)), 0);
    ck_assert_int_eq(memcmp(was.positions, is.positions, 6 * sizeof(float)), 0);
    ck_assert_int_eq(is.source_grid[2], 3);
    ck_assert_int_eq(is.grid[0], 0);
    tsr_token_set_close(&got);
    ck_assert_int_eq(tsr_token_sets_read(sets, 1, &got), TSR_OK);
    ck_assert_int_eq(tsr_token_set_column(got, "attention").axis, TSR_TOKEN_AXIS_SQUARE);
    ck_assert_int_eq(tsr_token_set_column(got, "keys").axis, TSR_TOKEN_AXIS_FIRST);
    ck_assert_int_eq(tsr_token_set_column(got, "text").axis, TSR_TOKEN_AXIS_NONE);
    tsr_token_set_close(&got);
    tsr_token_sets_close(&sets);
    ck_assert_int_eq(tsr_token_set_read(ctx, path, NULL, &got), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_set_read(ctx, path, "c", &got), TSR_ERROR_NOT_FOUND);
    ck_assert_int_eq(tsr_token_set_read(ctx, path, "b/c", &got), TSR_OK);
    tsr_token_set_close(&got);
    tsr_token_set_close(&two);
    tsr_token_set_close(&set);
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(refused) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = six();
    float x[6] = {0};
    struct {
        tsr_token_array a;
        const char *text;
    } bad[] = {
        {{.name = "features", .rank = 1, .dim = {6}, .data = x}, "wanted a name of its own"},
        {{.name = "a/b", .rank = 1, .dim = {6}, .data = x}, "wanted a name of"},
        {{.name = "", .rank = 1, .dim = {6}, .data = x}, "wanted a name of"},
        {{.name = "k", .rank = 1, .dim = {5}, .data = x}, "wanted 6 tokens along its token axis"},
        {{.name = "k", .rank = 1, .dim = {0}, .data = x}, "wanted positive dimensions"},
        {{.name = "k", .rank = 5, .dim = {6}, .data = x}, "1 to 4 dimensions"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        ck_assert_int_eq(tsr_token_set_add(set, &bad[i].a), TSR_ERROR_ARGUMENT);
        ck_assert_msg(strstr(tsr_detail(ctx), bad[i].text) != NULL, "%zu: %s", i, tsr_detail(ctx));
    }
    x[3] = INFINITY;
    const tsr_token_array infinite = {.name = "k", .rank = 1, .dim = {6}, .data = x};
    ck_assert_int_eq(tsr_token_set_add(set, &infinite), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "value 3: wanted a finite number"));
    static const struct {
        const char *operation;
        tsr_status status;
        const char *text;
    } operations[] = {
        {"none", TSR_ERROR_NOT_FOUND, "got \"none\""},
        {"cls-attention-topk:k=2", TSR_ERROR_ARGUMENT, "column attention, got none"},
        {"cls-attention-topk:k", TSR_ERROR_ARGUMENT, "wanted key=value"},
        {"cls-attention-topk:k=0", TSR_ERROR_ARGUMENT, "k: wanted a whole number in 1..2147483647"},
        {"cls-attention-topk:k=1.5", TSR_ERROR_ARGUMENT, "k: wanted a whole number"},
        {"cls-attention-topk:k=2x", TSR_ERROR_ARGUMENT, "k: wanted a whole number"},
        {"cls-attention-topk:ratio=2", TSR_ERROR_ARGUMENT, "ratio: wanted a number in 0..1"},
        {"cls-attention-topk:ratio=nan", TSR_ERROR_ARGUMENT, "ratio: wanted a number in 0..1"},
        {"cls-attention-topk:k=1,k=2", TSR_ERROR_ARGUMENT, "k: wanted it once"},
        {"cls-attention-topk:z=1", TSR_ERROR_ARGUMENT, "wanted a parameter of it (k, ratio)"},
    };
    for (size_t i = 0; i < sizeof operations / sizeof *operations; ++i) {
        tsr_token_set *made = NULL;
        ck_assert_int_eq(tsr_token_set_reduce(set, &operations[i].operation, 1, NULL, &made),
                         operations[i].status);
        ck_assert_ptr_null(made);
        ck_assert_msg(strstr(tsr_detail(ctx), operations[i].text) != NULL, "%zu: %s", i,
                      tsr_detail(ctx));
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* A tensor "/features" would be read as the set "", which is called "features". */
START_TEST(no_empty_key) {
    static const char header[] =
        "{\"/features\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}";
    char path[] = "/tmp/tessera-set-XXXXXX";
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const int fd = mkstemp(path);
    const uint8_t length[8] = {sizeof header - 1}, value[4] = {0};
    ck_assert_int_eq(write(fd, length, sizeof length), sizeof length);
    ck_assert_int_eq(write(fd, header, sizeof header - 1), sizeof header - 1);
    ck_assert_int_eq(write(fd, value, sizeof value), sizeof value);
    close(fd);
    tsr_token_sets *sets = NULL;
    ck_assert_int_eq(tsr_token_sets_open(ctx, path, &sets), TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted a tensor \"features\""));
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

/* Every operator says what it is, in full, and its defaults are values it accepts. */
START_TEST(operators_explain_themselves) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    ck_assert_int_gt(tsr_operator_count(), 0);
    for (int i = 0; i < tsr_operator_count(); ++i) {
        tsr_operator_info o;
        tsr_operator_at(i, &o);
        ck_assert_int_eq(tsr_operator_find(o.name), i);
        ck_assert_msg(o.about && o.formula && o.source && o.cost, "%s: a text is missing", o.name);
        for (int p = 0; p < o.parameter_count; ++p) {
            const tsr_parameter *q = &o.parameters[p];
            ck_assert_msg(q->about && q->least <= q->most, "%s: %s", o.name, q->name);
            ck_assert_msg((q->type == TSR_PARAMETER_CHOICE) == (q->choices != NULL), "%s: %s",
                          o.name, q->name);
            if (!q->standard) continue;
            char text[256];
            const char *operation = text;
            tsr_token_set *set = six(), *made = NULL;
            snprintf(text, sizeof text, "%s:%s=%s", o.name, q->name, q->standard);
            const tsr_status status = o.kind == TSR_OPERATOR_PLAN
                                          ? tsr_operator_plan(ctx, text, &made)
                                          : tsr_token_set_reduce(set, &operation, 1, NULL, &made);
            char refusal[128];
            snprintf(refusal, sizeof refusal, "%s: %s: wanted", o.name, q->name);
            ck_assert_msg(status == TSR_OK || strncmp(tsr_detail(ctx), refusal, strlen(refusal)),
                          "%s refuses its own default: %s", text, tsr_detail(ctx));
            tsr_token_set_close(&made);
            tsr_token_set_close(&set);
        }
    }
    tsr_operator_info none;
    tsr_operator_at(-1, &none);
    ck_assert_ptr_null(none.name);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("token set", created, kept_columns_follow, merged_by_size, through_a_file, refused,
          no_empty_key, operators_explain_themselves)
