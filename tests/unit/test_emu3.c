/* SPDX-License-Identifier: MIT */
/* Emu3-VisionTokenizer by the public API, with made-up weights: a picture is four equal frames,
 * clips of every length, what depends on which frames, both ways to name tensors, batches and
 * threads, and files that are none. */
#include <tessera/tessera.h>

#include "batch_case.h"
#include "everywhere.h"
#include "tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 32, Z = 4, LEVELS = 2, TIMES = 2, CODES = 61, SIDE = 16, PLACES = 8 * 8 };

/* ---- a made-up model: two levels, attention in the second, time factor 4 ---- */

static void add_norm(tiny_model *m, bool decoder, const char *name) {
    if (!decoder) {
        tiny_model_norm(m, WIDTH, "%s", name);
        return;
    }
    tiny_model_norm(m, WIDTH, "%s.norm_layer", name);
    tiny_model_layer(m, WIDTH, Z, 1, true, "%s.conv_y", name);
    tiny_model_layer(m, WIDTH, Z, 1, true, "%s.conv_b", name);
}

static void add_resnet(tiny_model *m, bool decoder, const char *name) {
    char part[96];
    for (int i = 1; i < 3; ++i) {
        snprintf(part, sizeof part, "%.64s.norm%d", name, i);
        add_norm(m, decoder, part);
        tiny_model_layer(m, WIDTH, WIDTH, 3, true, "%s.conv%d", name, i);
    }
}

static void add_attention(tiny_model *m, bool decoder, const char *name) {
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    char part[96];
    snprintf(part, sizeof part, "%.64s.norm", name);
    add_norm(m, decoder, part);
    for (int i = 0; i < 4; ++i)
        tiny_model_layer(m, WIDTH, WIDTH, 1, true, "%s.%s", name, parts[i]);
}

/* [out, in, taps, kernel, kernel], whose last two are one here: so a file joins them, too. */
static void add_causal(tiny_model *m, int taps, int kernel, const char *name) {
    const int64_t dim[4] = {Z, Z, taps, (int64_t)kernel * kernel}, z = Z;
    tiny_model_add(m, 0.3f, 0, 4, dim, "%s.weight", name);
    tiny_model_add(m, 0.1f, 0, 1, &z, "%s.bias", name);
}

static void add_time(tiny_model *m, bool decoder, const char *half) {
    const int64_t z = Z;
    char name[96];
    for (int i = 0; i < TIMES; ++i) {
        snprintf(name, sizeof name, "%s.time_conv.%d.conv.conv", half, i);
        add_causal(m, decoder ? 3 : 4, 3, name);
    }
    for (int i = 1; i < 3; ++i) {
        snprintf(name, sizeof name, "%s.time_res_stack.0.norm%d", half, i);
        tiny_model_norm(m, Z, "%s", name);
        tiny_model_add(m, 0.3f, 0, 1, &z, "%s.running_mean", name);
        tiny_model_add(m, 0.2f, 0.5f, 1, &z, "%s.running_var", name);
        snprintf(name, sizeof name, "%s.time_res_stack.0.conv%d.conv", half, i);
        add_causal(m, 3, 3, name);
    }
}

static void add_half(tiny_model *m, bool decoder) {
    const char *half = decoder ? "decoder" : "encoder", *level = decoder ? "up" : "down";
    char name[96];
    tiny_model_layer(m, WIDTH, decoder ? Z : 3, 3, true, "%s.conv_in", half);
    for (int i = 0; i < LEVELS; ++i)
        for (int k = 0; k < (decoder ? 2 : 1); ++k) {
            snprintf(name, sizeof name, "%s.%s.%d.block.%d", half, level, i, k);
            add_resnet(m, decoder, name);
            snprintf(name, sizeof name, "%s.%s.%d.attn.%d", half, level, i, k);
            if (i) add_attention(m, decoder, name);
        }
    tiny_model_layer(m, WIDTH, WIDTH, 3, true, "%s.%s.%d.%ssample.conv", half, level, decoder,
                     level);
    for (int i = 1; i < 3; ++i) {
        snprintf(name, sizeof name, "%s.mid.block_%d", half, i);
        add_resnet(m, decoder, name);
    }
    snprintf(name, sizeof name, "%s.mid.attn_1", half);
    add_attention(m, decoder, name);
    snprintf(name, sizeof name, "%s.norm_out", half);
    add_norm(m, decoder, name);
    tiny_model_layer(m, decoder ? 3 : Z, WIDTH, 3, true, "%s.conv_out", half);
    add_time(m, decoder, half);
}

