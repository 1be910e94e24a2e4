/* SPDX-License-Identifier: MIT */
/* The grid tokenizers, made-up models of each family: what they are taken for,
 * tiles of any size, batches, what they refuse, damaged model files. */
#include <tessera/tessera.h>

#include "batch_case.h"
#include "everywhere.h"
#include "needs.h"
#include "tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- made-up models ---- */

enum { WIDE = 64, NARROW = 32, CODES = 60, DIM = 64, STEP = 2 };
typedef enum kind { MASKGIT, MASKGIT_1D, TAMING, LLAMAGEN, KINDS } kind;
static const char *const family_names[KINDS] = {"maskgit-vqgan-f2-60", "maskgit-vqgan-f2-60",
                                                "taming-vqgan-f2-60", "llamagen-f2-60"};

static void add_resnet(tiny_model *m, kind k, const char *where, int64_t in, int64_t out) {
    const bool bias = k >= TAMING;
    tiny_model_norm(m, in, "%s.norm1", where);
    tiny_model_layer(m, out, in, 3, bias, "%s.conv1", where);
    tiny_model_norm(m, out, "%s.norm2", where);
    tiny_model_layer(m, out, out, 3, bias, "%s.conv2", where);
    if (in != out) tiny_model_layer(m, out, bias ? in : out, 1, bias, "%s.nin_shortcut", where);
}

static void add_attention(tiny_model *m, const char *where) {
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    tiny_model_norm(m, WIDE, "%s.norm", where);
    for (int i = 0; i < 4; ++i)
        tiny_model_layer(m, WIDE, WIDE, 1, true, "%s.%s", where, parts[i]);
}

/* Two levels, 32 and 64 wide, one resnet each; the decoder has two of them in the levels. */
static void add_half(tiny_model *m, kind k, bool decoder, int64_t in, int64_t out) {
    static const char *const middle[KINDS][3] = {{"mid.block_1", NULL, "mid.block_2"},
                                                 {"mid.0", NULL, "mid.1"},
                                                 {"mid.block_1", "mid.attn_1", "mid.block_2"},
                                                 {"mid.0", "mid.1", "mid.2"}};
    const char *half = decoder ? "decoder" : "encoder", *level = decoder ? "up" : "down";
    const char *resnet = "block";
    if (k == LLAMAGEN) level = "conv_blocks", resnet = "res";
    char where[64];
    tiny_model_layer(m, decoder ? WIDE : NARROW, in, 3, k >= TAMING || decoder, "%s.conv_in", half);
    for (int i = 0; i < 3; ++i) {
        if (!middle[k][i]) continue;
        snprintf(where, sizeof where, "%s.%s", half, middle[k][i]);
        if (i == 1)
            add_attention(m, where);
        else
            add_resnet(m, k, where, WIDE, WIDE);
    }
    for (int size = 0; size < 2; ++size) /* 0: the picture's */
        for (int i = 0; i < (decoder ? 2 : 1); ++i) {
            const int number = decoder && k == LLAMAGEN ? 1 - size : size;
            const int64_t to = size ? WIDE : NARROW;
            const int64_t from = i ? to : decoder ? WIDE : NARROW;
            snprintf(where, sizeof where, "%s.%s.%d.%s.%d", half, level, number, resnet, i);
            add_resnet(m, k, where, from, to);
            snprintf(where, sizeof where, "%s.%s.%d.attn.%d", half, level, number, i);
            if (size && k >= TAMING) add_attention(m, where);
            if (i == 0 && !decoder && !size && k >= TAMING)
                tiny_model_layer(m, to, to, 3, true, "%s.%s.%d.downsample.conv", half, level,
                                 number);
            if (i == 0 && decoder && size)
                tiny_model_layer(m, to, to, 3, true,
                                 k == MASKGIT_1D ? "%s.%s.%d.upsample_conv"
                                                 : "%s.%s.%d.upsample.conv",
                                 half, level, number);
        }
    tiny_model_norm(m, decoder ? NARROW : WIDE, "%s.norm_out", half);
    tiny_model_layer(m, out, decoder ? NARROW : WIDE, decoder || k >= TAMING ? 3 : 1, true,
                     "%s.conv_out", half);
}

static void make_model(tiny_model *m, kind k) {
    const int64_t dim = k == LLAMAGEN ? 8 : DIM;
    *m = (tiny_model){0};
    add_half(m, k, false, 3, DIM);
    add_half(m, k, true, DIM, 3);
    tiny_model_add(m, 1, 0, 2, (int64_t[]){CODES, dim}, "quantize.embedding.weight");
    if (k < TAMING) return;
    tiny_model_layer(m, dim, DIM, 1, true, "quant_conv");
    tiny_model_layer(m, DIM, dim, 1, true, "post_quant_conv");
}

