/* SPDX-License-Identifier: MIT */
/* test_text_scores.c: distances of texts, their lower case, size bins, use of a codebook, alignment
 * of faces. */
#include <tessera/scores.h>

#include "metrics/face_align.h"
#include "metrics/letter_case.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static tsr_text_score compare(const char *truth, const char *read, int ignore_case) {
    tsr_text_score s = {0};
    ck_assert_int_eq(tsr_text_compare(ctx, truth, read, ignore_case, &s), TSR_OK);
    return s;
}

START_TEST(texts_are_compared_by_code_points) {
    open_context();
    static const struct {
        const char *truth, *read;
        int64_t length, read_length, distance;
        double similarity;
    } cases[] = {
        {"", "", 0, 0, 0, 1},
        {"abc", "", 3, 0, 3, 0},
        {"", "xyz", 0, 3, 3, 0},
        {"kitten", "sitting", 6, 7, 3, 1 - 3.0 / 7},
        {"ab", "ba", 2, 2, 2, 0}, /* a transposition is two changes */
        {"na\xC3\xAFve", "nai\xCC\x88ve", 5, 6, 2, 1 - 2.0 / 6},
        {"\xE2\x82\xAC"
         "5",
         "$5", 2, 2, 1, .5},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const tsr_text_score s = compare(cases[i].truth, cases[i].read, 0);
        ck_assert_int_eq(s.length, cases[i].length);
        ck_assert_int_eq(s.read_length, cases[i].read_length);
        ck_assert_int_eq(s.distance, cases[i].distance);
        ck_assert_int_eq(s.exact, cases[i].distance == 0);
        ck_assert(fabs(s.similarity - cases[i].similarity) < 1e-15);
    }
    const tsr_text_score words = compare("the cat sat on\tthe mat", "the  cat sat mat", 0);
    ck_assert_int_eq(words.words, 6);
    ck_assert_int_eq(words.word_distance, 2);
    tsr_text_score s;
    ck_assert_int_eq(tsr_text_compare(ctx, "\xFF", "a", 0, &s), TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "true text: wanted UTF-8"));
    ck_assert_int_eq(tsr_text_compare(ctx, "a", NULL, 0, &s), TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(case_is_ignored_as_python_does) {
    open_context();
    ck_assert_int_eq(compare("\xC3\x87\xC3\x80", "\xC3\xA7\xC3\xA0", 1).exact, 1);
    ck_assert_int_eq(compare("\xC4\xB0", "i\xCC\x87", 1).exact, 1); /* one becomes two */
    ck_assert_int_eq(compare("Stra\xC3\x9F"
                             "e",
                             "STRASSE", 1)
                         .exact,
                     0);
    uint32_t to[16];
    const uint32_t sigma[] = {0x39F, 0x394, 0x39F, 0x3A3}; /* a final sigma */
    ck_assert_int_eq(tsr_lower_case(sigma, 4, to), 4);
    ck_assert_int_eq(to[3], 0x3C2);
    const uint32_t inner[] = {0x3A3, 0x39F, 0x3A3, 0x3A3, ' ', 0x10400, 0x104B0, 0x1E921, 0x2160};
    const uint32_t want[] = {0x3C3, 0x3BF, 0x3C3, 0x3C2, ' ', 0x10428, 0x104D8, 0x1E943, 0x2170};
    ck_assert_int_eq(tsr_lower_case(inner, 9, to), 9);
    ck_assert_mem_eq(to, want, sizeof want);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(rates_are_pooled) {
    open_context();
    tsr_text_totals t = {0};
    ck_assert(isnan(tsr_text_totals_rates(&t).cer) && isnan(tsr_text_totals_rates(&t).accuracy));
    const tsr_text_score a = compare("a", "bcd", 0), b = compare("long text", "long text", 0);
    tsr_text_totals_add(&t, &a);
    tsr_text_totals_add(&t, &b);
    const tsr_text_rates r = tsr_text_totals_rates(&t);
    ck_assert(fabs(r.cer - 3.0 / 10) < 1e-15); /* the mean of rates would be 1.5 */
    ck_assert(fabs(r.wer - 1.0 / 3) < 1e-15);
    ck_assert(r.accuracy == .5 && r.similarity == .5);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(bins_are_half_open_and_their_mean_is_unweighted) {
    tsr_size_bins b;
    ck_assert_int_eq(tsr_size_bins_tokbench(128, 0, &b), -1);
    ck_assert_int_eq(tsr_size_bins_tokbench(256, 1, &b), 0);
    ck_assert(b.edges[0] == .1);
    ck_assert_int_eq(tsr_size_bins_tokbench(256, 0, &b), 0);
    ck_assert_int_eq(tsr_size_bins_find(&b, .02), 0);
    ck_assert_int_eq(tsr_size_bins_find(&b, nextafter(.02, 0)), -1);
    ck_assert_int_eq(tsr_size_bins_find(&b, .03), 1);
    ck_assert_int_eq(tsr_size_bins_find(&b, .5), 2);
    ck_assert_int_eq(tsr_size_bins_find(&b, 1), -1);
    ck_assert_int_eq(tsr_size_bins_find(&b, NAN), -1);
    tsr_bin_means m = {0};
    ck_assert(isnan(tsr_bin_means_macro(&m, 3)) && isnan(tsr_bin_means_instances(&m, 3, 0)));
    tsr_bin_means_add(&m, 0, 1);
    tsr_bin_means_add(&m, 1, 0);
    tsr_bin_means_add(&m, 1, 0);
    ck_assert(isnan(tsr_bin_means_macro(&m, 3))); /* an empty bin */
    tsr_bin_means_add(&m, 2, .5);
    tsr_bin_means_add(&m, -1, 1);
    ck_assert(tsr_bin_means_macro(&m, 3) == .5);
    ck_assert(tsr_bin_means_instances(&m, 3, 1) == 1.5 / 4);
    ck_assert(tsr_bin_means_instances(&m, 3, 0) == 2.5 / 5);
    ck_assert_int_eq(m.dropped, 1);
}
END_TEST

START_TEST(use_of_a_codebook) {
    open_context();
    tsr_code_use *use = NULL;
    ck_assert_int_eq(tsr_code_use_open(ctx, 0, &use), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_code_use_open(ctx, 8, &use), TSR_OK);
    tsr_code_use_summary s;
    tsr_code_use_summarise(use, &s);
    ck_assert(isnan(s.entropy_bits) && s.used == 0);
    /* position 0 is always 1, position 1 is uniform over two, position 2 exists once */
    ck_assert_int_eq(tsr_code_use_add(use, (uint32_t[]){1, 2, 7}, 3), TSR_OK);
    ck_assert_int_eq(tsr_code_use_add(use, (uint32_t[]){1, 3}, 2), TSR_OK);
    ck_assert_int_eq(tsr_code_use_add(use, (uint32_t[]){1, 8}, 2), TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "id 1: wanted below 8, got 8"));
    tsr_code_use_summarise(use, &s);
    ck_assert_int_eq(s.used, 4);
    ck_assert_int_eq(s.tokens, 5);
    ck_assert_int_eq(s.positions, 3);
    const double want = -(.4 * log2(.4) + 3 * .2 * log2(.2));
    ck_assert(fabs(s.entropy_bits - want) < 1e-12);
    ck_assert(fabs(s.perplexity - exp2(want)) < 1e-12);
    double bits[3];
    ck_assert_int_eq(tsr_code_use_positions(use, bits), TSR_OK);
    ck_assert(bits[0] == 0 && fabs(bits[1] - 1) < 1e-12 && bits[2] == 0);
    for (int i = 0; i < 3000; ++i) /* grows */
        ck_assert_int_eq(tsr_code_use_add(use, (uint32_t[]){(uint32_t)i % 8}, 1), TSR_OK);
    ck_assert_int_eq(tsr_code_use_counts(use)[1], 377);
    tsr_code_use_close(&use);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(faces_are_aligned) {
    double points[5][2], matrix[2][3];
    /* the template turned by a right angle, three times as large, moved */
    for (int i = 0; i < 5; ++i) {
        points[i][0] = 500 - 3 * tsr_face_arcface.points[i][1];
        points[i][1] = 20 + 3 * tsr_face_arcface.points[i][0];
    }
    tsr_face_similarity(&tsr_face_arcface, points, matrix);
    const double want[2][3] = {{0, 1.0 / 3, -20.0 / 3}, {-1.0 / 3, 0, 500.0 / 3}};
    for (int i = 0; i < 6; ++i)
        ck_assert(fabs(matrix[i / 3][i % 3] - want[i / 3][i % 3]) < 1e-12);
    /* a warp without any change, and one that leads outside */
    uint8_t picture[5 * 4 * 3], crop[5 * 4 * 3];
    for (unsigned i = 0; i < sizeof picture; ++i)
        picture[i] = (uint8_t)(i * 7 + 1);
    tsr_face_warp(picture, 5, 4, (const double[2][3]){{1, 0, 0}, {0, 1, 0}}, crop, 5, 4);
    ck_assert_mem_eq(crop, picture, sizeof picture);
    tsr_face_warp(picture, 5, 4, (const double[2][3]){{1, 0, .5}, {0, 1, 0}}, crop, 5, 4);
    ck_assert_int_eq(crop[0], (picture[0] * 16 * 32 + 512) >> 10); /* half of it is outside */
    ck_assert_int_eq(crop[3], ((picture[0] + picture[3]) * 16 * 32 + 512) >> 10);
    tsr_face_warp(picture, 5, 4, (const double[2][3]){{1, 0, 1e30}, {0, 1, 0}}, crop, 5, 4);
    for (unsigned i = 0; i < sizeof crop; ++i)
        ck_assert_int_eq(crop[i], 0);
}
END_TEST

TEST_MAIN("test_text_scores", texts_are_compared_by_code_points, case_is_ignored_as_python_does,
          rates_are_pooled, bins_are_half_open_and_their_mean_is_unweighted, use_of_a_codebook,
          faces_are_aligned)
