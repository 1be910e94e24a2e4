/* SPDX-License-Identifier: MIT */
/* test_image.c: pictures of every format but PNG, their orientation and alpha, and broken ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "formats/media/image.h"
#include "picture_bytes.h"
#include "testing.h"

#ifdef TESSERA_WITH_MEDIA
#include <libavcodec/avcodec.h>

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
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
            tsr_image image = decode_good("oriented", oriented(container, o, w, h, rgb), NULL);
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

/* ---- through libav's encoders ---- */

/* A smooth picture of `format` planes; b is empty when there is no such encoder. */
static picture_bytes encode(const char *encoder, enum AVPixelFormat format, int w, int h) {
    picture_bytes b = {0};
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    if (!codec) {
        leave_out("this libavcodec has no %s encoder", encoder);
        return b;
    }
    AVCodecContext *c = avcodec_alloc_context3(codec);
    c->width = w, c->height = h, c->pix_fmt = format, c->time_base = (AVRational){1, 1};
    c->color_range = AVCOL_RANGE_JPEG;
    c->flags |= AV_CODEC_FLAG_QSCALE;
    c->global_quality = 2 * FF_QP2LAMBDA;
    if (strcmp(encoder, "libwebp") == 0) {
        c->color_range = AVCOL_RANGE_UNSPECIFIED;
        c->global_quality = 95 * FF_QP2LAMBDA;
    }
    AVPacket *packet = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    f->width = w, f->height = h, f->format = format, f->quality = c->global_quality;
    ck_assert_int_eq(avcodec_open2(c, codec, NULL), 0);
    ck_assert_int_eq(av_frame_get_buffer(f, 0), 0);
    bool yuv = f->data[1] != NULL;
    for (int p = 0; p < 3 && f->data[p]; ++p) {
        int sx = p && format != AV_PIX_FMT_YUVJ444P,
            sy = p && (format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUV420P);
        int channels = yuv || format == AV_PIX_FMT_GRAY8 ? 1 : format == AV_PIX_FMT_RGB32 ? 4 : 3;
        for (int y = 0; y < (h + sy) >> sy; ++y)
            for (int x = 0; x < ((w + sx) >> sx) * channels; ++x) {
                int px = (x / channels) << sx, py = y << sy, k = yuv ? p : x % channels;
                int v = yuv && p ? 128 + (p == 1 ? px / 2 - 16 : 16 - py / 2)
                                 : 60 + px + py * (k + 1) / 2;
                if (channels == 4 && k == 3) v = 255;
                f->data[p][y * f->linesize[p] + x] = (uint8_t)clamp(v);
            }
    }
    ck_assert_int_eq(avcodec_send_frame(c, f), 0);
    avcodec_send_frame(c, NULL);
    ck_assert_int_eq(avcodec_receive_packet(c, packet), 0);
    put_bytes(&b, packet->data, (size_t)packet->size);
    av_frame_free(&f);
    av_packet_free(&packet);
    avcodec_free_context(&c);
    return b;
}

START_TEST(smooth_pictures) {
    open_context();
    static const struct {
        const char *encoder;
        enum AVPixelFormat format;
        tsr_image_source source;
        double worst; /* libavcodec 59 loses 3.0 to 4.7 of 255 in these pictures */
    } cases[] = {
        {"mjpeg", AV_PIX_FMT_YUVJ420P, TSR_SOURCE_JPEG, 6},
        {"mjpeg", AV_PIX_FMT_YUVJ422P, TSR_SOURCE_JPEG, 6},
        {"mjpeg", AV_PIX_FMT_YUVJ444P, TSR_SOURCE_JPEG, 6},
        {"jpeg2000", AV_PIX_FMT_RGB24, TSR_SOURCE_OTHER, 4},
        {"libwebp", AV_PIX_FMT_YUV420P, TSR_SOURCE_WEBP, 6},
        {"libwebp", AV_PIX_FMT_RGB32, TSR_SOURCE_WEBP, 6},
    };
    const int w = 61, h = 43;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        picture_bytes b = encode(cases[i].encoder, cases[i].format, w, h);
        if (!b.p) continue;
        tsr_image image = decode_good(cases[i].encoder, b, NULL);
        ck_assert_int_eq(image.source, cases[i].source);
        ck_assert_int_eq(image.width, w);
        ck_assert_int_eq(image.height, h);
        bool rgb24 = cases[i].format == AV_PIX_FMT_RGB24,
             rgb32 = cases[i].format == AV_PIX_FMT_RGB32;
        for (int y = 0; y < h; ++y) {
            for (int x = 0; x < w; ++x) {
                double want[3];
                for (int c = 0; c < 3; ++c)
                    want[c] = 60 + x + y * ((rgb32 ? 2 - c : c) + 1) / 2;
                if (!rgb24 && !rgb32) {
                    /* chroma samples lie between two luma ones where it is halved */
                    double cb = x / 2.0 - 16, cr = 16 - y / 2.0, l = 60 + x + y / 2;
                    if (cases[i].source == TSR_SOURCE_WEBP) {
                        l = (l - 16) * 255 / 219;
                        cb *= 255.0 / 224, cr *= 255.0 / 224;
                    }
                    want[0] = l + 1.402 * cr;
                    want[1] = l - 0.344136 * cb - 0.714136 * cr;
                    want[2] = l + 1.772 * cb;
                }
                for (int c = 0; c < 3; ++c) {
                    double t = want[c] < 0 ? 0 : want[c] > 255 ? 255 : want[c];
                    double off = image.rgb[(y * w + x) * 3 + c] - t;
                    ck_assert_msg(off < cases[i].worst && off > -cases[i].worst,
                                  "%s case %zu at %d,%d channel %d: %d, wanted %f",
                                  cases[i].encoder, i, x, y, c, image.rgb[(y * w + x) * 3 + c], t);
                }
            }
        }
        tsr_image_free(&image);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- broken ---- */

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
    case 7:
        return encode("libwebp", AV_PIX_FMT_YUV420P, 61, 43);
    case 8:
        return encode("mjpeg", AV_PIX_FMT_YUVJ420P, 61, 43);
    default:
        return encode("jpeg2000", AV_PIX_FMT_RGB24, 61, 43);
    }
}
static const char *const sample_names[] = {"jpeg", "ycck", "gif",  "bmp",   "tiff",
                                           "ppm",  "qoi",  "webp", "mjpeg", "jpeg2000"};

