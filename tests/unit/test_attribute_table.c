/* SPDX-License-Identifier: MIT */
/* test_attribute_table.c: .tsv and .jsonl tables of attributes: what they hold, and every refusal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compute/context.h"
#include "datasets/attribute_table.h"
#include "testing.h"

static tsr_context *ctx;

static void open_context(void) {
    if (!ctx) ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* tsr_attribute_fn: "name=value;" of texts, "name:number;" of integers */
static tsr_status describe(void *user, const tsr_attribute *a) {
    char *to = user;
    to += strlen(to);
    if (a->type == TSR_ATTRIBUTE_INTEGER)
        sprintf(to, "%s:%lld;", a->name, (long long)a->integer);
    else
        sprintf(to, "%s=%.*s;", a->name, (int)a->size, (const char *)a->bytes);
    return TSR_OK;
}

static tsr_attribute_table *parse(const char *name, const char *text) {
    tsr_attribute_table *table;
    open_context();
    ck_assert_msg(!tsr_attribute_table_parse(ctx, name, text, strlen(text), &table), "%s",
                  tsr_detail(ctx));
    return table;
}

static void expect(const tsr_attribute_table *table, const char *key, const char *wanted) {
    char got[4096] = "";
    ck_assert_int_eq(tsr_attribute_table_find(ctx, table, key, describe, got), TSR_OK);
    ck_assert_str_eq(got, wanted);
}

START_TEST(tsv) {
    tsr_attribute_table *t = parse("x.TSV", "\xef\xbb\xbf"
                                            "name\tlabel\tcaption\r\n"
                                            "a/1.png\t3\ta cat\r\n"
                                            "\n"
                                            "b\t-12\t\n"
                                            "c\t\t\xe7\x8c\xab\n"
                                            "d\t007\t-0\n"
                                            "\t9223372036854775807\t-9223372036854775808\n"
                                            "e\t9223372036854775808\t+1\n"
                                            "f\t0\t-");
    ck_assert_uint_eq(tsr_attribute_table_rows(t), 7);
    expect(t, "a/1.png", "label:3;caption=a cat;");
    expect(t, "b", "label:-12;");
    expect(t, "c", "caption=\xe7\x8c\xab;");
    expect(t, "d", "label=007;caption=-0;"); /* come back as they were written */
    expect(t, "", "label:9223372036854775807;caption:-9223372036854775808;");
    expect(t, "e", "label=9223372036854775808;caption=+1;");
    expect(t, "f", "label:0;caption=-;");
    expect(t, "a/1", "");
    expect(t, "a/1.png ", "");
    tsr_attribute_table_close(&t);
    ck_assert_ptr_null(t);
}
END_TEST

START_TEST(jsonl) {
    tsr_attribute_table *t =
        parse("x.jsonl", "{\"key\": \"a\\/\\u732b\", \"label\": 3, \"caption\": \"one\\ntwo\"}\r\n"
                         "\n"
                         "{\"n\": -9007199254740992, \"key\": \"b\", \"none\": null}\n"
                         "{\"key\": \"c\", \"brackets\": \"[{,\\\"\", \"slash\": \"\\\\u0000\"}");
    ck_assert_uint_eq(tsr_attribute_table_rows(t), 3);
    expect(t, "a/\xe7\x8c\xab", "label:3;caption=one\ntwo;");
    expect(t, "b", "n:-9007199254740992;");
    expect(t, "c", "brackets=[{,\";slash=\\u0000;");
    expect(t, "A/\xe7\x8c\xab", "");
    tsr_attribute_table_close(&t);
}
END_TEST

