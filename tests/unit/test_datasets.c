/* SPDX-License-Identifier: MIT */
/* The calls tsr_export and tsr_import as a program uses them: settings, reports, callbacks, what a
 * context keeps, stopping; and the strict reader of JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tessera/datasets.h>
#include <unistd.h>
#include "formats/json_text.h"
#include "datasets/key_set.h"
#include "testing.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-datasets-XXXXXX";

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void teardown(void) {
    char command[128];
    tsr_context_close(&ctx);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static void put_file(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static bool exists(const char *name) {
    struct stat st;
    return lstat(name, &st) == 0;
}

static void make_tokens(const char *name, int items) {
    FILE *f = fopen("made.jsonl", "w");
    for (int i = 0; i < items; ++i)
        fprintf(f, "{\"key\": \"k%d\", \"label\": %d, \"ids\": [%d, 99]}\n", i, i, i % 100);
    fclose(f);
    const char *input = "made.jsonl";
    const tsr_import_settings settings = {.format = "jsonl", .codebook_size = 100};
    tsr_import_report report;
    ck_assert_int_eq(tsr_import(ctx, &input, 1, name, &settings, &report), TSR_OK);
    ck_assert_uint_eq(report.items, (uint64_t)items);
    ck_assert_uint_eq(report.tokens, 2 * (uint64_t)items);
    ck_assert_uint_eq(report.columns, 2);
}

START_TEST(formats_are_listed) {
    tsr_dataset_info info;
    int written = 0, read = 0;
    for (int i = 0; i < tsr_dataset_count(); ++i) {
        tsr_dataset_at(i, &info);
        ck_assert_ptr_nonnull(info.name);
        ck_assert(*info.name && *info.about);
        written += info.written;
        read += info.read;
    }
    ck_assert_int_ge(written, 11);
    ck_assert_int_ge(read, 12);
    tsr_dataset_at(-1, &info);
    ck_assert_str_eq(info.name, "");
    tsr_dataset_at(tsr_dataset_count(), &info);
    ck_assert_str_eq(info.name, "");
}
END_TEST

START_TEST(arguments_are_checked) {
    const char *input = "x.tess", *none = NULL;
    const tsr_export_settings npy = {.format = "npy"}, nothing = {0};
    const tsr_import_settings lines = {.format = "jsonl"};
    ck_assert_int_eq(tsr_export(ctx, NULL, 1, "out", &npy, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_export(ctx, &input, 0, "out", &npy, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_export(ctx, &input, 1, NULL, &npy, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", NULL, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &nothing, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_export(ctx, &none, 1, "out", &npy, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &npy, NULL), TSR_ERROR_NOT_FOUND);
    ck_assert_int_eq(tsr_import(ctx, &input, 1, "out", NULL, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_import(ctx, &input, 1, "out", &lines, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "codebook size"));
    ck_assert_int_eq(tsr_import(ctx, &none, 1, "out", &lines, NULL), TSR_ERROR_ARGUMENT);
    ck_assert(!exists("out"));
    make_tokens("x.tess", 2);
    const tsr_export_split bad[] = {{"a", NAN}}, split[] = {{"a", 1}, {"b", 0}};
    tsr_export_settings parts = {.format = "npy", .splits = bad, .split_count = 1};
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &parts, NULL), TSR_ERROR_ARGUMENT);
    parts.splits = split;
    parts.split_count = 2;
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &parts, NULL), TSR_ERROR_ARGUMENT);
    parts.split_count = 65;
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &parts, NULL), TSR_ERROR_ARGUMENT);
    /* An output must not be the input, also where replacing is allowed. */
    const char *made = "made.jsonl";
    const tsr_import_settings again = {.format = "jsonl", .codebook_size = 100};
    ck_assert_int_eq(tsr_import(ctx, &made, 1, "made.jsonl", &again, NULL), TSR_ERROR_ARGUMENT);
}
END_TEST

