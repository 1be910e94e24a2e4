/* SPDX-License-Identifier: MIT */
/* TiTok and One-D-Piece: made-up models: what they are taken for, prefixes,
 * batches, what they refuse, damaged model files. */
#include <tessera/tessera.h>

#include "batch_case.h"
#include "codec/tokenizers/titok.h"
#include "everywhere.h"
#include "needs.h"
#include "picture_bytes.h"
#include "tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- made-up models: one block each, 64 wide, 2x2 patches, 8 latents ---- */

enum { WIDTH = 64, SIDE = 32, PLACES = 4, LATENTS = 8, CODES = 50 };
typedef enum kind { LEGACY, SINGLE, CONTINUOUS } kind;

static void add_tower(tiny_model *m, const char *half) {
    tiny_model_add(m, 1, 0, 2, (int64_t[]){1, WIDTH}, "%s.class_embedding", half);
    tiny_model_add(m, 1, 0, 2, (int64_t[]){1 + PLACES, WIDTH}, "%s.positional_embedding", half);
    tiny_model_add(m, 1, 0, 2, (int64_t[]){LATENTS, WIDTH}, "%s.latent_token_positional_embedding",
                   half);
    tiny_model_norm(m, WIDTH, "%s.ln_pre", half);
    tiny_model_norm(m, WIDTH, "%s.ln_post", half);
    tiny_model_norm(m, WIDTH, "%s.transformer.0.ln_1", half);
    tiny_model_norm(m, WIDTH, "%s.transformer.0.ln_2", half);
    tiny_model_add(m, 0.2f, 0, 2, (int64_t[]){3 * WIDTH, WIDTH},
                   "%s.transformer.0.attn.in_proj_weight", half);
    tiny_model_add(m, 0.1f, 0, 1, (int64_t[]){3 * WIDTH}, "%s.transformer.0.attn.in_proj_bias",
                   half);
    tiny_model_layer(m, WIDTH, WIDTH, 0, true, "%s.transformer.0.attn.out_proj", half);
    tiny_model_layer(m, 4 * WIDTH, WIDTH, 0, true, "%s.transformer.0.mlp.c_fc", half);
    tiny_model_layer(m, WIDTH, 4 * WIDTH, 0, true, "%s.transformer.0.mlp.c_proj", half);
}

static void add_resnet(tiny_model *m, const char *where, int number) {
    char name[64];
    snprintf(name, sizeof name, where, number);
    tiny_model_norm(m, 32, "%s.norm1", name);
    tiny_model_layer(m, 32, 32, 3, false, "%s.conv1", name);
    tiny_model_norm(m, 32, "%s.norm2", name);
    tiny_model_layer(m, 32, 32, 3, false, "%s.conv2", name);
}

static void make_model(tiny_model *m, kind k) {
    const int64_t size = k == LEGACY ? 12 : 16;
    *m = (tiny_model){0};
    tiny_model_add(m, 1, 0, 2, (int64_t[]){LATENTS, WIDTH}, "latent_tokens");
    tiny_model_layer(m, WIDTH, 3, 16, true, "encoder.patch_embed");
    add_tower(m, "encoder");
    tiny_model_layer(m, k == CONTINUOUS ? 2 * size : size, WIDTH, 1, true, "encoder.conv_out");
    add_tower(m, "decoder");
    tiny_model_add(m, 1, 0, 3, (int64_t[]){1, 1, WIDTH}, "decoder.mask_token");
    tiny_model_layer(m, WIDTH, size, 0, true, "decoder.decoder_embed");
    if (k != CONTINUOUS)
        tiny_model_add(m, 1, 0, 2, (int64_t[]){CODES, size}, "quantize.embedding.weight");
    if (k != LEGACY) {
        tiny_model_layer(m, 768, WIDTH, 1, true, "decoder.ffn.0");
        tiny_model_layer(m, 3, 3, 3, true, "decoder.conv_out");
        return;
    }
    tiny_model_layer(m, 2 * WIDTH, WIDTH, 1, true, "decoder.ffn.0");
    tiny_model_layer(m, 20, 2 * WIDTH, 1, true, "decoder.ffn.2");
    tiny_model_add(m, 1, 0, 2, (int64_t[]){20, 32}, "pixel_quantize.embedding.weight");
    tiny_model_layer(m, 32, 32, 3, true, "pixel_decoder.conv_in");
    for (int i = 0; i < 2; ++i)
        add_resnet(m, "pixel_decoder.mid.%d", i);
    for (int i = 0; i < 5; ++i) {
        add_resnet(m, "pixel_decoder.up.%d.block.0", i);
        if (i) tiny_model_layer(m, 32, 32, 3, true, "pixel_decoder.up.%d.upsample_conv", i);
    }
    tiny_model_norm(m, 32, "pixel_decoder.norm_out");
    tiny_model_layer(m, 3, 32, 3, true, "pixel_decoder.conv_out");
}

