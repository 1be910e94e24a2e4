/* SPDX-License-Identifier: MIT */
/* Encodings in flight that fail: the device is lost at any submission or wait, weights give what is
 * no number, the noise does not reach for the next batch. The call fails with that error, no item
 * stays, what was on its way has ended (which AddressSanitizer looks at), and the next call works.
 */
#include <tessera/tessera.h>

#include "everywhere.h"
#include "fake_layer.h"
#include "flextok_sample.h"
#include "formats/arrays/npy.h"
#include "needs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = FLEXTOK_SIDE, COUNT = 12, BATCH = 2, PIXELS = SIDE * SIDE * 3 };
enum { PATCH = 4, CODES = 30, STAGES = 2, DIM = 3 * PATCH * PATCH };

static char path[64];

static void name_file(void) {
    strcpy(path, "/tmp/tessera-flights-XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void write_codebook(void) {
    static float codes[STAGES * CODES * DIM];
    name_file();
    for (int i = 0; i < STAGES * CODES * DIM; ++i)
        codes[i] = random_uniform(-0.5f, 0.5f) + (i < CODES * DIM ? 0.5f : 0);
    ck_assert_int_eq(
        tsr_codebook_write(everywhere_context(), path, codes, STAGES, CODES, DIM, 0, PATCH),
        TSR_OK);
}

/* `broken`: latents and the weights they meet are so large that their products are no numbers. */
static void write_flextok(bool broken) {
    static const char *const large[] = {"vae.vae.encoder.conv_out.weight",
                                        "encoder.module_dict.e_patch.patch_proj.weight"};
    flextok_sample *sample = flextok_sample_make();
    name_file();
    for (int i = 0; i < 2 && broken; ++i) {
        tsr_tensor *t = flextok_sample_tensor(sample, large[i]);
        ck_assert_ptr_nonnull(t);
        for (int64_t k = 0; k < tsr_elements(t); ++k)
            ((float *)t->data)[k] *= 1e19f;
    }
    flextok_sample_write(sample, path, FLEXTOK_JSON, TSR_DTYPE_F32);
    flextok_sample_free(sample);
}

/* Encodes COUNT pictures in batches of BATCH. No item stays of a call that failed. */
static tsr_status encode(const char *device, const char *noise, bool *opened) {
    static uint8_t rgb[COUNT][PIXELS];
    tsr_context *ctx = everywhere_context();
    tsr_picture pictures[COUNT];
    tsr_item *items[COUNT];
    tsr_tokenizer *t = NULL;
    for (int i = 0; i < COUNT; ++i) {
        for (int k = 0; k < PIXELS; ++k)
            rgb[i][k] = (uint8_t)(k * (i + 3) + k / 7);
        pictures[i] = (tsr_picture){.rgb = rgb[i], .width = SIDE, .height = SIDE, .key = "made up"};
        items[i] = (tsr_item *)&items[i]; /* which the call has to put right */
    }
    *opened = false;
    tsr_model_settings s = {.model = path, .device = device};
    tsr_status status = tsr_tokenizer_open(ctx, &t, &s);
    if (status) return status;
    if (tsr_tokenizer_header(t)->tile_width != SIDE) {
        tsr_tokenizer_close(&t);
        s.tile_width = s.tile_height = SIDE;
        status = tsr_tokenizer_open(ctx, &t, &s);
        if (status) return status;
    }
    *opened = true;
    tsr_encode_settings e = tsr_encode_settings_default();
    e.batch = BATCH;
    e.noise = noise;
    status = tsr_tokenizer_encode(t, pictures, COUNT, &e, items, NULL);
    for (int i = 0; i < COUNT; ++i) {
        ck_assert(!items[i] == (status != TSR_OK));
        tsr_item_close(&items[i]);
    }
    tsr_tokenizer_close(&t);
    return status;
}

/* ---- on every device ---- */

/* A NumPy file with noise of so many tiles, 4 channels of half the side. */
static void write_noise(const char *name, int tiles) {
    static float x[COUNT * 4 * (SIDE / 2) * (SIDE / 2)];
    const tsr_tensor t =
        tsr_host_tensor(TSR_DTYPE_F32, x, 4, (int64_t[]){tiles, 4, SIDE / 2, SIDE / 2});
    ck_assert_int_eq(tsr_npy_write(everywhere_context(), name, &t), TSR_OK);
}

static void fails_on(const char *device) {
    char noise[80];
    bool opened;
    write_flextok(true);
    ck_assert_int_eq(encode(device, NULL, &opened), TSR_ERROR_MODEL);
    ck_assert_msg(opened && strstr(tsr_detail(everywhere_context()), "finite"), "%s",
                  tsr_detail(everywhere_context()));
    unlink(path);
    write_flextok(false);
    snprintf(noise, sizeof noise, "%s.npy", path);
    for (int tiles = BATCH; tiles <= COUNT; tiles += BATCH + 1) {
        write_noise(noise, tiles);
        ck_assert_msg(encode(device, noise, &opened) == TSR_ERROR_ARGUMENT && opened &&
                          strstr(tsr_detail(everywhere_context()), "noise: wanted it for at least"),
                      "%d tiles: %s", tiles, tsr_detail(everywhere_context()));
    }
    write_noise(noise, COUNT);
    ck_assert_msg(encode(device, noise, &opened) == TSR_OK, "%s", tsr_detail(everywhere_context()));
    unlink(noise);
    unlink(path);
}

START_TEST(weights_and_noise) {
    fails_on("cpu");
    if (everywhere_has_vulkan()) fails_on("vulkan:0");
}
END_TEST

/* ---- a lost device ---- */

/* Encodes on a device that is lost when `variable` counts to n; whether it was. */
static bool lost_at(const char *variable, int n) {
    char text[64];
    bool opened;
    snprintf(text, sizeof text, "%s=%d", variable, n);
    fake_layer((const char *[]){text, NULL});
    const tsr_status status = encode("vulkan:0", NULL, &opened);
    ck_assert_int_eq(fake_layer_lines("lost in") > 0, status != TSR_OK);
    ck_assert_msg(!status || !opened || status == TSR_ERROR_DEVICE_LOST, "%s=%d: %s", variable, n,
                  tsr_detail(everywhere_context()));
    return status != TSR_OK;
}

/* Loses the device at every `step`-th submission or wait, until the encoding gets through. */
static void lose(const char *what, const char *variable, int step) {
    enum { MOST = 1000 };
    int n = 1, lost = 0;
    for (; n < MOST && lost_at(variable, n); n += step)
        ++lost;
    printf("%s: %s up to %d, lost at %d of them\n", what, variable, n - step, lost);
    ck_assert_int_lt(n, MOST);
    ck_assert_int_ge(lost, COUNT / BATCH);
}

START_TEST(lost_devices) {
    static const char *const variables[] = {"FAKE_LOST_SUBMIT", "FAKE_LOST_WAIT"};
    for (int i = 0; i < 2; ++i) {
        write_codebook(); /* a submission and a wait for each batch, and few for weights */
        lose("patch vq", variables[i], 1);
        unlink(path);
        write_flextok(false);
        lose("flextok", variables[i], 11);
        unlink(path);
    }
    fake_layer_off();
}
END_TEST

TEST_PARTS("broken flights", PART(own, NULL, weights_and_noise),
           PART(lost, need_fake_layer, lost_devices))
