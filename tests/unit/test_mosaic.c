/* SPDX-License-Identifier: MIT */
/* The bundled tokenizer: prefixes, batches, threads, devices, quality, and foreign ids. */
#include <tessera/tessera.h>
#include "everywhere.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A picture with smooth parts, edges and texture, from integers alone. */
static uint8_t *scene(int width, int height, int kind) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    ck_assert_ptr_nonnull(rgb);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int disc = (x - 90 - 20 * kind) * (x - 90 - 20 * kind) + (y - 120) * (y - 120);
            for (int c = 0; c < 3; ++c) {
                int v = 60 + (x * (c + 1) + y * (3 - c)) / 6 + 17 * kind;
                if (disc < 3600) v = 200 - 40 * c + disc / 90;
                if (((x >> 3) ^ (y >> (2 + kind % 3))) & 1 && y > 170) v += 30;
                v += (x * 31 + y * 17 + c * 7 + ((x * y) >> 2)) % 13 - 6;
                rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)c] =
                    (uint8_t)(v < 0     ? 0
                              : v > 255 ? 255
                                        : v);
            }
        }
    return rgb;
}

typedef struct session {
    tsr_context *ctx;
    tsr_tokenizer *tokenizer;
} session;

static session open_on(const char *device, int threads) {
    session s = {0};
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = threads;
    ck_assert_int_eq(tsr_context_open(&s.ctx, &settings), TSR_OK);
    const tsr_status status =
        tsr_tokenizer_open(s.ctx, &s.tokenizer, &(tsr_model_settings){.device = device});
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(s.ctx));
    return s;
}

static void close_session(session *s) {
    tsr_tokenizer_close(&s->tokenizer);
    tsr_context_close(&s->ctx);
}

static tsr_item *encode(session *s, const uint8_t *rgb, int width, int height,
                        const tsr_encode_settings *settings) {
    const tsr_picture picture = {.rgb = rgb, .width = width, .height = height, .key = "scene"};
    tsr_item *item = NULL;
    const tsr_status status =
        tsr_tokenizer_encode(s->tokenizer, &picture, 1, settings, &item, NULL);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(s->ctx));
    return item;
}

static tsr_token_header header_of(const session *s) {
    tsr_token_header h = *tsr_tokenizer_header(s->tokenizer);
    h.fit = TSR_FIT_TILE;
    return h;
}

static void expect_same_ids(const tsr_item *a, const tsr_item *b) {
    const tsr_token_item *x = tsr_item_tokens(a), *y = tsr_item_tokens(b);
    ck_assert_uint_eq(tsr_token_item_total(x), tsr_token_item_total(y));
    ck_assert_mem_eq(x->ids, y->ids, tsr_token_item_total(x) * sizeof *x->ids);
}

START_TEST(a_short_encoding_is_a_prefix_of_the_long_one) {
    session s = open_on("cpu", 1);
    uint8_t *rgb = scene(256, 256, 0);
    tsr_encode_settings settings = tsr_encode_settings_default();
    tsr_item *all = encode(&s, rgb, 256, 256, &settings);
    ck_assert_uint_eq(tsr_token_item_total(tsr_item_tokens(all)), 256);
    for (uint32_t k = 1; k < 256; k = k * 3 + 1) {
        settings.choice.tokens = k;
        tsr_item *some = encode(&s, rgb, 256, 256, &settings);
        ck_assert_uint_eq(tsr_item_tokens(some)->counts[0], k);
        ck_assert_mem_eq(tsr_item_tokens(some)->ids, tsr_item_tokens(all)->ids,
                         k * sizeof(uint32_t));
        tsr_item_close(&some);
    }
    tsr_item_close(&all);
    free(rgb);
    close_session(&s);
}
END_TEST

START_TEST(more_ids_give_a_better_picture) {
    session s = open_on("cpu", 2);
    uint8_t *rgb = scene(300, 260, 1), *back = guarded(300 * 260 * 3);
    tsr_item *item = encode(&s, rgb, 300, 260, NULL);
    const tsr_token_header header = header_of(&s);
    double last = 0;
    for (uint32_t k = 1; k <= 256; k *= 4) {
        ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, tsr_item_tokens(item), k, back),
                         TSR_OK);
        guarded_check(back);
        tsr_evaluation e;
        ck_assert_int_eq(tsr_evaluate(s.ctx, rgb, back, 300, 260, &e), TSR_OK);
        printf("  %3u ids a tile: %.2f dB\n", k, e.psnr);
        ck_assert_double_gt(e.psnr, last + 0.2);
        last = e.psnr;
    }
    ck_assert_double_gt(last, 20);
    tsr_item_close(&item);
    guarded_free(back);
    free(rgb);
    close_session(&s);
}
END_TEST