/* The model in a folder of its own, with a config.json unless that is NULL. */
static char folder[] = "/tmp/tessera-titok-XXXXXX";
static char path[128], config_path[128];

static void write_model(tiny_model *m, const char *config) {
    snprintf(folder, sizeof folder, "/tmp/tessera-titok-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    ck_assert_int_eq(rename(tiny_model_write(m, NULL, NULL), path), 0);
    *m->path = 0;
    if (!config) return;
    FILE *f = fopen(config_path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(config, f);
    fclose(f);
}

static void remove_model(tiny_model *m) {
    unlink(path);
    unlink(config_path);
    rmdir(folder);
    tiny_model_free(m);
}

static tsr_status open_model(tsr_tokenizer **t) {
    *t = NULL;
    return tsr_tokenizer_open(everywhere_context(), t,
                              &(tsr_model_settings){.model = path, .device = "cpu"});
}

#define PREFIXES "{\"model\": {\"vq_model\": {\"strict_length_assertion\": false}}}"

START_TEST(families) {
    tsr_context *ctx = everywhere_context();
    static const struct {
        kind k;
        const char *config, *name;
        bool nested;
    } cases[] = {
        {LEGACY, NULL, "titok-s-8", false},
        {LEGACY, PREFIXES, "one-d-piece-s-8", true},
        {SINGLE, "{\"model\": {\"vq_model\": {\"is_legacy\": false}}}", "titok-s-8", false},
        {SINGLE, NULL, "titok-s-8", false}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        enum { W = 100, H = 70 }; /* several tiles */
        static uint8_t rgb[W * H * 3], full[W * H * 3], part[W * H * 3], again[W * H * 3];
        tiny_model m;
        tsr_tokenizer *t;
        tsr_item *one = NULL, *many = NULL, *cut = NULL;
        make_model(&m, cases[i].k);
        write_model(&m, cases[i].config);
        for (size_t p = 0; p < sizeof rgb; ++p)
            rgb[p] = (uint8_t)random_below(256);
        tsr_status status = open_model(&t);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        tsr_token_header h = *tsr_tokenizer_header(t);
        ck_assert_str_eq(h.tokenizer, cases[i].name);
        ck_assert_int_eq(h.geometry, TSR_GEOMETRY_SEQUENCE);
        ck_assert_uint_eq(h.columns, LATENTS);
        ck_assert_uint_eq(h.codebook_size, CODES);
        ck_assert_uint_eq(h.tile_width, SIDE);
        ck_assert_uint_eq(h.nested, cases[i].nested);
        ck_assert_int_eq(h.fit, TSR_FIT_CROP);

        const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
        tsr_encode_settings s = tsr_encode_settings_default();
        h.fit = s.fit.fit = TSR_FIT_TILE;
        s.batch = 1;
        ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &one, NULL), TSR_OK);
        s.batch = 7; /* 4 and 3 at once inside */
        ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &many, NULL), TSR_OK);
        const tsr_token_item *a = tsr_item_tokens(one), *b = tsr_item_tokens(many);
        const uint64_t total = tsr_token_item_total(a);
        ck_assert_uint_gt(a->tile_columns * a->tile_rows, 7);
        ck_assert_uint_eq(total, tsr_token_item_total(b));
        ck_assert_mem_eq(a->ids, b->ids, total * sizeof *a->ids);
        status = tsr_tokenizer_decode(t, &h, a, 0, full);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        tsr_decode_settings d = tsr_decode_settings_default();
        d.batch = 1;
        ck_assert_int_eq(tsr_tokenizer_decode_with(t, &h, a, &d, again), TSR_OK);
        ck_assert_mem_eq(full, again, sizeof full);

        s.choice.tokens = 3;
        status = tsr_tokenizer_encode(t, &picture, 1, &s, &cut, NULL);
        if (cases[i].nested) { /* a prefix is the same ids cut off, and another picture */
            ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
            const tsr_token_item *c = tsr_item_tokens(cut);
            for (uint32_t tile = 0; tile < a->tile_columns * a->tile_rows; ++tile) {
                ck_assert_uint_eq(c->counts[tile], 3);
                ck_assert_mem_eq(c->ids + 3 * tile, a->ids + LATENTS * tile, 3 * sizeof *c->ids);
            }
            ck_assert_int_eq(tsr_tokenizer_decode(t, &h, c, 0, part), TSR_OK);
            ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 3, again), TSR_OK);
            ck_assert_mem_eq(part, again, sizeof part);
            ck_assert_mem_ne(part, full, sizeof part);
            s.choice = (tsr_token_choice){.quality = 0.1f};
            tsr_item_close(&cut);
            ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &cut, NULL),
                             TSR_ERROR_UNSUPPORTED);
            uint32_t *counts = calloc(a->tile_columns * a->tile_rows, sizeof *counts);
            ck_assert_ptr_nonnull(counts);
            tsr_token_item none = *a; /* no ids at all: a picture of the mask rows alone */
            none.counts = counts;
            ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &none, 0, again), TSR_OK);
            ck_assert_mem_ne(part, again, sizeof part);
            /* as many as each tile likes: neighbours with as many go together, nobody sees it */
            for (uint32_t tile = 0; tile < a->tile_columns * a->tile_rows; ++tile)
                counts[tile] = tile < 2 ? 0 : tile < 5 ? 3 : tile % 3;
            ck_assert_int_eq(tsr_tokenizer_decode_with(t, &h, &none, &d, part), TSR_OK);
            ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &none, 0, again), TSR_OK);
            ck_assert_mem_eq(part, again, sizeof part);
            free(counts);
        } else {
            ck_assert_int_eq(status, TSR_ERROR_UNSUPPORTED);
            ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "a prefix is no picture"));
            ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 3, part), TSR_ERROR_UNSUPPORTED);
        }
        tsr_item_close(&cut);
        tsr_item_close(&one);
        tsr_item_close(&many);
        tsr_tokenizer_close(&t);
        remove_model(&m);
    }
}
END_TEST

