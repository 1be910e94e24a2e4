/* SPDX-License-Identifier: MIT */
/* FlexTok on a model made here: prefixes, the exact savings against the plain way, threads, batches
 * and devices, seeds and noise, the forms of a file, and files that are wrong. */
#include <tessera/tessera.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/tokenizers/flextok/flextok_decoder.h"
#include "codec/tokenizers/flextok/flextok_encoder.h"
#include "everywhere.h"
#include "batch_case.h"
#include "flextok_sample.h"
#include "formats/arrays/npy.h"
#include "open_device.h"
#include "quantizer/quantizer.h"
#include "quantizer/rng.h"

enum { SIDE = FLEXTOK_SIDE, K = FLEXTOK_REGISTERS, C = 4, H = SIDE / 2, LATENTS = C * H * H };

static char folder[] = "/tmp/tessera-flextok-XXXXXX", file[64];

static bool make_folder(void) {
    if (!mkdtemp(folder)) return false;
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    return true;
}

static void remove_folder(void) {
    char path[96];
    const char *const names[] = {"model.safetensors", "config.json", "noise.npy"};
    for (int i = 0; i < 3; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    if (rmdir(folder)) perror(folder);
}

/* ---- the model inside ---- */

typedef struct inside {
    tsr_safetensors *file;
    tsr_flextok *m;
} inside;

static inside open_inside(const char *path, tsr_device *device) {
    tsr_context *ctx = tsr_device_context(device);
    inside i = {0};
    cJSON *json = NULL;
    tsr_flextok_config config;
    tsr_weights *weights = NULL;
    tsr_status s = tsr_safetensors_open(ctx, path, &i.file);
    if (!s) s = tsr_flextok_find_config(ctx, i.file, path, &json);
    if (!s) s = tsr_flextok_read_config(ctx, path, json, &config);
    if (!s) s = tsr_file_weights(ctx, i.file, &weights);
    if (!s) s = tsr_flextok_open(device, &config, weights, path, &i.m);
    ck_assert_msg(!s, "%s", tsr_detail(ctx));
    cJSON_Delete(json);
    return i;
}

static void close_inside(inside *i) {
    tsr_flextok_close(&i->m);
    tsr_safetensors_close(&i->file);
}

enum { PICTURES = 5 };
static const uint32_t counts[PICTURES] = {0, K, 3, K - 1, 3};

static void make_ids(uint32_t *ids) {
    for (int i = 0; i < PICTURES * K; ++i)
        ids[i] = (uint32_t)random_below(FLEXTOK_CODES);
}

static void decode(tsr_flextok *m, const uint32_t *ids, const float *noise, int first, int count,
                   float guidance, int steps, float *x) {
    const tsr_flextok_decode_settings s = {
        .flow = {.steps = steps, .guidance = guidance, .normalized = true}};
    memcpy(x, noise + first * LATENTS, (size_t)(count * LATENTS) * sizeof *x);
    const tsr_status status =
        tsr_flextok_decode(m, ids + first * K, counts + first, count, H, H, &s, x);
    ck_assert_msg(!status, "%s", tsr_detail(m->ctx));
}

static double worst(const float *a, const float *b, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; ++i) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = d;
    }
    return most;
}

/* Another order of sums moves latents by at most 1.8e-5 (25 seeds). */
static const double order_of_sums = 6e-5;

START_TEST(savings_change_nothing_in_the_decoder) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    inside i = open_inside(file, everywhere_device("cpu", NULL));
    uint32_t ids[PICTURES * K];
    float noise[PICTURES * LATENTS], plain[PICTURES * LATENTS], x[PICTURES * LATENTS];
    make_ids(ids);
    random_normals(noise, PICTURES * LATENTS);
    const float guidance[] = {1.0f, 7.5f};
    for (int g = 0; g < 2; ++g) {
        i.m->savings = 0;
        decode(i.m, ids, noise, 0, PICTURES, guidance[g], 3, plain);
        ck_assert(worst(plain, noise, PICTURES * LATENTS) > 0.05); /* it did something */
        for (unsigned bits = 1; bits <= TSR_FLEXTOK_SAVE_ALL; bits = bits == 16 ? 31 : bits * 2) {
            i.m->savings = bits;
            decode(i.m, ids, noise, 0, PICTURES, guidance[g], 3, x);
            const double d = worst(plain, x, PICTURES * LATENTS);
            printf("  guidance %g, savings %2u: at most %.2g from the plain way\n",
                   (double)guidance[g], bits, d);
            ck_assert_msg(d <= order_of_sums, "savings %u: %g", bits, d);
            /* what does not touch the order of sums gives the same bits */
            if (bits == TSR_FLEXTOK_TABLE || bits == TSR_FLEXTOK_ONE_PASS ||
                bits == TSR_FLEXTOK_LAST_ROWS)
                ck_assert_msg(d == 0, "savings %u: %g", bits, d);
        }
    }
    close_inside(&i);
    flextok_sample_free(sample);
}
END_TEST

