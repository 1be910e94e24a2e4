/* SPDX-License-Identifier: MIT */
/* test_image.c: pictures of every format but PNG, their orientation and alpha, and broken ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tessera/media.h>
#include "media/image.h"
#include "media/reader.h"
#include "needs.h"
#include "picture_bytes.h"
#include "testing.h"

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* Does this build read these bytes' format? Otherwise says so and frees them. */
static bool reads(picture_bytes b) {
    tsr_probe probe = tsr_picture_probe(b.p, b.size);
    if (!probe.reader || !probe.reader->option || built_with(probe.reader->name)) return true;
    free(b.p);
    return false;
}

/* Decodes from memory of exactly this size and frees the bytes. */
static tsr_status decode(picture_bytes b, const tsr_image_settings *s, tsr_image *image) {
    uint8_t *exact = malloc(b.size + 1);
    if (b.size) memcpy(exact, b.p, b.size);
    tsr_status status = tsr_image_decode(ctx, "x", exact, b.size, s, image);
    ck_assert_int_eq(status == TSR_OK, image->rgb != NULL);
    free(exact);
    free(b.p);
    return status;
}

static tsr_image decode_good(const char *what, picture_bytes b, const tsr_image_settings *s) {
    tsr_image image;
    tsr_status status = decode(b, s, &image);
    ck_assert_msg(status == TSR_OK, "%s: %s", what, tsr_detail(ctx));
    return image;
}

static void expect_pixels(const char *what, const tsr_image *image, int width, int height,
                          const uint8_t *rgb) {
    ck_assert_msg(image->width == width && image->height == height, "%s: %dx%d", what, image->width,
                  image->height);
    for (int i = 0; i < width * height * 3; ++i)
        ck_assert_msg(image->rgb[i] == rgb[i], "%s: pixel %d,%d channel %d: %d, wanted %d", what,
                      i / 3 % width, i / 3 / width, i % 3, image->rgb[i], rgb[i]);
}

static void random_bytes(uint8_t *p, size_t size) {
    for (size_t i = 0; i < size; ++i)
        p[i] = (uint8_t)random_below(256);
}

/* ---- exact formats ---- */

enum { W = 13, H = 7 };

