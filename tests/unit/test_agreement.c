/* SPDX-License-Identifier: MIT */
/* Agreement of two forms, f32 and fast if nothing else: every number is what encoding twice by hand
 * gives, in whatever order; a model stored in bf16 agrees wholly where weights alone are rounded; a
 * device without a fast path says so; the cpu beside pairs of f16, where a device has them. */
#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/tessera.h>

#include "flextok_sample.h"
#include "needs.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PICTURES = 40, SIDE = FLEXTOK_SIDE, IDS = FLEXTOK_REGISTERS };
#define WEIGHTS_ALONE "bf16,onednn" /* on every processor */

static char folder[] = "/tmp/tessera-agreement-XXXXXX";
static char model[128], names[PICTURES][128];
static const char *paths[PICTURES];

static void write_model(tsr_dtype dtype) {
    flextok_sample *sample = flextok_sample_make();
    snprintf(model, sizeof model, "%s/model.safetensors", folder);
    flextok_sample_write(sample, model, FLEXTOK_JSON, dtype);
    flextok_sample_free(sample);
}

static void write_pictures(tsr_context *ctx) {
    for (int i = 0; i < PICTURES; ++i) {
        uint8_t rgb[SIDE * SIDE * 3];
        for (int k = 0; k < SIDE * SIDE * 3; ++k)
            rgb[k] = (uint8_t)(128 + 12 * (k % 7) * (i % 5) / 4 + (int)random_below(60) - 30);
        snprintf(names[i], sizeof names[i], "%s/%02d.png", folder, i);
        paths[i] = names[i];
        ck_assert_msg(!tsr_picture_write_png(ctx, paths[i], SIDE, SIDE, rgb), "%s",
                      tsr_detail(ctx));
    }
}

static void remove_all(void) {
    for (int i = 0; i < PICTURES; ++i)
        unlink(names[i]);
    unlink(model);
    rmdir(folder);
}

static tsr_context *start(void) {
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    write_pictures(ctx);
    return ctx;
}

static void encode(tsr_context *ctx, int fast, uint32_t ids[PICTURES][IDS]) {
    tsr_tokenizer *t = NULL;
    const tsr_model_settings s = {
        .model = model, .device = "cpu", .mask = WEIGHTS_ALONE, .precision = fast};
    ck_assert_msg(!tsr_tokenizer_open(ctx, &t, &s), "%s", tsr_detail(ctx));
    for (int i = 0; i < PICTURES; ++i) {
        uint8_t *rgb = NULL;
        tsr_picture p = {0};
        tsr_item *item = NULL;
        ck_assert(!tsr_picture_read(ctx, paths[i], NULL, &rgb, &p.width, &p.height));
        p.rgb = rgb;
        ck_assert_msg(!tsr_tokenizer_encode(t, &p, 1, NULL, &item, NULL), "%s", tsr_detail(ctx));
        ck_assert_uint_eq(tsr_item_tokens(item)->counts[0], IDS);
        memcpy(ids[i], tsr_item_tokens(item)->ids, sizeof ids[i]);
        tsr_item_close(&item);
        free(rgb);
    }
    tsr_tokenizer_close(&t);
}

static tsr_agreement measure(tsr_context *ctx, const tsr_model_settings forms[2], int count) {
    tsr_agreement a;
    ck_assert_msg(!tsr_measure_agreement(ctx, count ? paths : NULL, count, forms, NULL, NULL, &a),
                  "%s", tsr_detail(ctx));
    for (int i = 0; i < 2; ++i)
        ck_assert(a.seconds[i] > 0 && a.cpu_seconds[i] > 0);
    return a;
}

/* f32 and fast on the cpu. */
static tsr_agreement measure_fast(tsr_context *ctx, const char *mask, int count) {
    const tsr_agreement a = measure(
        ctx,
        (tsr_model_settings[]){
            {.model = model, .device = "cpu", .mask = mask},
            {.model = model, .device = "cpu", .mask = mask, .precision = TSR_PRECISION_FAST}},
        count);
    for (int i = 0; i < 2; ++i)
        ck_assert_str_eq(a.device[i], "cpu");
    ck_assert_str_eq(a.path[0], "");
    ck_assert_int_eq(a.used[0], 0);
    return a;
}

