/* SPDX-License-Identifier: MIT */
/* An autoencoder alone as a tokenizer: its latents through the token file are those of the network
 * to the bit, tiles of any size, batches, half precision, what it refuses, damaged model files. */
#include <tessera/tessera.h>

#include "nn/autoencoder_kl.h"
#include "compute/tensor.h"
#include "batch_case.h"
#include "everywhere.h"
#include "needs.h"
#include "tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a made-up model: two levels, 32 and 64 wide, one resnet each; 5 channels, half size ---- */

enum { WIDE = 64, NARROW = 32, CHANNELS = 5, STEP = 2 };

static void add_resnet(tiny_model *m, const char *where, int64_t in, int64_t out) {
    tiny_model_norm(m, in, "%s.norm1", where);
    tiny_model_layer(m, out, in, 3, true, "%s.conv1", where);
    tiny_model_norm(m, out, "%s.norm2", where);
    tiny_model_layer(m, out, out, 3, true, "%s.conv2", where);
    if (in != out) tiny_model_layer(m, out, in, 1, true, "%s.conv_shortcut", where);
}

static void add_half(tiny_model *m, bool decoder, bool old_names) {
    static const char *const names[2][4] = {{"to_q", "to_k", "to_v", "to_out.0"},
                                            {"query", "key", "value", "proj_attn"}};
    const char *half = decoder ? "decoder" : "encoder";
    char where[96];
    tiny_model_layer(m, decoder ? WIDE : NARROW, decoder ? CHANNELS : 3, 3, true, "%s.conv_in",
                     half);
    for (int i = 0; i < 2; ++i) {
        snprintf(where, sizeof where, "%s.mid_block.resnets.%d", half, i);
        add_resnet(m, where, WIDE, WIDE);
    }
    tiny_model_norm(m, WIDE, "%s.mid_block.attentions.0.group_norm", half);
    for (int i = 0; i < 4; ++i)
        tiny_model_layer(m, WIDE, WIDE, 0, true, "%s.mid_block.attentions.0.%s", half,
                         names[old_names][i]);
    int64_t from = decoder ? WIDE : NARROW;
    for (int level = 0; level < 2; ++level) { /* the decoder's begin with the smallest map */
        const int64_t to = (level == 1) != decoder ? WIDE : NARROW;
        for (int i = 0; i < (decoder ? 2 : 1); ++i, from = to) {
            snprintf(where, sizeof where, "%s.%s_blocks.%d.resnets.%d", half,
                     decoder ? "up" : "down", level, i);
            add_resnet(m, where, from, to);
        }
        if (level == 0)
            tiny_model_layer(m, to, to, 3, true,
                             decoder ? "%s.up_blocks.0.upsamplers.0.conv"
                                     : "%s.down_blocks.0.downsamplers.0.conv",
                             half);
    }
    tiny_model_norm(m, from, "%s.conv_norm_out", half);
    tiny_model_layer(m, decoder ? 3 : 2 * CHANNELS, from, 3, true, "%s.conv_out", half);
}

static void make_model(tiny_model *m, bool old_names) {
    *m = (tiny_model){0};
    add_half(m, false, old_names);
    add_half(m, true, old_names);
    tiny_model_layer(m, 2 * CHANNELS, 2 * CHANNELS, 1, true, "quant_conv");
    tiny_model_layer(m, CHANNELS, CHANNELS, 1, true, "post_quant_conv");
}

static tsr_status open_model(tsr_context *ctx, const char *path, uint32_t width, uint32_t height,
                             tsr_tokenizer **t) {
    *t = NULL;
    return tsr_tokenizer_open(
        ctx, t,
        &(tsr_model_settings){
            .model = path, .device = "cpu", .tile_width = width, .tile_height = height});
}

static void make_picture(uint8_t *rgb, int width, int height) {
    for (int i = 0; i < width * height * 3; ++i)
        rgb[i] = (uint8_t)((i * 7 + i / (width * 3) * 31 + random_below(40)) & 255);
}

