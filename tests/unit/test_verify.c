/* SPDX-License-Identifier: MIT */
/* test_verify.c: a case passes, and with one wrong number does not. */
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tessera/tessera.h>

#include "everywhere.h"
#include "formats/arrays/npy.h"

typedef struct seen {
    int lines, failed;
    char first[512]; /* failed line */
} seen;

static void note(void *user, const char *output, int passed, const char *text) {
    seen *s = user;
    s->lines++;
    if (passed) return;
    if (s->failed++ == 0) snprintf(s->first, sizeof s->first, "%s: %s", output, text);
}

/* Fills *s; returns the status. The counts must be those of the lines. */
static tsr_status verify(const char *folder, const char *device, seen *s) {
    tsr_context *ctx = NULL;
    int passed = -1, failed = -1;
    *s = (seen){0};
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const tsr_verify_settings settings = {.device = device, .line = note, .user = s};
    tsr_status status = tsr_verify_case(ctx, folder, &settings, &passed, &failed);
    if (status) snprintf(s->first, sizeof s->first, "%s", tsr_detail(ctx));
    ck_assert_int_eq(failed, s->failed);
    ck_assert_int_eq(passed + failed, s->lines);
    tsr_context_close(&ctx);
    return status;
}

/* ---- made-up cases ---- */

static char folder[] = "/tmp/tessera-verify-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void write_array(const char *name, tsr_dtype dtype, const void *data, int rank, int64_t n,
                        int64_t width) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    tsr_tensor t = tsr_host_tensor(dtype, (void *)(uintptr_t)data, rank, (int64_t[]){n, width});
    ck_assert_int_eq(tsr_npy_write(everywhere_context(), path, &t), TSR_OK);
}

/* Two rows of levels 8, 5 worked out by hand: bounded = tanh(z + shift) * half - offset. */
static float bounded[4], codes[4], margins[2];
static int32_t ids[2];

static void make_case(void) {
    const float z[4] = {0.3f, -0.8f, 2.0f, 0.1f};
    const int level[2] = {8, 5};
    for (int i = 0; i < 2; ++i) {
        ids[i] = 0;
        margins[i] = 1;
        for (int c = 1; c >= 0; --c) {
            double half = (level[c] - 1) * 1.001 / 2, offset = level[c] % 2 ? 0 : 0.5;
            double b = tanh(z[2 * i + c] + atanh(offset / half)) * half - offset;
            double m = 0.5 - fabs(b - rint(b));
            bounded[2 * i + c] = (float)b;
            codes[2 * i + c] = (float)(rint(b) / (level[c] / 2));
            ids[i] = ids[i] * level[c] + (int)rint(b) + level[c] / 2;
            if (m < margins[i]) margins[i] = (float)m;
        }
    }
    write_array("z.npy", TSR_DTYPE_F32, z, 2, 2, 2);
    write_array("bounded.npy", TSR_DTYPE_F32, bounded, 2, 2, 2);
    write_array("codes.npy", TSR_DTYPE_F32, codes, 2, 2, 2);
    write_array("ids.npy", TSR_DTYPE_I32, ids, 1, 2, 1);
    write_array("margin.npy", TSR_DTYPE_F32, margins, 1, 2, 1);
    write_file(
        "manifest.json",
        "{\"format\": 1, \"model\": \"m\", \"id_margin\": 0.001, \"runs\": [{\"name\": \"r\", "
        "\"op\": \"fsq\", \"levels\": [8, 5],"
        "\"inputs\": [{\"name\": \"z\", \"file\": \"z.npy\"}], \"outputs\": ["
        "{\"name\": \"bounded\", \"file\": \"bounded.npy\", \"shape\": [2, 2], \"tol\": 5e-6},"
        "{\"name\": \"codes\", \"file\": \"codes.npy\", \"shape\": [2, 2], \"tol\": 1e-6},"
        "{\"name\": \"ids\", \"file\": \"ids.npy\", \"shape\": [2], \"tol\": 0},"
        "{\"name\": \"margin\", \"file\": \"margin.npy\", \"shape\": [2], \"tol\": 1e-3}]}]}");
}

static void setup(void) {
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make_case();
}

