/* SPDX-License-Identifier: MIT */
/* Merging and splitting: what is split and merged again has the same bytes, whatever is in it; what
 * is refused; what stays of a split that ends badly. */
#include "testing.h"
#include "token_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "formats/tokens/token_layout.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-token-shards-XXXXXX";

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

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, call)                                                                          \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status), "wanted %s, got %s: %s", tsr_status_name(status),          \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
        ck_assert_msg(!strchr(tsr_detail(ctx), '\n') && *tsr_detail(ctx), "detail: \"%s\"",        \
                      tsr_detail(ctx));                                                            \
    } while (0)

static void write_sample(const token_sample *s, const char *path, const tsr_attribute *own,
                         uint32_t count) {
    tsr_token_writer *writer;
    OK(tsr_token_writer_open(ctx, &writer, path, &s->header, &s->settings));
    OK(tsr_token_writer_attributes(writer, own, count));
    for (uint32_t i = 0; i < s->items; ++i)
        OK(tsr_token_writer_add(writer, &s->item[i]));
    OK(tsr_token_writer_close(&writer));
}

static void expect_same(const char *a, const char *b) {
    char command[600];
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", a, b);
    ck_assert_msg(system(command) == 0, "%s and %s differ", a, b);
}

START_TEST(split_and_merged_again) {
    char in[256], out[256], parts[256], path[8][300];
    const char *inputs[8];
    in_folder(in, "in.tess"), in_folder(out, "out.tess"), in_folder(parts, "parts");
    for (int round = 0; round < 120; ++round) {
        const uint64_t seed = random_bits();
        token_sample *s = token_sample_random(seed, round % 2);
        const uint32_t count = (uint32_t)random_below(3);
        tsr_attribute *own = token_sample_attributes(seed, count);
        write_sample(s, in, own, count);
        tsr_token_shard_settings settings = {0};
        tsr_token_shard_report report;
        if (s->items && round % 3 == 0)
            settings.parts = 1 + (uint64_t)random_below(s->items);
        else
            settings.items = 1 + (uint64_t)random_below(4);
        OK(tsr_token_file_split(ctx, in, parts, &settings, &report));
        ck_assert(report.items == s->items && report.files >= 1 && report.files <= 8);
        ck_assert(!report.damaged && !report.unreadable && !report.lost);
        uint64_t least = UINT64_MAX, most = 0;
        for (uint64_t i = 0; i < report.files; ++i) {
            tsr_token_file *file;
            snprintf(path[i], sizeof path[i], "%s/in-%05d.tess", parts, (int)i);
            inputs[i] = path[i];
            OK(tsr_token_file_open(ctx, &file, path[i]));
            const uint64_t items = tsr_token_file_properties(file)->items;
            least = items < least ? items : least;
            most = items > most ? items : most;
            tsr_token_file_close(&file);
        }
        ck_assert(settings.parts ? most - least <= 1 : most <= settings.items);
        const int files = (int)report.files;
        OK(tsr_token_file_merge(ctx, inputs, files, out, NULL, &report));
        ck_assert(report.items == s->items && report.files == 1 && report.dropped == 0);
        expect_same(in, out);
        token_attributes_free(own, count);
        token_sample_free(s);
    }
}
END_TEST

START_TEST(headers_must_agree) {
    char a[256], b[256], out[256];
    const char *inputs[] = {in_folder(a, "a.tess"), in_folder(b, "b.tess")};
    token_sample *s = token_sample_random(7, true);
    while (s->header.channels || !s->header.hints.present) {
        token_sample_free(s);
        s = token_sample_random(random_bits(), true);
    }
    s->header.nested = 1;
    s->settings.layer_tokens = 4;
    in_folder(out, "out.tess");
    write_sample(s, a, NULL, 0);
    write_sample(s, b, NULL, 0);
    OK(tsr_token_file_merge(ctx, inputs, 2, out, NULL, NULL));
    ck_assert_int_eq(unlink(out), 0);
#define WITH(what, change)                                                                         \
    do {                                                                                           \
        token_sample other = *s;                                                                   \
        tsr_token_header *h = &other.header;                                                       \
        change;                                                                                    \
        (void)h;                                                                                   \
        write_sample(&other, b, NULL, 0);                                                          \
        NOT(TSR_ERROR_MODEL_MISMATCH, tsr_token_file_merge(ctx, inputs, 2, out, NULL, NULL));      \
        ck_assert_msg(strstr(tsr_detail(ctx), "b.tess: " what ": wanted ") &&                      \
                          strstr(tsr_detail(ctx), "a.tess, got "),                                 \
                      "%s", tsr_detail(ctx));                                                      \
        ck_assert_int_ne(access(out, F_OK), 0);                                                    \
    } while (0)
    WITH("tokenizer", strcpy(h->tokenizer, "another"));
    WITH("hash of the weights", h->weights_hash ^= 1);
    WITH("family", h->family ^= 1);
    WITH("codebook size", h->codebook_size = UINT32_MAX; h->level_count = 0);
    WITH("tile width", h->tile_width ^= 3);
    WITH("tile height", h->tile_height ^= 3);
    WITH("fit", h->fit = h->fit % 4 + 1);
    WITH("filter", h->filter = (h->filter + 1) % 3);
    WITH("background", h->background[2] ^= 1);
    WITH("hints for decoding (present)", h->hints.present = 0);
    WITH("steps of the hints", h->hints.steps ^= 1);
    WITH("seed of the hints", h->hints.seed ^= 1);
    WITH("precision of the hints", h->hints.fast ^= 1);
    WITH("guidance mode of the hints", h->hints.plain ^= 1);
    WITH("guidance of the hints", h->hints.guidance += 1);
    WITH("ids of the first layer", other.settings.layer_tokens = 5);
#undef WITH
    token_sample_free(s);
}
END_TEST