START_TEST(savings_change_nothing_in_the_encoder) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    inside i = open_inside(file, everywhere_device("cpu", NULL));
    float latents[PICTURES * LATENTS], plain[PICTURES * K * 3], z[PICTURES * K * 3];
    random_normals(latents, PICTURES * LATENTS);
    i.m->savings = 0;
    ck_assert(!tsr_flextok_encode(i.m, latents, PICTURES, H, H, K, plain, NULL));
    for (int k = 1; k <= K; k += 5)
        for (unsigned bits = 0; bits < 2; ++bits) {
            i.m->savings = bits ? TSR_FLEXTOK_SAVE_ALL : 0;
            ck_assert(!tsr_flextok_encode(i.m, latents, PICTURES, H, H, k, z, NULL));
            for (int b = 0; b < PICTURES; ++b)
                ck_assert(worst(plain + b * K * 3, z + b * k * 3, k * 3) == 0);
        }
    ck_assert_int_eq(tsr_flextok_encode(i.m, latents, 1, H, H, K + 1, z, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_flextok_encode(i.m, latents, 1, H + 2, H, 1, z, NULL), TSR_ERROR_ARGUMENT);
    close_inside(&i);
    flextok_sample_free(sample);
}
END_TEST

START_TEST(collapse_looks_at_the_rows) {
    /* Dropped before positions are added: the tokens differ and none may be left out. */
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_move(sample, "decoder", "d_drop", 1);
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    inside i = open_inside(file, everywhere_device("cpu", NULL));
    ck_assert_int_eq(i.m->config.decoder.step[1].kind, TSR_FLEXTOK_STEP_DROPOUT);
    uint32_t ids[PICTURES * K];
    float noise[PICTURES * LATENTS], plain[PICTURES * LATENTS], x[PICTURES * LATENTS];
    make_ids(ids);
    random_normals(noise, PICTURES * LATENTS);
    i.m->savings = 0;
    decode(i.m, ids, noise, 0, PICTURES, 3, 2, plain);
    i.m->savings = TSR_FLEXTOK_SAVE_ALL;
    decode(i.m, ids, noise, 0, PICTURES, 3, 2, x);
    ck_assert(worst(plain, x, PICTURES * LATENTS) <= order_of_sums);
    close_inside(&i);
    flextok_sample_free(sample);
}
END_TEST

START_TEST(same_bits_for_threads_and_batches) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    uint32_t ids[PICTURES * K];
    float noise[PICTURES * LATENTS], first[PICTURES * LATENTS], x[PICTURES * LATENTS];
    make_ids(ids);
    random_normals(noise, PICTURES * LATENTS);
    for (int threads = 1; threads <= 2; ++threads) {
        own_device d = open_own_device("cpu", threads);
        inside i = open_inside(file, d.device);
        decode(i.m, ids, noise, 0, PICTURES, 7.5f, 4, threads == 1 ? first : x);
        if (threads == 2) ck_assert_mem_eq(first, x, sizeof x);
        for (int b = 0; b < PICTURES; ++b)
            decode(i.m, ids, noise, b, 1, 7.5f, 4, x + b * LATENTS);
        ck_assert_mem_eq(first, x, sizeof x);
        close_inside(&i);
        close_own_device(&d);
    }
    flextok_sample_free(sample);
}
END_TEST

START_TEST(in_flight) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    in_flight_case(file, "cpu", SIDE, 17);
    if (everywhere_has_vulkan()) in_flight_case(file, "vulkan:0", SIDE, 17);
    flextok_sample_free(sample);
}
END_TEST

START_TEST(devices_agree) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    uint32_t ids[PICTURES * K];
    float noise[PICTURES * LATENTS], want[PICTURES * LATENTS], x[PICTURES * LATENTS];
    float z[PICTURES * K * 3], got[PICTURES * K * 3];
    make_ids(ids);
    random_normals(noise, PICTURES * LATENTS);
    inside i = open_inside(file, everywhere_device("cpu", NULL));
    decode(i.m, ids, noise, 0, PICTURES, 3, 2, want);
    ck_assert(!tsr_flextok_encode(i.m, noise, PICTURES, H, H, 7, z, NULL));
    close_inside(&i);
    for (int n = 0; n < everywhere_vulkan_count(); ++n) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", n);
        tsr_device *device = everywhere_device(name, NULL);
        ck_assert_msg(device != NULL, "%s could not be opened", name);
        i = open_inside(file, device);
        for (int again = 0; again < 2; ++again) { /* recorded, then replayed */
            decode(i.m, ids, noise, 0, PICTURES, 3, 2, x);
            ck_assert(!tsr_flextok_encode(i.m, noise, PICTURES, H, H, 7, got, NULL));
            const double d = worst(want, x, PICTURES * LATENTS),
                         e = worst(z, got, PICTURES * 7 * 3);
            printf("  %s: latents at most %.2g, z %.2g from the cpu's\n", name, d, e);
            /* A software driver is at most 1.5e-5 and 7.2e-6 away (25 seeds), with ops that use a
             * tenth of their tolerances; another device may use all of those. */
            ck_assert_msg(d <= 2e-4 && e <= 1e-4, "latents %g, z %g", d, e);
        }
        close_inside(&i);
    }
    flextok_sample_free(sample);
}
END_TEST

/* ---- through the API ---- */

static tsr_status open_tokenizer(tsr_context *ctx, const char *path, tsr_tokenizer **t) {
    return tsr_tokenizer_open(ctx, t, &(tsr_model_settings){.model = path, .device = "cpu"});
}

