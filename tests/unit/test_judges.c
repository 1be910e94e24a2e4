/* SPDX-License-Identifier: MIT */
/* Judges through the public calls: SqueezeNet 1.1 with LPIPS's weights, made up. */
#include <tessera/judges.h>

#include "testing.h"
#include "tiny_judges.h"

#include <stdlib.h>
#include <string.h>

enum { PAIRS = 5 };
static tsr_context *ctx;
static tiny_model file;

static tsr_judge *open_judge(void) {
    tsr_model_settings s = tsr_model_settings_default();
    tsr_judge *judge = NULL;
    s.model = tiny_model_write(&file, NULL, NULL);
    s.device = "cpu";
    ck_assert_msg(tsr_judge_open(ctx, &judge, &s) == TSR_OK, "%s", tsr_detail(ctx));
    return judge;
}

static tsr_picture picture(int width, int height) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < width * height * 3; ++i)
        rgb[i] = (uint8_t)random_below(256);
    return (tsr_picture){.rgb = rgb, .width = width, .height = height};
}

static void expect(tsr_status got, tsr_status status, const char *text) {
    ck_assert_msg(got == status && strstr(tsr_detail(ctx), text), "%d: %s", got, tsr_detail(ctx));
}

START_TEST(compares) {
    static const int sizes[PAIRS][2] = {{40, 33}, {40, 33}, {40, 33}, {17, 64}, {40, 33}};
    tsr_picture a[PAIRS], b[PAIRS];
    double all[PAIRS], one, other;
    tiny_squeeze(&file);
    tsr_judge *judge = open_judge();
    const tsr_judge_info *info = tsr_judge_properties(judge);
    ck_assert_str_eq(info->name, "lpips-squeeze");
    ck_assert_str_eq(info->family, "lpips");
    ck_assert_str_eq(info->licence, "not stated");
    ck_assert_uint_eq(info->abilities, TSR_JUDGE_COMPARES);
    ck_assert_uint_eq(info->least_width, 17);
    for (int i = 0; i < PAIRS; ++i) {
        a[i] = picture(sizes[i][0], sizes[i][1]);
        b[i] = picture(sizes[i][0], sizes[i][1]);
    }
    ck_assert_int_eq(tsr_judge_compare(judge, a, b, PAIRS, all), TSR_OK);
    for (int i = 0; i < PAIRS; ++i) {
        ck_assert_int_eq(tsr_judge_compare(judge, &a[i], &b[i], 1, &one), TSR_OK);
        ck_assert_int_eq(tsr_judge_compare(judge, &b[i], &a[i], 1, &other), TSR_OK);
        ck_assert(one == all[i] && one > 0); /* the same bits in every batch */
        ck_assert_double_eq_tol(one, other, 1e-6);
        ck_assert_int_eq(tsr_judge_compare(judge, &a[i], &a[i], 1, &one), TSR_OK);
        ck_assert(one == 0);
    }
    for (int i = 0; i < PAIRS; ++i) {
        free((void *)(uintptr_t)a[i].rgb);
        free((void *)(uintptr_t)b[i].rgb);
    }
    tsr_judge_close(&judge);
    tiny_model_free(&file);
}
END_TEST

START_TEST(refuses_pictures) {
    tsr_picture a = picture(20, 20), b = picture(20, 21), small = picture(16, 40);
    float value, *values = &value;
    tsr_reading reading;
    double distance;
    tiny_squeeze(&file);
    tsr_judge *judge = open_judge();
    expect(tsr_judge_compare(judge, &a, &b, 1, &distance), TSR_ERROR_ARGUMENT,
           "pair 0: wanted pictures of one size, got 20 x 20 and 20 x 21");
    expect(tsr_judge_compare(judge, &small, &small, 1, &distance), TSR_ERROR_ARGUMENT,
           "wanted pictures of at least 17 x 17 pixels, got 16 x 40");
    expect(tsr_judge_takes(judge, 16, 40), TSR_ERROR_ARGUMENT, "at least 17 x 17");
    ck_assert_int_eq(tsr_judge_takes(judge, 17, 17), TSR_OK);
    expect(tsr_judge_compare(judge, &a, NULL, 1, &distance), TSR_ERROR_ARGUMENT, "got none");
    expect(tsr_judge_embed(judge, &a, 1, NULL, &values), TSR_ERROR_UNSUPPORTED,
           "wanted a judge that embeds pictures, got LPIPS");
    expect(tsr_judge_read(judge, &a, 1, NULL, &reading), TSR_ERROR_UNSUPPORTED,
           "wanted a judge that reads words");
    free((void *)(uintptr_t)a.rgb);
    free((void *)(uintptr_t)b.rgb);
    free((void *)(uintptr_t)small.rgb);
    tsr_judge_close(&judge);
    tiny_model_free(&file);
}
END_TEST

START_TEST(refuses_weights) {
    tsr_model_settings s = tsr_model_settings_default();
    tsr_judge *judge = (tsr_judge *)&s;
    s.device = "cpu";
    expect(tsr_judge_open(ctx, &judge, &s), TSR_ERROR_ARGUMENT, "wanted a file or folder");
    ck_assert_ptr_null(judge);
    s.model = TESSERA_TESTS "/../models/mosaic-64.safetensors";
    expect(tsr_judge_open(ctx, &judge, &s), TSR_ERROR_UNSUPPORTED,
           "wanted a judge (LPIPS, DISTS, Inception, I3D, a reader, a face embedder), got the "
           "weights of "
           "mosaic, a tokenizer");
    tiny_squeeze(&file);
    s.model = tiny_model_write(&file, NULL, NULL);
    s.precision = TSR_PRECISION_FAST;
    expect(tsr_judge_open(ctx, &judge, &s), TSR_ERROR_UNSUPPORTED, "precision: wanted f32");
    s.precision = TSR_PRECISION_F32;
    tiny_model_remove(&file, "lin3.model.1.weight");
    s.model = tiny_model_write(&file, NULL, NULL);
    expect(tsr_judge_open(ctx, &judge, &s), TSR_ERROR_MODEL, "lin3.model.1.weight");
    tiny_model_free(&file);
}
END_TEST

static int with_context(int (*run)(void)) {
    if (tsr_context_open(&ctx, NULL)) return 1;
    const int code = run();
    tsr_context_close(&ctx);
    return code;
}

static int run(void) {
    const TTest *const tests[] = {compares, refuses_pictures, refuses_weights};
    return run_tests("judges", tests, (int)(sizeof tests / sizeof *tests));
}

int main(void) {
    return with_context(run);
}
