/* SPDX-License-Identifier: MIT */
/* Patch VQ: codebooks of patches as tokenizers, against float64 search, every device, prefixes of
 * stages, tiles of any size, and files that are none. */
#include <tessera/tessera.h>

#include "batch_case.h"
#include "everywhere.h"
#include "formats/weights/safetensors.h"
#include "needs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATCH = 4, CODES = 30, DIM = 3 * PATCH * PATCH, MOST_STAGES = 3 };

static char path[64];

/* Writes a codebook of random patches; later stages are smaller. Returns its codes. */
static float *make_codebook(int stages, int cosine, int patch) {
    const size_t n = (size_t)stages * CODES * DIM;
    float *codes = malloc(n * sizeof *codes);
    ck_assert_ptr_nonnull(codes);
    for (size_t i = 0; i < n; ++i) {
        const int stage = (int)(i / (CODES * DIM));
        codes[i] = stage ? random_uniform(-0.5f, 0.5f) / (float)stage : random_uniform(0, 1);
    }
    if (!*path) {
        strcpy(path, "/tmp/tessera-codes-XXXXXX");
        const int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    tsr_context *ctx = everywhere_context();
    const tsr_status status =
        tsr_codebook_write(ctx, path, codes, (uint32_t)stages, CODES, DIM, cosine, (uint32_t)patch);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    return codes;
}

static tsr_tokenizer *open_on(const char *device, int width, int height) {
    tsr_tokenizer *t = NULL;
    const tsr_status status =
        tsr_tokenizer_open(everywhere_context(), &t,
                           &(tsr_model_settings){.model = path,
                                                 .device = device,
                                                 .tile_width = (uint32_t)width,
                                                 .tile_height = (uint32_t)height});
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
    return t;
}

static uint8_t *noise(int width, int height) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    ck_assert_ptr_nonnull(rgb);
    for (int i = 0; i < width * height * 3; ++i)
        rgb[i] = (uint8_t)random_below(256);
    return rgb;
}

static tsr_item *encode(tsr_tokenizer *t, const uint8_t *rgb, int width, int height,
                        uint32_t tokens, uint64_t *ties) {
    const tsr_picture picture = {.rgb = rgb, .width = width, .height = height, .key = "noise"};
    tsr_encode_settings s = tsr_encode_settings_default();
    s.choice.tokens = tokens;
    tsr_item *item = NULL;
    ck_assert_msg(tsr_tokenizer_encode(t, &picture, 1, &s, &item, ties) == TSR_OK, "%s",
                  tsr_detail(everywhere_context()));
    return item;
}

/* Patch (row, column) of a picture as float64. */
static void patch_at(const uint8_t *rgb, int width, int row, int column, double *x) {
    for (int y = 0; y < PATCH; ++y)
        for (int v = 0; v < 3 * PATCH; ++v)
            *x++ = rgb[((row * PATCH + y) * width + column * PATCH) * 3 + v] / 255.0;
}

static int nearest(const float *codes, const double *x) {
    int best = 0;
    double least = INFINITY;
    for (int k = 0; k < CODES; ++k) {
        double distance = 0;
        for (int i = 0; i < DIM; ++i) {
            const double d = x[i] - codes[k * DIM + i];
            distance += d * d;
        }
        if (distance < least) least = distance, best = k;
    }
    return best;
}