static void make_picture(uint8_t *rgb, int pixels) {
    for (int i = 0; i < pixels * 3; ++i)
        rgb[i] = (uint8_t)((i * 37 + i / 50 * 11) % 256);
}

START_TEST(tiles_to_ids_and_back) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    ck_assert_msg(!open_tokenizer(ctx, file, &t), "%s", tsr_detail(ctx));
    const tsr_token_header *h = tsr_tokenizer_header(t);
    ck_assert_str_eq(h->tokenizer, "flextok-d2-d3");
    ck_assert(h->codebook_size == FLEXTOK_CODES && h->columns == K && h->tile_width == SIDE);
    ck_assert(h->fit == TSR_FIT_CROP && h->filter == 0 && h->nested);
    ck_assert(h->hints.present && h->hints.steps == 25 && h->hints.guidance == 15);

    enum { WIDTH = 40, HEIGHT = 24 };
    uint8_t rgb[WIDTH * HEIGHT * 3], out[4][WIDTH * HEIGHT * 3];
    make_picture(rgb, WIDTH * HEIGHT);
    const tsr_picture picture = {.rgb = rgb, .width = WIDTH, .height = HEIGHT, .key = "p"};
    tsr_encode_settings e = tsr_encode_settings_default();
    e.fit.fit = TSR_FIT_TILE;
    tsr_item *all = NULL, *few = NULL;
    uint64_t ties = 0;
    ck_assert_msg(!tsr_tokenizer_encode(t, &picture, 1, &e, &all, &ties), "%s", tsr_detail(ctx));
    e.choice.tokens = 5;
    e.batch = 2;
    ck_assert(!tsr_tokenizer_encode(t, &picture, 1, &e, &few, NULL));
    const tsr_token_item *a = tsr_item_tokens(all), *b = tsr_item_tokens(few);
    const uint32_t tiles = a->tile_columns * a->tile_rows;
    ck_assert_uint_ge(tiles, 4);
    for (uint32_t i = 0; i < tiles; ++i) {
        ck_assert(a->counts[i] == K && b->counts[i] == 5);
        ck_assert_mem_eq(a->ids + i * K, b->ids + i * 5, 5 * sizeof *a->ids);
    }
    e.choice = (tsr_token_choice){.quality = 0.1f};
    tsr_item *none = NULL;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &e, &none, NULL), TSR_ERROR_UNSUPPORTED);

    tsr_token_header header = *h;
    header.fit = TSR_FIT_TILE;
    tsr_decode_settings d = {.sampling = {.steps = 2, .guidance = 2, .seed = 1}};
    ck_assert_msg(!tsr_tokenizer_decode_with(t, &header, a, &d, out[0]), "%s", tsr_detail(ctx));
    header.hints = (tsr_decode_hints){.present = 1, .steps = 2, .guidance = 2, .seed = 1};
    ck_assert(!tsr_tokenizer_decode_with(t, &header, a, NULL, out[1])); /* the file's hints */
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    d.sampling.seed = 2;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, a, &d, out[2]));
    ck_assert(memcmp(out[0], out[2], sizeof out[0]) != 0);
    d.tokens = 5; /* the same prefix from either item */
    ck_assert(!tsr_tokenizer_decode_with(t, &header, a, &d, out[2]));
    ck_assert(!tsr_tokenizer_decode_with(t, &header, b, &d, out[3]));
    ck_assert_mem_eq(out[2], out[3], sizeof out[2]);
    d.sampling.steps = 20000;
    ck_assert_int_eq(tsr_tokenizer_decode_with(t, &header, a, &d, out[2]), TSR_ERROR_ARGUMENT);
    /* a file only advises: what cannot be done is done as without it; to write such is an error */
    d = (tsr_decode_settings){.sampling = {.steps = 2, .guidance = 15}};
    header.hints.guidance = NAN;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, a, NULL, out[2]));
    header.hints.guidance = 2;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, a, &d, out[3]));
    ck_assert_mem_eq(out[2], out[3], sizeof out[2]);
    header.hints.steps = 2000000;
    d = (tsr_decode_settings){.sampling = {.steps = 1}};
    ck_assert(!tsr_tokenizer_decode_with(t, &header, a, &d, out[3]));
    tsr_encode_files_settings f = tsr_encode_files_settings_default();
    f.model.model = file;
    f.model.device = "cpu";
    f.hints.steps = 20000;
    ck_assert_int_eq(tsr_encode_files(ctx, (const char *const[]){"none.png"}, 1, "none.tess", &f,
                                      &(tsr_encode_report){0}),
                     TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "steps: wanted 1 to 10000, got 20000");
    /* one request, validated before any picture is read: none.png is never missed */
    const float beyond[] = {-2, 0.0005f, 1001};
    for (int i = 0; i < 3; ++i) {
        f.hints = (tsr_sampling_settings){.guidance = beyond[i]};
        ck_assert_int_eq(
            tsr_encode_files(ctx, (const char *const[]){"none.png"}, 1, "none.tess", &f, NULL),
            TSR_ERROR_ARGUMENT);
        d = (tsr_decode_settings){.sampling = f.hints};
        ck_assert_int_eq(tsr_tokenizer_decode_with(t, &header, a, &d, out[3]), TSR_ERROR_ARGUMENT);
    }
    f.hints = (tsr_sampling_settings){0};
    f.encode.choice.quality = 0.1f;
    ck_assert_int_eq(
        tsr_encode_files(ctx, (const char *const[]){"none.png"}, 1, "none.tess", &f, NULL),
        TSR_ERROR_UNSUPPORTED);
    f.encode.choice.quality = 0;
    ck_assert_int_eq(
        tsr_encode_files(ctx, (const char *const[]){"none.png"}, 1, "none.tess", &f, NULL),
        TSR_ERROR_NOT_FOUND);
    tsr_item_close(&all);
    tsr_item_close(&few);
    tsr_tokenizer_close(&t);
    flextok_sample_free(sample);
}
END_TEST