START_TEST(every_truncation) {
    open_context();
    for (int kind = 0; kind < 10; ++kind) {
        picture_bytes whole = sample(kind);
        if (!whole.p) continue;
        tsr_image image;
        for (size_t cut = 0; cut <= whole.size; cut += cut < 100 || cut + 40 > whole.size ? 1 : 7) {
            picture_bytes part = {0};
            put_bytes(&part, whole.p, cut);
            tsr_status status = decode(part, NULL, &image);
            tsr_image_free(&image);
            /* The padding of rows, the end mark of some formats may be missing. */
            bool most = kind == 2 ? cut * 2 > whole.size
                                  : cut + (kind == 9   ? 40
                                           : kind == 3 ? H + 1
                                                       : 2) >
                                        whole.size;
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
    for (int kind = 0; kind < 10; ++kind) {
        for (int round = 0; round < 150; ++round) {
            picture_bytes b = sample(kind);
            if (!b.p) break;
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

START_TEST(sizes_at_the_edge) {
    open_context();
    static const int sizes[][2] = {{1, 1}, {1, 20000}, {20000, 1}, {2, 2}, {3, 3}, {5, 4}};
    for (int i = 0; i < 6; ++i) {
        int w = sizes[i][0], h = sizes[i][1], blocks = ((w + 7) / 8) * ((h + 7) / 8);
        uint8_t *flat = malloc((size_t)blocks);
        memset(flat, 200, (size_t)blocks);
        const uint8_t *list[1] = {flat};
        tsr_image image = decode_good("jpeg", jpeg_bytes(w, h, 1, list, -1, 0), NULL);
        ck_assert_int_eq(image.width, w);
        ck_assert_int_eq(image.height, h);
        for (int k = 0; k < w * h * 3; ++k)
            ck_assert_int_eq(image.rgb[k], 200);
        tsr_image_free(&image);
        free(flat);
        picture_bytes b =
            w > 16 || h > 16 ? (picture_bytes){0} : encode("mjpeg", AV_PIX_FMT_YUVJ420P, w, h);
        if (b.p) {
            image = decode_good("mjpeg", b, NULL);
            ck_assert_int_eq(image.width, w);
            ck_assert_int_eq(image.height, h);
            tsr_image_free(&image);
        }
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
    ck_assert_int_eq(decode(animated, NULL, &image), TSR_ERROR_UNSUPPORTED);
    ck_assert_str_eq(tsr_detail(ctx), "x: wanted a still picture, got an animated WebP");
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

/* Decoders say nothing on the standard error. */
START_TEST(silence) {
    open_context();
    char text[64] = "";
    int pipes[2], kept = dup(2);
    ck_assert_int_eq(pipe(pipes), 0);
    dup2(pipes[1], 2);
    for (int kind = 0; kind < 9; ++kind) {
        picture_bytes b = sample(kind);
        if (!b.p) continue;
        b.size = b.size * 2 / 3;
        tsr_image image;
        decode(b, NULL, &image);
        tsr_image_free(&image);
    }
    dup2(kept, 2);
    close(pipes[1]);
    ssize_t got = read(pipes[0], text, sizeof text - 1);
    ck_assert_msg(got == 0, "%s", text);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("image", plain_formats, alpha, gif, jpeg, orientation, smooth_pictures, every_truncation,
          flipped_bytes, huge_headers, sizes_at_the_edge, no_pictures, names_do_not_matter, silence)
#else
int main(void) {
    skip_all("built without libav");
    return 77;
}
#endif
