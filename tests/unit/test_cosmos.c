/* SPDX-License-Identifier: MIT */
/* Cosmos tokenizers by the public API, with made-up weights: clips of every length, tiles of every
 * size, batches and threads, what depends on which frames, and files that are none. */
#include <tessera/tessera.h>

#include "batch_case.h"
#include "everywhere.h"
#include "tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 8, PICTURE_WIDTH = 32, Z = 8, PATCH = 2, LEVELS = 3 };

/* ---- made-up models: three levels, patch 2, factor 4 in space and in time ---- */

typedef struct shape {
    bool clip, keep_unused;
    int64_t out; /* 6: FSQ */
} shape;

static void add_conv(tiny_model *m, const shape *s, int64_t out, int64_t in, int kt, int k,
                     const char *name) {
    const float scale = 1.7f / (float)k / (float)kt;
    const int64_t area = (int64_t)k * k;
    char whole[160];
    snprintf(whole, sizeof whole, "%.100s%s", name, s->clip ? ".conv3d" : "");
    int64_t dim[4] = {out, in, s->clip ? kt : k, s->clip ? area : k};
    int64_t depth = in;
    float root = 1;
    while (root * root < (float)depth)
        root += 1;
    tiny_model_add(m, scale / root, 0, 4, dim, "%s.weight", whole);
    tiny_model_add(m, 0.1f, 0, 1, &out, "%s.bias", whole);
}

static void add_pair(tiny_model *m, const shape *s, int64_t out, int64_t in, const char *name) {
    char part[96];
    snprintf(part, sizeof part, "%.80s%s", name, s->clip ? ".0" : "");
    add_conv(m, s, out, in, 1, 3, part);
    snprintf(part, sizeof part, "%.80s.1", name);
    if (s->clip) add_conv(m, s, out, out, 3, 1, part);
}

static void add_norm(tiny_model *m, const shape *s, int64_t width, const char *name) {
    tiny_model_norm(m, width, "%s%s", name, s->clip ? ".norm" : "");
}

static void add_resnet(tiny_model *m, const shape *s, int64_t out, int64_t in, const char *name) {
    char part[96];
    for (int i = 1; i < 3; ++i) {
        snprintf(part, sizeof part, "%.64s.norm%d", name, i);
        add_norm(m, s, i == 1 ? in : out, part);
        snprintf(part, sizeof part, "%.64s.conv%d", name, i);
        add_pair(m, s, out, i == 1 ? in : out, part);
    }
    snprintf(part, sizeof part, "%.64s.nin_shortcut", name);
    if (in != out) add_conv(m, s, out, in, 1, 1, part);
}

static void add_middle(tiny_model *m, const shape *s, int64_t width, const char *half) {
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    char name[96];
    for (int i = 1; i < 3; ++i) {
        snprintf(name, sizeof name, "%s.mid.block_%d", half, i);
        add_resnet(m, s, width, width, name);
    }
    for (int over_time = 0; over_time <= s->clip; ++over_time) {
        const char *sub = !s->clip ? "" : over_time ? "1." : "0.";
        snprintf(name, sizeof name, "%s.mid.attn_1.%snorm", half, sub);
        add_norm(m, s, width, name);
        for (int i = 0; i < 4; ++i) {
            snprintf(name, sizeof name, "%s.mid.attn_1.%s%s", half, sub, parts[i]);
            add_conv(m, s, width, width, 1, 1, name);
        }
    }
}

static void add_resize(tiny_model *m, const shape *s, bool decoder, int64_t width,
                       const char *name) {
    char part[96];
    if (!s->clip) {
        snprintf(part, sizeof part, "%.64s.conv", name);
        add_conv(m, s, width, width, 1, 3, part);
        return;
    }
    for (int i = 0; i < 3; ++i) { /* space, time (exchanged in the decoder), mixing */
        const bool over_time = i == (decoder ? 0 : 1);
        snprintf(part, sizeof part, "%.64s.conv%d", name, i + 1);
        add_conv(m, s, width, width, over_time ? 3 : 1, i < 2 && !over_time ? 3 : 1, part);
    }
}

/* The first level of the encoder halves, the middle one of the decoder doubles: the published rule.
 * With keep_unused all but the smallest have the layers for it. */
