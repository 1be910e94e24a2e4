/* SPDX-License-Identifier: MIT */
/* picture_bytes.c: see picture_bytes.h. */
#include "picture_bytes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put_bytes(picture_bytes *to, const void *bytes, size_t size) {
    to->p = realloc(to->p, to->size + size + 1);
    if (!to->p) abort();
    if (size) memcpy(to->p + to->size, bytes, size);
    to->size += size;
}

void put_big(picture_bytes *to, uint32_t value, int count) {
    for (int i = count; i-- > 0;)
        put_bytes(to, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

void put_little(picture_bytes *to, uint32_t value, int count) {
    for (int i = 0; i < count; ++i)
        put_bytes(to, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

/* ---- PNG ---- */

void put_chunk(picture_bytes *to, const char type[5], const void *data, size_t size) {
    put_big(to, (uint32_t)size, 4);
    size_t start = to->size;
    put_bytes(to, type, 4);
    put_bytes(to, data, size);
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = start; i < to->size; ++i) {
        crc ^= to->p[i];
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    put_big(to, ~crc, 4);
}

picture_bytes png_bytes(uint32_t width, uint32_t height, int depth, int colour, int interlace,
                        const uint8_t *rows, size_t rows_size, const picture_bytes *chunks) {
    picture_bytes png = {0}, head = {0}, body = {0};
    put_bytes(&png, "\x89PNG\r\n\x1a\n", 8);
    put_big(&head, width, 4);
    put_big(&head, height, 4);
    put_bytes(&head, (uint8_t[]){(uint8_t)depth, (uint8_t)colour, 0, 0, (uint8_t)interlace}, 5);
    put_chunk(&png, "IHDR", head.p, head.size);
    if (chunks) put_bytes(&png, chunks->p, chunks->size);
    put_bytes(&body, "\x78\x01", 2);
    uint32_t a = 1, b = 0;
    for (size_t at = 0; at < rows_size; at += 65535) {
        size_t n = rows_size - at < 65535 ? rows_size - at : 65535;
        put_bytes(&body, &(uint8_t){at + n == rows_size}, 1);
        put_little(&body, (uint32_t)n, 2);
        put_little(&body, ~(uint32_t)n, 2);
        put_bytes(&body, rows + at, n);
    }
    for (size_t i = 0; i < rows_size; ++i) {
        a = (a + rows[i]) % 65521;
        b = (b + a) % 65521;
    }
    put_big(&body, b << 16 | a, 4);
    if (rows) put_chunk(&png, "IDAT", body.p, body.size);
    put_chunk(&png, "IEND", NULL, 0);
    free(head.p);
    free(body.p);
    return png;
}

picture_bytes exif_bytes(int orientation, int big_endian) {
    picture_bytes e = {0};
    void (*put)(picture_bytes *, uint32_t, int) = big_endian ? put_big : put_little;
    put_bytes(&e, big_endian ? "MM" : "II", 2);
    put(&e, 42, 2);
    put(&e, 8, 4);
    put(&e, 1, 2);
    put(&e, 0x0112, 2);
    put(&e, 3, 2);
    put(&e, 1, 4);
    put(&e, (uint32_t)orientation, 2);
    put(&e, 0, 2);
    put(&e, 0, 4);
    return e;
}

/* ---- JPEG ---- */

typedef struct bit_writer {
    picture_bytes *to;
    uint32_t held;
    int count;
} bit_writer;

static void put_bits(bit_writer *w, uint32_t value, int count) {
    for (int i = count; i-- > 0;) {
        w->held = w->held << 1 | (value >> i & 1);
        if (++w->count < 8) continue;
        put_big(w->to, w->held & 0xFF, 1);
        if ((w->held & 0xFF) == 0xFF) put_big(w->to, 0, 1);
        w->held = 0;
        w->count = 0;
    }
}

/* Twelve codes of four bits: the sizes 0..11 of DC differences. */
static void put_difference(bit_writer *w, int difference) {
    int size = 0;
    while (abs(difference) >> size)
        ++size;
    put_bits(w, (uint32_t)size, 4);
    put_bits(w, (uint32_t)(difference < 0 ? difference - 1 : difference), size);
    put_bits(w, 0, 1); /* end of block, the only AC code */
}

picture_bytes jpeg_bytes(int width, int height, int components, const uint8_t *const *samples,
                         int adobe, int exif) {
    picture_bytes j = {0};
    put_bytes(&j, "\xff\xd8", 2);
    if (exif) {
        picture_bytes e = exif_bytes(exif, exif & 1);
        put_bytes(&j, "\xff\xe1", 2);
        put_big(&j, (uint32_t)e.size + 8, 2);
        put_bytes(&j, "Exif\0\0", 6);
        put_bytes(&j, e.p, e.size);
        free(e.p);
    }
    if (adobe >= 0) {
        put_bytes(&j,
                  "\xff\xee\0\x0e"
                  "Adobe\0\x64\0\0\0\0",
                  15);
        put_big(&j, (uint32_t)adobe, 1);
    }
    put_bytes(&j, "\xff\xdb\0\x43\0", 5); /* all steps 1: DC is 8 times the difference from 128 */
    for (int i = 0; i < 64; ++i)
        put_big(&j, 1, 1);
    put_bytes(&j, "\xff\xc0", 2);
    put_big(&j, (uint32_t)(8 + 3 * components), 2);
    put_big(&j, 8, 1);
    put_big(&j, (uint32_t)height, 2);
    put_big(&j, (uint32_t)width, 2);
    put_big(&j, (uint32_t)components, 1);
    static const uint8_t names[] = {'C', 'M', 'Y', 'K'};
    for (int c = 0; c < components; ++c)
        put_bytes(&j, (uint8_t[]){components == 4 ? names[c] : (uint8_t)(c + 1), 0x11, 0}, 3);
    static const uint8_t dc[16] = {0, 0, 0, 12}, ac[16] = {1};
    put_bytes(&j, "\xff\xc4\0\x1f\0", 5);
    put_bytes(&j, dc, 16);
    for (int i = 0; i < 12; ++i)
        put_big(&j, (uint32_t)i, 1);
    put_bytes(&j, "\xff\xc4\0\x14\x10", 5);
    put_bytes(&j, ac, 16);
    put_big(&j, 0, 1);
    put_bytes(&j, "\xff\xda", 2);
    put_big(&j, (uint32_t)(6 + 2 * components), 2);
    put_big(&j, (uint32_t)components, 1);
    for (int c = 0; c < components; ++c)
        put_bytes(&j, (uint8_t[]){components == 4 ? names[c] : (uint8_t)(c + 1), 0}, 2);
    put_bytes(&j, "\0\x3f\0", 3);
    bit_writer w = {.to = &j};
    int last[4] = {0}, blocks = ((width + 7) / 8) * ((height + 7) / 8);
    for (int b = 0; b < blocks; ++b) {
        for (int c = 0; c < components; ++c) {
            int dc_value = (samples[c][b] - 128) * 8;
            put_difference(&w, dc_value - last[c]);
            last[c] = dc_value;
        }
    }
    put_bits(&w, 0x7F, (8 - w.count) % 8);
    put_bytes(&j, "\xff\xd9", 2);
    return j;
}

/* ---- GIF ---- */

/* Nine-bit codes, cleared so often that they never grow. */
static void put_gif_pixels(picture_bytes *to, const uint8_t *indices, size_t count) {
    picture_bytes codes = {0};
    uint32_t held = 0;
    int bits = 0;
    for (size_t i = 0, sent = 0; i <= count;) {
        uint32_t code = sent % 250 == 0 ? 256 : i == count ? 257 : indices[i];
        bool clear = sent++ % 250 == 0;
        if (!clear) ++i;
        held |= code << bits;
        for (bits += 9; bits >= 8; bits -= 8, held >>= 8)
            put_little(&codes, held & 0xFF, 1);
    }
    if (bits) put_little(&codes, held & 0xFF, 1);
    put_little(to, 8, 1);
    for (size_t at = 0; at < codes.size; at += 255) {
        size_t n = codes.size - at < 255 ? codes.size - at : 255;
        put_little(to, (uint32_t)n, 1);
        put_bytes(to, codes.p + at, n);
    }
    put_little(to, 0, 1);
    free(codes.p);
}

picture_bytes gif_bytes(int width, int height, int frames, const uint8_t *const *indices,
                        int transparent) {
    picture_bytes g = {0};
    put_bytes(&g, "GIF89a", 6);
    put_little(&g, (uint32_t)width, 2);
    put_little(&g, (uint32_t)height, 2);
    put_bytes(&g, "\xf7\0\0", 3);
    for (int i = 0; i < 256; ++i)
        put_little(&g, (uint32_t)i * 0x010101, 3);
    for (int f = 0; f < frames; ++f) {
        put_bytes(&g, "\x21\xf9\x04", 3);
        put_bytes(&g, (uint8_t[]){transparent >= 0, 10, 0, (uint8_t)transparent, 0}, 5);
        put_bytes(&g, "\x2c\0\0\0\0", 5);
        put_little(&g, (uint32_t)width, 2);
        put_little(&g, (uint32_t)height, 2);
        put_little(&g, 0, 1);
        put_gif_pixels(&g, indices[f], (size_t)width * (size_t)height);
    }
    put_bytes(&g, ";", 1);
    return g;
}

/* ---- the plain ones ---- */

picture_bytes bmp_bytes(int width, int height, const uint8_t *rgb) {
    picture_bytes b = {0};
    uint32_t row = (uint32_t)(width * 3 + 3) / 4 * 4;
    put_bytes(&b, "BM", 2);
    put_little(&b, 54 + row * (uint32_t)height, 4);
    put_little(&b, 0, 4);
    put_little(&b, 54, 4);
    put_little(&b, 40, 4);
    put_little(&b, (uint32_t)width, 4);
    put_little(&b, (uint32_t)height, 4);
    put_little(&b, 1, 2);
    put_little(&b, 24, 2);
    for (int i = 0; i < 6; ++i)
        put_little(&b, 0, 4);
    for (int y = height; y-- > 0;) {
        for (int x = 0; x < width; ++x)
            for (int c = 3; c-- > 0;)
                put_bytes(&b, &rgb[(y * width + x) * 3 + c], 1);
        put_little(&b, 0, (int)row - width * 3);
    }
    return b;
}

picture_bytes tiff_bytes(int width, int height, const uint8_t *rgb, int big_endian,
                         int orientation) {
    picture_bytes t = {0};
    void (*put)(picture_bytes *, uint32_t, int) = big_endian ? put_big : put_little;
    uint32_t pixels = (uint32_t)(width * height * 3), at = 8 + 2 + 11 * 12 + 4;
    const uint32_t tags[11][3] = {{256, 4, (uint32_t)width},
                                  {257, 4, (uint32_t)height},
                                  {258, 3, 0}, /* three shorts behind the directory */
                                  {259, 3, 1},
                                  {262, 3, 2},
                                  {273, 4, at + 6},
                                  {274, 3, (uint32_t)orientation},
                                  {277, 3, 3},
                                  {278, 4, (uint32_t)height},
                                  {279, 4, pixels},
                                  {284, 3, 1}};
    put_bytes(&t, big_endian ? "MM" : "II", 2);
    put(&t, 42, 2);
    put(&t, 8, 4);
    put(&t, 11, 2);
    for (int i = 0; i < 11; ++i) {
        put(&t, tags[i][0], 2);
        put(&t, tags[i][1], 2);
        put(&t, tags[i][0] == 258 ? 3 : 1, 4);
        if (tags[i][0] == 258) {
            put(&t, at, 4);
        } else if (tags[i][1] == 3) {
            put(&t, tags[i][2], 2);
            put(&t, 0, 2);
        } else {
            put(&t, tags[i][2], 4);
        }
    }
    put(&t, 0, 4);
    for (int i = 0; i < 3; ++i)
        put(&t, 8, 2);
    put_bytes(&t, rgb, pixels);
    return t;
}

picture_bytes pnm_bytes(int kind, int width, int height, const uint8_t *samples, size_t size) {
    char head[200];
    if (kind == 7)
        sprintf(head, "P7\nWIDTH %d\nHEIGHT %d\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
                width, height);
    else
        sprintf(head, "P%d\n# a comment\n%d %d\n%s", kind, width, height, kind == 4 ? "" : "255\n");
    picture_bytes p = {0};
    put_bytes(&p, head, strlen(head));
    put_bytes(&p, samples, size);
    return p;
}

picture_bytes qoi_bytes(int width, int height, const uint8_t *rgb) {
    picture_bytes q = {0};
    put_bytes(&q, "qoif", 4);
    put_big(&q, (uint32_t)width, 4);
    put_big(&q, (uint32_t)height, 4);
    put_bytes(&q, "\3\0", 2);
    for (int i = 0; i < width * height; ++i) {
        put_big(&q, 0xFE, 1);
        put_bytes(&q, rgb + 3 * i, 3);
    }
    put_bytes(&q, "\0\0\0\0\0\0\0\1", 8);
    return q;
}