static tsr_item *encode(tsr_tokenizer *t, const tsr_picture *picture, tsr_encode_settings s) {
    tsr_item *item = NULL;
    const tsr_status status = tsr_tokenizer_encode(t, picture, 1, &s, &item, NULL);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
    return item;
}

/* What the network itself makes of one picture: latents [h, w, C], and the picture back. */
static void directly(const char *path, const uint8_t *rgb, int w, int h, float *latents,
                     uint8_t *back) {
    tsr_context *ctx = everywhere_context();
    const int64_t places = (int64_t)(w / STEP) * (h / STEP), values = (int64_t)w * h * 3;
    tsr_safetensors *file;
    tsr_weights *weights;
    tsr_device *device;
    tsr_vae *vae;
    tsr_vae_config config = {.groups = 32};
    tsr_device_settings s = tsr_device_settings_default();
    float *x = malloc((size_t)values * sizeof *x),
          *z = malloc((size_t)places * CHANNELS * sizeof *z);
    s.name = "cpu";
    ck_assert(x && z);
    ck_assert_int_eq(tsr_device_open(ctx, &device, &s), TSR_OK);
    ck_assert_int_eq(tsr_safetensors_open(ctx, path, &file), TSR_OK);
    ck_assert_int_eq(tsr_file_weights(ctx, file, &weights), TSR_OK);
    ck_assert_int_eq(tsr_vae_read_shapes(ctx, weights, "", path, &config), TSR_OK);
    ck_assert_int_eq(tsr_vae_open(device, &config, weights, "", path, &vae), TSR_OK);
    for (int64_t i = 0; i < values; ++i)
        x[i] = ((float)rgb[i] / 255.0f - 0.5f) / 0.5f;
    ck_assert_int_eq(tsr_vae_encode(vae, x, 1, h, w, z, NULL, NULL), TSR_OK);
    ck_assert_int_eq(tsr_vae_decode(vae, z, 1, h / STEP, w / STEP, x, NULL), TSR_OK);
    for (int64_t i = 0; i < places; ++i)
        for (int64_t c = 0; c < CHANNELS; ++c)
            latents[i * CHANNELS + c] = z[c * places + i];
    for (int64_t i = 0; i < values; ++i) {
        const float v = (x[i] * 0.5f + 0.5f) * 255.0f + 0.5f;
        back[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
    }
    tsr_vae_close(&vae);
    tsr_weights_close(&weights);
    tsr_safetensors_close(&file);
    tsr_device_close(&device);
    free(x);
    free(z);
}

/* Writes the item to a file, reads it again and decodes that. */
static void through_a_file(tsr_tokenizer *t, const tsr_token_header *h, const tsr_token_item *item,
                           uint8_t *rgb) {
    tsr_context *ctx = everywhere_context();
    char path[] = "/tmp/tessera-vae-XXXXXX";
    tsr_token_writer *writer = NULL;
    tsr_token_file *file = NULL;
    tsr_token_item back;
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(tsr_token_writer_open(ctx, &writer, path, h, NULL), TSR_OK);
    const tsr_status status = tsr_token_writer_add(writer, item);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert_int_eq(tsr_token_writer_close(&writer), TSR_OK);
    ck_assert_int_eq(tsr_token_file_open(ctx, &file, path), TSR_OK);
    ck_assert_int_eq(tsr_token_file_item(file, 0, &back), TSR_OK);
    ck_assert_mem_eq(back.latents, item->latents,
                     tsr_token_item_total(item) * h->channels * sizeof(float));
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_token_file_header(file), &back, 0, rgb), TSR_OK);
    tsr_token_file_close(&file);
    unlink(path);
}