START_TEST(every_refusal_names_its_line) {
    static const struct {
        const char *name, *text;
        tsr_status status;
        const char *detail;
    } cases[] = {
        {"x.csv", "key\n", TSR_ERROR_ARGUMENT, "x.csv: wanted attributes in a .tsv or .jsonl"},
        {".tsv", "key\n", TSR_ERROR_ARGUMENT, ".tsv: wanted attributes"},
        {"x.tsv", "", TSR_ERROR_FORMAT, "names of columns, got none"},
        {"x.tsv", "\n\n", TSR_ERROR_FORMAT, "names of columns, got none"},
        {"x.tsv", "key\ta\nx\t1\t2\n", TSR_ERROR_FORMAT, "x.tsv:2: wanted 2 fields"},
        {"x.tsv", "key\ta\n\nx\n", TSR_ERROR_FORMAT, "x.tsv:3: wanted 2 fields"},
        {"x.tsv", "key\t\nx\t1\n", TSR_ERROR_FORMAT, "x.tsv:1: name of an attribute"},
        {"x.tsv", "key\ta\x7f\nx\t1\n", TSR_ERROR_FORMAT, "x.tsv:1: name of an attribute"},
        {"x.tsv", "key\ta\tb\ta\n", TSR_ERROR_FORMAT,
         "x.tsv:1: wanted each attribute once, got 'a'"},
        {"x.tsv", "key\ta\nx\t1\ny\t1\nx\t2\n", TSR_ERROR_FORMAT,
         "x.tsv:4: wanted each key once, got that of line 2 again"},
        {"x.tsv", "key\ta\nx\t\xff\n", TSR_ERROR_FORMAT, "x.tsv:2: wanted UTF-8, got byte ff"},
        {"x.jsonl", "{\"a\": 1}\n", TSR_ERROR_FORMAT, "x.jsonl:1: wanted a text \"key\", got none"},
        {"x.jsonl", "{\"key\": 1}\n", TSR_ERROR_FORMAT, "wanted a text \"key\", got none"},
        {"x.jsonl", "{\"key\": \"a\"}\n[]\n", TSR_ERROR_FORMAT, "x.jsonl:2: wanted a JSON object"},
        {"x.jsonl", "{\"key\": \"a\"} {}\n", TSR_ERROR_FORMAT, "x.jsonl:1: wanted a JSON object"},
        {"x.jsonl", "{\"key\": \"a\"\n", TSR_ERROR_FORMAT, "x.jsonl:1: wanted a JSON object"},
        {"x.jsonl", "{\"key\": \"a\", \"x\": [1]}\n", TSR_ERROR_FORMAT,
         "object of texts and integers"},
        {"x.jsonl", "{\"key\": \"a\", \"x\": 1.5}\n", TSR_ERROR_FORMAT,
         "x.jsonl:1: x: wanted a text"},
        {"x.jsonl", "{\"key\": \"a\", \"x\": 9007199254740994}\n", TSR_ERROR_FORMAT,
         "within +-2^53"},
        {"x.jsonl", "{\"key\": \"a\", \"x\": true}\n", TSR_ERROR_FORMAT, "x: wanted a text"},
        {"x.jsonl", "{\"key\": \"a\", \"\": 1}\n", TSR_ERROR_FORMAT, "name of an attribute"},
        {"x.jsonl", "{\"key\": \"a\", \"x\": 1, \"x\": 2}\n", TSR_ERROR_FORMAT, "'x' twice"},
        {"x.jsonl", "{\"key\": \"a\", \"key\": \"b\"}\n", TSR_ERROR_FORMAT, "'key' twice"},
        {"x.jsonl", "{\"key\": \"a\\u0000b\"}\n", TSR_ERROR_FORMAT, "wanted a JSON object"},
        {"x.jsonl", "{\"key\": \"a\"}\n{\"key\": \"\\u0061\"}\n", TSR_ERROR_FORMAT,
         "x.jsonl:2: wanted each key once, got that of line 1"},
    };
    open_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_attribute_table *t = (tsr_attribute_table *)&ctx;
        const tsr_status status =
            tsr_attribute_table_parse(ctx, cases[i].name, cases[i].text, strlen(cases[i].text), &t);
        ck_assert_msg(status == cases[i].status && !t && strstr(tsr_detail(ctx), cases[i].detail),
                      "%zu: wanted %d with '%s', got %d: %s", i, cases[i].status, cases[i].detail,
                      status, tsr_detail(ctx));
    }
    tsr_attribute_table *t;
    ck_assert_int_eq(tsr_attribute_table_parse(ctx, "x.tsv", "k\ta\nx\t\0\n", 9, &t),
                     TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "x.tsv:2: wanted text, got a zero byte"));
    ck_assert_int_eq(tsr_attribute_table_open(ctx, "not/there.tsv", &t), TSR_ERROR_NOT_FOUND);
}
END_TEST

static char *repeated(const char *before, char c, size_t n, const char *after) {
    char *text = malloc(strlen(before) + n + strlen(after) + 1);
    ck_assert_ptr_nonnull(text);
    strcpy(text, before);
    memset(text + strlen(before), c, n);
    strcpy(text + strlen(before) + n, after);
    return text;
}