START_TEST(ids_do_not_depend_on_batch_or_threads) {
    enum { N = 16 };
    session one = open_on("cpu", 1), three = open_on("cpu", 3);
    tsr_picture pictures[N];
    tsr_item *together[N], *alone;
    for (int i = 0; i < N; ++i)
        pictures[i] = (tsr_picture){.rgb = scene(256 + 40 * (i % 3), 256, i),
                                    .width = 256 + 40 * (i % 3),
                                    .height = 256,
                                    .key = "s"};
    tsr_encode_settings settings = tsr_encode_settings_default();
    settings.batch = 16;
    ck_assert_int_eq(tsr_tokenizer_encode(three.tokenizer, pictures, N, &settings, together, NULL),
                     TSR_OK);
    const tsr_token_header header = header_of(&one);
    for (int i = 0; i < N; i += 5) {
        settings.batch = 1;
        ck_assert_int_eq(
            tsr_tokenizer_encode(one.tokenizer, &pictures[i], 1, &settings, &alone, NULL), TSR_OK);
        expect_same_ids(alone, together[i]);
        /* And the pictures: to the bit for any thread count. */
        int w, h;
        tsr_item_size(&header, tsr_item_tokens(alone), &w, &h);
        uint8_t *a = malloc((size_t)w * (size_t)h * 3), *b = malloc((size_t)w * (size_t)h * 3);
        ck_assert_int_eq(tsr_tokenizer_decode(one.tokenizer, &header, tsr_item_tokens(alone), 0, a),
                         TSR_OK);
        ck_assert_int_eq(
            tsr_tokenizer_decode(three.tokenizer, &header, tsr_item_tokens(together[i]), 0, b),
            TSR_OK);
        ck_assert_mem_eq(a, b, (size_t)w * (size_t)h * 3);
        free(a);
        free(b);
        tsr_item_close(&alone);
    }
    for (int i = 0; i < N; ++i) {
        tsr_item_close(&together[i]);
        free((void *)pictures[i].rgb);
    }
    close_session(&one);
    close_session(&three);
}
END_TEST

START_TEST(a_lower_tolerance_takes_more_ids) {
    session s = open_on("cpu", 2);
    uint8_t *rgb = scene(256, 256, 2);
    uint32_t last = 0;
    const float errors[] = {0.2f, 0.09f, 0.05f, 0.03f, 0.001f};
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; ++i) {
        tsr_encode_settings settings = tsr_encode_settings_default();
        settings.choice.quality = errors[i];
        tsr_item *item = encode(&s, rgb, 256, 256, &settings);
        const uint32_t count = tsr_item_tokens(item)->counts[0];
        printf("  tolerated %.3f: %u ids\n", (double)errors[i], count);
        ck_assert_uint_gt(count, last); /* 1, 2, 7, 88, 256 */
        last = count;
        tsr_item_close(&item);
    }
    ck_assert_uint_eq(last, 256); /* out of reach: everything there is */
    free(rgb);
    close_session(&s);
}
END_TEST