/* Ids are the nearest codes, and the picture is made of their sums, on one device. */
static void round_trip(const char *device, int stages, int width, int height) {
    float *codes = make_codebook(stages, 0, PATCH);
    uint8_t *rgb = noise(width, height), *back = malloc((size_t)width * (size_t)height * 3);
    tsr_tokenizer *t = open_on(device, width, height);
    tsr_token_header header = *tsr_tokenizer_header(t);
    header.fit = TSR_FIT_TILE;
    const int columns = width / PATCH, rows = height / PATCH, each = rows * columns;
    ck_assert_uint_eq(header.codebook_size, CODES);
    ck_assert_uint_eq(header.rows * header.columns, (uint32_t)(each * stages));
    ck_assert_int_eq(header.geometry, stages > 1 ? TSR_GEOMETRY_SEQUENCE : TSR_GEOMETRY_GRID);
    uint64_t ties = 0;
    tsr_item *item = encode(t, rgb, width, height, 0, &ties);
    const tsr_token_item *tokens = tsr_item_tokens(item);
    ck_assert_msg(tsr_tokenizer_decode(t, &header, tokens, 0, back) == TSR_OK, "%s",
                  tsr_detail(everywhere_context()));
    int differ = 0;
    for (int p = 0; p < each; ++p) {
        double x[DIM], sum[DIM] = {0};
        patch_at(rgb, width, p / columns, p % columns, x);
        for (int s = 0; s < stages; ++s) {
            const float *book = codes + (size_t)s * CODES * DIM;
            const uint32_t id = tokens->ids[s * each + p];
            differ += id != (uint32_t)nearest(book, x);
            for (int i = 0; i < DIM; ++i) {
                x[i] -= book[id * DIM + i];
                sum[i] += book[id * DIM + i];
            }
        }
        for (int i = 0; i < DIM; ++i) {
            const int y = p / columns * PATCH + i / (3 * PATCH);
            const int v = p % columns * PATCH * 3 + i % (3 * PATCH);
            const double want = fmin(fmax(sum[i] * 255, 0), 255);
            ck_assert_double_eq_tol(back[y * width * 3 + v], want, 0.5001);
        }
    }
    printf("  %s, %d stages: %d of %d ids differ from float64's, %d near ties\n", device, stages,
           differ, each * stages, (int)ties);
    ck_assert_uint_le((uint64_t)differ, ties);
    tsr_item_close(&item);
    tsr_tokenizer_close(&t);
    free(codes);
    free(rgb);
    free(back);
}

START_TEST(ids_are_nearest_codes_and_lie_back_as_patches) {
    for (int stages = 1; stages <= MOST_STAGES; ++stages) {
        round_trip("cpu", stages, 64, 40);
        for (int i = 0; i < everywhere_vulkan_count(); ++i) {
            char name[32];
            snprintf(name, sizeof name, "vulkan:%d", i);
            round_trip(name, stages, 64, 40);
        }
    }
    round_trip("cpu", 1, PATCH, PATCH);
}
END_TEST

/* The first ids are the first stage's: with them alone every patch is its code; without any, a
 * patch is the mean of the first stage's codes. */
START_TEST(a_prefix_of_stages_is_a_coarser_picture) {
    enum { WIDE = 16, HIGH = 8, EACH = WIDE / PATCH * HIGH / PATCH };
    float *codes = make_codebook(2, 0, PATCH);
    uint8_t *rgb = noise(WIDE, HIGH), back[WIDE * HIGH * 3];
    tsr_tokenizer *t = open_on("cpu", WIDE, HIGH);
    tsr_token_header header = *tsr_tokenizer_header(t);
    header.fit = TSR_FIT_TILE;
    tsr_item *all = encode(t, rgb, WIDE, HIGH, 0, NULL),
             *some = encode(t, rgb, WIDE, HIGH, 3, NULL);
    ck_assert_uint_eq(tsr_item_tokens(some)->counts[0], 3);
    ck_assert_mem_eq(tsr_item_tokens(some)->ids, tsr_item_tokens(all)->ids, 3 * sizeof(uint32_t));
    ck_assert_int_eq(tsr_tokenizer_decode(t, &header, tsr_item_tokens(all), 3, back), TSR_OK);
    for (int p = 0; p < EACH; ++p) { /* their first pixel */
        double want = 0;
        if (p < 3)
            want = codes[tsr_item_tokens(all)->ids[p] * DIM];
        else
            for (int k = 0; k < CODES; ++k)
                want += codes[k * DIM] / CODES;
        const int at = (p / (WIDE / PATCH) * PATCH * WIDE + p % (WIDE / PATCH) * PATCH) * 3;
        ck_assert_double_eq_tol(back[at], want * 255, 0.5001);
    }
    tsr_item_close(&all);
    tsr_item_close(&some);
    tsr_tokenizer_close(&t);
    free(codes);
    free(rgb);
}
END_TEST