START_TEST(plain_formats) {
    open_context();
    uint8_t rgb[W * H * 3], grey[W * H], bits[(W + 7) / 8 * H], want[W * H * 3];
    random_bytes(rgb, sizeof rgb);
    random_bytes(grey, sizeof grey);
    random_bytes(bits, sizeof bits);
    const struct {
        const char *what;
        picture_bytes bytes;
        tsr_image_source source;
    } cases[] = {{"bmp", bmp_bytes(W, H, rgb), TSR_SOURCE_BMP},
                 {"tiff", tiff_bytes(W, H, rgb, 0, 1), TSR_SOURCE_TIFF},
                 {"tiff big-endian", tiff_bytes(W, H, rgb, 1, 1), TSR_SOURCE_TIFF},
                 {"ppm", pnm_bytes(6, W, H, rgb, sizeof rgb), TSR_SOURCE_PNM},
                 {"qoi", qoi_bytes(W, H, rgb), TSR_SOURCE_OTHER}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        if (!reads(cases[i].bytes)) continue;
        tsr_image image = decode_good(cases[i].what, cases[i].bytes, NULL);
        expect_pixels(cases[i].what, &image, W, H, rgb);
        ck_assert_int_eq(image.source, cases[i].source);
        ck_assert_int_eq(image.orientation, 1);
        ck_assert(!image.had_alpha);
        ck_assert_int_eq(image.source_bits, 8);
        tsr_image_free(&image);
    }
    for (int i = 0; i < W * H * 3; ++i)
        want[i] = grey[i / 3];
    tsr_image image = decode_good("pgm", pnm_bytes(5, W, H, grey, sizeof grey), NULL);
    expect_pixels("pgm", &image, W, H, want);
    tsr_image_free(&image);
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W * 3; ++x)
            want[y * W * 3 + x] = bits[y * ((W + 7) / 8) + x / 24] >> (7 - x / 3 % 8) & 1 ? 0 : 255;
    image = decode_good("pbm", pnm_bytes(4, W, H, bits, sizeof bits), NULL);
    expect_pixels("pbm", &image, W, H, want);
    tsr_image_free(&image);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(alpha) {
    open_context();
    uint8_t rgba[W * H * 4], want[W * H * 3];
    random_bytes(rgba, sizeof rgba);
    rgba[3] = 0, rgba[7] = 255;
    tsr_image_settings s = tsr_image_settings_default();
    memcpy(s.background, "\x0a\xc8\xff", 3);
    for (int drop = 0; drop < 2; ++drop) {
        s.drop_alpha = drop;
        for (int i = 0; i < W * H * 3; ++i) {
            int a = drop ? 255 : rgba[i / 3 * 4 + 3];
            want[i] =
                (uint8_t)((rgba[i / 3 * 4 + i % 3] * a + s.background[i % 3] * (255 - a) + 127) /
                          255);
        }
        tsr_image image = decode_good("pam", pnm_bytes(7, W, H, rgba, sizeof rgba), &s);
        expect_pixels("pam", &image, W, H, want);
        ck_assert_int_eq(image.had_alpha, !drop);
        tsr_image_free(&image);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(gif) {
    open_context();
    uint8_t first[W * H], second[W * H], want[W * H * 3];
    random_bytes(first, sizeof first);
    random_bytes(second, sizeof second);
    first[5] = 77;
    const uint8_t *frames[] = {first, second};
    for (int i = 0; i < W * H * 3; ++i)
        want[i] = first[i / 3];
    tsr_image image = decode_good("gif", gif_bytes(W, H, 1, frames, -1), NULL);
    expect_pixels("gif", &image, W, H, want);
    tsr_image_free(&image);
    image = decode_good("animated gif", gif_bytes(W, H, 2, frames, -1), NULL);
    expect_pixels("animated gif", &image, W, H, want);
    ck_assert_int_eq(image.source, TSR_SOURCE_GIF);
    ck_assert(!image.had_alpha);
    tsr_image_free(&image);
    for (int i = 0; i < W * H * 3; ++i)
        want[i] = first[i / 3] == 77 ? 255 : first[i / 3];
    image = decode_good("transparent gif", gif_bytes(W, H, 2, frames, 77), NULL);
    expect_pixels("transparent gif", &image, W, H, want);
    ck_assert(image.had_alpha);
    tsr_image_free(&image);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- JPEG: flat blocks, so that every pixel is known ---- */

enum { BLOCKS_X = 3, BLOCKS_Y = 2, JW = 21, JH = 15 };
static uint8_t planes[4][BLOCKS_X * BLOCKS_Y];
static const uint8_t *const plane_list[4] = {planes[0], planes[1], planes[2], planes[3]};

static int clamp(int v) {
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* JFIF's conversion, in double. */
static void from_ycc(const int v[3], double rgb[3]) {
    rgb[0] = v[0] + 1.402 * (v[2] - 128);
    rgb[1] = v[0] - 0.344136 * (v[1] - 128) - 0.714136 * (v[2] - 128);
    rgb[2] = v[0] + 1.772 * (v[1] - 128);
}

START_TEST(jpeg) {
    open_context();
    static const struct {
        const char *what;
        int components, adobe;
    } cases[] = {{"grey", 1, -1}, {"YCbCr", 3, -1},         {"YCbCr, marked", 3, 1}, {"RGB", 3, 0},
                 {"CMYK", 4, 0},  {"CMYK, no mark", 4, -1}, {"YCCK", 4, 2}};
    for (size_t k = 0; k < 10 * sizeof cases / sizeof *cases; ++k) {
        size_t n = k % (sizeof cases / sizeof *cases);
        random_bytes(&planes[0][0], sizeof planes);
        tsr_image image = decode_good(
            cases[n].what, jpeg_bytes(JW, JH, cases[n].components, plane_list, cases[n].adobe, 0),
            NULL);
        ck_assert_int_eq(image.width, JW);
        ck_assert_int_eq(image.height, JH);
        ck_assert_int_eq(image.source, TSR_SOURCE_JPEG);
        ck_assert(!image.had_alpha);
        for (int i = 0; i < JW * JH; ++i) {
            int block = i / JW / 8 * BLOCKS_X + i % JW / 8, v[4];
            for (int c = 0; c < 4; ++c)
                v[c] = planes[c][block];
            double want[3] = {v[0], v[0], v[0]};
            if (cases[n].components > 1) want[1] = v[1], want[2] = v[2];
            if (cases[n].components == 3 && cases[n].adobe != 0) from_ycc(v, want);
            if (cases[n].adobe == 2) { /* gives ink */
                from_ycc(v, want);
                for (int c = 0; c < 3; ++c)
                    want[c] = 255 - clamp((int)(want[c] + 0.5));
            }
            if (cases[n].components == 4)
                for (int c = 0; c < 3; ++c)
                    want[c] = want[c] * v[3] / 255;
            for (int c = 0; c < 3; ++c) {
                double w = want[c] < 0 ? 0 : want[c] > 255 ? 255 : want[c];
                double off = image.rgb[i * 3 + c] - w;
                ck_assert_msg(off > -1.01 && off < 1.01, "%s: pixel %d channel %d: %d, wanted %f",
                              cases[n].what, i, c, image.rgb[i * 3 + c], w);
            }
        }
        tsr_image_free(&image);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- orientation ---- */

/* Upright pixel (x, y) by its stored place, from the standard's words: the stored 0th row and 0th
 * column are the upright picture's ... */
static void stored_place(int orientation, int w, int h, int x, int y, int *sx, int *sy) {
    switch (orientation) {
    case 1:
        *sx = x, *sy = y;
        break; /* top, left */
    case 2:
        *sx = w - 1 - x, *sy = y;
        break; /* top, right */
    case 3:
        *sx = w - 1 - x, *sy = h - 1 - y;
        break; /* bottom, right */
    case 4:
        *sx = x, *sy = h - 1 - y;
        break; /* bottom, left */
    case 5:
        *sx = y, *sy = x;
        break; /* left, top */
    case 6:
        *sx = y, *sy = h - 1 - x;
        break; /* right, top */
    case 7:
        *sx = w - 1 - y, *sy = h - 1 - x;
        break; /* right, bottom */
    default:
        *sx = w - 1 - y, *sy = x;
        break; /* left, bottom */
    }
}

static picture_bytes oriented(int container, int orientation, int w, int h, const uint8_t *rgb) {
    picture_bytes rows = {0}, chunks = {0}, exif, all;
    switch (container) {
    case 0:
        return tiff_bytes(w, h, rgb, 0, orientation);
    case 1:
        return tiff_bytes(w, h, rgb, 1, orientation);
    case 2:
        exif = exif_bytes(orientation, orientation & 1);
        put_chunk(&chunks, "eXIf", exif.p, exif.size);
        for (int y = 0; y < h; ++y) {
            put_big(&rows, 0, 1);
            put_bytes(&rows, rgb + y * w * 3, (size_t)w * 3);
        }
        all = png_bytes((uint32_t)w, (uint32_t)h, 8, 2, 0, rows.p, rows.size, &chunks);
        free(rows.p);
        free(chunks.p);
        free(exif.p);
        return all;
    default:
        return jpeg_bytes(w, h, 1, plane_list, -1, orientation);
    }
}

START_TEST(orientation) {
    open_context();
    for (int container = 0; container < 4; ++container) {
        for (int o = 1; o <= 8; ++o) {
            int w = container == 3 ? JW : W, h = container == 3 ? JH : H;
            uint8_t rgb[JW * JH * 3];
            random_bytes(rgb, sizeof rgb);
            random_bytes(planes[0], sizeof planes[0]);
            for (int i = 0; i < w * h * 3 && container == 3; ++i)
                rgb[i] = planes[0][i / 3 / w / 8 * BLOCKS_X + i / 3 % w / 8];
            picture_bytes b = oriented(container, o, w, h, rgb);
            if (!reads(b)) break;
            tsr_image image = decode_good("oriented", b, NULL);
            ck_assert_int_eq(image.orientation, o);
            ck_assert_int_eq(image.width, o < 5 ? w : h);
            ck_assert_int_eq(image.height, o < 5 ? h : w);
            for (int y = 0; y < image.height; ++y) {
                for (int x = 0; x < image.width; ++x) {
                    int sx, sy;
                    stored_place(o, w, h, x, y, &sx, &sy);
                    ck_assert_msg(memcmp(image.rgb + 3 * (y * image.width + x),
                                         rgb + 3 * (sy * w + sx), 3) == 0,
                                  "container %d orientation %d at %d,%d", container, o, x, y);
                }
            }
            tsr_image_free(&image);
            tsr_image_settings s = tsr_image_settings_default();
            s.apply_orientation = false;
            image = decode_good("as stored", oriented(container, o, w, h, rgb), &s);
            ck_assert_int_eq(image.orientation, 1);
            expect_pixels("as stored", &image, w, h, rgb);
            tsr_image_free(&image);
        }
    }
    /* Nonsense counts as upright. */
    uint8_t rgb[W * H * 3];
    random_bytes(rgb, sizeof rgb);
    for (int o = 9; o < 12; ++o) {
        tsr_image image = decode_good("nonsense", oriented(2, o, W, H, rgb), NULL);
        ck_assert_int_eq(image.orientation, 1);
        expect_pixels("nonsense", &image, W, H, rgb);
        tsr_image_free(&image);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- kinds that no simple encoder makes: the fuzz targets' first inputs ---- */

static picture_bytes corpus(const char *name) {
    picture_bytes b = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/%s", TESSERA_TESTS, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    uint8_t block[4096];
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        put_bytes(&b, block, got);
    fclose(file);
    return b;
}

/* ---- broken ---- */

static const char *const sample_names[] = {"jpeg",
                                           "ycck",
                                           "gif",
                                           "bmp",
                                           "tiff",
                                           "ppm",
                                           "qoi",
                                           "image/webp_lossy",
                                           "image/webp_lossless",
                                           "image/jpeg_420",
                                           "image/jpeg_422_progressive",
                                           "image/jpeg2000",
                                           "boxes/avif",
                                           "boxes/jxl",
                                           "boxes/heic",
                                           "bmp/bmp_rle8",
                                           "pnm/pgm_text",
                                           "jpeg/jpeg_arithmetic",
                                           "tiff/tiff_tiles",
                                           "tiff/tiff_with_jpeg"};
enum { SAMPLES = sizeof sample_names / sizeof *sample_names };

static picture_bytes sample(int kind) {
    static uint8_t rgb[W * H * 3];
    static const uint8_t *frames[] = {rgb, rgb + W * H};
    for (size_t i = 0; i < sizeof rgb; ++i)
        rgb[i] = (uint8_t)(i * 37 % 251);
    for (size_t i = 0; i < sizeof planes; ++i)
        (&planes[0][0])[i] = (uint8_t)(i * 91 % 251);
    switch (kind) {
    case 0:
        return jpeg_bytes(JW, JH, 3, plane_list, -1, 6);
    case 1:
        return jpeg_bytes(JW, JH, 4, plane_list, 2, 0);
    case 2:
        return gif_bytes(W, H, 2, frames, 3);
    case 3:
        return bmp_bytes(W, H, rgb);
    case 4:
        return tiff_bytes(W, H, rgb, 0, 5);
    case 5:
        return pnm_bytes(6, W, H, rgb, sizeof rgb);
    case 6:
        return qoi_bytes(W, H, rgb);
    default:
        return corpus(sample_names[kind]);
    }
}

START_TEST(every_truncation) {
    open_context();
    for (int kind = 0; kind < SAMPLES; ++kind) {
        picture_bytes whole = sample(kind);
        if (!reads(whole)) continue;
        tsr_image image;
        for (size_t cut = 0; cut <= whole.size; cut += cut < 100 || cut + 40 > whole.size ? 1 : 7) {
            picture_bytes part = {0};
            put_bytes(&part, whole.p, cut);
            tsr_status status = decode(part, NULL, &image);
            tsr_image_free(&image);
            /* What may be missing: later frames, the padding of rows, an end mark; where the last
             * bytes of a stream decide nothing, some of them. */
            static const struct {
                const char *name;
                size_t bytes;
            } spare[] = {{"bmp", H},
                         {"image/jpeg2000", 40},
                         {"boxes/jxl", 4},
                         {"image/webp_lossless", 4},
                         {"image/webp_lossy", 0},
                         {"boxes/heic", 0},
                         {"boxes/avif", 0},
                         {"bmp/bmp_rle8", 2},
                         {"pnm/pgm_text", 4}};
            size_t left = strcmp(sample_names[kind], "gif") == 0 ? whole.size / 2 : 1;
            for (size_t i = 0; i < sizeof spare / sizeof *spare; ++i)
                if (strcmp(spare[i].name, sample_names[kind]) == 0) left = spare[i].bytes;
            bool most = cut + left >= whole.size;
            ck_assert_msg(status != TSR_OK || most, "%s: %zu of %zu bytes", sample_names[kind], cut,
                          whole.size);
            ck_assert_msg(status == TSR_OK || cut < whole.size, "%s: %s", sample_names[kind],
                          tsr_detail(ctx));
        }
        free(whole.p);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Nothing is promised about what comes out, but something must. */
START_TEST(flipped_bytes) {
    open_context();
    for (int kind = 0; kind < SAMPLES; ++kind) {
        for (int round = 0; round < 150; ++round) {
            picture_bytes b = sample(kind);
            if (!reads(b)) break;
            for (int64_t n = random_below(4); n >= 0; --n)
                b.p[random_below(round & 1 ? (int64_t)b.size : 60)] = (uint8_t)random_below(256);
            tsr_image image;
            tsr_image_settings s = tsr_image_settings_default();
            s.max_pixels = 1 << 20;
            tsr_status status = decode(b, &s, &image);
            ck_assert(status == TSR_OK || tsr_detail(ctx)[0]);
            tsr_image_free(&image);
        }
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(huge_headers) {
    open_context();
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int kind = 0; kind < 7; ++kind) {
        picture_bytes b = {0};
        uint8_t *webp = (uint8_t *)"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x2f\x75\0\x2f\x75\0";
        switch (kind) {
        case 0:
            b = sample(0);
            for (size_t i = 0; i + 9 < b.size; ++i) /* the frame header's size */
                if (b.p[i] == 0xFF && b.p[i + 1] == 0xC0)
                    memcpy(b.p + i + 5, "\x75\x30\x75\x30", 4);
            break;
        case 1:
            b = sample(2);
            memcpy(b.p + 6, "\x30\x75\x30\x75", 4);
            break;
        case 2:
            b = sample(3);
            memcpy(b.p + 18, "\x30\x75\0\0\x30\x75\0\0", 8);
            break;
        case 3:
            b = sample(4);
            memcpy(b.p + 18, "\x30\x75", 2);
            memcpy(b.p + 30, "\x30\x75", 2);
            break;
        case 4:
            b = pnm_bytes(6, 30000, 30000, (const uint8_t *)"x", 1);
            break;
        case 5:
            b = sample(6);
            memcpy(b.p + 4, "\0\0\x75\x30\0\0\x75\x30", 8);
            break;
        default:
            put_bytes(&b, webp, 30);
        }
        if (!reads(b)) continue;
        tsr_image image;
        tsr_status status = decode(b, NULL, &image);
        ck_assert_msg(status == TSR_ERROR_TOO_LARGE, "kind %d: %s", kind, tsr_detail(ctx));
        ck_assert_str_eq(tsr_detail(ctx),
                         "x: size: wanted at most 268435456 pixels, got 30000x30000");
    }
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 32 << 10); /* kB */
    tsr_context_close(&ctx);
}
END_TEST

/* Sets the size that stands `at` bytes behind each place with this mark, both ways 30000. */
static int enlarge(picture_bytes *b, const char *mark, size_t length, size_t at, int bytes) {
    int found = 0;
    for (size_t i = 0; i + length + at + 2 * (size_t)bytes <= b->size; ++i) {
        if (memcmp(b->p + i, mark, length) != 0) continue;
        ++found;
        for (int k = 0; k < 2; ++k) {
            uint8_t *to = b->p + i + at + k * bytes;
            memset(to, 0, (size_t)bytes);
            to[bytes - 2] = 30000 >> 8, to[bytes - 1] = 30000 & 255;
        }
    }
    return found;
}

/* Sizes in headers that are packed, nested or repeated: refused by all of them, before memory is
 * taken. */
START_TEST(huge_inside) {
    open_context();
    static const struct {
        const char *name, *mark;
        size_t length, at;
        int bytes;
    } cases[] = {{"image/jpeg2000", "\xff\x4f\xff\x51", 4, 8, 4},
                 {"jpeg2000/jpeg2000_tiles", "\xff\x4f\xff\x51", 4, 8, 4},
                 {"boxes/avif", "ispe", 4, 8, 4},
                 {"boxes/avif_alpha", "ispe", 4, 8, 4},
                 {"boxes/heic", "ispe", 4, 8, 4},
                 {"jpeg/jpeg_arithmetic", "\xff\xc9\0\x11\x08", 5, 5, 2},
                 {"jpeg/jpeg_arithmetic_progressive", "\xff\xca\0\x11\x08", 5, 5, 2}};
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    tsr_image image;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        picture_bytes b = corpus(cases[i].name);
        ck_assert_msg(enlarge(&b, cases[i].mark, cases[i].length, cases[i].at, cases[i].bytes) > 0,
                      "%s", cases[i].name);
        if (!reads(b)) continue;
        ck_assert_int_eq(decode(b, NULL, &image), TSR_ERROR_TOO_LARGE);
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "30000x30000"));
    }
    /* A small canvas with a large frame; a small picture in a large tile; JPEG XL's packed sizes:
     * no multiple of 8, 30 bits each, no ratio, then a header of defaults. */
    static const char gif[] = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\x30\x75\x30\x75\0\x08";
    picture_bytes b = {0};
    put_bytes(&b, gif, sizeof gif - 1);
    if (reads(b)) ck_assert_int_eq(decode(b, NULL, &image), TSR_ERROR_TOO_LARGE);
    b = corpus("tiff/tiff_tiles");
    for (size_t i = 0; i + 12 <= b.size; ++i) /* 322 and 323, four bytes each */
        if ((b.p[i] == 0x42 || b.p[i] == 0x43) && memcmp(b.p + i + 1, "\1\4\0\1\0\0\0", 7) == 0)
            memcpy(b.p + i + 8, "\x30\x75\0\0", 4);
    if (reads(b)) ck_assert_int_eq(decode(b, NULL, &image), TSR_ERROR_TOO_LARGE);
    b = (picture_bytes){0};
    const uint64_t side = 29999, bits = (uint64_t)3 << 1 | side << 3; /* 33 bits, then the ratio */
    const uint64_t more = bits >> 8 | (uint64_t)3 << 28 | side << 30 | (uint64_t)15 << 60;
    put_bytes(&b, "\xff\x0a", 2);
    put_little(&b, (uint32_t)(bits & 255), 1);
    for (int i = 0; i < 8; ++i)
        put_little(&b, (uint32_t)(more >> 8 * i & 255), 1);
    put_bytes(&b, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    if (reads(b)) {
        ck_assert_int_eq(decode(b, NULL, &image), TSR_ERROR_TOO_LARGE);
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "30000x30000"));
    }
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 32 << 10); /* kB */
    tsr_context_close(&ctx);
}
END_TEST

static picture_bytes flat_picture(int kind, int w, int h, const uint8_t *flat, size_t size) {
    switch (kind) {
    case 0:
        return jpeg_bytes(w, h, 1, &flat, -1, 0);
    case 1:
        return tiff_bytes(w, h, flat, 0, 1);
    case 2:
        return gif_bytes(w, h, 1, &flat, -1);
    case 3:
        return bmp_bytes(w, h, flat);
    case 4:
        return qoi_bytes(w, h, flat);
    default:
        return pnm_bytes(6, w, h, flat, size);
    }
}

START_TEST(sizes_at_the_edge) {
    open_context();
    static const int sizes[][2] = {{1, 1}, {1, 20000}, {20000, 1}, {2, 2}, {3, 3}, {5, 4}};
    for (int i = 0; i < 6 * 6; ++i) {
        const int w = sizes[i / 6][0], h = sizes[i / 6][1];
        const size_t size = (size_t)w * (size_t)h * 3; /* no kind needs more */
        uint8_t *flat = malloc(size);
        memset(flat, 200, size);
        picture_bytes b = flat_picture(i % 6, w, h, flat, size);
        free(flat);
        if (!reads(b)) continue;
        tsr_image image = decode_good("flat", b, NULL);
        ck_assert_int_eq(image.width, w);
        ck_assert_int_eq(image.height, h);
        for (int k = 0; k < w * h * 3; ++k)
            ck_assert_int_eq(image.rgb[k], 200);
        tsr_image_free(&image);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(no_pictures) {
    open_context();
    tsr_image image;
    ck_assert_int_eq(decode((picture_bytes){0}, NULL, &image), TSR_ERROR_TRUNCATED);
    ck_assert_str_eq(tsr_detail(ctx), "x: wanted a picture, got 0 bytes");
    static const char *const texts[] = {"Dear Sir or Madam,",
                                        "BMW is a car, this is a text about it",
                                        "P6",
                                        "{\"a\": 1}",
                                        "RIFF\x10\0\0\0WAVE",
                                        "<svg></svg>"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        picture_bytes b = {0};
        put_bytes(&b, texts[i], i == 4 ? 12 : strlen(texts[i]));
        ck_assert_int_eq(decode(b, NULL, &image), TSR_ERROR_FORMAT);
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "x: wanted a picture (PNG, JPEG"));
    }
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "bytes that begin with 3c 73 76 67 3e 3c 2f 73"));
    picture_bytes animated = {0};
    put_bytes(&animated, "RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\0\0\0\0\0\0", 30);
    if (reads(animated)) {
        ck_assert_int_eq(decode(animated, NULL, &image), TSR_ERROR_UNSUPPORTED);
        ck_assert_str_eq(tsr_detail(ctx), "x: wanted a still picture, got an animated WebP");
    }
    ck_assert_int_eq(tsr_image_read(ctx, "/tmp", NULL, &image), TSR_ERROR_IO);
    ck_assert_int_eq(tsr_image_read(ctx, "/absent.png", NULL, &image), TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_null(image.rgb);
    tsr_context_close(&ctx);
}
END_TEST

/* Content decides: a bitmap under a JPEG's name. */
START_TEST(names_do_not_matter) {
    open_context();
    uint8_t rgb[W * H * 3];
    random_bytes(rgb, sizeof rgb);
    char path[] = "/tmp/tessera-image-XXXXXX.jpg";
    int fd = mkstemps(path, 4);
    picture_bytes b = bmp_bytes(W, H, rgb);
    ck_assert_int_eq(write(fd, b.p, b.size), (int)b.size);
    close(fd);
    free(b.p);
    tsr_image image;
    ck_assert_int_eq(tsr_image_read(ctx, path, NULL, &image), TSR_OK);
    ck_assert_int_eq(image.source, TSR_SOURCE_BMP);
    expect_pixels("bmp", &image, W, H, rgb);
    tsr_image_free(&image);
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

/* Decoders say nothing, neither on the standard error nor on the standard output. */
/* The public call over bytes: the pixels of the file's reader, a limit that holds before decoding,
 * a name in the text, and nothing but bytes is ever a picture. */
START_TEST(bytes_in_memory) {
    open_context();
    const char good[] = "P6\n2 1\n255\n\1\2\3\4\5\6";
    uint8_t *rgb = NULL;
    int width = 0, height = 0, orientation = 0;
    ck_assert_int_eq(tsr_picture_parse(ctx, NULL, good, sizeof good - 1, NULL, 2, &rgb, &width,
                                       &height, &orientation),
                     TSR_OK);
    ck_assert_int_eq(width * 10 + height, 21);
    ck_assert_int_eq(orientation, 1);
    ck_assert_mem_eq(rgb, "\1\2\3\4\5\6", 6);
    free(rgb);
    ck_assert_int_eq(tsr_picture_parse(ctx, "small", good, sizeof good - 1, NULL, 1, &rgb, &width,
                                       &height, NULL),
                     TSR_ERROR_TOO_LARGE);
    ck_assert_ptr_null(rgb);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "small"));
    const char bomb[] = "P6\n60000 60000\n255\n";
    ck_assert_int_eq(
        tsr_picture_parse(ctx, NULL, bomb, sizeof bomb - 1, NULL, 0, &rgb, &width, &height, NULL),
        TSR_ERROR_TOO_LARGE);
    const char *const paths[] = {"/dev/zero", "file:///dev/zero", "http://127.0.0.1/a.png", "-"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i)
        ck_assert_int_eq(tsr_picture_parse(ctx, NULL, paths[i], strlen(paths[i]), NULL, 0, &rgb,
                                           &width, &height, NULL),
                         TSR_ERROR_FORMAT);
    ck_assert_int_eq(tsr_picture_parse(ctx, NULL, NULL, 0, NULL, 0, &rgb, &width, &height, NULL),
                     TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(silence) {
    open_context();
    bool read_here[SAMPLES];
    for (int kind = 0; kind < SAMPLES; ++kind) {
        picture_bytes b = sample(kind);
        if ((read_here[kind] = reads(b))) free(b.p);
    }
    char text[200] = "";
    FILE *said = tmpfile();
    ck_assert_ptr_nonnull(said);
    fflush(stdout);
    const int kept[2] = {dup(1), dup(2)};
    for (int i = 0; i < 2; ++i)
        dup2(fileno(said), i + 1);
    for (int kind = 0; kind < SAMPLES; ++kind) {
        for (int round = 0; read_here[kind] && round < 30; ++round) {
            picture_bytes b = sample(kind);
            if (round < 3) b.size = b.size * (size_t)(round + 1) / 4;
            for (int n = 0; n < round; ++n)
                b.p[random_below((int64_t)b.size)] = (uint8_t)random_below(256);
            tsr_image image;
            tsr_image_settings s = tsr_image_settings_default();
            s.max_pixels = 1 << 20;
            decode(b, &s, &image);
            tsr_image_free(&image);
        }
    }
    fflush(stdout);
    for (int i = 0; i < 2; ++i) {
        dup2(kept[i], i + 1);
        close(kept[i]);
    }
    rewind(said);
    size_t got = fread(text, 1, sizeof text - 1, said);
    ck_assert_msg(got == 0, "%s", text);
    fclose(said);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("image",
           PART(own, NULL, plain_formats, alpha, orientation, every_truncation, flipped_bytes,
                huge_headers, huge_inside, sizes_at_the_edge, no_pictures, names_do_not_matter,
                bytes_in_memory, silence),
           PART(gif, need_gif, gif), PART(jpeg, need_jpeg, jpeg))