static void make_model(tiny_model *m) {
    *m = (tiny_model){0};
    add_half(m, false);
    add_half(m, true);
    add_causal(m, 3, 1, "quant_conv.conv");
    add_causal(m, 3, 1, "post_quant_conv.conv");
    tiny_model_add(m, 1, 0, 2, (int64_t[]){CODES, Z}, "quantize.embedding.weight");
    tiny_model_write(m, NULL, NULL);
}

/* Puts `to` in place of the first `from` of a name. */
static void replace(char *name, size_t size, const char *from, const char *to) {
    char *at = strstr(name, from), rest[160];
    if (!at) return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, size - (size_t)(at - name), "%s%s", to, rest);
}

/* The same numbers under the names of the transformers library. */
static void rename_model(tiny_model *m, const char *prefix) {
    static const char *const names[][2] = {
        {"encoder.down.", "encoder.down_block.down."},
        {"decoder.up.", "decoder.up_block.up."},
        {".mid.attn_1.norm", ".middle_block.attn_norm"},
        {".mid.", ".middle_block."},
        {".attn.0.norm", ".attn_norms.0"},
        {".attn.1.norm", ".attn_norms.1"},
        {".q.", ".q_proj."},
        {".k.", ".k_proj."},
        {".v.", ".v_proj."},
        {".proj_out.", ".out_proj."},
    };
    for (int i = 0; i < m->count; ++i) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, m->name[i]);
        for (size_t k = 0; k < sizeof names / sizeof *names; ++k)
            replace(name, sizeof name, names[k][0], names[k][1]);
        free(m->name[i]);
        ck_assert_ptr_nonnull(m->name[i] = strdup(name));
        if (strstr(name, "_proj.weight")) m->tensor[i].rank = 2;
    }
    tiny_model_write(m, NULL, NULL);
}

/* ---- clips ---- */

static tsr_tokenizer *open_clips(tsr_context *ctx, const char *path, uint32_t frames) {
    tsr_tokenizer *t = NULL;
    const tsr_model_settings s = {.model = path,
                                  .device = "cpu",
                                  .tile_width = SIDE,
                                  .tile_height = SIDE,
                                  .tile_frames = frames};
    ck_assert_msg(!tsr_tokenizer_open(ctx, &t, &s), "%s", tsr_detail(ctx));
    return t;
}

enum { FRAME = SIDE * SIDE * 3, MOST = 8 };

static void paint(uint8_t *rgb) {
    for (int i = 0; i < MOST * FRAME; ++i)
        rgb[i] = (uint8_t)(i * 5 + i / (SIDE * 3) * 37 + random_below(60));
}

static tsr_item *encode(tsr_context *ctx, tsr_tokenizer *t, const uint8_t *rgb, int frames) {
    tsr_item *item = NULL;
    const tsr_picture clip = {.rgb = rgb, .width = SIDE, .height = SIDE, .frames = frames};
    ck_assert_msg(!tsr_tokenizer_encode(t, &clip, 1, NULL, &item, NULL), "%s", tsr_detail(ctx));
    return item;
}

static const uint32_t *ids_of(const tsr_item *item) {
    return tsr_item_tokens(item)->ids;
}