START_TEST(together) {
    static const kind kinds[] = {LEGACY, SINGLE, CONTINUOUS};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
        tiny_model m;
        make_model(&m, kinds[i]);
        write_model(&m, NULL);
        batch_case(path, "vulkan:0", SIDE, 3);
        remove_model(&m);
    }
}
END_TEST

/* A model without a codebook: its vectors through a file give the picture they give in memory. */
START_TEST(vectors) {
    enum { W = 60, H = 40, SIZE = 16 };
    static uint8_t rgb[W * H * 3], memory[W * H * 3], again[W * H * 3];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    tsr_tokenizer *t;
    tsr_item *one = NULL, *many = NULL, *none = NULL;
    make_model(&m, CONTINUOUS);
    write_model(&m, "{\"model\": {\"vq_model\": {\"is_legacy\": false}}}");
    for (size_t p = 0; p < sizeof rgb; ++p)
        rgb[p] = (uint8_t)random_below(256);
    const tsr_status status = open_model(&t);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    tsr_token_header h = *tsr_tokenizer_header(t);
    ck_assert_int_eq(h.latent_type, TSR_LATENT_F16); /* as encoding writes it by itself */
    h.latent_type = TSR_LATENT_F32;
    ck_assert_str_eq(h.tokenizer, "titok-s-8-vae");
    ck_assert_uint_eq(h.channels, SIZE);
    ck_assert_uint_eq(h.codebook_size, 0);
    ck_assert_uint_eq(h.columns, LATENTS);
    const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
    tsr_encode_settings s = tsr_encode_settings_default();
    h.fit = s.fit.fit = TSR_FIT_TILE;
    s.f32_latents = 1;
    s.batch = 1;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &one, NULL), TSR_OK);
    s.batch = 5;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &many, NULL), TSR_OK);
    const tsr_token_item *a = tsr_item_tokens(one), *b = tsr_item_tokens(many);
    const uint64_t total = tsr_token_item_total(a);
    ck_assert_uint_gt(total, 5 * LATENTS);
    ck_assert_uint_eq(total, tsr_token_item_total(b));
    ck_assert_mem_eq(a->latents, b->latents, total * SIZE * sizeof *a->latents);
    ck_assert_mem_ne(a->latents, a->latents + SIZE, SIZE * sizeof *a->latents);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 0, memory), TSR_OK);

    char file[] = "/tmp/tessera-titok-XXXXXX";
    tsr_token_writer *writer = NULL;
    tsr_token_file *back = NULL;
    tsr_token_item item;
    ck_assert_int_ge(mkstemp(file), 0);
    ck_assert_int_eq(tsr_token_writer_open(ctx, &writer, file, &h, NULL), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_add(writer, a), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_close(&writer), TSR_OK);
    ck_assert_int_eq(tsr_token_file_open(ctx, &back, file), TSR_OK);
    ck_assert_int_eq(tsr_token_file_item(back, 0, &item), TSR_OK);
    ck_assert_mem_eq(item.latents, a->latents, total * SIZE * sizeof *a->latents);
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_token_file_header(back), &item, 0, again), TSR_OK);
    ck_assert_mem_eq(memory, again, sizeof memory);
    tsr_token_file_close(&back);
    unlink(file);

    s.choice.tokens = 3;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &none, NULL), TSR_ERROR_UNSUPPORTED);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 3, again), TSR_ERROR_UNSUPPORTED);
    tsr_item_close(&one);
    tsr_item_close(&many);
    tsr_tokenizer_close(&t);
    remove_model(&m);
}
END_TEST

