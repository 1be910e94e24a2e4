/* SPDX-License-Identifier: MIT */
/* test_features.c: feature arrays and patches in, codebook files out and in again. */
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tessera/tessera.h>

#include "formats/arrays/npy.h"
#include "formats/weights/safetensors.h"
#include "testing.h"

static char folder[] = "/tmp/tessera-features-XXXXXX";
static tsr_context *ctx;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    tsr_context_close(&ctx);
}

static const char *in_folder(const char *name) {
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void expect_fail(tsr_status got, tsr_status want, const char *text) {
    ck_assert_msg(got == want && strstr(tsr_detail(ctx), text), "wanted %d and \"%s\", got %d: %s",
                  want, text, got, tsr_detail(ctx));
}

START_TEST(arrays) {
    setup();
    float values[12], *x = NULL;
    uint16_t halves[12];
    int64_t wide[12];
    uint64_t n = 0;
    uint32_t dim = 0;
    for (int i = 0; i < 12; ++i) {
        values[i] = (float)i / 4 - 1;
        halves[i] = tsr_f32_to_bf16(values[i]);
        wide[i] = i - 5;
    }
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, values, 2, (int64_t[]){4, 3});
    ck_assert_int_eq(tsr_npy_write(ctx, in_folder("a.npy"), &t), TSR_OK);
    ck_assert_int_eq(tsr_features_read(ctx, in_folder("a.npy"), NULL, &x, &n, &dim), TSR_OK);
    ck_assert(n == 4 && dim == 3 && !memcmp(x, values, sizeof values));
    free(x);
    /* The name does not decide what a file is. */
    ck_assert_int_eq(rename(in_folder("a.npy"), in_folder("a.safetensors")), 0);
    n = dim = 0;
    ck_assert_int_eq(tsr_features_read(ctx, in_folder("a.safetensors"), NULL, &x, &n, &dim),
                     TSR_OK);
    ck_assert(n == 4 && dim == 3 && !memcmp(x, values, sizeof values));
    free(x);
    expect_fail(tsr_features_read(ctx, in_folder("a.safetensors"), "q", &x, &n, &dim),
                TSR_ERROR_ARGUMENT, "wanted no name for a .npy file, got \"q\"");
    t = tsr_host_tensor(TSR_DTYPE_F32, values, 1, (int64_t[]){12});
    ck_assert_int_eq(tsr_npy_write(ctx, in_folder("flat.npy"), &t), TSR_OK);
    expect_fail(tsr_features_read(ctx, in_folder("flat.npy"), NULL, &x, &n, &dim), TSR_ERROR_FORMAT,
                "shape: wanted [rows, width], got [12]");
    ck_assert_ptr_null(x);
    const char *names[] = {"half", "wide"};
    tsr_tensor two[] = {tsr_host_tensor(TSR_DTYPE_BF16, halves, 3, (int64_t[]){2, 3, 2}),
                        tsr_host_tensor(TSR_DTYPE_I64, wide, 2, (int64_t[]){2, 6})};
    ck_assert_int_eq(
        tsr_safetensors_write(ctx, in_folder("two.safetensors"), names, two, 2, NULL, 0), TSR_OK);
    ck_assert_int_eq(tsr_features_read(ctx, in_folder("two.safetensors"), "half", &x, &n, &dim),
                     TSR_OK);
    ck_assert(n == 6 && dim == 2);
    for (int i = 0; i < 12; ++i)
        ck_assert_float_eq(x[i], values[i]); /* quarters are exact in bf16 */
    free(x);
    ck_assert_int_eq(tsr_features_read(ctx, in_folder("two.safetensors"), "wide", &x, &n, &dim),
                     TSR_OK);
    ck_assert(n == 2 && dim == 6 && x[0] == -5 && x[11] == 6);
    free(x);
    expect_fail(tsr_features_read(ctx, in_folder("two.safetensors"), NULL, &x, &n, &dim),
                TSR_ERROR_ARGUMENT, "wanted a name (or a file with one tensor), got 2 tensors");
    expect_fail(tsr_features_read(ctx, in_folder("two.safetensors"), "none", &x, &n, &dim),
                TSR_ERROR_NOT_FOUND, "tensor: wanted \"none\"");
    ck_assert_int_eq(
        tsr_safetensors_write(ctx, in_folder("one.safetensors"), names, two, 1, NULL, 0), TSR_OK);
    ck_assert_int_eq(tsr_features_read(ctx, in_folder("one.safetensors"), NULL, &x, &n, &dim),
                     TSR_OK);
    ck_assert(n == 6 && dim == 2 && !memcmp(x, values, sizeof values));
    free(x);
    expect_fail(tsr_features_read(ctx, in_folder("absent"), NULL, &x, &n, &dim),
                TSR_ERROR_NOT_FOUND, "absent");
    expect_fail(tsr_features_read(ctx, folder, NULL, &x, &n, &dim), TSR_ERROR_IO, folder);
    teardown();
}
END_TEST