static void refused(tsr_status status, const char *text, int width, int height) {
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    const tsr_status got =
        tsr_tokenizer_open(ctx, &t,
                           &(tsr_model_settings){.model = path,
                                                 .device = "cpu",
                                                 .tile_width = (uint32_t)width,
                                                 .tile_height = (uint32_t)height});
    ck_assert_msg(got == status && strstr(tsr_detail(ctx), text), "wanted \"%s\", got %s: %s", text,
                  tsr_status_name(got), tsr_detail(ctx));
    ck_assert_ptr_null(t);
}

/* Writes codes [1, 2, dim] with this metadata. */
static void write_file(const float *codes, int64_t dim, const char *version, const char *metric,
                       const char *patch) {
    const char *name = "codes";
    const tsr_tensor t =
        tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)codes, 3, (int64_t[]){1, 2, dim});
    const tsr_metadata_pair pairs[] = {
        {"format", "tessera-codebook"}, {"version", version}, {"metric", metric}, {"patch", patch}};
    ck_assert_int_eq(tsr_safetensors_write(everywhere_context(), path, &name, &t, 1, pairs, 4),
                     TSR_OK);
}

START_TEST(what_is_no_tokenizer_is_refused) {
    float *codes = make_codebook(1, 0, 0);
    refused(TSR_ERROR_MODEL, "patch: wanted the side of the patches that its codes are, got none",
            0, 0);
    write_file(codes, DIM, "2", "euclid", "4");
    refused(TSR_ERROR_MODEL, "version: wanted 1, got 2", 0, 0);
    write_file(codes, DIM, "1", "manhattan", "4");
    refused(TSR_ERROR_MODEL, "metric: wanted euclid or cosine, got manhattan", 0, 0);
    write_file(codes, DIM, "1", "euclid", "257");
    refused(TSR_ERROR_MODEL, "patch: wanted 1 to 256 pixels, got 257", 0, 0);
    write_file(codes, DIM, "1", "euclid", "4x");
    refused(TSR_ERROR_MODEL, "patch: wanted 1 to 256 pixels, got 4x", 0, 0);
    write_file(codes, DIM, "1", "euclid", "5");
    refused(TSR_ERROR_MODEL, "codes: wanted [1, 2, 75], got [1, 2, 48]", 0, 0);
    codes[7] = NAN;
    write_file(codes, DIM, "1", "euclid", "4");
    refused(TSR_ERROR_MODEL, "wanted finite codes", 0, 0);
    codes[7] = 0;
    write_file(codes, DIM, "1", "euclid", "4");
    refused(TSR_ERROR_ARGUMENT, "tile: wanted multiples of 4 up to 8192, got 30x32", 30, 32);
    refused(TSR_ERROR_TOO_LARGE, "tile: wanted at most 1048576 ids", 8192, 8192);
    ck_assert_int_eq(tsr_codebook_write(everywhere_context(), path, codes, 1, 2, DIM, 0, 5),
                     TSR_ERROR_ARGUMENT);
    free(codes);
}
END_TEST

/* Directions have ids, but no brightness. */
START_TEST(a_codebook_of_directions_encodes_and_does_not_decode) {
    float *codes = make_codebook(1, 1, PATCH);
    uint8_t *rgb = noise(16, 16), back[16 * 16 * 3];
    tsr_tokenizer *t = open_on("cpu", 16, 16);
    tsr_token_header header = *tsr_tokenizer_header(t);
    header.fit = TSR_FIT_TILE;
    tsr_item *item = encode(t, rgb, 16, 16, 0, NULL);
    ck_assert_uint_eq(tsr_token_item_total(tsr_item_tokens(item)), 16);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &header, tsr_item_tokens(item), 0, back),
                     TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(everywhere_context()), "got one of directions"));
    tsr_item_close(&item);
    tsr_tokenizer_close(&t);
    free(codes);
    free(rgb);
}
END_TEST

START_TEST(tiles_of_a_batch_do_not_mix) {
    free(make_codebook(2, 0, PATCH));
    batch_case(path, "cpu", 32, 5);
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        batch_case(path, name, 32, 5);
        in_flight_case(path, name, 16, 100);
    }
    unlink(path);
}
END_TEST

TEST_MAIN("patch_vq", ids_are_nearest_codes_and_lie_back_as_patches,
          a_prefix_of_stages_is_a_coarser_picture, what_is_no_tokenizer_is_refused,
          a_codebook_of_directions_encodes_and_does_not_decode, tiles_of_a_batch_do_not_mix)
