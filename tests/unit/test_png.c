/* SPDX-License-Identifier: MIT */
/* test_png.c: every kind of PNG against a plain reading of its samples, the golden files, the
 * writer, and files that are broken in many ways. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <tessera/tessera.h>

#include "formats/file.h"
#include "media/image.h"
#include "needs.h"
#include "picture_bytes.h"
#include "testing.h"

#define PREPROCESS_CASE "/golden/flextok/preprocess"

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* ---- every kind ---- */

static const struct {
    int colour, depth;
} kinds[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
             {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};

enum { W = 11, H = 9 };
static uint8_t palette[256 * 3], palette_alpha[256];
static uint16_t samples[H][W][4]; /* of the kind under test */

static int channels_of(int colour) {
    return colour == 0 || colour == 3 ? 1 : colour == 2 ? 3 : colour == 4 ? 2 : 4;
}

/* Rows x0, x0+dx ... of the picture as PNG stores them, filter 0. */
static void put_pass(picture_bytes *to, int colour, int depth, int x0, int y0, int dx, int dy) {
    for (int y = y0; y < H && x0 < W; y += dy) {
        put_big(to, 0, 1);
        uint32_t held = 0;
        int bits = 0;
        for (int x = x0; x < W; x += dx) {
            for (int c = 0; c < channels_of(colour); ++c) {
                held = held << depth | samples[y][x][c];
                for (bits += depth; bits >= 8; bits -= 8)
                    put_big(to, held >> (bits - 8) & 0xFF, 1);
            }
        }
        if (bits) put_big(to, held << (8 - bits) & 0xFF, 1);
    }
}

static picture_bytes make_png(int colour, int depth, int interlace, bool transparent) {
    picture_bytes rows = {0}, chunks = {0};
    if (!interlace) put_pass(&rows, colour, depth, 0, 0, 1, 1);
    static const int pass[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    for (int p = 0; p < 7 && interlace; ++p)
        put_pass(&rows, colour, depth, pass[p][0], pass[p][1], pass[p][2], pass[p][3]);
    put_chunk(&chunks, "gAMA", "\0\0\xb1\x8f", 4);
    if (colour == 3) put_chunk(&chunks, "PLTE", palette, (size_t)3 << depth);
    if (transparent && colour == 3) put_chunk(&chunks, "tRNS", palette_alpha, (size_t)1 << depth);
    if (transparent && (colour == 0 || colour == 2)) { /* the colour of the first pixel */
        picture_bytes key = {0};
        for (int c = 0; c < channels_of(colour); ++c)
            put_big(&key, samples[0][0][c], 2);
        put_chunk(&chunks, "tRNS", key.p, key.size);
        free(key.p);
    }
    picture_bytes png = png_bytes(W, H, depth, colour, interlace, rows.p, rows.size, &chunks);
    free(rows.p);
    free(chunks.p);
    return png;
}

/* What the pixel must become; returns its alpha. */
static int expected(int colour, int depth, bool transparent, const tsr_image_settings *s, int y,
                    int x, int rgb[3]) {
    const uint16_t *v = samples[y][x];
    int alpha = 255, max = (1 << depth) - 1;
    for (int c = 0; c < 3; ++c) {
        int from = colour == 2 || colour == 6 ? v[c] : v[0];
        if (colour == 3)
            rgb[c] = palette[v[0] * 3 + c];
        else if (depth == 16)
            rgb[c] = s->pillow_grey16 && colour == 0 ? (from > 255 ? 255 : from) : from >> 8;
        else
            rgb[c] = from * 255 / max;
    }
    if (colour == 4) alpha = v[1] >> (depth - 8);
    if (colour == 6) alpha = v[3] >> (depth - 8);
    if (transparent && colour == 3) alpha = palette_alpha[v[0]];
    if (transparent && (colour == 0 || colour == 2))
        alpha = memcmp(v, samples[0][0], (size_t)channels_of(colour) * 2) == 0 ? 0 : 255;
    if (s->drop_alpha) alpha = 255;
    for (int c = 0; c < 3; ++c)
        rgb[c] = (rgb[c] * alpha + s->background[c] * (255 - alpha) + 127) / 255;
    return alpha;
}

START_TEST(every_kind) {
    open_context();
    for (int i = 0; i < 768; ++i)
        palette[i] = (uint8_t)random_below(256);
    for (int i = 0; i < 256; ++i)
        palette_alpha[i] = (uint8_t)random_below(256);
    for (int k = 0; k < (int)(sizeof kinds / sizeof *kinds) * 8; ++k) {
        int colour = kinds[k / 8].colour, depth = kinds[k / 8].depth;
        bool interlace = k & 1, transparent = k & 2, other = k & 4;
        for (int i = 0; i < W * H * 4; ++i)
            (&samples[0][0][0])[i] =
                (uint16_t)random_below(random_below(2) && depth == 16 ? 300 : 1 << depth);
        tsr_image_settings s = tsr_image_settings_default();
        if (other) {
            s.background[0] = 10, s.background[1] = 0, s.background[2] = 200;
            s.drop_alpha = random_below(2);
            s.pillow_grey16 = true;
        }
        picture_bytes png = make_png(colour, depth, interlace, transparent);
        tsr_image image;
        tsr_status status = tsr_image_decode(ctx, "x.png", png.p, png.size, &s, &image);
        ck_assert_msg(status == TSR_OK, "%d/%d: %s", colour, depth, tsr_detail(ctx));
        ck_assert_int_eq(image.width, W);
        ck_assert_int_eq(image.height, H);
        ck_assert_int_eq(image.source, TSR_SOURCE_PNG);
        ck_assert_int_eq(image.source_bits, colour == 3 ? 8 : depth);
        int least = 255;
        for (int y = 0; y < H; ++y) {
            for (int x = 0; x < W; ++x) {
                int want[3], alpha = expected(colour, depth, transparent, &s, y, x, want);
                if (alpha < least) least = alpha;
                const uint8_t *got = image.rgb + 3 * (y * W + x);
                ck_assert_msg(got[0] == want[0] && got[1] == want[1] && got[2] == want[2],
                              "colour %d depth %d interlace %d trns %d at %d,%d: %d %d %d, wanted "
                              "%d %d %d",
                              colour, depth, interlace, transparent, x, y, got[0], got[1], got[2],
                              want[0], want[1], want[2]);
            }
        }
        ck_assert_int_eq(image.had_alpha, least < 255);
        tsr_image_free(&image);
        free(png.p);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- golden ---- */

/* The pictures of the case in the folder, of which there are `pictures`. */
static void golden_case(const char *folder, int pictures) {
    open_context();
    tsr_map map;
    char path[4096];
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    ck_assert_msg(tsr_map_open(ctx, path, &map) == TSR_OK, "%s", tsr_detail(ctx));
    cJSON *manifest = cJSON_ParseWithLength((const char *)map.bytes, map.size);
    ck_assert_ptr_nonnull(manifest);
    int seen = 0;
    const cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(manifest, "runs")) {
        const cJSON *file = cJSON_GetObjectItem(run, "image");
        const cJSON *hash = cJSON_GetObjectItem(run, "rgb_fnv1a64");
        if (!file || !hash) continue;
        snprintf(path, sizeof path, "%s/%s", folder, file->valuestring);
        tsr_image_settings s = tsr_image_settings_default();
        s.drop_alpha = s.pillow_grey16 = true;
        s.apply_orientation = false;
        tsr_image image;
        ck_assert_int_eq(tsr_image_read(ctx, path, &s, &image), TSR_OK);
        uint64_t h = 0xCBF29CE484222325u;
        for (size_t i = 0; i < (size_t)image.width * (size_t)image.height * 3; ++i)
            h = (h ^ image.rgb[i]) * 0x100000001B3u;
        ck_assert_msg(h == strtoull(hash->valuestring, NULL, 16), "%s: %016llx, wanted %s", path,
                      (unsigned long long)h, hash->valuestring);
        tsr_image_free(&image);
        ++seen;
    }
    ck_assert_int_eq(seen, pictures);
    cJSON_Delete(manifest);
    tsr_map_close(&map);
    tsr_context_close(&ctx);
}

START_TEST(golden_cases) {
    golden_case(TESSERA_TESTS PREPROCESS_CASE, 5);
}
END_TEST

START_TEST(every_golden_case) {
    golden_case(TESSERA_SHARED PREPROCESS_CASE, 12);
}
END_TEST

/* ---- writer ---- */

START_TEST(writes) {
    open_context();
    char a[] = "/tmp/tessera-png-XXXXXX", b[] = "/tmp/tessera-png-XXXXXX";
    close(mkstemp(a));
    close(mkstemp(b));
    static const int sizes[][2] = {{1, 1}, {1, 20000}, {20000, 1}, {257, 63}};
    for (int i = 0; i < 4; ++i) {
        int w = sizes[i][0], h = sizes[i][1];
        uint8_t *rgb = malloc((size_t)w * (size_t)h * 3), *back;
        for (int k = 0; k < w * h * 3; ++k)
            rgb[k] = (uint8_t)(i & 1 ? random_below(256) : k / 7);
        ck_assert_int_eq(tsr_png_write(ctx, a, w, h, rgb), TSR_OK);
        ck_assert_int_eq(tsr_picture_write_png(ctx, b, w, h, rgb), TSR_OK);
        tsr_map one, two;
        tsr_map_open(ctx, a, &one);
        tsr_map_open(ctx, b, &two);
        ck_assert_uint_eq(one.size, two.size);
        ck_assert_mem_eq(one.bytes, two.bytes, one.size);
        tsr_map_close(&one);
        tsr_map_close(&two);
        int width, height;
        ck_assert_int_eq(tsr_picture_read(ctx, a, NULL, &back, &width, &height), TSR_OK);
        ck_assert_int_eq(width, w);
        ck_assert_int_eq(height, h);
        ck_assert_mem_eq(back, rgb, (size_t)w * (size_t)h * 3);
        free(rgb);
        free(back);
    }
    static const uint8_t pixel[3];
    ck_assert_int_eq(tsr_png_write(ctx, "/dev/full", 1, 1, pixel), TSR_ERROR_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "No space left"));
    ck_assert_int_eq(tsr_png_write(ctx, "/absent/x.png", 1, 1, pixel), TSR_ERROR_NOT_FOUND);
    ck_assert_int_eq(tsr_png_write(ctx, a, 0, 1, pixel), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_png_write(ctx, a, 1, -1, pixel), TSR_ERROR_ARGUMENT);
    unlink(a);
    unlink(b);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- broken ---- */

static tsr_status decode(const uint8_t *p, size_t size) {
    tsr_image image;
    uint8_t *exact = malloc(size + 1); /* its end is where the sanitizer watches */
    memcpy(exact, p, size);
    tsr_status status = tsr_image_decode(ctx, "x.png", exact, size, NULL, &image);
    ck_assert_int_eq(status == TSR_OK, image.rgb != NULL);
    tsr_image_free(&image);
    free(exact);
    return status;
}

START_TEST(every_truncation) {
    open_context();
    for (int interlace = 0; interlace < 2; ++interlace) {
        picture_bytes png = make_png(6, 8, interlace, false);
        ck_assert_int_eq(decode(png.p, png.size), TSR_OK);
        for (size_t cut = 0; cut < png.size; ++cut) {
            tsr_status status = decode(png.p, cut);
            ck_assert_msg(status == (cut && cut < 8 ? TSR_ERROR_FORMAT : TSR_ERROR_TRUNCATED),
                          "%zu of %zu bytes: %s", cut, png.size, tsr_status_name(status));
            ck_assert_int_eq(strncmp(tsr_detail(ctx), "x.png: ", 7), 0);
        }
        free(png.p);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(every_flipped_byte) {
    open_context();
    enum { GAMMA = 8 + 25, AFTER = GAMMA + 16 }; /* the chunk after the signature and IHDR */
    picture_bytes png = make_png(2, 8, 0, false);
    ck_assert_mem_eq(png.p + GAMMA + 4, "gAMA", 4);
    for (size_t i = 0; i < png.size; ++i) {
        uint8_t kept = png.p[i];
        png.p[i] ^= (uint8_t)(1 + random_below(255));
        const tsr_status status = decode(png.p, png.size);
        if (i < GAMMA || i >= AFTER) /* only gAMA may be wrong without harm */
            ck_assert_msg(status != TSR_OK, "byte %zu of %zu: nothing is said", i, png.size);
        png.p[i] = kept;
    }
    ck_assert_int_eq(decode(png.p, png.size), TSR_OK);
    free(png.p);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(corrupt_zlib) {
    open_context();
    picture_bytes png = {0}, good = make_png(0, 8, 0, false);
    put_bytes(&png, good.p, 33);
    put_chunk(&png, "IDAT", "\x78\x9c\xff\xff\xff\xff\xff\xff", 8);
    put_chunk(&png, "IEND", NULL, 0);
    ck_assert_int_eq(decode(png.p, png.size), TSR_ERROR_FORMAT);
    free(png.p);
    free(good.p);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(huge_header) {
    open_context();
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    picture_bytes png = png_bytes(30000, 30000, 8, 2, 0, NULL, 0, NULL);
    ck_assert_int_eq(decode(png.p, png.size), TSR_ERROR_TOO_LARGE);
    ck_assert_str_eq(tsr_detail(ctx),
                     "x.png: size: wanted at most 268435456 pixels, got 30000x30000");
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 32 << 10); /* kB */
    free(png.p);
    png = png_bytes(16384, 16384, 8, 2, 1, (const uint8_t *)"", 1, NULL); /* allowed, but empty */
    ck_assert_int_eq(decode(png.p, png.size), TSR_ERROR_FORMAT);
    free(png.p);
    png = png_bytes(0x7fffffff, 0x7fffffff, 16, 6, 0, NULL, 0, NULL);
    ck_assert_int_eq(decode(png.p, png.size), TSR_ERROR_TOO_LARGE);
    free(png.p);
    png = png_bytes(0, 5, 8, 2, 0, NULL, 0, NULL);
    ck_assert_int_eq(decode(png.p, png.size), TSR_ERROR_FORMAT);
    free(png.p);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("png",
           PART(own, NULL, every_kind, golden_cases, writes, every_truncation, every_flipped_byte,
                corrupt_zlib, huge_header),
           PART(golden, need_shared_golden, every_golden_case))