static void make_picture(uint8_t *rgb, int width, int height) {
    for (int i = 0; i < width * height * 3; ++i)
        rgb[i] = (uint8_t)((i * 7 + i / (width * 3) * 31 + random_below(40)) & 255);
}

/* Opens the model on cpu with tiles of this size. */
static tsr_status open_model(tsr_context *ctx, const char *path, int width, int height,
                             tsr_tokenizer **t) {
    return tsr_tokenizer_open(ctx, t,
                              &(tsr_model_settings){.model = path,
                                                    .device = "cpu",
                                                    .tile_width = (uint32_t)width,
                                                    .tile_height = (uint32_t)height});
}

START_TEST(families) {
    tsr_context *ctx = everywhere_context();
    for (kind k = 0; k < KINDS; ++k) {
        enum { W = 44, H = 36 };
        static uint8_t rgb[W * H * 3], once[W * H * 3], again[W * H * 3], alone[W * H * 3];
        tiny_model m;
        tsr_tokenizer *t = NULL;
        tsr_item *whole = NULL, *tiled = NULL, *one = NULL;
        uint64_t ties = 0;
        make_model(&m, k);
        make_picture(rgb, W, H);
        const char *path = tiny_model_write(&m, NULL, NULL);
        const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};

        /* one tile of the picture's size */
        tsr_status status = open_model(ctx, path, W, H, &t);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        const tsr_token_header *h = tsr_tokenizer_header(t);
        ck_assert_str_eq(h->tokenizer, family_names[k]);
        ck_assert_int_eq(h->geometry, TSR_GEOMETRY_GRID);
        ck_assert_uint_eq(h->nested, 0);
        ck_assert_uint_eq(h->codebook_size, CODES);
        ck_assert_uint_eq(h->rows, H / STEP);
        ck_assert_uint_eq(h->columns, W / STEP);
        status = tsr_tokenizer_encode(t, &picture, 1, NULL, &whole, &ties);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        const tsr_token_item *item = tsr_item_tokens(whole);
        ck_assert_uint_eq(item->tile_columns * item->tile_rows, 1);
        ck_assert_uint_eq(tsr_token_item_total(item), W * H / STEP / STEP);
        bool differ = false;
        for (uint64_t i = 0; i < tsr_token_item_total(item); ++i) {
            ck_assert_uint_lt(item->ids[i], CODES);
            differ |= item->ids[i] != item->ids[0];
        }
        ck_assert(differ);
        ck_assert_uint_lt(ties, tsr_token_item_total(item) / 4);
        const tsr_token_header wide = *h;
        ck_assert_int_eq(tsr_tokenizer_decode(t, &wide, item, 0, once), TSR_OK);

        /* prefixes and tolerances are refused, with the reason */
        tsr_encode_settings s = tsr_encode_settings_default();
        s.choice.tokens = 5;
        ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &one, NULL),
                         TSR_ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "a prefix is no picture"));
        s.choice.tokens = 0;
        s.choice.quality = 0.05f;
        ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &one, NULL),
                         TSR_ERROR_UNSUPPORTED);
        ck_assert_int_eq(tsr_tokenizer_decode(t, &wide, item, 7, once), TSR_ERROR_UNSUPPORTED);
        tsr_tokenizer_close(&t);

        /* several tiles: any batch gives the same ids as one by one; and a tokenizer that was
         * opened with other tiles decodes them */
        status = open_model(ctx, path, 40, 34, &t);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        s = tsr_encode_settings_default();
        s.batch = 1;
        ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &one, NULL), TSR_OK);
        s.batch = 3;
        ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &tiled, NULL), TSR_OK);
        const tsr_token_item *a = tsr_item_tokens(one), *b = tsr_item_tokens(tiled);
        ck_assert_uint_eq(a->tile_columns * a->tile_rows, 4);
        ck_assert_uint_eq(tsr_token_item_total(a), tsr_token_item_total(b));
        ck_assert_mem_eq(a->ids, b->ids, tsr_token_item_total(a) * sizeof *a->ids);
        const tsr_token_header tiles = *tsr_tokenizer_header(t);
        for (uint32_t batch = 1; batch <= 3; batch += 2) {
            tsr_decode_settings d = tsr_decode_settings_default();
            d.batch = batch;
            ck_assert_int_eq(
                tsr_tokenizer_decode_with(t, &tiles, a, &d, batch == 1 ? alone : again), TSR_OK);
        }
        ck_assert_mem_eq(alone, again, sizeof alone);
        /* but keeps its own where it refuses the header */
        tsr_token_header odd = wide;
        odd.rows++;
        ck_assert_int_eq(tsr_tokenizer_decode(t, &odd, item, 0, again), TSR_ERROR_MODEL_MISMATCH);
        ck_assert_uint_eq(tsr_tokenizer_header(t)->tile_width, 40);
        ck_assert_int_eq(tsr_tokenizer_decode(t, &wide, item, 0, again), TSR_OK);
        ck_assert_mem_eq(once, again, sizeof once);
        ck_assert_int_eq(tsr_tokenizer_search(t, NULL, whole, NULL),
                         TSR_ERROR_ARGUMENT); /* no target */
        tsr_item_close(&one);
        tsr_item_close(&tiled);
        tsr_item_close(&whole);
        tsr_tokenizer_close(&t);
        tiny_model_free(&m);
    }
}
END_TEST

