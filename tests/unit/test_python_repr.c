/* SPDX-License-Identifier: MIT */
/* test_python_repr.c: literals as Python prints them, compared with the same data as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/weights/python_repr.h"
#include "testing.h"

static const struct {
    const char *repr, *json;
} good[] = {
    {"None", "null"},
    {" True ", "true"},
    {"False", "false"},
    {"12", "12"},
    {"-0", "-0"},
    {"-17", "-17"},
    {"1e-06", "1e-06"},
    {"1.5", "1.5"},
    {"nan", "null"},
    {"''", "\"\""},
    {"'a \"b\" c'", "\"a \\\"b\\\" c\""},
    {"\"it's\"", "\"it's\""},
    {"'\\'\\\\\\n\\t\\r'", "\"'\\\\\\n\\t\\r\""},
    {"'\\x41\\xe9\\u20ac\\U0001f600\\101'", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
                                            "A\""},
    {"[]", "[]"},
    {"[1]", "[1]"},
    {"[1, 2,]", "[1,2]"},
    {"()", "[]"},
    {"(1,)", "[1]"},
    {"(1, 'x')", "[1,\"x\"]"},
    {"(7)", "7"},
    {"{}", "{}"},
    {"{'a': 1, 'b': [True, None]}", "{\"a\":1,\"b\":[true,null]}"},
    {"{1: 'x', 2.5: 'y'}", "{\"1\":\"x\",\"2.5\":\"y\"}"},
    {"{'a': 1, 'a': 2}", "{\"a\":2}"},
    {"{'levels': (8, 8, 8, 5, 5, 5), '_target_': 'a.B', 'bias': False, 'eps': 1e-06}",
     "{\"levels\":[8,8,8,5,5,5],\"_target_\":\"a.B\",\"bias\":false,\"eps\":1e-06}"},
};

START_TEST(reads) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        cJSON *got = NULL, *want = cJSON_Parse(good[i].json);
        ck_assert_ptr_nonnull(want);
        tsr_status status =
            tsr_python_repr_parse(ctx, "text", good[i].repr, strlen(good[i].repr), &got);
        ck_assert_msg(status == TSR_OK, "%s: %s", good[i].repr, tsr_detail(ctx));
        ck_assert_msg(cJSON_Compare(got, want, 1), "%s: got %s", good[i].repr,
                      cJSON_PrintUnformatted(got));
        cJSON_Delete(got);
        cJSON_Delete(want);
    }
    cJSON *big = NULL;
    ck_assert_int_eq(tsr_python_repr_parse(ctx, "text", "-inf", 4, &big), TSR_OK);
    ck_assert(big->valuedouble < -1e308);
    cJSON_Delete(big);
    tsr_context_close(&ctx);
}
END_TEST

static const char *const bad[] = {
    "",
    " ",
    "true",
    "none",
    "nul",
    "TrueX",
    "'",
    "'abc",
    "\"a'",
    "'a\\",
    "'\\q'",
    "'\\x4'",
    "'\\u12'",
    "'\\N{DASH}'",
    "'\\x00'",
    "'\\ud800'",
    "'\\U00110000'",
    "'a\nb'",
    "b'x'",
    "u''",
    "1_000",
    "0x10",
    "07",
    "1.2.3",
    "1e",
    "--1",
    "+",
    "-",
    ".",
    "1j",
    "infinity",
    "nan(1)",
    "[",
    "[1",
    "[1 2]",
    "[,]",
    "[1,,2]",
    "(",
    "(1",
    "(,)",
    "(1]",
    "{",
    "{1}",
    "{'a'}",
    "{'a':}",
    "{'a' 1}",
    "{'a': 1 'b': 2}",
    "{,}",
    "{[1]: 2}",
    "{True: 1}",
    "1 2",
    "[1] x",
    "set()",
    "float('inf')",
    "'\xff'",
    "\xc3\xa9",
};

START_TEST(refuses) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        cJSON *got = NULL;
        tsr_status status = tsr_python_repr_parse(ctx, "text", bad[i], strlen(bad[i]), &got);
        ck_assert_msg(status == TSR_ERROR_FORMAT, "%s: %s", bad[i], tsr_status_name(status));
        ck_assert_ptr_null(got);
        ck_assert_msg(strncmp(tsr_detail(ctx), "text: at character ", 19) == 0, "%s",
                      tsr_detail(ctx));
    }
    cJSON *got;
    ck_assert_int_eq(tsr_python_repr_parse(ctx, "text", "[1", 2, &got), TSR_ERROR_FORMAT);
    ck_assert_str_eq(tsr_detail(ctx), "text: at character 2: wanted ',' or ']', got the end");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(limits) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    char deep[200];
    cJSON *json;
    for (int levels = 63; levels <= 64; ++levels) {
        memset(deep, '[', (size_t)levels);
        deep[levels] = '1';
        memset(deep + levels + 1, ']', (size_t)levels);
        tsr_status status = tsr_python_repr_parse(ctx, "text", deep, (size_t)levels * 2 + 1, &json);
        ck_assert_int_eq(status, levels == 63 ? TSR_OK : TSR_ERROR_FORMAT);
        cJSON_Delete(json);
    }
    size_t size = (1 << 20) + 1;
    char *large = malloc(size);
    memset(large, ' ', size);
    large[0] = '1';
    ck_assert_int_eq(tsr_python_repr_parse(ctx, "text", large, size, &json), TSR_ERROR_TOO_LARGE);
    ck_assert_int_eq(tsr_python_repr_parse(ctx, "text", large, size - 1, &json), TSR_OK);
    cJSON_Delete(json);
    for (int keys = 4096; keys <= 4097; ++keys) {
        size_t n = 0;
        for (int i = 0; i < keys; ++i)
            n += (size_t)sprintf(large + n, "%s%d:0", i ? "," : "{", i + 1);
        large[n++] = '}';
        ck_assert_int_eq(tsr_python_repr_parse(ctx, "text", large, n, &json),
                         keys == 4096 ? TSR_OK : TSR_ERROR_FORMAT);
        cJSON_Delete(json);
    }
    free(large);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("python_repr", reads, refuses, limits)