static int by_number(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

START_TEST(numbers_are_those_of_two_encodes) {
    static uint32_t f32[PICTURES][IDS], fast[PICTURES][IDS];
    tsr_context *ctx = start();
    write_model(TSR_DTYPE_F32);
    encode(ctx, 0, f32);
    encode(ctx, 1, fast);
    int equal[PICTURES] = {0}, all = 0;
    for (int i = 0; i < PICTURES; ++i) {
        for (int k = 0; k < IDS; ++k)
            equal[i] += f32[i][k] == fast[i][k];
        all += equal[i];
    }
    qsort(equal, PICTURES, sizeof *equal, by_number);
    const tsr_agreement a = measure_fast(ctx, WEIGHTS_ALONE, PICTURES);
    printf("%d of %d ids equal\n", all, PICTURES * IDS);
    ck_assert_uint_eq(a.pictures, PICTURES);
    ck_assert_uint_eq(a.tiles, PICTURES);
    ck_assert_uint_eq(a.ids, PICTURES * IDS);
    ck_assert_uint_eq(a.equal, (uint64_t)all);
    ck_assert(fabs(a.tile_min - (double)equal[0] / IDS) < 1e-9);
    ck_assert(fabs(a.tile_median - (equal[PICTURES / 2 - 1] + equal[PICTURES / 2]) / 2.0 / IDS) <
              1e-9);
    ck_assert_str_eq(a.path[1], "weights in bf16, products in f32");
    ck_assert_int_eq(a.used[1], 1);
    const tsr_agreement turned =
        measure(ctx,
                (tsr_model_settings[]){{.model = model,
                                        .device = "cpu",
                                        .mask = WEIGHTS_ALONE,
                                        .precision = TSR_PRECISION_FAST},
                                       {.model = model, .device = "cpu", .mask = WEIGHTS_ALONE}},
                PICTURES);
    ck_assert(turned.equal == a.equal && turned.ids == a.ids && turned.used[0] && !turned.used[1]);
    ck_assert(*turned.path[0] && !*turned.path[1]);
    const tsr_agreement painted = measure_fast(ctx, WEIGHTS_ALONE, 0);
    ck_assert(painted.pictures == 4 && painted.ids == 4 * IDS);
    tsr_context_close(&ctx);
    remove_all();
}
END_TEST

START_TEST(weights_stored_in_bf16_agree_wholly) {
    tsr_context *ctx = start();
    write_model(TSR_DTYPE_BF16);
    const tsr_agreement a = measure_fast(ctx, WEIGHTS_ALONE, PICTURES);
    ck_assert_uint_eq(a.equal, a.ids);
    ck_assert_int_eq(a.used[1], 1);
    tsr_context_close(&ctx);
    remove_all();
}
END_TEST

START_TEST(without_a_fast_path) {
    tsr_context *ctx = start();
    write_model(TSR_DTYPE_F32);
    const tsr_agreement a = measure_fast(ctx, "bf16,bf16_weights", 2);
    ck_assert_str_eq(a.path[1], "");
    ck_assert(!a.used[1] && a.equal == a.ids && a.tile_min == 1 && a.tile_median == 1);
    tsr_agreement b;
    const char *missing = "/nowhere/at/all.png";
    const tsr_model_settings s = {.model = model, .device = "cpu"}, two[2] = {s, s};
    ck_assert_int_eq(tsr_measure_agreement(ctx, &missing, 1, two, NULL, NULL, &b),
                     TSR_ERROR_NOT_FOUND);
    ck_assert_int_eq(tsr_measure_agreement(ctx, NULL, 1, two, NULL, NULL, &b), TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
    remove_all();
}
END_TEST

/* The same model in f32 on the cpu and on a Vulkan device, whose products are of pairs of f16 where
 * it has matrix units and they may be used; in f32 where not. */
START_TEST(cpu_beside_pairs) {
    tsr_context *ctx = start();
    write_model(TSR_DTYPE_F32);
    const tsr_agreement a =
        measure(ctx,
                (tsr_model_settings[]){
                    {.model = model, .device = "cpu"},
                    {.model = model, .device = "vulkan:0", .mask = "linear_sg,conv2d_sg,+pairs"}},
                2);
    printf("%d of %d ids equal; vulkan:0: %s\n", (int)a.equal, (int)a.ids,
           *a.path[1] ? a.path[1] : "f32");
    ck_assert_str_eq(a.device[0], "cpu");
    ck_assert_ptr_nonnull(strstr(a.device[1], "vulkan:0"));
    ck_assert_int_eq(a.used[1], *a.path[1] != 0);
    ck_assert_uint_eq(a.ids, 2 * IDS);
    ck_assert_uint_ge(a.equal * 100, a.ids * 95);
    tsr_context_close(&ctx);
    remove_all();
}
END_TEST

TEST_PARTS("agreement",
           PART(own, NULL, numbers_are_those_of_two_encodes, weights_stored_in_bf16_agree_wholly,
                without_a_fast_path),
           PART(vulkan, need_vulkan, cpu_beside_pairs))
