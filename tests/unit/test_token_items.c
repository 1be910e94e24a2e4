/* SPDX-License-Identifier: MIT */
/* Items of a token file: damage costs the item it is in and no other, items are named by number and
 * key, and which keys there can be. */
#include "testing.h"
#include "token_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "formats/tokens/token_layout.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-token-items-XXXXXX";

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    tsr_context_close(&ctx);
}

static char *in_folder(char *path, const char *name) {
    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void) {
    char command[256], text[32] = "";
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, p));
    pclose(p);
    return atoi(text);
}

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, call)                                                                          \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status), "wanted %s, got %s: %s", tsr_status_name(status),          \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
        ck_assert_msg(!strchr(tsr_detail(ctx), '\n') && *tsr_detail(ctx), "detail: \"%s\"",        \
                      tsr_detail(ctx));                                                            \
    } while (0)

/* What a damage callback was told. */
typedef struct told {
    int items, places;
    uint64_t last;
    tsr_status status;
} told;

static void note(void *user, const tsr_token_damage *damage) {
    told *t = user;
    ck_assert_ptr_nonnull(damage->detail);
    ck_assert(damage->status != TSR_OK && damage->offset > 0);
    if (damage->item == TSR_NO_ITEM) {
        t->places++;
        return;
    }
    t->items++;
    t->last = damage->item;
    t->status = damage->status;
}

static void write_bytes(const char *path, const uint8_t *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* A copy of a file of several items in which a byte of one is turned, with its index and without.
 */
START_TEST(damage_costs_one_item) {
    char in[256], out[256];
    in_folder(in, "in.tess"), in_folder(out, "out.tess");
    token_sample *s = token_sample_random(11, false);
    while (s->items < 3) {
        token_sample_free(s);
        s = token_sample_random(random_bits(), false);
    }
    s->settings.layer_tokens = 0;
    for (int index = 0; index < 2; ++index)
        for (uint32_t bad = 0; bad < s->items; ++bad) {
            size_t size;
            uint8_t *bytes = token_sample_bytes(ctx, s, &size);
            tsr_token_file *file;
            OK(tsr_token_file_parse(ctx, &file, "whole", bytes, size));
            const uint64_t at = tsr_token_file_item_offset(file, bad);
            const uint64_t end = size - tsr_token_file_properties(file)->index_bytes;
            tsr_token_file_close(&file);
            bytes[at + 25] ^= 4; /* behind the chunk header */
            write_bytes(in, bytes, index ? size : (size_t)end);
            told t = {0};
            tsr_token_cut_report report;
            const tsr_token_cut_settings settings = {.damaged = note, .damaged_user = &t};
            NOT(TSR_ERROR_DAMAGED, tsr_token_file_cut(ctx, in, out, &settings, &report));
            ck_assert_uint_eq(report.items, s->items - 1);
            ck_assert_int_eq(report.recovered, !index);
            ck_assert_int_eq(t.items, index);
            ck_assert_int_eq(t.places, !index);
            if (index) ck_assert(t.last == bad && t.status == TSR_ERROR_CHECKSUM);
            OK(tsr_token_file_open(ctx, &file, out));
            ck_assert_uint_eq(tsr_token_file_properties(file)->items, s->items - 1);
            ck_assert_int_eq(tsr_token_file_properties(file)->recovered, 0);
            for (uint32_t k = 0; k + 1 < s->items; ++k) {
                tsr_token_item item;
                OK(tsr_token_file_item(file, k, &item));
                ck_assert_str_eq(item.key, s->item[k < bad ? k : k + 1].key);
            }
            tsr_token_file_close(&file);
            free(bytes);
        }
    token_sample_free(s);
}
END_TEST

/* Nothing that can be read: no output. */
START_TEST(damage_of_everything) {
    char in[256], out[256];
    in_folder(in, "in.tess"), in_folder(out, "out.tess");
    token_sample *s = token_sample_random(11, true);
    size_t size;
    uint8_t *bytes = token_sample_bytes(ctx, s, &size);
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "whole", bytes, size));
    for (uint64_t i = 0; i < s->items; ++i)
        bytes[tsr_token_file_item_offset(file, i) + 25] ^= 4;
    tsr_token_file_close(&file);
    write_bytes(in, bytes, size);
    NOT(TSR_ERROR_DAMAGED, tsr_token_file_cut(ctx, in, out, NULL, NULL));
    ck_assert_int_eq(files_in_folder(), 1);
    free(bytes);
    token_sample_free(s);
}
END_TEST