static void add_half(tiny_model *m, const shape *s, bool decoder) {
    const char *half = decoder ? "decoder" : "encoder", *level = decoder ? "up" : "down";
    const int64_t width = s->clip ? WIDTH : PICTURE_WIDTH;
    const int64_t pixels = 3 * PATCH * PATCH * (s->clip ? PATCH : 1);
    char name[96];
    snprintf(name, sizeof name, "%s.conv_in", half);
    add_pair(m, s, width, decoder ? Z : pixels, name);
    for (int i = 0; i < LEVELS; ++i) {
        for (int k = 0; k < (decoder ? 2 : 1); ++k) {
            snprintf(name, sizeof name, "%s.%s.%d.block.%d", half, level, i, k);
            add_resnet(m, s, width, width, name);
        }
        snprintf(name, sizeof name, "%s.%s.%d.%ssample", half, level, i, level);
        if (s->keep_unused ? i != (decoder ? 0 : LEVELS - 1) : i == (decoder ? 1 : 0))
            add_resize(m, s, decoder, width, name);
    }
    add_middle(m, s, width, half);
    snprintf(name, sizeof name, "%s.norm_out", half);
    add_norm(m, s, width, name);
    snprintf(name, sizeof name, "%s.conv_out", half);
    add_pair(m, s, decoder ? pixels : Z, width, name);
}

static void make_model(tiny_model *m, const shape *s) {
    *m = (tiny_model){0};
    add_half(m, s, false);
    add_half(m, s, true);
    add_conv(m, s, s->out, Z, 1, 1, "quant_conv");
    add_conv(m, s, Z, s->out, 1, 1, "post_quant_conv");
    /* What an archive has beside it, and nothing reads. */
    tiny_model_add(m, 1, 0, 1, (int64_t[]){2}, "encoder.patcher%s.wavelets", s->clip ? "3d" : "");
    tiny_model_write(m, NULL, NULL);
}

/* ---- clips ---- */

static tsr_tokenizer *open_clips(tsr_context *ctx, const char *path, uint32_t width,
                                 uint32_t height, uint32_t frames) {
    tsr_tokenizer *t = NULL;
    const tsr_model_settings s = {.model = path,
                                  .device = "cpu",
                                  .tile_width = width,
                                  .tile_height = height,
                                  .tile_frames = frames};
    ck_assert_msg(!tsr_tokenizer_open(ctx, &t, &s), "%s", tsr_detail(ctx));
    return t;
}

static void paint(uint8_t *rgb, int frames, int width, int height) {
    for (int i = 0; i < frames * width * height * 3; ++i)
        rgb[i] = (uint8_t)((i * 5 + i / (width * 3) * 37 + random_below(60)) & 255);
}

static tsr_item *encode(tsr_context *ctx, tsr_tokenizer *t, const uint8_t *rgb, int frames,
                        int width, int height) {
    tsr_item *item = NULL;
    const tsr_picture clip = {.rgb = rgb, .width = width, .height = height, .frames = frames};
    ck_assert_msg(!tsr_tokenizer_encode(t, &clip, 1, NULL, &item, NULL), "%s", tsr_detail(ctx));
    return item;
}