START_TEST(noise_from_a_file) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    ck_assert_msg(!open_tokenizer(ctx, file, &t), "%s", tsr_detail(ctx));
    const uint32_t count = 3, ids[3] = {1, 2, 239};
    const tsr_token_item item = {.key = "n",
                                 .source_width = SIDE,
                                 .source_height = SIDE,
                                 .orientation = 1,
                                 .width = SIDE,
                                 .height = SIDE,
                                 .tile_columns = 1,
                                 .tile_rows = 1,
                                 .counts = &count,
                                 .ids = ids};
    char path[96];
    snprintf(path, sizeof path, "%s/noise.npy", folder);
    float noise[LATENTS + 1];
    tsr_random_normals(9, 0, LATENTS, noise);
    tsr_tensor n = tsr_host_tensor(TSR_DTYPE_F32, noise, 4, (int64_t[]){1, C, H, H});
    ck_assert(!tsr_npy_write(ctx, path, &n));
    uint8_t a[SIDE * SIDE * 3], b[SIDE * SIDE * 3];
    tsr_decode_settings d = {.sampling = {.steps = 2, .guidance = 1, .seed = 9}};
    ck_assert_msg(!tsr_tokenizer_decode_with(t, tsr_tokenizer_header(t), &item, &d, a), "%s",
                  tsr_detail(ctx));
    d.sampling.seed = 0;
    d.noise = path;
    ck_assert_msg(!tsr_tokenizer_decode_with(t, tsr_tokenizer_header(t), &item, &d, b), "%s",
                  tsr_detail(ctx));
    ck_assert_mem_eq(a, b, sizeof a);
    n = tsr_host_tensor(TSR_DTYPE_F32, noise, 3, (int64_t[]){C, H, H + 1 - 1});
    n.dim[0] = C / 2;
    ck_assert(!tsr_npy_write(ctx, path, &n));
    ck_assert_int_eq(tsr_tokenizer_decode_with(t, tsr_tokenizer_header(t), &item, &d, b),
                     TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "noise: wanted F32 [tiles, 4, 8, 8], got F32 [2, 8, 8]");
    const uint32_t bad[3] = {1, 240, 2};
    tsr_token_item wrong = item;
    wrong.ids = bad;
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_tokenizer_header(t), &wrong, 0, b),
                     TSR_ERROR_TOKENS);
    tsr_tokenizer_close(&t);
    flextok_sample_free(sample);
}
END_TEST

/* The posterior's draw: zeros give the mean's ids, other noise those of mean + exp(logvar/2)*noise
 * by hand, whatever the batch; what does not fit is refused. */