/* One id less would not do, and what is recorded is what decoding gives. */
START_TEST(a_target_takes_the_fewest_ids_that_reach_it) {
    session s = open_on("cpu", 2);
    uint8_t *rgb = scene(300, 256, 1), *back = malloc(300 * 256 * 3);
    const tsr_token_header header = header_of(&s);
    const tsr_target targets[] = {{TSR_TARGET_PSNR, 26, 0},
                                  {TSR_TARGET_PSNR, 5, 0},
                                  {TSR_TARGET_SSIM, 0.6f, 0},
                                  {TSR_TARGET_L1, 0.03f, 0},
                                  {TSR_TARGET_PSNR, 60, 0}};
    for (unsigned i = 0; i < sizeof targets / sizeof *targets; ++i) {
        tsr_encode_settings keep = tsr_encode_settings_default();
        keep.keep_fitted = 1;
        tsr_item *item = encode(&s, rgb, 300, 256, &keep);
        uint32_t decodes = 0;
        ck_assert_int_eq(tsr_tokenizer_search(s.tokenizer,
                                              &(tsr_token_choice){.target = targets[i]}, item,
                                              &decodes),
                         TSR_OK);
        const tsr_token_item *tokens = tsr_item_tokens(item);
        const uint32_t k = tokens->counts[0];
        double value[2]; /* with all ids left, and with one less */
        for (uint32_t less = 0; less < 2 && less < k; ++less) {
            ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, tokens, k - less, back),
                             TSR_OK);
            tsr_evaluation e;
            ck_assert_int_eq(tsr_evaluate(s.ctx, rgb, back, 300, 256, &e), TSR_OK);
            value[less] = targets[i].metric == TSR_TARGET_PSNR   ? e.psnr
                          : targets[i].metric == TSR_TARGET_SSIM ? e.ssim_gaussian
                                                                 : e.l1;
        }
        const double sign = targets[i].metric == TSR_TARGET_L1 ? -1 : 1;
        const double wanted = sign * (double)targets[i].threshold;
        printf("  %s %g: %u ids, %.4f, %u decodes\n", tsr_target_name(targets[i].metric),
               (double)targets[i].threshold, k, (double)tokens->target.reached, decodes);
        ck_assert_float_eq(tokens->target.reached, (float)value[0]);
        ck_assert_uint_le(decodes, 12);
        if (i == 4) {
            ck_assert_uint_eq(k, 256); /* out of reach */
            ck_assert_double_lt(sign * value[0], wanted);
        } else {
            ck_assert_double_ge(sign * value[0], wanted);
            if (k > 1) ck_assert_double_lt(sign * value[1], wanted);
        }
        if (i == 1) ck_assert_uint_eq(k, 1);
        ck_assert_uint_eq(tokens->counts[1], k);
        tsr_item_close(&item);
    }
    tsr_item *item = encode(&s, rgb, 300, 256, NULL);
    ck_assert_int_eq(tsr_tokenizer_search(s.tokenizer,
                                          &(tsr_token_choice){.target = {TSR_TARGET_SSIM, 2, 0}},
                                          item, NULL),
                     TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_tokenizer_search(s.tokenizer, &(tsr_token_choice){0}, item, NULL),
                     TSR_ERROR_ARGUMENT);
    tsr_item_close(&item);
    free(rgb);
    free(back);
    close_session(&s);
}
END_TEST

/* Their ids are in test_mosaic_device.c. */
START_TEST(every_device_gives_nearly_the_same_picture) {
    session cpu = open_on("cpu", 2);
    uint8_t *rgb = scene(256, 256, 3), *want = malloc(256 * 256 * 3), *got = malloc(256 * 256 * 3);
    tsr_item *item = encode(&cpu, rgb, 256, 256, NULL);
    const tsr_token_header header = header_of(&cpu);
    ck_assert_int_eq(tsr_tokenizer_decode(cpu.tokenizer, &header, tsr_item_tokens(item), 40, want),
                     TSR_OK);
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        session gpu = open_on(name, 2);
        ck_assert_int_eq(
            tsr_tokenizer_decode(gpu.tokenizer, &header, tsr_item_tokens(item), 40, got), TSR_OK);
        int worst = 0;
        for (int p = 0; p < 256 * 256 * 3; ++p)
            if (abs(got[p] - want[p]) > worst) worst = abs(got[p] - want[p]);
        printf("  %s: worst difference %d of 255\n", tsr_tokenizer_device(gpu.tokenizer), worst);
        ck_assert_int_le(worst, 1);
        close_session(&gpu);
    }
    tsr_item_close(&item);
    free(rgb);
    free(want);
    free(got);
    close_session(&cpu);
}
END_TEST

/* What the recipe's own PyTorch model makes of two scenes. Its sums run in another order, so a
 * digit may differ where a value lies on a rounding boundary: such ids are counted as near ties. */