/* The time that was: ids of a tile's grid for each time, and what an item says. */
START_TEST(clips_of_every_length) {
    enum { W = 16, H = 16, MOST = 17, PLACES = W * H / 16 };
    static uint8_t rgb[MOST * W * H * 3], back[MOST * W * H * 3], whole[MOST * W * H * 3];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    make_model(&m, &(shape){.clip = true, .out = 6});
    tsr_tokenizer *t = open_clips(ctx, m.path, W, H, MOST);
    const tsr_token_header *h = tsr_tokenizer_header(t);
    ck_assert_uint_eq(h->tile_frames, MOST);
    ck_assert_uint_eq(h->frames, 5); /* 1 + 16 / 4 */
    ck_assert_uint_eq(h->codebook_size, 64000);
    paint(rgb, MOST, W, H);
    tsr_item *all = encode(ctx, t, rgb, MOST, W, H);
    ck_assert_int_eq(tsr_tokenizer_decode(t, h, tsr_item_tokens(all), 0, whole), TSR_OK);
    static const int lengths[] = {1, 2, 9, 12, 0};
    for (int i = 0; i < 5; ++i) {
        const int frames = lengths[i] ? lengths[i] : 1, padded = 1 + (frames + 6) / 8 * 8;
        tsr_item *item = encode(ctx, t, rgb, lengths[i], W, H);
        const tsr_token_item *tokens = tsr_item_tokens(item);
        ck_assert_uint_eq(tokens->frames, frames);
        ck_assert_uint_eq(tokens->counts[0], PLACES * (1 + (padded - 1) / 4));
        if (padded == frames) /* no id depends on a later frame */
            ck_assert_mem_eq(tokens->ids, tsr_item_tokens(all)->ids,
                             tokens->counts[0] * sizeof *tokens->ids);
        ck_assert_int_eq(tsr_tokenizer_decode(t, h, tokens, 0, back), TSR_OK);
        if (padded == frames) /* nor does a pixel */
            for (int v = 0; v < frames * W * H * 3; ++v)
                ck_assert_int_le(abs(back[v] - whole[v]), 1);
        tsr_item_close(&item);
    }
    tsr_item_close(&all);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

/* Black around, copies of the first and last frame: as the official classes pad. */
START_TEST(any_size_is_padded) {
    enum { W = 22, H = 18, F = 4, PW = 32, PH = 32, PF = 9, X = 5, Y = 7, T = 2 };
    static uint8_t rgb[F * W * H * 3], padded[PF * PW * PH * 3];
    static uint8_t small[F * W * H * 3], large[PF * PW * PH * 3];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    make_model(&m, &(shape){.clip = true, .out = 6});
    paint(rgb, F, W, H);
    for (int f = 0; f < PF; ++f)
        for (int i = 0; i < W * H * 3; ++i) {
            const int from = f < T ? 0 : f - T < F ? f - T : F - 1;
            padded[((f * PH + i / (W * 3) + Y) * PW + i / 3 % W + X) * 3 + i % 3] =
                rgb[from * W * H * 3 + i];
        }
    tsr_tokenizer *t = open_clips(ctx, m.path, W, H, F), *p = open_clips(ctx, m.path, PW, PH, PF);
    tsr_item *a = encode(ctx, t, rgb, F, W, H), *b = encode(ctx, p, padded, PF, PW, PH);
    ck_assert_uint_eq(tsr_item_tokens(a)->counts[0], 3 * 8 * 8);
    ck_assert_mem_eq(tsr_item_tokens(a)->ids, tsr_item_tokens(b)->ids, 3 * 8 * 8 * 4);
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_item_header(a), tsr_item_tokens(a), 0, small),
                     TSR_OK);
    ck_assert_int_eq(tsr_tokenizer_decode(p, tsr_item_header(b), tsr_item_tokens(b), 0, large),
                     TSR_OK);
    for (int f = 0; f < F; ++f)
        for (int i = 0; i < W * H * 3; ++i)
            ck_assert_int_eq(
                small[f * W * H * 3 + i],
                large[(((f + T) * PH + i / (W * 3) + Y) * PW + i / 3 % W + X) * 3 + i % 3]);
    tsr_item_close(&a);
    tsr_item_close(&b);
    tsr_tokenizer_close(&t);
    tsr_tokenizer_close(&p);
    tiny_model_free(&m);
}
END_TEST

/* Two tiles of nine frames, with one thread and with three, on a GPU with one program in flight and
 * with two, in one batch and in two; clips of other lengths beside them. */
START_TEST(batches_and_threads_give_the_same_ids) {
    enum { W = 28, H = 16, F = 9, CLIPS = 3 };
    static uint8_t rgb[CLIPS][F * W * H * 3];
    static const int frames[CLIPS] = {F, 1, F};
    tiny_model m;
    make_model(&m, &(shape){.clip = true, .out = 6});
    uint32_t *ids[8];
    const int ways = everywhere_has_vulkan() ? 8 : 4;
    uint64_t total = 0;
    for (int c = 0; c < CLIPS; ++c)
        paint(rgb[c], F, W, H);
    for (int way = 0; way < ways; ++way) {
        tsr_context *ctx;
        tsr_context_settings cs = tsr_context_settings_default();
        cs.threads = way % 2 ? 3 : 1;
        ck_assert_int_eq(tsr_context_open(&ctx, &cs), TSR_OK);
        tsr_tokenizer *t = NULL;
        const tsr_model_settings ms = {.model = m.path,
                                       .device = way < 4 ? "cpu" : "vulkan:0",
                                       .mask = way == 4 || way == 6 ? "in_flight" : NULL,
                                       .tile_width = 16,
                                       .tile_height = 16,
                                       .tile_frames = F};
        ck_assert_msg(!tsr_tokenizer_open(ctx, &t, &ms), "%s", tsr_detail(ctx));
        tsr_picture clips[CLIPS];
        tsr_item *items[CLIPS];
        tsr_encode_settings s = tsr_encode_settings_default();
        s.batch = way / 2 % 2 ? 5 : 1;
        for (int c = 0; c < CLIPS; ++c)
            clips[c] = (tsr_picture){
                .rgb = rgb[c], .width = W, .height = H, .key = "c", .frames = frames[c]};
        ck_assert_msg(!tsr_tokenizer_encode(t, clips, CLIPS, &s, items, NULL), "%s",
                      tsr_detail(ctx));
        total = 0;
        ids[way] = malloc(4096 * sizeof *ids[way]);
        for (int c = 0; c < CLIPS; ++c) {
            const uint64_t n = tsr_token_item_total(tsr_item_tokens(items[c]));
            memcpy(ids[way] + total, tsr_item_tokens(items[c])->ids, n * sizeof *ids[way]);
            total += n;
            tsr_item_close(&items[c]);
        }
        ck_assert_uint_eq(total, 2 * 16 * (3 + 1 + 3));
        ck_assert_mem_eq(ids[way], ids[way / 4 * 4], total * sizeof *ids[way]);
        tsr_tokenizer_close(&t);
        tsr_context_close(&ctx);
    }
    for (int way = 0; way < ways; ++way)
        free(ids[way]);
    tiny_model_free(&m);
}
END_TEST