START_TEST(latents_drawn_with_noise) {
    enum { WIDTH = 40, HEIGHT = 24, MOST = 16 };
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    ck_assert_msg(!open_tokenizer(ctx, file, &t), "%s", tsr_detail(ctx));
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static float noise[(MOST + 1) * LATENTS];
    make_picture(rgb, WIDTH * HEIGHT);
    const tsr_picture pictures[2] = {{.rgb = rgb, .width = WIDTH, .height = HEIGHT, .key = "p"},
                                     {.rgb = rgb, .width = SIDE, .height = SIDE, .key = "q"}};
    tsr_encode_settings e = tsr_encode_settings_default();
    e.fit.fit = TSR_FIT_TILE;
    tsr_item *mean[2], *drawn[2], *again[2];
    ck_assert(!tsr_tokenizer_encode(t, pictures, 2, &e, mean, NULL));
    const tsr_token_item *a = tsr_item_tokens(mean[0]);
    const uint32_t first = a->tile_columns * a->tile_rows, tiles = first + 1;
    ck_assert(first >= 4 && tiles <= MOST);

    char path[96];
    snprintf(path, sizeof path, "%s/noise.npy", folder);
    e.noise = path;
    tsr_tensor n = tsr_host_tensor(TSR_DTYPE_F32, noise, 4, (int64_t[]){tiles, C, H, H});
    ck_assert(!tsr_npy_write(ctx, path, &n)); /* zeros */
    ck_assert_msg(!tsr_tokenizer_encode(t, pictures, 2, &e, again, NULL), "%s", tsr_detail(ctx));
    for (int i = 0; i < 2; ++i) {
        const tsr_token_item *x = tsr_item_tokens(mean[i]), *y = tsr_item_tokens(again[i]);
        ck_assert_mem_eq(x->ids, y->ids, tsr_token_item_total(x) * sizeof *x->ids);
        tsr_item_close(&again[i]);
    }
    tsr_random_normals(11, 0, tiles * LATENTS, noise);
    ck_assert(!tsr_npy_write(ctx, path, &n));
    ck_assert_msg(!tsr_tokenizer_encode(t, pictures, 2, &e, drawn, NULL), "%s", tsr_detail(ctx));
    e.batch = 3;
    ck_assert(!tsr_tokenizer_encode(t, pictures, 2, &e, again, NULL));
    for (int i = 0; i < 2; ++i) {
        const tsr_token_item *x = tsr_item_tokens(drawn[i]), *y = tsr_item_tokens(again[i]);
        ck_assert_mem_eq(x->ids, y->ids, tsr_token_item_total(x) * sizeof *x->ids);
        ck_assert(memcmp(x->ids, tsr_item_tokens(mean[i])->ids,
                         tsr_token_item_total(x) * sizeof *x->ids) != 0);
    }

    /* the second picture is one tile, with the last noise; by hand */
    inside i = open_inside(file, everywhere_device("cpu", NULL));
    float x[SIDE * SIDE * 3], z[LATENTS], logvar[LATENTS], out[K * 3];
    int32_t ids[K];
    for (int p = 0; p < SIDE * SIDE * 3; ++p)
        x[p] = ((float)rgb[p] / 255.0f - 0.5f) / 0.5f;
    ck_assert(!tsr_vae_encode(i.m->vae, x, 1, SIDE, SIDE, z, logvar, NULL));
    for (int p = 0; p < LATENTS; ++p)
        z[p] = (z[p] + expf(logvar[p] / 2) * noise[first * LATENTS + (uint32_t)p]) *
               (float)i.m->config.vae.scaling_factor;
    ck_assert(!tsr_flextok_encode(i.m, z, 1, H, H, K, out, NULL));
    ck_assert(!tsr_fsq_quantize(i.m->device, out, K, i.m->config.levels, 3, NULL, NULL, ids));
    ck_assert_mem_eq(ids, tsr_item_tokens(drawn[1])->ids, sizeof ids);
    close_inside(&i);

    /* refusals: number, shape, type, numbers that are none */
    tsr_item *none[2];
    const struct {
        int rank;
        int64_t dim[4];
        tsr_dtype type;
        const char *why;
    } bad[] = {
        {4, {tiles + 1, C, H, H}, TSR_DTYPE_F32, "noise: wanted it for"},
        {4, {tiles - 1, C, H, H}, TSR_DTYPE_F32, "noise: wanted it for at least"},
        {3, {C, H, H}, TSR_DTYPE_F32, "noise: wanted it for at least"},
        {4, {tiles, C, H, H / 2}, TSR_DTYPE_F32, "noise: wanted F32 [tiles, 4, 8, 8], got F32 ["},
        {2, {C, H}, TSR_DTYPE_F32, "got F32 [4, 8]"},
        {4, {tiles, C, H, H}, TSR_DTYPE_I32, "got I32 ["}};
    for (size_t b = 0; b < sizeof bad / sizeof *bad; ++b) {
        n = tsr_host_tensor(bad[b].type, noise, bad[b].rank, bad[b].dim);
        ck_assert(!tsr_npy_write(ctx, path, &n));
        ck_assert_int_eq(tsr_tokenizer_encode(t, pictures, 2, &e, none, NULL), TSR_ERROR_ARGUMENT);
        ck_assert_msg(strstr(tsr_detail(ctx), bad[b].why) != NULL, "%s", tsr_detail(ctx));
        ck_assert(!none[0] && !none[1]);
    }
    noise[2 * LATENTS + 5] = INFINITY;
    n = tsr_host_tensor(TSR_DTYPE_F32, noise, 4, (int64_t[]){tiles, C, H, H});
    ck_assert(!tsr_npy_write(ctx, path, &n));
    ck_assert_int_eq(tsr_tokenizer_encode(t, pictures, 2, &e, none, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "noise: wanted finite numbers, got inf for tile 2");
    for (int p = 0; p < 2; ++p) {
        tsr_item_close(&mean[p]);
        tsr_item_close(&drawn[p]);
        tsr_item_close(&again[p]);
    }
    tsr_tokenizer_close(&t);
    flextok_sample_free(sample);
}
END_TEST

/* Plain guidance: what the flow makes of it, from the settings and from the file's hints. */
START_TEST(guidance_modes) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    ck_assert_msg(!open_tokenizer(ctx, file, &t), "%s", tsr_detail(ctx));
    uint32_t count = K, ids[PICTURES * K];
    make_ids(ids);
    const tsr_token_item item = {.key = "n",
                                 .source_width = SIDE,
                                 .source_height = SIDE,
                                 .orientation = 1,
                                 .width = SIDE,
                                 .height = SIDE,
                                 .tile_columns = 1,
                                 .tile_rows = 1,
                                 .counts = &count,
                                 .ids = ids};
    static uint8_t out[5][SIDE * SIDE * 3];
    tsr_token_header header = *tsr_tokenizer_header(t);
    header.hints = (tsr_decode_hints){.present = 1, .steps = 2, .guidance = 6, .seed = 4};
    tsr_decode_settings d = tsr_decode_settings_default();
    ck_assert(!tsr_tokenizer_decode_with(t, &header, &item, &d, out[0]));
    d.sampling.mode = TSR_GUIDANCE_APG;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, &item, &d, out[1]));
    d.sampling.mode = TSR_GUIDANCE_CFG;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, &item, &d, out[2]));
    header.hints.plain = 1;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, &item, NULL, out[3]));
    d.sampling.mode = TSR_GUIDANCE_APG;
    ck_assert(!tsr_tokenizer_decode_with(t, &header, &item, &d, out[4]));
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    ck_assert_mem_eq(out[2], out[3], sizeof out[0]);
    ck_assert_mem_eq(out[0], out[4], sizeof out[0]);
    ck_assert(memcmp(out[0], out[2], sizeof out[0]) != 0);
    d.sampling.mode = (tsr_guidance_mode)3;
    ck_assert_int_eq(tsr_tokenizer_decode_with(t, &header, &item, &d, out[4]), TSR_ERROR_ARGUMENT);
    tsr_tokenizer_close(&t);
    flextok_sample_free(sample);
}
END_TEST