START_TEST(in_flight) {
    tiny_model m;
    make_model(&m, SINGLE);
    write_model(&m, NULL);
    in_flight_case(path, "cpu", SIDE, 100);
    if (everywhere_has_vulkan()) in_flight_case(path, "vulkan:0", SIDE, 100);
    remove_model(&m);
}
END_TEST

/* The decoder's last tensor but one comes down only where it is asked for. */
START_TEST(asked_outputs) {
    tiny_model m;
    make_model(&m, LEGACY);
    write_model(&m, NULL);
    const int devices = 1 + everywhere_has_vulkan();
    for (int i = 0; i < devices; ++i) {
        enum { LOGITS = PLACES * 20, PIXELS = SIDE * SIDE * 3 };
        static float rgb[2][PIXELS], head[LOGITS];
        static const int32_t ids[LATENTS] = {1, 7, 3, 49, 0, 22, 30, 5};
        tsr_device *d = everywhere_device(i ? "vulkan:0" : "cpu", NULL);
        tsr_context *ctx = tsr_device_context(d);
        tsr_safetensors *file = NULL;
        tsr_weights *weights = NULL;
        tsr_titok *t = NULL;
        tsr_status status = tsr_safetensors_open(ctx, path, &file);
        if (!status) status = tsr_file_weights(ctx, file, &weights);
        if (!status) status = tsr_titok_open(d, NULL, weights, path, &t);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        uint64_t down[2];
        for (int traced = 0; traced < 2; ++traced) {
            down[traced] = tsr_device_traffic_of(d).bytes_down;
            status = tsr_titok_decode(t, ids, NULL, 1, LATENTS, rgb[traced], traced ? head : NULL);
            ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
            down[traced] = tsr_device_traffic_of(d).bytes_down - down[traced];
        }
        ck_assert_uint_eq(down[0], i ? sizeof rgb[0] : 0);
        ck_assert_uint_eq(down[1], i ? sizeof rgb[0] + sizeof head : 0);
        ck_assert_mem_eq(rgb[0], rgb[1], sizeof rgb[0]);
        /* pictures go up as bytes, and of an encoder that nobody asks ids alone come down */
        static uint8_t picture[2 * SIDE * SIDE * 3];
        int32_t found[2 * LATENTS];
        const tsr_device_traffic before = tsr_device_traffic_of(d);
        status = tsr_titok_encode(t, picture, 2, &(tsr_titok_result){.ids = found});
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
        const tsr_device_traffic after = tsr_device_traffic_of(d);
        ck_assert_uint_eq(after.bytes_up - before.bytes_up, i ? sizeof picture : 0);
        ck_assert_uint_eq(after.bytes_down - before.bytes_down, i ? sizeof found : 0);
        tsr_titok_close(&t);
        tsr_safetensors_close(&file);
    }
    remove_model(&m);
}
END_TEST

