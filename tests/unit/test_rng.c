/* SPDX-License-Identifier: MIT */
/* test_rng.c: the generator against its authors' known answers, and its numbers' distribution. */
#include <math.h>
#include <string.h>

#include "quantizer/rng.h"
#include "testing.h"

START_TEST(known_answers) {
    /* Random123's kat_vectors, philox4x32 with 10 rounds. */
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; ++i) {
        uint32_t out[4];
        tsr_philox(known[i].counter, known[i].key, out);
        for (int w = 0; w < 4; ++w)
            ck_assert_uint_eq(out[w], known[i].out[w]);
    }
    /* The first vector again, as rng.h says the number is made of words. */
    double want = (double)(((uint64_t)0xe169c58d << 32 | 0x6627e8d5) >> 11) * 0x1p-53;
    ck_assert_double_eq(tsr_random_unit(0, 0, 0), want);
    /* Index, stream and seed fill the counter and the key, low word first. */
    uint64_t index = 0x85a308d3243f6a88, stream = 0x0370734413198a2e, seed = 0x299f31d0a4093822;
    want = (double)(((uint64_t)0x94fdcceb << 32 | 0xd16cfe09) >> 11) * 0x1p-53;
    ck_assert_double_eq(tsr_random_unit(seed, stream, index), want);
}
END_TEST

START_TEST(distribution) {
    enum { N = 100000, BINS = 20 };
    int bin[BINS] = {0};
    double sum = 0, product = 0, before = 0.5;
    for (int i = 0; i < N; ++i) {
        double u = tsr_random_unit(7, 3, (uint64_t)i);
        ck_assert(u >= 0 && u < 1);
        bin[(int)(u * BINS)]++;
        sum += u;
        product += (u - 0.5) * (before - 0.5);
        before = u;
    }
    ck_assert_double_eq_tol(sum / N, 0.5, 5 * 0.2887 / sqrt(N));
    ck_assert_double_eq_tol(product / N, 0, 5 * 0.0833 / sqrt(N));
    double chi = 0;
    for (int i = 0; i < BINS; ++i)
        chi += pow(bin[i] - (double)N / BINS, 2) / ((double)N / BINS);
    ck_assert(chi < 50); /* 19 degrees of freedom: 50 is beyond 1 in 10,000 */
}
END_TEST

START_TEST(normals) {
    enum { N = 100000 };
    static float x[N], y[N];
    double sum = 0, squares = 0, fourth = 0;
    tsr_random_normals(5, 2, N, x);
    for (int i = 0; i < N; ++i) {
        ck_assert(isfinite(x[i]));
        sum += x[i];
        squares += (double)x[i] * x[i];
        fourth += pow(x[i], 4);
    }
    ck_assert_double_eq_tol(sum / N, 0, 5 / sqrt(N));
    ck_assert_double_eq_tol(squares / N, 1, 5 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(fourth / N, 3, 5 * sqrt(96.0 / N));
    /* A shorter call gives the same first numbers, also an odd one; streams differ. */
    tsr_random_normals(5, 2, 7, y);
    ck_assert_mem_eq(x, y, 7 * sizeof *x);
    tsr_random_normals(5, 3, 7, y);
    ck_assert(memcmp(x, y, 7 * sizeof *x) != 0);
    /* The first pair, from the words of the first block as rng.h says. */
    const double u = (double)((((uint64_t)0xe169c58d << 32 | 0x6627e8d5) >> 11) + 1) * 0x1p-53;
    const double a = 2 * M_PI * (double)(((uint64_t)0x9b00dbd8 << 32 | 0xbc57ac4c) >> 11) * 0x1p-53;
    tsr_random_normals(0, 0, 2, y);
    ck_assert_float_eq(y[0], (float)(sqrt(-2 * log(u)) * cos(a)));
    ck_assert_float_eq(y[1], (float)(sqrt(-2 * log(u)) * sin(a)));
}
END_TEST

TEST_MAIN("rng", known_answers, distribution, normals)