START_TEST(the_recipe_agrees) {
    session s = open_on("cpu", 2);
    FILE *f = fopen(TESSERA_TESTS "/golden/mosaic/scenes.txt", "r");
    ck_assert_ptr_nonnull(f);
    const tsr_token_header header = header_of(&s);
    uint8_t *rgb = NULL, *back = malloc(256 * 256 * 3);
    tsr_item *item = NULL;
    uint64_t ties = 0;
    uint32_t ids[256];
    tsr_token_item theirs = {0};
    const uint32_t count = 256;
    char word[64];
    int compared = 0, k;
    while (fscanf(f, "%63s", word) == 1) {
        if (word[0] == '#') {
            ck_assert_int_eq(fscanf(f, "%*[^\n]"), 0);
        } else if (!strcmp(word, "scene")) {
            int kind;
            ck_assert_int_eq(fscanf(f, "%d", &kind), 1);
            free(rgb);
            rgb = scene(256, 256, kind);
            tsr_item_close(&item);
            const tsr_picture picture = {.rgb = rgb, .width = 256, .height = 256, .key = "scene"};
            ck_assert_int_eq(tsr_tokenizer_encode(s.tokenizer, &picture, 1, NULL, &item, &ties),
                             TSR_OK);
        } else if (!strcmp(word, "ids")) {
            int differ = 0;
            for (int i = 0; i < 256; ++i) {
                ck_assert_int_eq(fscanf(f, "%u", &ids[i]), 1);
                differ += ids[i] != tsr_item_tokens(item)->ids[i];
            }
            printf("  ids that differ from PyTorch's: %d of 256, near ties: %d\n", differ,
                   (int)ties);
            ck_assert_uint_le((uint64_t)differ, ties);
            theirs = *tsr_item_tokens(item);
            theirs.ids = ids;
            theirs.counts = &count;
        } else if (!strcmp(word, "decode")) {
            ck_assert_int_eq(fscanf(f, "%d", &k), 1);
            ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &theirs, (uint32_t)k, back),
                             TSR_OK);
            double worst = 0;
            for (int i = 0; i < 256 * 256 * 3; i += 997, ++compared) {
                double want;
                ck_assert_int_eq(fscanf(f, "%lf", &want), 1);
                worst = fmax(worst, fabs(want - back[i]));
            }
            printf("  %3d ids decoded: at most %.3f of 255 from PyTorch's\n", k, worst);
            ck_assert_double_le(worst, 0.51); /* half a step of rounding to 8 bits */
        } else
            ck_abort_msg("scenes.txt: unknown word %s", word);
    }
    ck_assert_int_eq(compared, 6 * 198);
    fclose(f);
    tsr_item_close(&item);
    free(rgb);
    free(back);
    close_session(&s);
}
END_TEST

START_TEST(foreign_ids_are_refused) {
    session s = open_on("cpu", 1);
    tsr_token_header header = header_of(&s);
    uint32_t ids[2] = {5, 6}, count = 2;
    tsr_token_item item = {.key = "k",
                           .source_width = 256,
                           .source_height = 256,
                           .width = 256,
                           .height = 256,
                           .tile_columns = 1,
                           .tile_rows = 1,
                           .overlap = 32,
                           .counts = &count,
                           .ids = ids};
    uint8_t *rgb = malloc(256 * 256 * 3);
    ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &item, 0, rgb), TSR_OK);
    count = 0; /* nothing known: grey */
    ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &item, 0, rgb), TSR_OK);
    for (int i = 0; i < 256 * 256 * 3; ++i)
        ck_assert_uint_eq(rgb[i], 128);
    count = 2, ids[1] = header.codebook_size;
    ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &item, 0, rgb), TSR_ERROR_TOKENS);
    ids[1] = 6, count = 257;
    ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &item, 0, rgb), TSR_ERROR_TOKENS);
    count = 2;
    const uint8_t kept = 3;
    item.kept = &kept;
    ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &item, 0, rgb),
                     TSR_ERROR_UNSUPPORTED);
    item.kept = NULL, header.family = 77;
    ck_assert_int_eq(tsr_tokenizer_decode(s.tokenizer, &header, &item, 0, rgb),
                     TSR_ERROR_MODEL_MISMATCH);

    tsr_encode_settings settings = tsr_encode_settings_default();
    const tsr_picture picture = {.rgb = rgb, .width = 256, .height = 256};
    tsr_item *none = NULL;
    settings.choice.tokens = 257;
    ck_assert_int_eq(tsr_tokenizer_encode(s.tokenizer, &picture, 1, &settings, &none, NULL),
                     TSR_ERROR_ARGUMENT);
    settings.choice.tokens = 0, settings.choice.quality = NAN;
    ck_assert_int_eq(tsr_tokenizer_encode(s.tokenizer, &picture, 1, &settings, &none, NULL),
                     TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(none);
    free(rgb);
    close_session(&s);
}
END_TEST

TEST_MAIN("mosaic", a_short_encoding_is_a_prefix_of_the_long_one, more_ids_give_a_better_picture,
          ids_do_not_depend_on_batch_or_threads, a_lower_tolerance_takes_more_ids,
          a_target_takes_the_fewest_ids_that_reach_it, every_device_gives_nearly_the_same_picture,
          the_recipe_agrees, foreign_ids_are_refused)