/* Writes `count` JPEG files of flat blocks into the model's folder. */
static void write_jpegs(int count, char (*name)[160]) {
    enum { W = 256, H = 192, BLOCKS = W / 8 * (H / 8) };
    for (int i = 0; i < count; ++i) {
        static uint8_t planes[3][BLOCKS];
        for (int c = 0; c < 3; ++c)
            for (int k = 0; k < BLOCKS; ++k)
                planes[c][k] = (uint8_t)random_below(256);
        const uint8_t *samples[3] = {planes[0], planes[1], planes[2]};
        picture_bytes jpeg = jpeg_bytes(W, H, 3, samples, -1, 0);
        snprintf(name[i], sizeof *name, "%s/%02d.jpg", folder, i);
        FILE *f = fopen(name[i], "wb");
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(jpeg.p, 1, jpeg.size, f), jpeg.size);
        fclose(f);
        free(jpeg.p);
    }
}

/* A whole file in memory that the caller frees. */
static char *read_whole(const char *name, long *size) {
    FILE *f = fopen(name, "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    *size = ftell(f);
    rewind(f);
    char *text = malloc((size_t)*size);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq((long)fread(text, 1, (size_t)*size, f), *size);
    fclose(f);
    return text;
}

/* Encodes files with this many threads; the report's times, and the bytes of the file. */
static char *encode_jpegs(const char *const *inputs, int count, const char *device,
                          const char *mask, int threads, long *size, tsr_stage_times *times) {
    tsr_context *ctx = NULL;
    tsr_context_settings c = tsr_context_settings_default();
    tsr_encode_files_settings s = tsr_encode_files_settings_default();
    tsr_encode_report report;
    char output[160];
    c.threads = threads;
    s.model.model = path;
    s.model.device = device;
    s.model.mask = mask;
    s.encode.batch = 7; /* several batches of a group, the last one smaller */
    snprintf(output, sizeof output, "%s/x.tess", folder);
    ck_assert_int_eq(tsr_context_open(&ctx, &c), TSR_OK);
    const tsr_status status = tsr_encode_files(ctx, inputs, count, output, &s, &report);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    tsr_context_close(&ctx);
    *times = report.stages;
    char *bytes = read_whole(output, size);
    unlink(output);
    return bytes;
}

START_TEST(files) {
    enum { COUNT = 64 };
    static char name[COUNT][160];
    const char *inputs[COUNT];
    tiny_model m;
    make_model(&m, SINGLE);
    write_model(&m, NULL);
    write_jpegs(COUNT, name);
    for (int i = 0; i < COUNT; ++i)
        inputs[i] = name[i];
    const int devices = 1 + everywhere_has_vulkan();
    for (int i = 0; i < devices; ++i) {
        long size, own;
        char *want = NULL;
        for (int k = 0; k < 4; ++k) {
            const int threads = 1 + k % 2;
            const char *mask = k < 2 ? NULL : "in_flight";
            tsr_stage_times t;
            char *got =
                encode_jpegs(inputs, COUNT, i ? "vulkan:0" : "cpu", mask, threads, &own, &t);
            printf("%s, %d decoder%s, %s in flight: passed %.3f s, read %.3f, decode %.3f, encode "
                   "%.3f, write %.3f; the device computed %.3f, waited %.3f for the host; the host "
                   "waited %.3f\n",
                   i ? "vulkan:0" : "cpu", t.decoders, t.decoders == 1 ? "" : "s",
                   mask ? "one" : "two", t.passed, t.read, t.decode, t.encode, t.write,
                   t.device_busy, t.device_waited, t.host_waited);
            ck_assert_int_eq(t.decoders, threads);
            ck_assert(t.device_busy > 0 && t.device_busy <= t.passed);
            ck_assert_double_eq_tol(t.device_waited, t.passed - t.device_busy, 1e-9);
            if (i)
                ck_assert(t.host_waited > 0 && t.host_waited <= t.encode);
            else
                ck_assert(t.host_waited == 0 && t.device_busy <= t.encode);
            if (want) {
                ck_assert_int_eq(own, size);
                ck_assert_mem_eq(got, want, (size_t)size);
                free(got);
            } else
                want = got, size = own;
        }
        free(want);
    }
    for (int i = 0; i < COUNT; ++i)
        unlink(name[i]);
    remove_model(&m);
}
END_TEST

static void refused(tiny_model *m, const char *config, tsr_status wanted, const char *text) {
    tsr_tokenizer *t;
    write_model(m, config);
    const tsr_status status = open_model(&t);
    const char *detail = tsr_detail(everywhere_context());
    ck_assert_msg(status == wanted, "wanted a refusal with \"%s\", got status %d: %s", text,
                  (int)status, detail);
    ck_assert_msg(strstr(detail, text) != NULL, "wanted \"%s\" in: %s", text, detail);
    remove_model(m);
}

START_TEST(damaged) {
    tiny_model m;
    make_model(&m, LEGACY);
    tiny_model_remove(&m, "decoder.transformer.0.mlp.c_fc.bias");
    refused(&m, NULL, TSR_ERROR_MODEL,
            "tensor decoder.transformer.0.mlp.c_fc.bias: wanted [256], got none");
    make_model(&m, LEGACY);
    tiny_model_find(&m, "encoder.conv_out.weight")->dim[0] = 11;
    refused(&m, NULL, TSR_ERROR_MODEL,
            "tensor encoder.conv_out.weight: wanted [12, 64, 1, 1], got [11, 64, 1, 1]");
    make_model(&m, SINGLE);
    tiny_model_find(&m, "quantize.embedding.weight")->dim[1] = 15;
    refused(&m, NULL, TSR_ERROR_MODEL, "wanted codes of 16 numbers, got 15");
    make_model(&m, SINGLE);
    tiny_model_layer(&m, 4, 4, 0, false, "decoder.surplus");
    refused(&m, NULL, TSR_ERROR_MODEL, "tensor decoder.surplus.weight: wanted none");
    make_model(&m, SINGLE);
    tiny_model_find(&m, "encoder.positional_embedding")->dim[0] = 4;
    refused(&m, NULL, TSR_ERROR_MODEL, "a square of patches");
    make_model(&m, SINGLE);
    refused(&m, "{\"model\": {\"vq_model\": {\"finetune_decoder\": true}}}", TSR_ERROR_MODEL,
            "finetune_decoder");
    make_model(&m, SINGLE);
    refused(&m, "[]", TSR_ERROR_MODEL, "config.json");
    make_model(&m, SINGLE);
    tiny_model_add(&m, 1, 0, 2, (int64_t[]){77, WIDTH},
                   "decoder.text_guidance_positional_embedding");
    refused(&m, NULL, TSR_ERROR_UNSUPPORTED, "caption");
}
END_TEST

TEST_PARTS("titok", PART(own, NULL, families, vectors, in_flight, asked_outputs, damaged),
           PART(batches, need_vulkan, together), PART(files, need_jpeg, files))
