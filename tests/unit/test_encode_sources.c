/* SPDX-License-Identifier: MIT */
/* test_encode_sources.c: attributes go from samples to the items that tsr_encode_files hands out;
 * a tokenizer that is open already is used in turns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tessera/tessera.h>
#include "tar_bytes.h"
#include "testing.h"

typedef struct seen {
    char text[1024];
    int failed;
} seen;

/* tsr_encoded_fn */
static void note_item(void *user, const tsr_encoded *e) {
    seen *s = user;
    char *to = s->text + strlen(s->text);
    to += sprintf(to, "%s{", e->item->key);
    for (uint32_t i = 0; i < e->item->attribute_count; ++i) {
        const tsr_attribute *a = &e->item->attributes[i];
        if (a->type == TSR_ATTRIBUTE_INTEGER)
            to += sprintf(to, "%s=%lld,", a->name, (long long)a->integer);
        else
            to += sprintf(to, "%s=%.*s,", a->name, (int)a->size, (const char *)a->bytes);
    }
    strcpy(to, "} ");
}

/* tsr_encode_failure_fn */
static void note_failure(void *user, const tsr_encode_failure *failure) {
    seen *s = user;
    s->failed++;
    sprintf(s->text + strlen(s->text), "%s! ", failure->input);
}

/* A grey PPM of 16 x 16. */
static size_t make_picture(uint8_t *to) {
    const int n = sprintf((char *)to, "P6 16 16 255\n");
    memset(to + n, 128, 768);
    return (size_t)n + 768;
}

static void put(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

static char folder[64] = "/tmp/tessera-encode-XXXXXX";

static void enter(void) {
    uint8_t picture[1024];
    static const char table[] = "key\tn\ncat/1.ppm\t5\n2\t6\nmouse\t7\n";
    tar_bytes t = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(mkdir("p", 0777) + mkdir("p/cat", 0777), 0);
    const size_t size = make_picture(picture);
    put("p/cat/1.ppm", picture, size);
    put("p/cat/bad.ppm", "text", 4);
    put("t.tsv", table, sizeof table - 1);
    tar_member(&t, "2.ppm", '0', picture, size);
    tar_file(&t, "2.cls", "3");
    tar_file(&t, "2.txt", "a cat");
    tar_file(&t, "3.txt", "no picture");
    tar_end(&t);
    put("p/x.tar", t.p, t.size);
    free(t.p);
}

static void leave(void) {
    static const char *const files[] = {"p/cat/1.ppm", "p/cat/bad.ppm", "p/x.tar", "t.tsv",
                                        "x.tess"};
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i)
        unlink(files[i]);
    rmdir("p/cat");
    rmdir("p");
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(folder);
}

START_TEST(attributes_reach_the_items) {
    tsr_context *ctx;
    seen s = {.failed = 0};
    const char *inputs[] = {"p"};
    tsr_encode_report report;
    tsr_encode_files_settings settings = tsr_encode_files_settings_default();
    settings.model.device = "cpu";
    settings.source =
        (tsr_source_settings){.key = TSR_KEY_AUTO, .folder_labels = 1, .attributes = "t.tsv"};
    settings.on_error = TSR_ON_ERROR_SKIP;
    settings.encoded = note_item;
    settings.failed = note_failure;
    settings.encoded_user = settings.failed_user = &s;
    enter();
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    ck_assert_msg(!tsr_encode_files(ctx, inputs, 1, "x.tess", &settings, &report), "%s",
                  tsr_detail(ctx));
    tsr_context_close(&ctx);
    leave();
#if TESSERA_WITH_ARCHIVE
    ck_assert_str_eq(s.text, "p/cat/bad.ppm! cat/1.ppm{label=cat,n=5,} 2{cls=3,txt=a cat,n=6,} "
                             "p/x.tar:3! ");
    ck_assert_uint_eq(report.pictures, 2);
#else
    leave_out("this build was made without libarchive");
    ck_assert_str_eq(s.text, "p/cat/bad.ppm! cat/1.ppm{label=cat,n=5,} p/x.tar! ");
#endif
    ck_assert_int_eq(s.failed, 2);
    ck_assert_uint_eq(report.failed, 2);
}
END_TEST

/* ---- a tokenizer that is shared ---- */

