/* SPDX-License-Identifier: MIT */
/* Where a picture ends: of each kind, whole, cut at every byte, followed by another, and delivered
 * byte by byte. The pictures are those the fuzz target begins with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/picture_extent.h"
#include "testing.h"

typedef struct sample {
    const char *name;
    int open; /* nothing in the file says where it ends */
} sample;

static const sample samples[] = {
    {"bmp", 0},
    {"bmp_bits", 0},
    {"gif", 0},
    {"gif_animated", 0},
    {"jpeg_420", 0},
    {"jpeg_cmyk", 0},
    {"jpeg_progressive", 0},
    {"jpeg2000", 0},
    {"pam", 0},
    {"pbm", 0},
    {"pgm", 0},
    {"png", 0},
    {"ppm", 0},
    {"ppm_text", 0},
    {"qoi", 0},
    {"tiff", 0},
    {"tiff_lzw", 0},
    {"webp_lossy", 0},
    {"webp_lossless", 0},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static uint8_t *load(const char *name, size_t *size) {
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/picture_extent/%s", TESSERA_TESTS, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    uint8_t *bytes = malloc(1 << 16);
    *size = fread(bytes, 1, 1 << 16, f);
    fclose(f);
    ck_assert_uint_gt(*size, 8);
    return bytes;
}

static tsr_extent whole(const uint8_t *bytes, size_t size, size_t *end) {
    tsr_extent_scan scan = {0};
    return tsr_picture_extent(bytes, size, &scan, end);
}

START_TEST(ends_where_the_file_does) {
    const sample *s = &samples[_i];
    size_t size, end = 0;
    uint8_t *bytes = load(s->name, &size);
    const tsr_extent extent = whole(bytes, size, &end);
    const tsr_extent want = s->open                            ? TSR_EXTENT_REST
                            : strcmp(s->name, "jpeg2000") == 0 ? TSR_EXTENT_MORE /* boxes go on */
                                                               : TSR_EXTENT_KNOWN;
    ck_assert_msg(extent == want, "%s: %d", s->name, extent);
    if (extent == TSR_EXTENT_KNOWN) {
        /* a text format may have blanks behind its last number */
        ck_assert_msg(end <= size && end + 1 >= size, "%s: %zu of %zu", s->name, end, size);
    }
    free(bytes);
}
END_TEST

/* No part of a picture ends before the picture does. */
START_TEST(a_part_is_not_whole) {
    const sample *s = &samples[_i];
    size_t size, all = 0, end = 0;
    uint8_t *bytes = load(s->name, &size);
    const tsr_extent extent = whole(bytes, size, &all);
    for (size_t n = 0; extent == TSR_EXTENT_KNOWN && n < all; ++n) {
        uint8_t *part = malloc(n ? n : 1); /* exactly as long: a sanitizer sees the byte behind */
        memcpy(part, bytes, n);
        const tsr_extent got = whole(part, n, &end);
        ck_assert_msg(got == TSR_EXTENT_MORE && end > n, "%s cut to %zu: %d, %zu", s->name, n, got,
                      end);
        free(part);
    }
    free(bytes);
}
END_TEST

START_TEST(another_follows) {
    const sample *s = &samples[_i];
    size_t size, all = 0, end = 0;
    uint8_t *bytes = load(s->name, &size);
    for (int i = 0; i < SAMPLES && !s->open; ++i) {
        size_t more;
        uint8_t *other = load(samples[i].name, &more), *both = malloc(size + more);
        memcpy(both, bytes, size);
        memcpy(both + size, other, more);
        if (whole(bytes, size, &all) != TSR_EXTENT_KNOWN) all = size;
        ck_assert_msg(whole(both, size + more, &end) == TSR_EXTENT_KNOWN && end == all,
                      "%s before %s: %zu of %zu", s->name, samples[i].name, end, all);
        free(other);
        free(both);
    }
    free(bytes);
}
END_TEST

START_TEST(byte_by_byte) {
    const sample *s = &samples[_i];
    size_t size, all = 0, end = 0;
    uint8_t *bytes = load(s->name, &size);
    const tsr_extent extent = whole(bytes, size, &all);
    tsr_extent_scan scan = {0};
    tsr_extent got = TSR_EXTENT_MORE;
    for (size_t n = 0; n <= size && got == TSR_EXTENT_MORE; ++n)
        got = tsr_picture_extent(bytes, n, &scan, &end);
    ck_assert_msg(got == extent, "%s: %d", s->name, got);
    if (got == TSR_EXTENT_KNOWN) ck_assert_uint_eq(end, all);
    free(bytes);
}
END_TEST

static tsr_extent of_text(const char *text, size_t size) {
    size_t end = 0;
    return whole((const uint8_t *)text, size, &end);
}

/* Boxes go on until another picture begins, of their own kind or of any other. */
START_TEST(boxes) {
    static const char boxed[] = "\0\0\0\14jP  \r\n\x87\n\0\0\0\20ftypjp2 \0\0\0\0"
                                "\0\0\0\1jp2c\0\0\0\0\0\0\0\24\xff\x4f\xff\xd9";
    enum { BOXED = sizeof boxed - 1 };
    char both[2 * BOXED + 64];
    size_t end = 0, size;
    ck_assert_int_eq(of_text(boxed, BOXED), TSR_EXTENT_MORE);
    memcpy(both, boxed, BOXED);
    memcpy(both + BOXED, boxed, BOXED);
    ck_assert_int_eq(whole((uint8_t *)both, 2 * BOXED, &end), TSR_EXTENT_KNOWN);
    ck_assert_uint_eq(end, BOXED);
    uint8_t *png = load("png", &size);
    memcpy(both + BOXED, png, 64);
    ck_assert_int_eq(whole((uint8_t *)both, BOXED + 64, &end), TSR_EXTENT_KNOWN);
    ck_assert_uint_eq(end, BOXED);
    free(png);
}
END_TEST

/* What is no picture, or claims what cannot be. */
START_TEST(no_picture) {
    ck_assert_int_eq(of_text("nothing that anybody would show", 31), TSR_EXTENT_NONE);
    ck_assert_int_eq(of_text("P8 12 12 255 and so on", 22), TSR_EXTENT_NONE);
    ck_assert_int_eq(of_text("P6 4294967296 4294967296 255\n....", 33), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("P6 0 10 255\n.........", 21), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("P3 2 2 255\n1 2 three 4 5 6", 26), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR....", 20), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("\0\0\0\1ftypavif\xff\xff\xff\xff\xff\xff", 18), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("\0\0\0\1ftyp\xff\xff\xff\xff\xff\xff\xff\xff..", 18),
                     TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("\0\0\0\7ftypavif......", 18), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("GIF89a\1\0\1\0\0\0\0....)", 18), TSR_EXTENT_REST);
    ck_assert_int_eq(of_text("", 0), TSR_EXTENT_MORE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("picture_extent");
    TCase *tc = tcase_create("picture_extent");
    tcase_add_loop_test(tc, ends_where_the_file_does, 0, SAMPLES);
    tcase_add_loop_test(tc, a_part_is_not_whole, 0, SAMPLES);
    tcase_add_loop_test(tc, another_follows, 0, SAMPLES);
    tcase_add_loop_test(tc, byte_by_byte, 0, SAMPLES);
    tcase_add_test(tc, boxes);
    tcase_add_test(tc, no_picture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