START_TEST(sizes_are_bounded) {
    static const struct {
        const char *name, *before, *after;
        char c;
        size_t n;
        tsr_status status;
    } cases[] = {
        {"x.tsv", "k\ta\nx\t", "\n", 'v', TSR_MAX_ATTRIBUTE_BYTES - 1, TSR_OK},
        {"x.tsv", "k\ta\nx\t", "\n", 'v', TSR_MAX_ATTRIBUTE_BYTES, TSR_ERROR_TOO_LARGE},
        {"x.tsv", "k\ta\nx\t", "\n", 'v', 100 << 20, TSR_ERROR_TOO_LARGE},
        {"x.jsonl", "{\"key\":\"x\",\"a\":\"", "\"}", 'v', TSR_MAX_ATTRIBUTE_BYTES - 1, TSR_OK},
        {"x.jsonl", "{\"key\":\"x\",\"a\":\"", "\"}", 'v', TSR_MAX_ATTRIBUTE_BYTES,
         TSR_ERROR_TOO_LARGE},
        {"x.jsonl", "{\"key\":\"x\",\"a\":\"", "\"}", 'v', 100 << 20, TSR_ERROR_TOO_LARGE},
        {"x.jsonl", "{\"key\":\"x\",\"a\":", "}", '[', 30 << 20, TSR_ERROR_FORMAT},
        {"x.tsv", "k", "\n", '\t', 2, TSR_ERROR_FORMAT},
        {"x.tsv", "k\t", "\n", 'n', 255, TSR_OK},
        {"x.tsv", "k\t", "\n", 'n', 256, TSR_ERROR_FORMAT},
    };
    open_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_attribute_table *t;
        char *text = repeated(cases[i].before, cases[i].c, cases[i].n, cases[i].after);
        const tsr_status status =
            tsr_attribute_table_parse(ctx, cases[i].name, text, strlen(text), &t);
        ck_assert_msg(status == cases[i].status, "%zu: wanted %d, got %d: %s", i, cases[i].status,
                      status, status ? tsr_detail(ctx) : "");
        tsr_attribute_table_close(&t);
        free(text);
    }
}
END_TEST

START_TEST(a_hundred_thousand_rows) {
    enum { ROWS = 100000 };
    char path[] = "/tmp/tessera-table-XXXXXX.tsv", key[32], wanted[64], *unused[3];
    const int fd = mkstemps(path, 4);
    FILE *f = fdopen(fd, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "key\tnumber\tname\n");
    for (int i = 0; i < ROWS; ++i)
        fprintf(f, "%d.png\t%d\tn%d\n", i, i, i);
    ck_assert_int_eq(fclose(f), 0);
    tsr_attribute_table *t;
    open_context();
    ck_assert_int_eq(tsr_attribute_table_open(ctx, path, &t), TSR_OK);
    unlink(path);
    ck_assert_uint_eq(tsr_attribute_table_rows(t), ROWS);
    for (int i = 0; i < ROWS; i += 2) {
        snprintf(key, sizeof key, "%d.png", i);
        snprintf(wanted, sizeof wanted, "number:%d;name=n%d;", i, i);
        expect(t, key, wanted);
    }
    ck_assert_uint_eq(tsr_attribute_table_unused(t, unused, 3), ROWS / 2);
    for (int i = 0; i < 3; ++i) {
        snprintf(key, sizeof key, "%d.png", 2 * i + 1);
        ck_assert_str_eq(unused[i], key);
        free(unused[i]);
        tsr_attribute_table_use(t, key);
    }
    ck_assert_uint_eq(tsr_attribute_table_unused(t, unused, 1), ROWS / 2 - 3);
    ck_assert_str_eq(unused[0], "7.png");
    free(unused[0]);
    tsr_attribute_table_close(&t);
}
END_TEST

/* tsr_attribute_fn */
static tsr_status stop(void *user, const tsr_attribute *a) {
    (void)a;
    ++*(int *)user;
    return TSR_ERROR_INTERRUPTED;
}

START_TEST(a_receiver_can_stop) {
    static const char *const texts[][2] = {{"x.tsv", "k\ta\tb\nx\t1\t2\n"},
                                           {"x.jsonl", "{\"key\": \"x\", \"a\": 1, \"b\": 2}"}};
    for (int i = 0; i < 2; ++i) {
        tsr_attribute_table *t = parse(texts[i][0], texts[i][1]);
        int calls = 0;
        ck_assert_int_eq(tsr_attribute_table_find(ctx, t, "x", stop, &calls),
                         TSR_ERROR_INTERRUPTED);
        ck_assert_int_eq(calls, 1);
        tsr_attribute_table_close(&t);
    }
}
END_TEST

TEST_MAIN("attribute_table", tsv, jsonl, every_refusal_names_its_line, sizes_are_bounded,
          a_hundred_thousand_rows, a_receiver_can_stop)
