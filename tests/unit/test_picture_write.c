/* SPDX-License-Identifier: MIT */
/* Pictures to files: each kind comes back with its pixels, and what name and settings contradict is
 * refused before anything is made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tessera/tessera.h>
#include "media/image.h"
#include "needs.h"
#include "testing.h"

enum { W = 37, H = 23 };
static char folder[64];
static tsr_context *ctx;
static uint8_t rgb[W * H * 3];

static void setup(void) {
    strcpy(folder, "/tmp/tessera-write-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (int i = 0; i < W * H * 3; ++i)
        rgb[i] = (uint8_t)(i % W * 5 + i / (W * 3) * 3);
}

static void teardown(void) {
    tsr_context_close(&ctx);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static tsr_status write_it(const char *path, const char *format, int quality, int lossless) {
    const tsr_picture_write_settings s = {
        .format = format, .quality = quality, .lossless = lossless};
    const tsr_status checked = tsr_picture_write_check(ctx, path, &s);
    const tsr_status status = tsr_picture_write(ctx, path, W, H, rgb, &s);
    ck_assert_int_eq(checked, status);
    return status;
}

/* Whether this build writes pictures of this suffix. */
static bool writes(const char *suffix) {
    static const char *const optional[][2] = {
        {"jpg", "JPEG"}, {"webp", "WebP"}, {"avif", "AVIF"}, {"jxl", "JPEG XL"}, {"tiff", "TIFF"}};
    for (size_t i = 0; i < sizeof optional / sizeof *optional; ++i)
        if (!strcmp(optional[i][0], suffix)) return built_with(optional[i][1]);
    return true;
}

/* Largest difference of a value after reading the file again. */
static int worst(const char *path) {
    tsr_image image;
    const tsr_status status = tsr_image_read(ctx, path, NULL, &image);
    ck_assert_msg(!status, "%s", tsr_detail(ctx));
    ck_assert_int_eq(image.width, W);
    ck_assert_int_eq(image.height, H);
    int most = 0;
    for (int i = 0; i < W * H * 3; ++i)
        most = abs(image.rgb[i] - rgb[i]) > most ? abs(image.rgb[i] - rgb[i]) : most;
    tsr_image_free(&image);
    return most;
}

START_TEST(kinds_come_back) {
    static const struct {
        const char *path, *begins;
        int lossless, exact;
    } cases[] = {
        {"a.png", "\x89PNG", 0, 1}, {"a.ppm", "P6\n3", 0, 1},    {"a.tiff", "II*", 0, 1},
        {"a.webp", "RIFF", 1, 1},   {"b.webp", "RIFF", 0, 0},    {"a.jpg", "\xff\xd8\xff", 0, 0},
        {"a.avif", "\0\0\0", 1, 0}, {"a.jxl", "\xff\x0a", 1, 1}, {"b.jxl", "\xff\x0a", 0, 0},
        {"plain", "\x89PNG", 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const char *suffix = strchr(cases[i].path, '.');
        if (suffix && !writes(suffix + 1)) continue; /* options_off.sh looks at the words */
        const tsr_status status = write_it(cases[i].path, NULL, 0, cases[i].lossless);
        ck_assert_msg(!status, "%s: %s", cases[i].path, tsr_detail(ctx));
        char head[5] = "";
        FILE *f = fopen(cases[i].path, "rb");
        ck_assert_uint_eq(fread(head, 1, 4, f), 4);
        fclose(f);
        ck_assert_mem_eq(head, cases[i].begins, 2);
        const int most = worst(cases[i].path);
        if (cases[i].exact) ck_assert_msg(most == 0, "%s: %d", cases[i].path, most);
    }
}
END_TEST

START_TEST(equal_pixels_give_equal_bytes) {
    static const char *const formats[] = {"png", "jpg", "webp", "avif", "jxl", "tiff", "ppm"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
        if (!writes(formats[i])) continue;
        ck_assert_int_eq(write_it("one", formats[i], 0, 0), TSR_OK);
        ck_assert_int_eq(write_it("two", formats[i], 0, 0), TSR_OK);
        ck_assert_msg(system("cmp -s one two") == 0, "%s", formats[i]);
    }
}
END_TEST

static void refused(tsr_status want, const char *text, const char *path, const char *format,
                    int quality, int lossless) {
    ck_assert_int_eq(write_it(path, format, quality, lossless), want);
    ck_assert_msg(strstr(tsr_detail(ctx), text) != NULL, "wanted %s, got %s", text,
                  tsr_detail(ctx));
    ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(contradictions) {
    refused(TSR_ERROR_ARGUMENT, "wanted the suffix of a picture", "a.bmp", NULL, 0, 0);
    refused(TSR_ERROR_ARGUMENT, "format: wanted png, jpg", "a.png", "bmp", 0, 0);
    refused(TSR_ERROR_ARGUMENT, "wanted a name for PPM, got one for PNG", "a.png", "ppm", 0, 0);
    refused(TSR_ERROR_ARGUMENT, "which keeps every pixel", "a.png", NULL, 50, 0);
    refused(TSR_ERROR_ARGUMENT, "wanted 1 to 100, got 101", "a.jpg", NULL, 101, 0);
    refused(TSR_ERROR_ARGUMENT, "got both", "a.webp", NULL, 50, 1);
    refused(TSR_ERROR_ARGUMENT, "lossless: wanted a format that can, got JPEG", "a.jpg", NULL, 0,
            1);
    ck_assert_int_eq(tsr_picture_write(ctx, "a.png", 0, 1, rgb, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_picture_write(ctx, "a.png", 1, 1, NULL, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_picture_write(ctx, NULL, 1, 1, rgb, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_picture_write_check(ctx, NULL, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_ne(access("a.png", F_OK), 0);
}
END_TEST

START_TEST(full_disks_and_what_exists) {
    static const char *const formats[] = {"png", "jpg", "webp", "avif", "jxl", "tiff", "ppm"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
        if (!writes(formats[i])) continue;
        const tsr_picture_write_settings s = {.format = formats[i]};
        const tsr_status status = tsr_picture_write(ctx, "/dev/full", W, H, rgb, &s);
        ck_assert_msg(status == TSR_ERROR_NO_SPACE, "%s: %s", formats[i], tsr_detail(ctx));
    }
    tsr_context *keep = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.keep_existing = 1;
    ck_assert_int_eq(tsr_context_open(&keep, &settings), TSR_OK);
    ck_assert_int_eq(tsr_picture_write(keep, "k.png", W, H, rgb, NULL), TSR_OK);
    ck_assert_int_eq(tsr_picture_write_check(keep, "k.png", NULL), TSR_ERROR_EXISTS);
    ck_assert_int_eq(tsr_picture_write(keep, "k.png", W, H, rgb, NULL), TSR_ERROR_EXISTS);
    ck_assert_int_eq(tsr_picture_write_png(keep, "k.png", W, H, rgb), TSR_ERROR_EXISTS);
    tsr_context_close(&keep);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("picture_write");
    TCase *tc = tcase_create("picture_write");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, kinds_come_back);
    tcase_add_test(tc, equal_pixels_give_equal_bytes);
    tcase_add_test(tc, contradictions);
    tcase_add_test(tc, full_disks_and_what_exists);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
