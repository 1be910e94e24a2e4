/* SPDX-License-Identifier: MIT */
/* The labels of sheets: names that differ look different, whatever script they are in. */
#include "tools/stroke_font.c"

#include <stdlib.h>
#include "testing.h"

enum { WIDTH = 400, HEIGHT = 40 };

static uint8_t *drawn(const char *text) {
    static const uint8_t white[3] = {255, 255, 255};
    uint8_t *rgb = calloc(WIDTH * HEIGHT, 3);
    ck_assert_ptr_nonnull(rgb);
    stroke_text(&(stroke_picture){rgb, WIDTH, HEIGHT}, 4, 25, 12, 1.6, white, text);
    return rgb;
}

static bool look_alike(const char *a, const char *b) {
    uint8_t *x = drawn(a), *y = drawn(b);
    const bool same = !memcmp(x, y, WIDTH * HEIGHT * 3);
    free(x);
    free(y);
    return same;
}

START_TEST(different_names_look_different) {
    static const char *const names[] = {
        "?",          "a",          "i",       "\u00e4",  "\u00e1", "\u00e0",
        "\u00e2",     "\u0101",     "\u0105",  "\u0131",  "\u00ed", "\u012f",
        "\u0141",     "\u0142",     "L",       "l",       "\u00f8", "o",
        "\u00fe",     "\u00f7",     "\u4e2d",  "\u4e2e",  "\u0444", "\u0424",
        "\U0001f600", "\U0001f601", "a\u4e2d", "\u4e2da", "\x80",   "\xff",
        "\xc3",       "\u00ff",     "s",       "\u0161",  "\u015f", "\u0219\u0301",
        "\u0219"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        for (size_t k = 0; k < i; ++k)
            ck_assert_msg(!look_alike(names[i], names[k]), "%s and %s look alike", names[i],
                          names[k]);
}
END_TEST

/* Some systems keep the letter and its mark apart in file names. */
START_TEST(marks_apart_are_marks_together) {
    static const char *const pairs[][2] = {{"caf\u00e9", "cafe\u0301"}, {"\u00dc", "U\u0308"},
                                           {"\u017e", "z\u030c"},       {"\u0151", "o\u030b"},
                                           {"\u0105x", "a\u0328x"},     {"\u00ec", "i\u0300"},
                                           {"\u00c5", "A\u030a"},       {"\u0123", "g\u0327"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; ++i) {
        ck_assert_msg(look_alike(pairs[i][0], pairs[i][1]), "%s and %s look different", pairs[i][0],
                      pairs[i][1]);
        ck_assert_double_eq(stroke_text_width(pairs[i][0], 10), stroke_text_width(pairs[i][1], 10));
    }
}
END_TEST

/* Whatever the bytes, nothing beyond the text is read and nothing beyond the picture written. */
START_TEST(any_bytes) {
    for (int round = 0; round < 300; ++round) {
        const size_t length = (size_t)random_below(12);
        char *text = malloc(length + 1);
        for (size_t i = 0; i < length; ++i)
            text[i] = (char)(1 + random_below(255));
        text[length] = 0;
        free(drawn(text));
        ck_assert_double_ge(stroke_text_width(text, 10), 0);
        free(text);
    }
    ck_assert_double_eq(stroke_text_width("", 10), 0);
}
END_TEST

TEST_MAIN("stroke font", different_names_look_different, marks_apart_are_marks_together, any_bytes)