START_TEST(together) {
    for (kind k = 0; k < KINDS; ++k) {
        tiny_model m;
        make_model(&m, k);
        batch_case(tiny_model_write(&m, NULL, NULL), "vulkan:0", 36, 3);
        tiny_model_free(&m);
    }
}
END_TEST

START_TEST(in_flight) {
    tiny_model m;
    make_model(&m, TAMING);
    const char *path = tiny_model_write(&m, NULL, NULL);
    in_flight_case(path, "cpu", 8, 100);
    if (everywhere_has_vulkan()) in_flight_case(path, "vulkan:0", 8, 100);
    tiny_model_free(&m);
}
END_TEST

START_TEST(sizes) {
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    tsr_tokenizer *t = NULL;
    make_model(&m, TAMING);
    const char *path = tiny_model_write(&m, NULL, NULL);
    ck_assert_int_eq(open_model(ctx, path, 0, 0, &t), TSR_OK);
    ck_assert_uint_eq(tsr_tokenizer_header(t)->tile_width, 256);
    tsr_tokenizer_close(&t);
    ck_assert_int_eq(open_model(ctx, path, 33, 32, &t), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "multiples of 2"));
    ck_assert_int_eq(open_model(ctx, path, 32, 0, &t), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(open_model(ctx, path, 1 << 20, 32, &t), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(t);
    tiny_model_free(&m);
    /* and the bundled tokenizer has one size */
    ck_assert_int_eq(open_model(ctx, NULL, 128, 128, &t), TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "256x256"));

    /* a limit that holds not even the smallest window is refused before anything is made */
    tsr_context *small = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.memory_limit = 4 << 20;
    ck_assert_int_eq(tsr_context_open(&small, &settings), TSR_OK);
    make_model(&m, TAMING);
    path = tiny_model_write(&m, NULL, NULL);
    ck_assert_int_eq(open_model(small, path, 4096, 4096, &t), TSR_ERROR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(small), "wanted memory for windows of 32x32 places"));
    tsr_context_close(&small);
    tiny_model_free(&m);
}
END_TEST

/* A tile beyond the memory limit goes by windows, and the header's name says so; nearly all ids are
 * those of the whole run, those of one limit always the same, and any tokenizer decodes them. */