/* tsr_progress_fn: stops before item *user. */
static int stop_at(void *user, const char *what, uint64_t done, uint64_t total) {
    const uint64_t *at = user;
    ck_assert(!strcmp(what, "merge") || !strcmp(what, "split"));
    ck_assert_uint_lt(done, total);
    return done == *at;
}

START_TEST(stopped) {
    char in[256], out[256], parts[256], path[300];
    const char *inputs[] = {in_folder(in, "in.tess"), in};
    in_folder(out, "out.tess"), in_folder(parts, "stopped");
    token_sample *s = token_sample_random(7, true);
    while (s->items < 2) {
        token_sample_free(s);
        s = token_sample_random(random_bits(), true);
    }
    write_sample(s, in, NULL, 0);
    uint64_t at = s->items + 1; /* in the second input */
    tsr_token_shard_settings settings = {.progress = stop_at, .progress_user = &at};
    NOT(TSR_ERROR_INTERRUPTED, tsr_token_file_merge(ctx, inputs, 2, out, &settings, NULL));
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "merge: stopped after "));
    ck_assert_int_ne(access(out, F_OK), 0);
    at = 1;
    settings.items = 1;
    tsr_token_shard_report report;
    NOT(TSR_ERROR_INTERRUPTED, tsr_token_file_split(ctx, in, parts, &settings, &report));
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "stopped: 1 of "));
    ck_assert_uint_eq(report.files, 1);
    for (int i = 0; i < 2; ++i) {
        snprintf(path, sizeof path, "%s/in-%05d.tess", parts, i);
        ck_assert_int_eq(access(path, F_OK) == 0, i < 1);
        unlink(path);
    }
    rmdir(parts);
    at = UINT64_MAX;
    OK(tsr_token_file_merge(ctx, inputs, 2, out, &settings, &report));
    ck_assert_uint_eq(report.items, 2 * s->items);
    ck_assert_int_eq(unlink(out), 0);
    ck_assert_int_eq(unlink(in), 0);
    token_sample_free(s);
}
END_TEST

START_TEST(refusals) {
    char in[256], out[256];
    const char *none[] = {NULL};
    const char *inputs[] = {in_folder(in, "in.tess")};
    token_sample *s = token_sample_random(7, true);
    write_sample(s, in, NULL, 0);
    in_folder(out, "out.tess");
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_merge(ctx, NULL, 1, out, NULL, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_merge(ctx, inputs, 0, out, NULL, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_merge(ctx, inputs, 1, NULL, NULL, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_merge(ctx, none, 1, out, NULL, NULL));
    const tsr_token_shard_settings neither = {0}, both = {.items = 1, .parts = 1},
                                   one = {.items = 1}, many = {.parts = 3};
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_split(ctx, in, out, NULL, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_split(ctx, in, out, &neither, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_split(ctx, in, out, &both, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_split(ctx, in, "", &one, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_split(ctx, NULL, out, &one, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_split(ctx, in, out, &many, NULL)); /* of two items */
    NOT(TSR_ERROR_NOT_FOUND, tsr_token_file_split(ctx, out, out, &one, NULL));
    NOT(TSR_ERROR_IO, tsr_token_file_split(ctx, in, in, &one, NULL));
    ck_assert_int_ne(access(out, F_OK), 0);
    /* A context that keeps what exists: nothing is written when one name is taken. */
    tsr_context *keeping;
    const tsr_context_settings keep = {.keep_existing = 1};
    char second[300];
    ck_assert_int_eq(tsr_context_open(&keeping, &keep), TSR_OK);
    ck_assert_int_eq(mkdir(out, 0777), 0);
    snprintf(second, sizeof second, "%s/in-00001.tess", out);
    FILE *f = fopen(second, "w");
    ck_assert(f && fclose(f) == 0);
    ck_assert_int_eq(tsr_token_file_split(keeping, in, out, &one, NULL), TSR_ERROR_EXISTS);
    snprintf(second, sizeof second, "%s/in-00000.tess", out);
    ck_assert_int_ne(access(second, F_OK), 0);
    tsr_context_close(&keeping);
    token_sample_free(s);
}
END_TEST

int main(void) {
    test_seed();
    Suite *suite = suite_create("token shards");
    TCase *tc = tcase_create("merge and split");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, split_and_merged_again);
    tcase_add_test(tc, headers_must_agree);
    tcase_add_test(tc, stopped);
    tcase_add_test(tc, refusals);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