START_TEST(patches) {
    setup();
    enum { W = 11, H = 9, P = 4 };
    uint8_t rgb[W * H * 3];
    float *x = NULL;
    uint64_t n = 0;
    uint32_t dim = 0;
    for (int i = 0; i < W * H * 3; ++i)
        rgb[i] = (uint8_t)(i * 7 + i / 50);
    ck_assert_int_eq(tsr_picture_write_png(ctx, in_folder("a.png"), W, H, rgb), TSR_OK);
    ck_assert_int_eq(tsr_picture_write_png(ctx, in_folder("small.png"), 3, 9, rgb), TSR_OK);
    char a[256], small[256];
    strcpy(a, in_folder("a.png"));
    strcpy(small, in_folder("small.png"));
    const char *list[] = {a, small, a};
    ck_assert_int_eq(tsr_features_from_pictures(ctx, list, 3, P, 0, &x, &n, &dim), TSR_OK);
    ck_assert(n == 8 && dim == P * P * 3);
    for (int r = 0; r < 8; ++r)
        for (int y = 0; y < P; ++y)
            for (int v = 0; v < P * 3; ++v) {
                int at = (((r % 4) / 2 * P + y) * W + (r % 2) * P) * 3 + v;
                ck_assert_float_eq_tol(x[(r * P + y) * P * 3 + v], rgb[at] / 255.0f, 1e-7);
            }
    float second = x[P * P * 3], fourth = x[3 * P * P * 3];
    free(x);
    /* Two of four: the middles of two halves. */
    ck_assert_int_eq(tsr_features_from_pictures(ctx, list, 1, P, 2, &x, &n, &dim), TSR_OK);
    ck_assert(n == 2 && x[0] == second && x[P * P * 3] == fourth);
    free(x);
    expect_fail(tsr_features_from_pictures(ctx, list + 1, 1, P, 0, &x, &n, &dim),
                TSR_ERROR_ARGUMENT, "wanted one of at least 4x4 pixels, got 1 smaller");
    expect_fail(tsr_features_from_pictures(ctx, list, 1, 0, 0, &x, &n, &dim), TSR_ERROR_ARGUMENT,
                "patch: wanted 1 to 1024 pixels, got 0");
    expect_fail(tsr_features_from_pictures(ctx, list, 0, P, 0, &x, &n, &dim), TSR_ERROR_ARGUMENT,
                "pictures: wanted at least 1, got 0");
    list[1] = "/nonexistent.png";
    expect_fail(tsr_features_from_pictures(ctx, list, 3, P, 0, &x, &n, &dim), TSR_ERROR_NOT_FOUND,
                "/nonexistent.png");
    ck_assert_ptr_null(x);
    /* Beyond the memory limit: refused before it is taken. */
    tsr_context *poor = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.memory_limit = 1000;
    ck_assert_int_eq(tsr_context_open(&poor, &settings), TSR_OK);
    tsr_status status = tsr_features_from_pictures(poor, list, 1, 1, 0, &x, &n, &dim);
    ck_assert_int_eq(status, TSR_ERROR_TOO_LARGE);
    ck_assert_msg(
        strstr(tsr_detail(poor), "wanted at most 83 rows in all (the memory limit), got 99"), "%s",
        tsr_detail(poor));
    tsr_context_close(&poor);
    teardown();
}
END_TEST