static void teardown(void) {
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void expect_failed(int failed, const char *text) {
    seen s;
    ck_assert_int_eq(verify(folder, "cpu", &s), TSR_OK);
    ck_assert_msg(s.failed == failed, "wanted %d failed, got %d: %s", failed, s.failed, s.first);
    ck_assert_msg(!failed || strstr(s.first, text), "wanted \"%s\" in: %s", text, s.first);
}

static void expect_status(const char *manifest, tsr_status status, const char *text) {
    seen s;
    write_file("manifest.json", manifest);
    ck_assert_int_eq(verify(folder, "cpu", &s), status);
    ck_assert_msg(strstr(s.first, text), "wanted \"%s\" in: %s", text, s.first);
}

START_TEST(tampered) {
    setup();
    expect_failed(0, "");
    bounded[3] += 1e-5f;
    write_array("bounded.npy", TSR_DTYPE_F32, bounded, 2, 2, 2);
    expect_failed(1, "r/bounded: max difference 9.98e-06, tolerance 5e-06: 1 of 4 values");
    make_case();
    ids[1] ^= 1;
    write_array("ids.npy", TSR_DTYPE_I32, ids, 1, 2, 1);
    expect_failed(1, "r/ids: max difference 1, tolerance 0");
    /* the same where the case says that the decision is a near tie: counted, not failed */
    margins[1] = 0.0005f;
    write_array("margin.npy", TSR_DTYPE_F32, margins, 1, 2, 1);
    expect_failed(1, "r/margin: ");
    make_case();
    bounded[0] = NAN;
    write_array("bounded.npy", TSR_DTYPE_F32, bounded, 2, 2, 2);
    expect_failed(1, "r/bounded: max difference nan");
    make_case();
    write_array("codes.npy", TSR_DTYPE_F32, codes, 2, 1, 2);
    expect_failed(1, "codes: wanted 4 stored values, got 2");
    teardown();
}
END_TEST

START_TEST(checksums) {
    setup();
    static const char *const manifest =
        "{\"format\": 1, \"runs\": [{\"op\": \"fsq_codes\", \"levels\": [2]}], \"sha256\": {\"a\": "
        "\"%s\", \"%s\": "
        "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}}";
    static const char *const empty =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char text[512];
    write_file("a", "");
    write_file("b", "abc");
    snprintf(text, sizeof text, manifest, empty, "b");
    write_file("manifest.json", text);
    expect_failed(0, "");
    write_file("b", "abd");
    expect_failed(1, "files/sha256: 1 files as written down, 1 not; the first: b: SHA-256: wanted "
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, got ");
    snprintf(text, sizeof text, manifest, empty, "c");
    write_file("manifest.json", text);
    expect_failed(1, "1 files as written down, 1 not; the first: ");
    snprintf(text, sizeof text, manifest, empty, "../b");
    write_file("manifest.json", text);
    expect_failed(1, "wanted a name inside the folder, got \"../b\"");
    teardown();
}
END_TEST

START_TEST(damaged) {
    setup();
    char path[256];
    snprintf(path, sizeof path, "%s/z.npy", folder);
    unlink(path);
    expect_failed(1, "z.npy");
    write_file("z.npy", "not an array");
    expect_failed(1, "z.npy");
    write_array("z.npy", TSR_DTYPE_I32, ids, 1, 2, 1);
    expect_failed(1, "element type: wanted F32, got I32");
    write_array("z.npy", TSR_DTYPE_F32, codes, 2, 1, 3);
    expect_failed(1, "wanted [rows, 2], got [1, 3]");
    const char *runs = "{\"format\": 1, \"model\": \"m\", \"runs\": [%s]}";
    static const struct {
        const char *run, *text;
    } bad[] = {
        {"{\"name\": \"a\", \"op\": \"dream\"}", "a: not supported by this build: dream of m"},
        {"{\"name\": \"a\"}", "a: op: wanted a text"},
        {"3", "(unnamed): op: wanted a text"},
        {"{\"name\": \"a\", \"op\": \"fsq\", \"levels\": [8, 2.5]}", "levels: element 1"},
        {"{\"name\": \"a\", \"op\": \"fsq\", \"levels\": [8, 1]}", "level 1: wanted 2 to 1000"},
        {"{\"name\": \"a\", \"op\": \"fsq\", \"levels\": []}", "wanted 1 to 16 integers, got 0"},
        {"{\"name\": \"a\", \"op\": \"fsq\", \"levels\": [8]}", "inputs: wanted \"z\", got none"},
        {"{\"name\": \"a\", \"op\": \"fsq\", \"levels\": [8], \"inputs\": [{\"name\": \"z\", "
         "\"file\": \"../z.npy\"}]}",
         "wanted a name inside the folder, got \"../z.npy\""},
        {"{\"name\": \"a\", \"op\": \"fsq_codes\", \"levels\": [8, 5], \"outputs\": [{\"name\": "
         "\"code_table\", \"shape\": [39, 2]}]}",
         "a/code_table: shape: wanted the manifest's, got [40, 2]"},
        {"{\"name\": \"a\", \"op\": \"preprocess\", \"image\": \"x.png\", \"rgb_fnv1a64\": \"7\"}",
         "rgb_fnv1a64: wanted 0x and 16 digits, got 7"},
        {"{\"name\": \"a\", \"op\": \"preprocess\", \"image\": \"x.png\", \"rgb_fnv1a64\": "
         "\"0x0123456789abcdef\", \"resized\": [256], \"crop_at\": [0, 0]}",
         "resized: wanted 2 to 2 integers, got 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        char text[1024];
        snprintf(text, sizeof text, runs, bad[i].run);
        write_file("manifest.json", text);
        seen s;
        ck_assert_int_eq(verify(folder, "cpu", &s), TSR_OK);
        ck_assert_msg(s.failed == 1 && strstr(s.first, bad[i].text), "%s: wanted \"%s\" in: %s",
                      bad[i].run, bad[i].text, s.first);
    }
    expect_status("", TSR_ERROR_FORMAT, "wanted a JSON object");
    expect_status("[1]", TSR_ERROR_FORMAT, "wanted a JSON object");
    expect_status("{\"format\": 2, \"runs\": []}", TSR_ERROR_VERSION, "format: wanted 1, got 2");
    expect_status("{\"format\": 1}", TSR_ERROR_FORMAT, "runs: wanted a list");
    expect_status("{\"format\": 1, \"runs\": []}", TSR_ERROR_FORMAT, "wanted at least one output");
    expect_status("{\"format\": 1, \"runs\": [], \"sha256\": {}}", TSR_ERROR_FORMAT,
                  "wanted at least one output");
    seen s;
    ck_assert_int_eq(verify("/nonexistent", "cpu", &s), TSR_ERROR_NOT_FOUND);
    make_case();
    ck_assert_int_eq(verify(folder, "abacus", &s), TSR_ERROR_ARGUMENT);
    teardown();
}
END_TEST

TEST_MAIN("verify", tampered, checksums, damaged)