static void round_weights(flextok_sample *sample, tsr_dtype dtype) {
    for (int t = 0; t < sample->count; ++t) {
        float *f = sample->tensors[t].data;
        for (int64_t i = 0; i < tsr_elements(&sample->tensors[t]); ++i)
            f[i] = dtype == TSR_DTYPE_F16 ? tsr_f16_to_f32(tsr_f32_to_f16(f[i]))
                                          : tsr_bf16_to_f32(tsr_f32_to_bf16(f[i]));
    }
}

START_TEST(forms_of_a_file) {
    flextok_sample *sample = flextok_sample_make();
    tsr_context *ctx = everywhere_context();
    enum { WIDTH = 100, HEIGHT = 60, TILES = 40 }; /* so many ids that some tell every bit */
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static uint32_t first[TILES * K];
    make_picture(rgb, WIDTH * HEIGHT);
    const tsr_picture picture = {.rgb = rgb, .width = WIDTH, .height = HEIGHT};
    tsr_encode_settings e = tsr_encode_settings_default();
    e.fit.fit = TSR_FIT_TILE;
    const struct {
        flextok_form form;
        tsr_dtype dtype;
        tsr_dtype rounded; /* to what the sample's weights are rounded first; F32: not at all */
        bool folder, as_before;
    } forms[] = {{FLEXTOK_JSON, TSR_DTYPE_F32, TSR_DTYPE_F32, false, false},
                 {FLEXTOK_PYTHON, TSR_DTYPE_F32, TSR_DTYPE_F32, false, true},
                 {FLEXTOK_BESIDE, TSR_DTYPE_F32, TSR_DTYPE_F32, true, true},
                 {FLEXTOK_PYTHON, TSR_DTYPE_BF16, TSR_DTYPE_F32, false, false},
                 {FLEXTOK_JSON, TSR_DTYPE_F32, TSR_DTYPE_BF16, false, true},
                 {FLEXTOK_JSON, TSR_DTYPE_F16, TSR_DTYPE_F32, true, false},
                 {FLEXTOK_PYTHON, TSR_DTYPE_F32, TSR_DTYPE_F16, false, true}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; ++i) {
        if (forms[i].rounded != TSR_DTYPE_F32) round_weights(sample, forms[i].rounded);
        flextok_sample_write(sample, file, forms[i].form, forms[i].dtype);
        tsr_tokenizer *t = NULL;
        tsr_item *item = NULL;
        ck_assert_msg(!open_tokenizer(ctx, forms[i].folder ? folder : file, &t), "%zu: %s", i,
                      tsr_detail(ctx));
        ck_assert(!tsr_tokenizer_encode(t, &picture, 1, &e, &item, NULL));
        const uint32_t *ids = tsr_item_tokens(item)->ids;
        ck_assert_uint_eq(tsr_token_item_total(tsr_item_tokens(item)), TILES * K);
        if (forms[i].as_before) ck_assert_mem_eq(first, ids, sizeof first);
        memcpy(first, ids, sizeof first);
        tsr_item_close(&item);
        tsr_tokenizer_close(&t);
    }
    flextok_sample_free(sample);
}
END_TEST

/* ---- files that are wrong ---- */

typedef void (*change)(flextok_sample *s);

static void set_text(flextok_sample *s, const char *part, const char *module, const char *key,
                     const char *value) {
    cJSON *m = flextok_sample_module(s, part, module);
    cJSON_DeleteItemFromObjectCaseSensitive(m, key);
    cJSON_AddStringToObject(m, key, value);
}
static void set_number(flextok_sample *s, const char *part, const char *module, const char *key,
                       double value) {
    cJSON *m = flextok_sample_module(s, part, module);
    cJSON_DeleteItemFromObjectCaseSensitive(m, key);
    cJSON_AddNumberToObject(m, key, value);
}
static cJSON *modules(flextok_sample *s, const char *part) {
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(s->config, part),
                                            "module_dict");
}