typedef struct owner {
    int turns, most; /* most: turns that are given; 0: all */
} owner;

/* tsr_turn_fn */
static int give_turn(void *user, void (*use)(void *), void *arg) {
    owner *o = user;
    if (o->most && o->turns == o->most) return 1;
    o->turns++;
    use(arg);
    return 0;
}

static size_t read_whole(const char *path, uint8_t *to, size_t room) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    const size_t size = fread(to, 1, room, f);
    ck_assert_int_eq(fclose(f), 0);
    unlink(path);
    return size;
}

START_TEST(shared_tokenizer) {
    enum { PICTURES = 20, ROOM = 1 << 20 };
    char names[PICTURES][24];
    const char *inputs[PICTURES];
    uint8_t picture[1024], *own = malloc(ROOM), *shared = malloc(ROOM);
    tsr_context *ctx, *other;
    tsr_tokenizer *t = NULL;
    owner o = {0};
    tsr_encode_report report;
    ck_assert_ptr_nonnull(mkdtemp(strcpy(folder, "/tmp/tessera-encode-XXXXXX")));
    ck_assert_int_eq(chdir(folder), 0);
    const size_t size = make_picture(picture);
    for (int i = 0; i < PICTURES; ++i) {
        picture[size - 1] = (uint8_t)(12 * i);
        snprintf(names[i], sizeof names[i], "%d.ppm", i);
        put(inputs[i] = names[i], picture, size);
    }
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    ck_assert_int_eq(tsr_context_open(&other, NULL), TSR_OK);
    tsr_encode_files_settings s = tsr_encode_files_settings_default();
    s.model.device = "cpu";
    ck_assert_int_eq(tsr_tokenizer_open(other, &t, &s.model), TSR_OK);
    ck_assert_msg(!tsr_encode_files(ctx, inputs, PICTURES, "x.tess", &s, NULL), "%s",
                  tsr_detail(ctx));
    const size_t bytes = read_whole("x.tess", own, ROOM);
    s.model.model = "no-such.safetensors"; /* it is not opened */
    s.tokenizer = t;
    s.turn = give_turn;
    s.turn_user = &o;
    ck_assert_msg(!tsr_encode_files(ctx, inputs, PICTURES, "x.tess", &s, &report), "%s",
                  tsr_detail(ctx));
    ck_assert_uint_eq(report.pictures, PICTURES);
    ck_assert_int_ge(o.turns, 3); /* to look at it, and 16 pictures at most in each of the others */
    ck_assert_uint_eq(read_whole("x.tess", shared, ROOM), bytes);
    ck_assert_int_eq(memcmp(own, shared, bytes), 0);
    o = (owner){.most = 1};
    ck_assert_int_eq(tsr_encode_files(ctx, inputs, PICTURES, "x.tess", &s, NULL),
                     TSR_ERROR_INTERRUPTED);
    ck_assert_msg(strstr(tsr_detail(ctx), "stopped by the caller"), "%s", tsr_detail(ctx));
    /* What the tokenizer refuses is told in the context of the call. */
    o = (owner){0};
    s.encode.choice.tokens = 1 << 20;
    ck_assert_int_eq(tsr_encode_files(ctx, inputs, PICTURES, "x.tess", &s, NULL),
                     TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "tokens: wanted"));
    const char *const devices[] = {"cpu", "cpu"};
    s.devices = devices;
    s.device_count = 2;
    ck_assert_int_eq(tsr_encode_files(ctx, inputs, PICTURES, "x.tess", &s, NULL),
                     TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "devices: wanted one with a tokenizer"));
    ck_assert_int_eq(tsr_tokenizer_retile(t, tsr_tokenizer_header(t)), TSR_OK);
    tsr_token_header header = *tsr_tokenizer_header(t);
    header.tile_width *= 2;
    ck_assert_int_eq(tsr_tokenizer_retile(t, &header), TSR_ERROR_MODEL_MISMATCH);
    tsr_tokenizer_close(&t);
    tsr_context_close(&other);
    tsr_context_close(&ctx);
    for (int i = 0; i < PICTURES; ++i)
        unlink(names[i]);
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(folder);
    free(own);
    free(shared);
}
END_TEST

TEST_MAIN("encode_sources", attributes_reach_the_items, shared_tokenizer)