static void selects(tsr_token_file *file, const char *text, const char *want) {
    uint64_t *indexes, found;
    char got[200] = "";
    OK(tsr_token_file_select(file, &text, 1, &indexes, &found));
    for (uint64_t i = 0; i < found; ++i)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%d ", (int)indexes[i]);
    ck_assert_msg(!strcmp(got, want), "'%s': wanted '%s', got '%s'", text, want, got);
    free(indexes);
}

START_TEST(items_by_number_and_key) {
    static const char *const keys[] = {"a.png", "b.png", "a.png", "7", "1-2-3", "x/a.png"};
    enum { ITEMS = sizeof keys / sizeof *keys };
    token_sample *s = token_sample_random(3, true);
    tsr_token_writer *writer;
    uint8_t *bytes;
    size_t size;
    OK(tsr_token_writer_open_memory(ctx, &writer, &s->header, &s->settings));
    for (int i = 0; i < ITEMS; ++i) {
        tsr_token_item item = s->item[0];
        item.key = keys[i];
        OK(tsr_token_writer_add(writer, &item));
    }
    OK(tsr_token_writer_close_memory(&writer, &bytes, &size));
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "keys", bytes, size));
    selects(file, "0", "0 ");
    selects(file, "5", "5 ");
    selects(file, "1-3", "1 2 3 ");
    selects(file, "4,0,2-3,2", "0 2 3 4 ");
    selects(file, "a.png", "0 2 ");
    selects(file, "7", "3 "); /* no item has that number */
    selects(file, "1-2-3", "4 ");
    selects(file, "x/a.png", "5 ");
    uint64_t *indexes, found;
    OK(tsr_token_file_select(file, NULL, 0, &indexes, &found));
    ck_assert_uint_eq(found, ITEMS);
    free(indexes);
    static const char *const wrong[] = {"6",   "3-1", "0-6", "1,",    ",1",
                                        "-1",  "",    "+1",  "c.png", "18446744073709551617",
                                        "0x1", " 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        NOT(TSR_ERROR_ARGUMENT, tsr_token_file_select(file, &wrong[i], 1, &indexes, &found));
        ck_assert_ptr_null(indexes);
    }
    tsr_token_file_close(&file);
    free(bytes);
    token_sample_free(s);
}
END_TEST

START_TEST(keys_that_cannot_be) {
    token_sample *s = token_sample_random(3, true);
    static const char *const good[] = {"", "a", "a/b.png", "a..b", "...", ".a/..b", "caf\xe9"};
    static const char *const bad[] = {".",   "..",    "a/",   "/a",   "a//b", "../a", "a/..",
                                      "./a", "a/./b", "a\tb", "\x7f", "a\nb", "/"};
    tsr_token_writer *writer;
    uint8_t *bytes;
    size_t size;
    OK(tsr_token_writer_open_memory(ctx, &writer, &s->header, &s->settings));
    tsr_token_item item = s->item[0];
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        item.key = good[i];
        OK(tsr_token_writer_add(writer, &item));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        item.key = bad[i];
        NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_add(writer, &item));
    }
    item.key = "z\tz.ppm";
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_add(writer, &item));
    ck_assert_ptr_nonnull(
        strstr(tsr_detail(ctx), "key: wanted no control characters, got 'z?z.ppm'"));
    OK(tsr_token_writer_close_memory(&writer, &bytes, &size));
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "keys", bytes, size));
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        OK(tsr_token_file_item(file, i, &item));
        ck_assert_str_eq(item.key, good[i]);
    }
    tsr_token_file_close(&file);
    free(bytes);
    token_sample_free(s);
}
END_TEST

int main(void) {
    test_seed();
    const TTest *const tests[] = {damage_costs_one_item, damage_of_everything,
                                  items_by_number_and_key, keys_that_cannot_be};
    Suite *suite = suite_create("token items");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i) {
        TCase *tcase = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(tcase, setup, teardown);
        tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