START_TEST(the_network_to_the_bit) {
    enum { W = 44, H = 36, N = W * H / STEP / STEP * CHANNELS };
    static uint8_t rgb[W * H * 3], wanted[W * H * 3], memory[W * H * 3], file[W * H * 3];
    static float latents[N];
    tsr_context *ctx = everywhere_context();
    for (int old_names = 0; old_names < 2; ++old_names) {
        tiny_model m;
        tsr_tokenizer *t;
        make_model(&m, old_names);
        make_picture(rgb, W, H);
        const char *path = tiny_model_write(&m, NULL, NULL);
        directly(path, rgb, W, H, latents, wanted);
        const tsr_status status = open_model(ctx, path, W, H, &t);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        tsr_token_header h = *tsr_tokenizer_header(t);
        ck_assert_str_eq(h.tokenizer, "vae-f2-c5");
        ck_assert_int_eq(h.geometry, TSR_GEOMETRY_GRID);
        ck_assert_uint_eq(h.codebook_size, 0);
        ck_assert_uint_eq(h.channels, CHANNELS);
        ck_assert_uint_eq(h.rows, H / STEP);
        ck_assert_uint_eq(h.columns, W / STEP);
        ck_assert_uint_eq(h.nested, 0);
        const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
        tsr_encode_settings s = tsr_encode_settings_default();

        /* as they are */
        s.f32_latents = 1;
        tsr_item *exact = encode(t, &picture, s);
        const tsr_token_item *item = tsr_item_tokens(exact);
        ck_assert_ptr_null(item->ids);
        ck_assert_uint_eq(tsr_token_item_total(item), N / CHANNELS);
        ck_assert_mem_eq(item->latents, latents, sizeof latents);
        ck_assert_int_eq(tsr_tokenizer_decode(t, &h, item, 0, memory), TSR_OK);
        ck_assert_mem_eq(memory, wanted, sizeof wanted);
        h.latent_type = TSR_LATENT_F32;
        through_a_file(t, &h, item, file);
        ck_assert_mem_eq(file, wanted, sizeof wanted);

        /* rounded: already in memory, so that nothing more happens in the file */
        s.f32_latents = 0;
        tsr_item *half = encode(t, &picture, s);
        item = tsr_item_tokens(half);
        for (int i = 0; i < N; ++i)
            ck_assert_float_eq(item->latents[i], tsr_f16_to_f32(tsr_f32_to_f16(latents[i])));
        ck_assert_int_eq(tsr_tokenizer_decode(t, &h, item, 0, memory), TSR_OK);
        h.latent_type = TSR_LATENT_F16;
        through_a_file(t, &h, item, file);
        ck_assert_mem_eq(file, memory, sizeof memory);
        int most = 0;
        for (size_t i = 0; i < sizeof wanted; ++i)
            if (abs(wanted[i] - memory[i]) > most) most = abs(wanted[i] - memory[i]);
        printf("half precision: at most %d of 255\n", most);
        ck_assert_int_le(most, 2); /* 1 with each of 25 seeds */
        tsr_item_close(&exact);
        tsr_item_close(&half);
        tsr_tokenizer_close(&t);
        tiny_model_free(&m);
    }
}
END_TEST

START_TEST(together) {
    tiny_model m;
    make_model(&m, false);
    const char *path = tiny_model_write(&m, NULL, NULL);
    batch_case(path, "vulkan:0", 36, 3);
    in_flight_case(path, "cpu", 8, 100);
    in_flight_case(path, "vulkan:0", 8, 100);
    tiny_model_free(&m);
}
END_TEST