START_TEST(a_context_keeps_what_exists) {
    const char *input = "x.tess";
    const tsr_export_settings npz = {.format = "npz"};
    tsr_export_report report;
    make_tokens("x.tess", 3);
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &npz, &report), TSR_OK);
    ck_assert_str_eq(report.dtype, "u16");
    ck_assert_str_eq(report.layout, "stacked");
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &npz, &report), TSR_OK); /* replaced */
    tsr_context *keeping = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.keep_existing = 1;
    ck_assert_int_eq(tsr_context_open(&keeping, &settings), TSR_OK);
    ck_assert_int_eq(tsr_export(keeping, &input, 1, "out", &npz, &report), TSR_ERROR_EXISTS);
    tsr_context_close(&keeping);
    ck_assert(exists("out/data.npz") && exists("out/tessera.json"));
    /* A folder of other files stays, with and without. */
    ck_assert_int_eq(mkdir("mine", 0777), 0);
    put_file("mine/file", "x");
    ck_assert_int_eq(tsr_export(ctx, &input, 1, "mine", &npz, NULL), TSR_ERROR_ARGUMENT);
    ck_assert(exists("mine/file"));
}
END_TEST

typedef struct counter {
    int calls, stop_at;
    bool twice; /* "check" and "export" were seen */
} counter;

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    counter *c = user;
    (void)done, (void)total;
    c->twice |= !strcmp(what, "export");
    return ++c->calls == c->stop_at;
}

START_TEST(stopping_leaves_nothing) {
    const char *input = "x.tess", *lines = "made.jsonl";
    make_tokens("x.tess", 10);
    for (int at = 1; at <= 20; at += 3) {
        counter c = {.stop_at = at};
        const tsr_export_settings npy = {
            .format = "npy", .progress = on_progress, .progress_user = &c};
        ck_assert_int_eq(tsr_export(ctx, &input, 1, "out", &npy, NULL), TSR_ERROR_INTERRUPTED);
        ck_assert(!exists("out") && c.twice == (at > 10));
        counter d = {.stop_at = at};
        const tsr_import_settings jsonl = {
            .format = "jsonl", .codebook_size = 100, .progress = on_progress, .progress_user = &d};
        ck_assert_int_eq(tsr_import(ctx, &lines, 1, "y.tess", &jsonl, NULL), TSR_ERROR_INTERRUPTED);
        ck_assert(!exists("y.tess"));
    }
    ck_assert_int_ne(system("ls -A | grep -q tmp-"), 0); /* nothing half-done either */
}
END_TEST

static void on_failure(void *user, const tsr_import_failure *failure) {
    char *seen = user;
    ck_assert_str_eq(failure->input, "bad.jsonl");
    ck_assert_ptr_nonnull(strstr(failure->detail, "bad.jsonl: line"));
    sprintf(seen + strlen(seen), "%d:%d ", (int)failure->record, (int)failure->status);
}

START_TEST(bad_items_are_told) {
    const char *input = "bad.jsonl";
    char seen[200] = "", wanted[200];
    put_file("bad.jsonl", "{\"ids\": [1]}\n{\"ids\": [100]}\n{\"ids\": [2]}\nnonsense\n");
    tsr_import_settings settings = {
        .format = "jsonl", .codebook_size = 100, .failed = on_failure, .failed_user = seen};
    tsr_import_report report;
    ck_assert_int_eq(tsr_import(ctx, &input, 1, "some.tess", &settings, &report),
                     TSR_ERROR_DAMAGED);
    ck_assert_uint_eq(report.items, 2);
    ck_assert_uint_eq(report.failed, 2);
    sprintf(wanted, "1:%d 3:%d ", TSR_ERROR_TOKENS, TSR_ERROR_FORMAT);
    ck_assert_str_eq(seen, wanted);
    tsr_token_file *file = NULL;
    tsr_token_item item;
    ck_assert_int_eq(tsr_token_file_open(ctx, &file, "some.tess"), TSR_OK);
    ck_assert_int_eq(tsr_token_file_item(file, 1, &item), TSR_OK);
    ck_assert_str_eq(item.key, "00000001");
    ck_assert_uint_eq(item.ids[0], 2);
    tsr_token_file_close(&file);
    settings.stop_on_error = 1;
    ck_assert_int_eq(tsr_import(ctx, &input, 1, "none.tess", &settings, &report), TSR_ERROR_TOKENS);
    ck_assert(!exists("none.tess"));
}
END_TEST