START_TEST(windows) {
    enum { W = 150, H = 130, N = W * H / STEP / STEP };
    static uint8_t rgb[W * H * 3], once[W * H * 3], cut[W * H * 3];
    static uint32_t ids[N];
    make_picture(rgb, W, H);
    const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
    for (kind k = MASKGIT; k < KINDS; k = k == MASKGIT ? TAMING : KINDS) {
        tiny_model m;
        make_model(&m, k);
        const char *path = tiny_model_write(&m, NULL, NULL);
        for (int run = 0; run < 3; ++run) { /* whole; windows on one and on two threads */
            tsr_context *ctx = NULL;
            tsr_tokenizer *t = NULL;
            tsr_item *item = NULL;
            tsr_context_settings settings = tsr_context_settings_default();
            settings.memory_limit = run ? 20 << 20 : 1 << 30;
            settings.threads = run;
            ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
            tsr_status status = open_model(ctx, path, W, H, &t);
            if (!status) status = tsr_tokenizer_encode(t, &picture, 1, NULL, &item, NULL);
            ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
            const tsr_token_header h = *tsr_tokenizer_header(t);
            ck_assert_int_eq(strstr(h.tokenizer, "/window-") != NULL, run > 0);
            ck_assert_uint_eq(h.columns, W / STEP);
            tsr_token_item tokens = *tsr_item_tokens(item);
            ck_assert_uint_eq(tsr_token_item_total(&tokens), N);
            int same = 0, far = 0;
            for (int i = 0; i < N; ++i)
                same += run && tokens.ids[i] == ids[i];
            if (run == 2) ck_assert_int_eq(same, N);
            if (run == 1) {
                printf("%s: %d of %d ids as in the whole run\n", h.tokenizer, same, N);
                ck_assert_int_gt(same, N * 95 / 100); /* 97.8 % or more with 10 seeds */
                ck_assert_int_lt(same, N);            /* else nothing was cut */
            }
            if (run < 2) memcpy(ids, tokens.ids, sizeof ids);
            /* the same ids decoded by windows */
            status = tsr_tokenizer_decode(t, &h, &tokens, 0, run == 1 ? cut : once);
            ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
            for (int i = 0; i < W * H * 3 && run == 2; ++i)
                far += once[i] != cut[i];
            ck_assert_int_eq(far, 0);
            tsr_item_close(&item);
            tsr_tokenizer_close(&t);
            tsr_context_close(&ctx);
        }
        tiny_model_free(&m);
    }
}
END_TEST

static void refused(tiny_model *m, const char *family, const char *text) {
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    const char *path = tiny_model_write(m, family ? "tessera.family" : NULL, family);
    const tsr_status status = open_model(ctx, path, 32, 32, &t);
    ck_assert_msg(status == TSR_ERROR_MODEL, "wanted a refusal with %s, got status %d", text,
                  (int)status);
    ck_assert_msg(strstr(tsr_detail(ctx), text) != NULL, "wanted \"%s\" in: %s", text,
                  tsr_detail(ctx));
    ck_assert_ptr_null(t);
    tiny_model_free(m);
}

START_TEST(damaged) {
    tiny_model m;
    for (kind k = 0; k < KINDS; ++k) {
        make_model(&m, k);
        tiny_model_remove(&m, "decoder.norm_out.bias");
        refused(&m, NULL, "tensor decoder.norm_out.bias: wanted [32], got none");
        make_model(&m, k);
        tiny_model_find(&m, "decoder.conv_out.weight")->dim[2] = 1;
        refused(&m, NULL,
                "tensor decoder.conv_out.weight: wanted [3, 32, 3, 3], got [3, 32, 1, 3]");
        make_model(&m, k);
        tiny_model_layer(&m, 4, 4, 0, false, "decoder.surplus");
        refused(&m, NULL, "tensor decoder.surplus.weight: wanted none of this name, got one");
    }
    make_model(&m, TAMING);
    tiny_model_remove(&m, "encoder.down.1.attn.0.q.weight");
    refused(&m, NULL, "tensor encoder.down.1.attn.0.q.weight: wanted [64, 64, 1, 1], got none");
    make_model(&m, LLAMAGEN);
    tiny_model_remove(&m, "quant_conv.weight");
    refused(&m, NULL, "tensor quant_conv.weight: wanted [8, 64, 1, 1], got none");
    make_model(&m, LLAMAGEN); /* widths are the file's own, but none is nothing */
    tiny_model_find(&m, "quant_conv.weight")->dim[0] = 0;
    tiny_model_find(&m, "quant_conv.bias")->dim[0] = 0;
    tiny_model_find(&m, "quantize.embedding.weight")->dim[1] = 0;
    tiny_model_find(&m, "post_quant_conv.weight")->dim[1] = 0;
    refused(&m, NULL, "wanted no size of 0");
    make_model(&m, LLAMAGEN);
    refused(&m, "taming-vqgan", "wanted tensors of taming-vqgan");
    make_model(&m, MASKGIT);
    refused(&m, "llamagen", "wanted tensors of llamagen");
    make_model(&m, MASKGIT);
    refused(&m, "nosuch", "nosuch");
    /* what is for training is passed over */
    tsr_tokenizer *t = NULL;
    make_model(&m, TAMING);
    tiny_model_layer(&m, 4, 4, 0, true, "loss.discriminator.main.0");
    const char *path = tiny_model_write(&m, NULL, NULL);
    ck_assert_int_eq(open_model(everywhere_context(), path, 32, 32, &t), TSR_OK);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

TEST_PARTS("grid", PART(own, NULL, families, in_flight, sizes, windows, damaged),
           PART(batches, need_vulkan, together))