START_TEST(tiles_and_batches) {
    enum { W = 70, H = 50 };
    static uint8_t rgb[W * H * 3], once[W * H * 3], again[W * H * 3];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    tsr_tokenizer *t, *other;
    make_model(&m, false);
    make_picture(rgb, W, H);
    const char *path = tiny_model_write(&m, NULL, NULL);
    ck_assert_int_eq(open_model(ctx, path, 40, 34, &t), TSR_OK);
    const tsr_token_header h = *tsr_tokenizer_header(t);
    ck_assert_int_eq(h.fit, TSR_FIT_TILE);
    const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
    tsr_encode_settings s = tsr_encode_settings_default();
    s.f32_latents = 1;
    s.batch = 1;
    tsr_item *one = encode(t, &picture, s);
    s.batch = 3;
    tsr_item *three = encode(t, &picture, s);
    const tsr_token_item *a = tsr_item_tokens(one), *b = tsr_item_tokens(three);
    ck_assert_uint_eq(a->tile_columns * a->tile_rows, 4);
    ck_assert_uint_eq(tsr_token_item_total(a), 4 * 20 * 17);
    ck_assert_mem_eq(a->latents, b->latents,
                     tsr_token_item_total(a) * CHANNELS * sizeof *a->latents);
    tsr_decode_settings d = tsr_decode_settings_default();
    d.batch = 1;
    ck_assert_int_eq(tsr_tokenizer_decode_with(t, &h, a, &d, once), TSR_OK);
    d.batch = 3;
    ck_assert_int_eq(tsr_tokenizer_decode_with(t, &h, a, &d, again), TSR_OK);
    ck_assert_mem_eq(once, again, sizeof once);
    /* a tokenizer opened with other tiles decodes them as well */
    ck_assert_int_eq(open_model(ctx, path, 0, 0, &other), TSR_OK);
    ck_assert_uint_eq(tsr_tokenizer_header(other)->tile_width, 256);
    ck_assert_int_eq(tsr_tokenizer_decode(other, &h, a, 0, again), TSR_OK);
    ck_assert_mem_eq(once, again, sizeof once);
    tsr_tokenizer_close(&other);

    /* sizes */
    ck_assert_int_eq(open_model(ctx, path, 33, 32, &other), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "multiples of 2"));
    ck_assert_int_eq(open_model(ctx, path, 32, 0, &other), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(open_model(ctx, path, 1 << 20, 32, &other), TSR_ERROR_ARGUMENT);

    /* what makes no sense of vectors is refused, with the reason */
    tsr_item *none = NULL;
    s.choice.tokens = 5;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &none, NULL), TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "a prefix is no picture"));
    s.choice.tokens = 0;
    s.choice.quality = 0.1f;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &none, NULL), TSR_ERROR_UNSUPPORTED);
    s.choice.quality = 0;
    s.choice.budget = 5;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &none, NULL), TSR_ERROR_UNSUPPORTED);
    s.choice.budget = 0;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 7, again), TSR_ERROR_UNSUPPORTED);

    /* items that are not what they should be */
    uint32_t counts[4] = {340, 340, 340, 339};
    tsr_token_item item = *a;
    item.counts = counts;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &item, 0, again), TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "vectors of a tile: wanted 340, got 339"));
    item = *a;
    item.latents = NULL;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &item, 0, again), TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted vectors, got NULL"));
    ((float *)a->latents)[1000] = 0.0f / 0.0f;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 0, again), TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "finite"));
    tsr_token_header wrong = h;
    wrong.channels = 4;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &wrong, b, 0, again), TSR_ERROR_MODEL_MISMATCH);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted vectors of 5, got vectors of 4"));
    wrong.channels = 0;
    wrong.codebook_size = 64;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &wrong, b, 0, again), TSR_ERROR_MODEL_MISMATCH);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted vectors of 5, got ids of 64"));
    tsr_item_close(&one);
    tsr_item_close(&three);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);

    /* and tokenizers of ids have no such numbers */
    ck_assert_int_eq(open_model(ctx, NULL, 0, 0, &t), TSR_OK);
    s = tsr_encode_settings_default();
    s.f32_latents = 1;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &none, NULL), TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "whose tokens are ids"));
    tsr_tokenizer_close(&t);
}
END_TEST

static void refused(tiny_model *m, const char *text) {
    tsr_tokenizer *t;
    const tsr_status status =
        open_model(everywhere_context(), tiny_model_write(m, NULL, NULL), 0, 0, &t);
    const char *detail = tsr_detail(everywhere_context());
    ck_assert_msg(status == TSR_ERROR_MODEL, "wanted a refusal with \"%s\", got status %d: %s",
                  text, (int)status, detail);
    ck_assert_msg(strstr(detail, text) != NULL, "wanted \"%s\" in: %s", text, detail);
    tiny_model_free(m);
}