static void other_class(flextok_sample *s) {
    set_text(s, "decoder", "d_trunk", "_target_", "x.GridTransformer");
}
static void other_vae(flextok_sample *s) {
    cJSON *v = cJSON_GetObjectItemCaseSensitive(s->config, "vae");
    cJSON_ReplaceItemInObjectCaseSensitive(v, "_target_", cJSON_CreateString("x.VQVAE"));
}
static void no_decoder(flextok_sample *s) {
    cJSON_DeleteItemFromObjectCaseSensitive(s->config, "decoder");
}
static void too_many_codes(flextok_sample *s) {
    cJSON *r = cJSON_GetObjectItemCaseSensitive(s->config, "regularizer");
    cJSON_ReplaceItemInObjectCaseSensitive(
        r, "levels", cJSON_CreateIntArray((int[]){1000, 1000, 1000, 1000}, 4));
}
static void levels_and_head(flextok_sample *s) {
    cJSON *r = cJSON_GetObjectItemCaseSensitive(s->config, "regularizer");
    cJSON_ReplaceItemInObjectCaseSensitive(r, "levels", cJSON_CreateIntArray((int[]){8, 6}, 2));
}
static void full_encoder(flextok_sample *s) {
    set_text(s, "encoder", "e_pack", "mask_mode", "full");
}
static void other_positions(flextok_sample *s) {
    set_text(s, "encoder", "e_pos", "posemb_type", "rope");
}
static void other_key(flextok_sample *s) {
    set_text(s, "decoder", "d_trunk", "input_seq_read_key", "nowhere");
}
static void odd_head(flextok_sample *s) {
    set_number(s, "decoder", "d_trunk", "head_dim", 7);
}
static void absurd_depth(flextok_sample *s) {
    set_number(s, "encoder", "e_trunk", "depth", 1e9);
}
static void text_depth(flextok_sample *s) {
    set_text(s, "encoder", "e_trunk", "depth", "two");
}
static void other_width(flextok_sample *s) {
    set_number(s, "decoder", "d_head", "dim", 64);
}
static void null_first(flextok_sample *s) {
    flextok_sample_move(s, "decoder", "d_null", 1);
}
static void twice(flextok_sample *s) {
    cJSON_AddItemToObject(modules(s, "decoder"), "again",
                          cJSON_Duplicate(flextok_sample_module(s, "decoder", "d_time"), 1));
}
static void no_drop(flextok_sample *s) {
    cJSON_DeleteItemFromObjectCaseSensitive(modules(s, "decoder"), "d_drop");
}
static void few_positions(flextok_sample *s) {
    cJSON *m = flextok_sample_module(s, "decoder", "d_tpos");
    cJSON_ReplaceItemInObjectCaseSensitive(m, "max_sizes", cJSON_CreateIntArray((int[]){4}, 1));
}
static void lost_tensor(flextok_sample *s) {
    for (int i = 0; i < s->count; ++i)
        if (!strcmp(s->names[i], "decoder.module_dict.d_null.nullcond"))
            strcpy(s->names[i], "decoder.module_dict.d_null.nullcon_");
}
static void bent_tensor(flextok_sample *s) {
    tsr_tensor *t = flextok_sample_tensor(
        s, "encoder.module_dict.e_trunk.blocks.1.mlp.fc2.weight"); /* [32, 85] */
    const int64_t d = t->dim[0];
    t->dim[0] = t->dim[1];
    t->dim[1] = d;
}
static void lost_conv(flextok_sample *s) {
    for (int i = 0; i < s->count; ++i)
        if (!strcmp(s->names[i], "vae.vae.decoder.conv_out.bias"))
            strcpy(s->names[i], "vae.vae.decoder.conv_out.b___");
}

static const struct {
    change change;
    const char *part; /* of the detail */
} wrong[] = {
    {other_class,
     "decoder.d_trunk._target_: wanted a class this build knows, got x.GridTransformer"},
    {other_vae, "vae._target_: wanted StableDiffusionVAE, got x.VQVAE"},
    {no_decoder, "__metadata__ decoder: wanted a configuration, got none"},
    {too_many_codes, "levels: wanted a product below 2^31, got [1000,1000,1000,1000]"},
    {levels_and_head, "encoder.e_head.dim_out: wanted 2 as in the modules before, got 3"},
    {full_encoder, "encoder.e_pack.mask_mode: wanted causal_last, got \"full\""},
    {other_positions, "encoder.e_pos.posemb_type: wanted sincos or learnable_sum, got rope"},
    {other_key, "decoder.d_trunk.input_seq_read_key: wanted the key of a sequence, got nowhere"},
    {odd_head, "decoder.d_trunk.head_dim: wanted a divisor of 48, got 7"},
    {absurd_depth, "encoder.e_trunk.depth: wanted an integer of 1 to 64, got 1000000000"},
    {text_depth, "encoder.e_trunk.depth: wanted an integer of 1 to 64, got \"two\""},
    {other_width, "decoder.d_head.dim: wanted 48 as in the modules before, got 64"},
    {null_first, "the null condition last among the modules on tokens, got another order"},
    {twice, "decoder.again: wanted one module of this kind, got a second"},
    {no_drop, "wanted a linear layer, a nested dropout and a null condition, got fewer"},
    {few_positions, "wanted positions for 12 tokens, got 4"},
    {lost_tensor, "tensor decoder.module_dict.d_null.nullcond: wanted [48], got none"},
    {bent_tensor,
     "tensor encoder.module_dict.e_trunk.blocks.1.mlp.fc2.weight: wanted [32, 85], got [85, 32]"},
    {lost_conv, "tensor vae.vae.decoder.conv_out.bias: wanted [3], got none"},
};