/* A picture, four times the picture, and what both decode to. */
START_TEST(a_picture_is_four_equal_frames) {
    static uint8_t rgb[MOST * FRAME], one[FRAME], four[4 * FRAME];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    make_model(&m);
    tsr_tokenizer *t = open_clips(ctx, m.path, 4);
    const tsr_token_header *h = tsr_tokenizer_header(t);
    ck_assert(h->tile_frames == 4 && h->frames == 1 && h->codebook_size == CODES && h->rows == 8);
    paint(rgb);
    for (int f = 1; f < 4; ++f)
        memcpy(rgb + f * FRAME, rgb, FRAME);
    tsr_item *a = encode(ctx, t, rgb, 0), *b = encode(ctx, t, rgb, 4);
    ck_assert_uint_eq(tsr_item_tokens(a)->counts[0], PLACES);
    ck_assert_mem_eq(ids_of(a), ids_of(b), PLACES * sizeof(uint32_t));
    ck_assert_int_eq(tsr_tokenizer_decode(t, h, tsr_item_tokens(a), 0, one), TSR_OK);
    ck_assert_int_eq(tsr_tokenizer_decode(t, h, tsr_item_tokens(b), 0, four), TSR_OK);
    ck_assert_mem_eq(one, four, FRAME);
    ck_assert(memcmp(four, four + FRAME, FRAME) != 0); /* time is not without effect */
    tsr_item_close(&a);
    tsr_item_close(&b);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

START_TEST(clips_of_every_length) {
    static uint8_t rgb[MOST * FRAME], filled[MOST * FRAME], back[MOST * FRAME];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    make_model(&m);
    tsr_tokenizer *t = open_clips(ctx, m.path, MOST), *alone = open_clips(ctx, m.path, 4);
    paint(rgb);
    tsr_item *all = encode(ctx, t, rgb, MOST);
    ck_assert_uint_eq(tsr_item_tokens(all)->counts[0], 2 * PLACES);
    for (int frames = 1; frames < MOST; ++frames) {
        const int full = (frames + 3) / 4 * 4;
        tsr_item *item = encode(ctx, t, rgb, frames);
        ck_assert_uint_eq(tsr_item_tokens(item)->frames, frames);
        ck_assert_uint_eq(tsr_item_tokens(item)->counts[0], full / 4 * PLACES);
        if (frames >= 4) /* no id depends on a later frame */
            ck_assert_mem_eq(ids_of(item), ids_of(all), PLACES * sizeof(uint32_t));
        memcpy(filled, rgb, sizeof filled);
        for (int f = frames; f < full; ++f)
            memcpy(filled + f * FRAME, rgb + (frames - 1) * FRAME, FRAME);
        tsr_item *whole = encode(ctx, t, filled, full);
        ck_assert_mem_eq(ids_of(item), ids_of(whole), full / 4 * PLACES * sizeof(uint32_t));
        ck_assert_msg(
            !tsr_tokenizer_decode(t, tsr_tokenizer_header(t), tsr_item_tokens(item), 0, back), "%s",
            tsr_detail(ctx));
        tsr_item_close(&item);
        tsr_item_close(&whole);
    }
    /* A clip of its own is not the second half of a longer one. */
    tsr_item *second = encode(ctx, alone, rgb + 4 * FRAME, 4);
    ck_assert(memcmp(ids_of(second), ids_of(all) + PLACES, PLACES * sizeof(uint32_t)) != 0);
    tsr_item_close(&second);
    tsr_item_close(&all);
    tsr_tokenizer_close(&t);
    tsr_tokenizer_close(&alone);
    tiny_model_free(&m);
}
END_TEST

START_TEST(both_ways_to_name_tensors) {
    static const char *const prefixes[] = {"", "vqmodel.", "model.vqmodel."};
    static uint8_t rgb[MOST * FRAME];
    tsr_context *ctx = everywhere_context();
    paint(rgb);
    for (int i = 0; i < 3; ++i) {
        tiny_model m;
        make_model(&m);
        tsr_tokenizer *t = open_clips(ctx, m.path, MOST);
        tsr_item *a = encode(ctx, t, rgb, MOST);
        tsr_tokenizer_close(&t);
        rename_model(&m, prefixes[i]);
        if (i) { /* a part of a larger model */
            tiny_model_add(&m, 1, 0, 1, (int64_t[]){3}, "text_model.norm.weight");
            tiny_model_write(&m, NULL, NULL);
        }
        t = open_clips(ctx, m.path, MOST);
        tsr_item *b = encode(ctx, t, rgb, MOST);
        ck_assert_mem_eq(ids_of(a), ids_of(b), 2 * PLACES * sizeof(uint32_t));
        tsr_item_close(&a);
        tsr_item_close(&b);
        tsr_tokenizer_close(&t);
        tiny_model_free(&m);
    }
}
END_TEST

START_TEST(batches_and_threads_give_the_same_ids) {
    static uint8_t rgb[MOST * FRAME];
    uint32_t first[4 * PLACES];
    tiny_model m;
    make_model(&m);
    paint(rgb);
    for (int way = 0; way < 4; ++way) {
        tsr_context *ctx;
        tsr_context_settings cs = tsr_context_settings_default();
        cs.threads = way % 2 ? 3 : 1;
        ck_assert_int_eq(tsr_context_open(&ctx, &cs), TSR_OK);
        tsr_tokenizer *t = open_clips(ctx, m.path, 4);
        tsr_encode_settings s = tsr_encode_settings_default();
        s.batch = way / 2 ? 4 : 1;
        tsr_picture clips[3];
        tsr_item *items[3];
        static const int frames[3] = {4, 1, 4};
        for (int c = 0; c < 3; ++c)
            clips[c] = (tsr_picture){.rgb = rgb + c * 2 * FRAME,
                                     .width = SIDE,
                                     .height = SIDE,
                                     .key = "c",
                                     .frames = frames[c]};
        ck_assert_msg(!tsr_tokenizer_encode(t, clips, 3, &s, items, NULL), "%s", tsr_detail(ctx));
        for (int c = 0; c < 3; ++c) {
            if (!way) memcpy(first + c * PLACES, ids_of(items[c]), PLACES * sizeof *first);
            ck_assert_mem_eq(first + c * PLACES, ids_of(items[c]), PLACES * sizeof *first);
            tsr_item_close(&items[c]);
        }
        tsr_tokenizer_close(&t);
        tsr_context_close(&ctx);
    }
    batch_case(m.path, "cpu", SIDE, 3);
    if (everywhere_has_vulkan()) in_flight_case(m.path, "vulkan:0", SIDE, 100);
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
    make_model(&m);
    refused(m.path, &(tsr_model_settings){.tile_frames = 5000}, TSR_ERROR_ARGUMENT,
            "wanted 1 to 4096 frames, got 5000");
    refused(m.path, &(tsr_model_settings){.tile_width = 15, .tile_height = 16}, TSR_ERROR_ARGUMENT,
            "wanted multiples of 2 from 2 to 8192 pixels, got 15x16");
    tiny_model_add(&m, 1, 0, 1, (int64_t[]){3}, "stray");
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "stray: wanted none of this name");
    tiny_model_remove(&m, "stray");
    tiny_model_find(&m, "quantize.embedding.weight")->dim[1] = 2;
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "quant_conv.conv.weight: wanted [2");
    tiny_model_find(&m, "quantize.embedding.weight")->dim[1] = Z;
    tiny_model_remove(&m, "decoder.time_conv.1.conv.conv.weight");
    tiny_model_remove(&m, "decoder.time_conv.1.conv.conv.bias");
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "decoder: wanted 2 levels, 2 of time");
    tiny_model_remove(&m, "encoder.time_res_stack.0.norm2.running_var");
    tiny_model_write(&m, NULL, NULL);
    refused(m.path, &plain, TSR_ERROR_MODEL, "norm2.running_var: wanted [4], got none");
    tiny_model_free(&m);
}
END_TEST

TEST_MAIN("emu3", a_picture_is_four_equal_frames, clips_of_every_length, both_ways_to_name_tensors,
          batches_and_threads_give_the_same_ids, bad_files_and_sizes)