START_TEST(damaged) {
    tiny_model m;
    make_model(&m, false);
    tiny_model_remove(&m, "decoder.conv_norm_out.bias");
    refused(&m, "tensor decoder.conv_norm_out.bias: wanted [32], got none");
    make_model(&m, false);
    tiny_model_find(&m, "quant_conv.weight")->dim[0] = 9;
    refused(&m, "tensor quant_conv.weight: wanted [10, 10, 1, 1], got [9, 10, 1, 1]");
    make_model(&m, false);
    tiny_model_layer(&m, 4, 4, 0, false, "decoder.surplus");
    refused(&m, "tensor decoder.surplus.weight: wanted none of this name, got one");

    /* a configuration beside the file is believed, and one of another model refused */
    static const struct {
        const char *config, *text; /* NULL: it opens */
    } cases[] = {
        {"{\"_class_name\": \"AutoencoderKL\", \"scaling_factor\": 0.5}", NULL},
        {"{\"_class_name\": \"VQModel\"}", "_class_name: wanted AutoencoderKL"},
        {"{\"_class_name\": \"AutoencoderKL\", \"act_fn\": \"relu\"}", "act_fn: wanted silu"},
        {"{\"_class_name\": \"AutoencoderKL\", \"norm_num_groups\": 48}", "a multiple of 48"},
        {"[]", "wanted a JSON object"}};
    char folder[] = "/tmp/tessera-vae-XXXXXX", path[64], config[64];
    tsr_tokenizer *t;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/diffusion_pytorch_model.safetensors", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    make_model(&m, false);
    ck_assert_int_eq(rename(tiny_model_write(&m, NULL, NULL), path), 0);
    *m.path = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        FILE *f = fopen(config, "w");
        ck_assert_ptr_nonnull(f);
        fputs(cases[i].config, f);
        fclose(f);
        const tsr_status status = open_model(everywhere_context(), folder, 0, 0, &t);
        const char *detail = tsr_detail(everywhere_context());
        ck_assert_msg(status == (cases[i].text ? TSR_ERROR_MODEL : TSR_OK), "%s: %s",
                      cases[i].config, detail);
        ck_assert_msg(!cases[i].text || strstr(detail, cases[i].text), "wanted \"%s\" in: %s",
                      cases[i].text, detail);
        tsr_tokenizer_close(&t);
    }
    unlink(path);
    unlink(config);
    rmdir(folder);
    tiny_model_free(&m);
}
END_TEST

/* A tile beyond the memory limit goes by windows, which its name says; without a limit the same
 * model does it at once; no room for one window is a refusal. */
START_TEST(windows) {
    enum { SIDE = 160 };
    static uint8_t rgb[SIDE * SIDE * 3];
    make_picture(rgb, SIDE, SIDE);
    const tsr_picture picture = {.rgb = rgb, .width = SIDE, .height = SIDE, .key = "made up"};
    tiny_model m;
    make_model(&m, false);
    const char *path = tiny_model_write(&m, NULL, NULL);
    for (int run = 0; run < 3; ++run) {
        tsr_context *ctx = NULL;
        tsr_tokenizer *t = NULL;
        tsr_item *item = NULL;
        tsr_context_settings settings = tsr_context_settings_default();
        settings.memory_limit = (uint64_t[]){1 << 30, 24 << 20, 1 << 20}[run];
        ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
        const tsr_status status = open_model(ctx, path, SIDE, SIDE, &t);
        if (run == 2) {
            ck_assert_int_eq(status, TSR_ERROR_TOO_LARGE);
            ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted memory for windows"));
        } else {
            ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
            const char *name = tsr_tokenizer_header(t)->tokenizer;
            printf("%s\n", name);
            ck_assert_int_eq(strncmp(name, "vae-f2-c5/window-", 17) == 0, run == 1);
            ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, NULL, &item, NULL), TSR_OK);
            ck_assert_int_eq(
                tsr_tokenizer_decode(t, tsr_tokenizer_header(t), tsr_item_tokens(item), 0, rgb),
                TSR_OK);
        }
        tsr_item_close(&item);
        tsr_tokenizer_close(&t);
        tsr_context_close(&ctx);
    }
    tiny_model_free(&m);
}
END_TEST

TEST_PARTS("vae", PART(own, NULL, the_network_to_the_bit, tiles_and_batches, windows, damaged),
           PART(batches, need_vulkan, together))