START_TEST(pictures_alone_and_in_batches) {
    tiny_model m;
    make_model(&m, &(shape){.out = 6});
    batch_case(m.path, "cpu", 32, 3);
    in_flight_case(m.path, "cpu", 16, 100);
    if (everywhere_has_vulkan()) in_flight_case(m.path, "vulkan:0", 16, 100);
    tiny_model_free(&m);
    make_model(&m, &(shape){.out = 16}); /* continuous */
    batch_case(m.path, "cpu", 16, 2);
    if (everywhere_has_vulkan()) in_flight_case(m.path, "vulkan:0", 16, 100);
    tiny_model_free(&m);
}
END_TEST

/* ---- refusals ---- */

static void refused(const char *path, const tsr_model_settings *s, tsr_status status,
                    const char *text) {
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    tsr_model_settings settings = *s;
    settings.model = path;
    settings.device = "cpu";
    ck_assert_int_eq(tsr_tokenizer_open(ctx, &t, &settings), status);
    ck_assert_msg(strstr(tsr_detail(ctx), text), "%s", tsr_detail(ctx));
}

START_TEST(bad_files_and_sizes) {
    tiny_model m;
    const tsr_model_settings plain = {0};
    make_model(&m, &(shape){.clip = true, .keep_unused = true, .out = 6});
    refused(m.path, &plain, TSR_ERROR_MODEL, "named like DV8x16x16");
    tiny_model_write(&m, "torchscript.space_pools", "1"); /* as an archive's code says it */
    refused(m.path, &(tsr_model_settings){.tile_frames = 5000}, TSR_ERROR_ARGUMENT,
            "wanted 1 to 4096 frames, got 5000");
    refused(m.path, &(tsr_model_settings){.tile_width = 9000, .tile_height = 16},
            TSR_ERROR_ARGUMENT, "wanted 1 to 8192 pixels, got 9000x16");
    tiny_model_remove(&m, "decoder.up.1.upsample.conv3.conv3d.bias");
    tiny_model_write(&m, "tessera.name", "DV4x4x4");
    refused(m.path, &plain, TSR_ERROR_MODEL, "upsample.conv3.conv3d.bias: wanted [8], got none");
    tiny_model_free(&m);

    make_model(&m, &(shape){.out = 6});
    refused(m.path, &(tsr_model_settings){.tile_frames = 9}, TSR_ERROR_UNSUPPORTED,
            "no tokenizer of video, got 9");
    tiny_model_find(&m, "encoder.conv_in.weight")->dim[1] = 6;
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "encoder.conv_in: wanted 3, 12, 48 or 192 channels");
    tiny_model_find(&m, "encoder.conv_in.weight")->dim[1] = 12;
    tiny_model_remove(&m, "encoder.down.0.downsample.conv.weight");
    tiny_model_remove(&m, "encoder.down.0.downsample.conv.bias");
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "decoder: wanted 0 doublings of space");
    tiny_model_add(&m, 1, 0, 1, (int64_t[]){3}, "stray");
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "doublings");
    tiny_model_free(&m);
}
END_TEST

START_TEST(bad_clips) {
    enum { W = 16, H = 16 };
    static uint8_t rgb[18 * W * H * 3];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    make_model(&m, &(shape){.clip = true, .out = 6});
    tsr_tokenizer *t = open_clips(ctx, m.path, W, H, 9);
    tsr_item *item = NULL;
    tsr_picture clip = {.rgb = rgb, .width = W, .height = H, .key = "c", .frames = 10};
    ck_assert_int_eq(tsr_tokenizer_encode(t, &clip, 1, NULL, &item, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "frames: wanted 0 to 9, got 10"));
    item = encode(ctx, t, rgb, 9, W, H);
    tsr_token_item tokens = *tsr_item_tokens(item);
    tokens.frames = 1; /* whose tokens would be fewer */
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_item_header(item), &tokens, 0, rgb),
                     TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted 16 for 1 frames, got 48"));
    tokens.frames = 0;
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_item_header(item), &tokens, 0, rgb),
                     TSR_ERROR_TOKENS);
    tsr_item_close(&item);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

TEST_MAIN("cosmos", clips_of_every_length, any_size_is_padded,
          batches_and_threads_give_the_same_ids, pictures_alone_and_in_batches, bad_files_and_sizes,
          bad_clips)