START_TEST(wrong_files_are_refused_by_name) {
    tsr_context *ctx = everywhere_context();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        flextok_sample *sample = flextok_sample_make();
        wrong[i].change(sample);
        flextok_sample_write(sample, file, i % 2 ? FLEXTOK_PYTHON : FLEXTOK_JSON, TSR_DTYPE_F32);
        tsr_tokenizer *t = NULL;
        const tsr_status status = open_tokenizer(ctx, file, &t);
        ck_assert_msg(status == TSR_ERROR_MODEL && !t, "%zu: %s: %s", i, tsr_status_name(status),
                      tsr_detail(ctx));
        ck_assert_msg(strstr(tsr_detail(ctx), wrong[i].part) != NULL, "%zu: wanted \"%s\" in: %s",
                      i, wrong[i].part, tsr_detail(ctx));
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), file)); /* the file is named */
        flextok_sample_free(sample);
    }
}
END_TEST

START_TEST(no_configuration_at_all) {
    flextok_sample *sample = flextok_sample_make();
    flextok_sample_write(sample, file, FLEXTOK_BESIDE, TSR_DTYPE_F32);
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", folder);
    ck_assert_int_eq(unlink(path), 0);
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    ck_assert_int_eq(open_tokenizer(ctx, folder, &t), TSR_ERROR_MODEL);
    ck_assert_msg(strstr(tsr_detail(ctx), "wanted it in __metadata__ or in config.json") != NULL,
                  "%s", tsr_detail(ctx));
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(open_tokenizer(ctx, folder, &t), TSR_ERROR_NOT_FOUND);
    flextok_sample_free(sample);
}
END_TEST

START_TEST(another_model_must_be_forced) {
    flextok_sample *one = flextok_sample_make(), *two = flextok_sample_make();
    tsr_context *ctx = everywhere_context();
    uint8_t rgb[SIDE * SIDE * 3];
    char picture[96], tokens[96], back[96];
    snprintf(picture, sizeof picture, "%s/p.png", folder);
    snprintf(tokens, sizeof tokens, "%s/p.tess", folder);
    snprintf(back, sizeof back, "%s/b.png", folder);
    make_picture(rgb, SIDE * SIDE);
    ck_assert(!tsr_picture_write_png(ctx, picture, SIDE, SIDE, rgb));
    flextok_sample_write(one, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    tsr_encode_files_settings e = tsr_encode_files_settings_default();
    e.model.model = file;
    e.model.device = "cpu";
    e.hints =
        (tsr_sampling_settings){.steps = 3, .guidance = 2.5f, .seed = 77, .mode = TSR_GUIDANCE_CFG};
    const char *inputs[] = {picture};
    ck_assert_msg(!tsr_encode_files(ctx, inputs, 1, tokens, &e, NULL), "%s", tsr_detail(ctx));
    tsr_token_file *read = NULL;
    ck_assert(!tsr_token_file_open(ctx, &read, tokens));
    const tsr_decode_hints h = tsr_token_file_header(read)->hints;
    ck_assert(h.present && h.steps == 3 && h.guidance == 2.5f && h.seed == 77 && !h.fast &&
              h.plain);
    ck_assert_uint_eq(tsr_token_file_properties(read)->version_minor, 1);
    ck_assert_int_eq(tsr_token_file_properties(read)->recovered, 0);
    tsr_token_file_close(&read);
    flextok_sample_write(two, file, FLEXTOK_JSON, TSR_DTYPE_F32);
    tsr_decode_file_settings d = {.model = {.model = file, .device = "cpu"}};
    ck_assert_int_eq(tsr_decode_file(ctx, tokens, back, &d), TSR_ERROR_MODEL_MISMATCH);
    d.force = 1;
    ck_assert_msg(!tsr_decode_file(ctx, tokens, back, &d), "%s", tsr_detail(ctx));
    e.model.model = NULL; /* the bundled tokenizer samples nothing */
    ck_assert_int_eq(tsr_encode_files(ctx, inputs, 1, tokens, &e, NULL), TSR_ERROR_ARGUMENT);
    unlink(picture);
    unlink(tokens);
    unlink(back);
    flextok_sample_free(one);
    flextok_sample_free(two);
}
END_TEST

int main(void) {
    const TTest *const list[] = {savings_change_nothing_in_the_decoder,
                                 savings_change_nothing_in_the_encoder,
                                 collapse_looks_at_the_rows,
                                 same_bits_for_threads_and_batches,
                                 in_flight,
                                 devices_agree,
                                 tiles_to_ids_and_back,
                                 noise_from_a_file,
                                 latents_drawn_with_noise,
                                 guidance_modes,
                                 forms_of_a_file,
                                 wrong_files_are_refused_by_name,
                                 no_configuration_at_all,
                                 another_model_must_be_forced};
    if (!make_folder()) {
        perror(folder);
        return 1;
    }
    const int code = run_tests("flextok", list, (int)(sizeof list / sizeof *list));
    remove_folder();
    return code;
}