START_TEST(codebook_files) {
    setup();
    float codes[24], *back = NULL;
    uint32_t stages = 0, count = 0, dim = 0;
    int cosine = -1;
    random_normals(codes, 24);
    for (int c = 0; c < 2; ++c) {
        ck_assert_int_eq(tsr_codebook_write(ctx, in_folder("c"), codes, 2, 4, 3, c, 0), TSR_OK);
        ck_assert_int_eq(
            tsr_codebook_read(ctx, in_folder("c"), &back, &stages, &count, &dim, &cosine), TSR_OK);
        ck_assert(stages == 2 && count == 4 && dim == 3 && cosine == c);
        ck_assert(!memcmp(back, codes, sizeof codes));
        free(back);
    }
    expect_fail(tsr_codebook_write(ctx, in_folder("d"), codes, 0, 4, 3, 0, 0), TSR_ERROR_ARGUMENT,
                "wanted [stages, codes, width] above 0, got [0, 4, 3]");
    ck_assert(access(in_folder("d"), F_OK) != 0);
    const char *name = "codes", *other = "weights";
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, codes, 2, (int64_t[]){8, 3});
    tsr_metadata_pair meta[] = {
        {"format", "tessera-codebook"}, {"version", "1"}, {"metric", "manhattan"}};
    const char *path = in_folder("e");
    char kept[256];
    strcpy(kept, path);
    ck_assert_int_eq(tsr_safetensors_write(ctx, kept, &name, &t, 1, NULL, 0), TSR_OK);
    ck_assert_int_eq(tsr_codebook_read(ctx, kept, &back, &stages, &count, &dim, &cosine), TSR_OK);
    ck_assert(stages == 1 && count == 8 && dim == 3 && cosine == 0);
    free(back);
    ck_assert_int_eq(tsr_safetensors_write(ctx, kept, &name, &t, 1, meta, 3), TSR_OK);
    expect_fail(tsr_codebook_read(ctx, kept, &back, &stages, &count, &dim, &cosine),
                TSR_ERROR_FORMAT, "metric: wanted euclid or cosine, got manhattan");
    meta[1].value = "2";
    ck_assert_int_eq(tsr_safetensors_write(ctx, kept, &name, &t, 1, meta, 3), TSR_OK);
    expect_fail(tsr_codebook_read(ctx, kept, &back, &stages, &count, &dim, &cosine),
                TSR_ERROR_VERSION, "codebook version: wanted 1, got 2");
    ck_assert_int_eq(tsr_safetensors_write(ctx, kept, &other, &t, 1, NULL, 0), TSR_OK);
    expect_fail(tsr_codebook_read(ctx, kept, &back, &stages, &count, &dim, &cosine),
                TSR_ERROR_FORMAT, "tensor: wanted \"codes\", got none");
    t = tsr_host_tensor(TSR_DTYPE_F32, codes, 1, (int64_t[]){8});
    ck_assert_int_eq(tsr_safetensors_write(ctx, kept, &name, &t, 1, NULL, 0), TSR_OK);
    expect_fail(tsr_codebook_read(ctx, kept, &back, &stages, &count, &dim, &cosine),
                TSR_ERROR_FORMAT, "codes: wanted [stages, codes, width], got [8]");
    ck_assert_ptr_null(back);
    teardown();
}
END_TEST

TEST_MAIN("features", arrays, patches, codebook_files)