static void on_log(void *user, tsr_log_level level, const char *text) {
    if (level == TSR_LOG_WARNING) strcpy(user, text);
}

/* Attributes of bytes have no place in any format: they are left out, which is said, and the others
 * are carried. */
START_TEST(bytes_are_left_out) {
    const uint32_t count = 1, id = 7;
    const tsr_attribute attributes[] = {
        {.name = "raw", .type = TSR_ATTRIBUTE_BYTES, .bytes = "\xff\0", .size = 2},
        {.name = "camera", .bytes = "x", .size = 1},
        {.name = "year", .type = TSR_ATTRIBUTE_INTEGER, .integer = -3}};
    const tsr_token_header header = {.tokenizer = "t",
                                     .codebook_size = 8,
                                     .rows = 1,
                                     .columns = 1,
                                     .tile_width = 8,
                                     .tile_height = 8,
                                     .fit = TSR_FIT_CROP};
    const tsr_token_item item = {.key = "k",
                                 .source_width = 8,
                                 .source_height = 8,
                                 .orientation = 1,
                                 .width = 8,
                                 .height = 8,
                                 .tile_columns = 1,
                                 .tile_rows = 1,
                                 .counts = &count,
                                 .ids = &id,
                                 .attributes = attributes,
                                 .attribute_count = 3};
    tsr_token_writer *writer = NULL;
    ck_assert_int_eq(tsr_token_writer_open(ctx, &writer, "x.tess", &header, NULL), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_add(writer, &item), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_close(&writer), TSR_OK);
    char said[1024] = "", line[256];
    tsr_context *telling = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.log = on_log;
    settings.log_user = said;
    ck_assert_int_eq(tsr_context_open(&telling, &settings), TSR_OK);
    const char *input = "x.tess";
    const tsr_export_settings jsonl = {.format = "jsonl"};
    ck_assert_int_eq(tsr_export(telling, &input, 1, "out", &jsonl, NULL), TSR_OK);
    tsr_context_close(&telling);
    ck_assert_str_eq(said, "1 attributes of bytes are left out: no format has them");
    FILE *f = fopen("out/part-00000.jsonl", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    fclose(f);
    ck_assert_str_eq(
        line, "{\"key\": \"k\", \"shape\": [1], \"camera\": \"x\", \"year\": -3, \"ids\": [7]}\n");
}
END_TEST

/* The fault of a text that is read as a list of whole numbers; NULL: none. */
static const char *fault(const char *text, size_t size) {
    tsr_json j = tsr_json_start(text, size);
    tsr_json_enter(&j, '[');
    while (tsr_json_element(&j))
        tsr_json_unsigned(&j);
    tsr_json_finish(&j);
    const char *wrong = j.wrong;
    tsr_json_free(&j);
    return wrong;
}

START_TEST(json_numbers_are_whole) {
    static const char *const good[] = {"[]", " [ 0 , 1 ] ", "[18446744073709551615]",
                                       "[\n9\t]\r\n"};
    static const char *const bad[] = {"",
                                      "[",
                                      "[1",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "[01]",
                                      "[1.0]",
                                      "[1e2]",
                                      "[1E2]",
                                      "[-1]",
                                      "[-0]",
                                      "[+1]",
                                      "[ ]x",
                                      "[null",
                                      "[true]",
                                      "[NaN]",
                                      "[[1]]",
                                      "[\"1\"]",
                                      "{}",
                                      "1",

                                      "[18446744073709551616]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i)
        ck_assert_msg(!fault(good[i], strlen(good[i])), "%s: %s", good[i],
                      fault(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i)
        ck_assert_msg(fault(bad[i], strlen(bad[i])) != NULL, "%s was read", bad[i]);
    ck_assert(fault("[1]\0", 4) != NULL);
    char deep[400];
    for (int depth = 1; depth <= 100; ++depth) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        tsr_json j = tsr_json_start(deep, 2 * (size_t)depth);
        tsr_json_skip(&j);
        ck_assert_int_eq(tsr_json_finish(&j), depth > TSR_JSON_DEPTH);
        tsr_json_free(&j);
    }
}
END_TEST

START_TEST(json_texts_come_back) {
    static const char text[] = "\"\\/\b\f\n\r\t\x01 caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88 \x7f";
    for (int ascii = 0; ascii < 2; ++ascii) {
        tsr_bytes b = {0};
        size_t size;
        tsr_json_put(&b, text, sizeof text, ascii != 0); /* with its zero byte */
        for (size_t i = 0; i < b.size; ++i)
            ck_assert(b.at[i] >= 0x20 && (!ascii || b.at[i] < 0x80));
        tsr_json j = tsr_json_start(b.at, b.size);
        const char *back = tsr_json_string(&j, &size);
        ck_assert_uint_eq(size, sizeof text);
        ck_assert_mem_eq(back, text, size);
        ck_assert(!tsr_json_finish(&j));
        tsr_json_free(&j);
        tsr_bytes_free(&b);
    }
    static const char *const bad[] = {"\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
                                      "\"\\x\"",     "\"\\u12g4\"",        "\"a",
                                      "\"\n\"",      "\"\xc0\xaf\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        size_t size;
        tsr_json j = tsr_json_start(bad[i], strlen(bad[i]));
        tsr_json_string(&j, &size);
        ck_assert_msg(tsr_json_finish(&j), "%s was read", bad[i]);
        tsr_json_free(&j);
    }
}
END_TEST

START_TEST(json_is_laid_out) {
    static const char compact[] =
        "{\"a\":{},\"b\":[],\"n\":[1,-2.5e3,3],\"t\":[\"x, [{\\\\\\\"}]\",null,"
        "{\"c\":true}],\"m\":[1,\"2\"],\"d\":[[1,2],[3]]}";
    static const char wanted[] = "{\n"
                                 "  \"a\": {},\n"
                                 "  \"b\": [],\n"
                                 "  \"n\": [1, -2.5e3, 3],\n"
                                 "  \"t\": [\n"
                                 "    \"x, [{\\\\\\\"}]\",\n"
                                 "    null,\n"
                                 "    {\n"
                                 "      \"c\": true\n"
                                 "    }\n"
                                 "  ],\n"
                                 "  \"m\": [\n"
                                 "    1,\n"
                                 "    \"2\"\n"
                                 "  ],\n"
                                 "  \"d\": [\n"
                                 "    [1, 2],\n"
                                 "    [3]\n"
                                 "  ]\n"
                                 "}";
    tsr_bytes b = {0};
    tsr_json_put_laid_out(&b, compact);
    tsr_bytes_u8(&b, 0);
    ck_assert_str_eq((const char *)b.at, wanted);
    tsr_bytes_free(&b);
}
END_TEST

START_TEST(keys_are_found_again) {
    tsr_key_set set = {0};
    char key[32];
    bool there;
    for (int pass = 0; pass < 2; ++pass)
        for (int i = 0; i < 5000; ++i) {
            snprintf(key, sizeof key, "key/%d", i);
            ck_assert_int_eq(tsr_key_set_add(ctx, &set, key, &there), TSR_OK);
            ck_assert_int_eq(there, pass);
        }
    ck_assert_uint_eq(set.count, 5000);
    tsr_key_set_free(&set);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("datasets");
    TCase *tc = tcase_create("datasets");
    tcase_add_checked_fixture(tc, setup, teardown);
    const TTest *const tests[] = {
        formats_are_listed,      arguments_are_checked, a_context_keeps_what_exists,
        stopping_leaves_nothing, bad_items_are_told,    json_numbers_are_whole,
        json_texts_come_back,    json_is_laid_out,      keys_are_found_again,
        bytes_are_left_out,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
