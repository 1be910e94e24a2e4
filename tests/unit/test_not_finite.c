/* SPDX-License-Identifier: MIT */
/* test_not_finite.c: a model that gives back what is no number is a failure of its weights,
 * whatever it gives it as: rows before a codebook, latents, pixels. */
#include <math.h>
#include <string.h>

#include "models/tiles.h"
#include "nn/code_table.h"
#include "testing.h"

static tsr_context *ctx;
static float given; /* what the family below gives for one value */

static tsr_status encode(const void *model, const tsr_pixels *pixels,
                         const tsr_encode_request *request, tsr_token_batch *batch) {
    (void)model, (void)pixels, (void)request;
    for (int i = 0; i < batch->count; ++i) {
        float *latents = tsr_token_batch_tile(batch, i);
        batch->counts[i] = batch->capacity;
        memset(latents, 0, batch->capacity * batch->channels * sizeof *latents);
        latents[batch->capacity * batch->channels - 1] = given;
    }
    return TSR_OK;
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)model, (void)sampling;
    memset(rgb, 0, (size_t)batch->count * 48 * sizeof *rgb);
    rgb[batch->count * 48 - 1] = given;
    return TSR_OK;
}

static const tsr_tokenizer_ops ops = {.encode = encode, .decode = decode};
static const tsr_family family = {.name = "given", .tokenizer = &ops};

static const float bad[] = {NAN, INFINITY, -INFINITY};

static void says(tsr_status status, const char *what) {
    ck_assert_int_eq(status, TSR_ERROR_MODEL);
    ck_assert_msg(strstr(tsr_detail(ctx), what) && strstr(tsr_detail(ctx), "finite"), "%s",
                  tsr_detail(ctx));
}

START_TEST(of_a_model) {
    enum { TILES = 3, VALUES = 48 };
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_device_settings settings = tsr_device_settings_default();
    settings.name = "cpu";
    tsr_model m = {.ctx = ctx, .family = &family};
    ck_assert_int_eq(tsr_device_open(ctx, &m.device, &settings), TSR_OK);
    const uint8_t tile[TILES * VALUES] = {0};
    float latents[TILES * 8], rgb[TILES * VALUES];
    uint32_t counts[TILES] = {4, 4, 4};
    tsr_token_batch batch = {.count = TILES,
                             .capacity = 4,
                             .stride = 4,
                             .channels = 2,
                             .values = latents,
                             .counts = counts};
    const tsr_pixels pixels = {tile, TILES, {1, 4, 4}};
    const tsr_sampling sampling = {.hints = {.steps = 1}};
    given = 0.5f;
    ck_assert_int_eq(tsr_encode_tiles(&m, &pixels, &(tsr_encode_request){0}, &batch), TSR_OK);
    ck_assert_int_eq(tsr_decode_tiles(&m, &batch, &sampling, VALUES, rgb), TSR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        given = bad[i];
        says(tsr_encode_tiles(&m, &pixels, &(tsr_encode_request){0}, &batch), "latents");
        says(tsr_decode_tiles(&m, &batch, &sampling, VALUES, rgb), "pixels");
    }
    tsr_device_close(&m.device);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(before_a_codebook) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const tsr_code_table table = {.longest = 1};
    const float margin[3] = {1, 1, 1};
    float square[3] = {1, 1, 1};
    uint64_t near = 7;
    ck_assert_int_eq(tsr_code_table_near_ties(ctx, &table, margin, square, 3, &near), TSR_OK);
    ck_assert_uint_eq(near, 7);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        square[2] = bad[i];
        says(tsr_code_table_near_ties(ctx, &table, margin, square, 3, &near), "latents");
    }
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("not_finite", of_a_model, before_a_codebook)
