/* SPDX-License-Identifier: MIT */
/* test_ssim.c: both windows against the golden pair's published values, against a direct float64
 * sum over every window, and at the sizes where a window just fits. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden_pair.h"
#include "metrics/metrics.h"

static tsr_context *open_context(int threads) {
    tsr_context *ctx = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = threads;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    return ctx;
}

/* Every window by itself, two passes (mean, then central moments): another road to the value. */
static double direct(const uint8_t *a, const uint8_t *b, int width, int height, int window,
                     double sigma, double scale) {
    double taps[11], total = 0, mean = 0;
    for (int i = 0; i < window; ++i) {
        double d = i - window / 2;
        total += taps[i] = sigma > 0 ? exp(-d * d / (2 * sigma * sigma)) : 1;
    }
    const double c1 = 2.55 * 2.55, c2 = 7.65 * 7.65;
    long n = 0;
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y + window <= height; ++y)
            for (int x = 0; x + window <= width; ++x, ++n) {
                double ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
                for (int pass = 0; pass < 2; ++pass)
                    for (int v = 0; v < window; ++v)
                        for (int u = 0; u < window; ++u) {
                            double t = taps[u] * taps[v] / total / total;
                            size_t at = ((size_t)(y + v) * width + x + u) * 3 + c;
                            if (pass == 0) {
                                ma += t * a[at];
                                mb += t * b[at];
                            } else {
                                va += t * (a[at] - ma) * (a[at] - ma);
                                vb += t * (b[at] - mb) * (b[at] - mb);
                                cov += t * (a[at] - ma) * (b[at] - mb);
                            }
                        }
                mean += (2 * ma * mb + c1) * (2 * scale * cov + c2) /
                        ((ma * ma + mb * mb + c1) * (scale * (va + vb) + c2));
            }
    return mean / (double)n;
}

static void check_golden(int side, double gaussian, double uniform) {
    uint8_t *a, *b;
    double first[2] = {0};
    golden_pair(side, &a, &b);
    for (int threads = 1; threads <= 3; ++threads) {
        tsr_context *ctx = open_context(threads);
        double g, u;
        ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, b, side, side, &g), TSR_OK);
        ck_assert_int_eq(tsr_ssim_uniform(ctx, a, b, side, side, &u), TSR_OK);
        ck_assert_double_eq_tol(g, gaussian, 1e-10);
        ck_assert_double_eq_tol(u, uniform, 1e-10);
        if (threads == 1) first[0] = g, first[1] = u;
        ck_assert(g == first[0] && u == first[1]); /* to the bit */
        tsr_context_close(&ctx);
    }
    free(a);
    free(b);
}

START_TEST(golden) {
    check_golden(256, 0.8453629304, 0.8299736114);
    check_golden(512, 0.8431423807, 0.8312177928);
}
END_TEST

START_TEST(against_direct) {
    tsr_context *ctx = open_context(2);
    uint32_t state = 12345;
    printf("seed %u\n", state);
    static const int sizes[][2] = {{11, 11}, {12, 11}, {11, 80}, {75, 76}, {33, 139}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        int width = sizes[s][0], height = sizes[s][1], n = width * height * 3;
        uint8_t *a = malloc((size_t)n), *b = malloc((size_t)n);
        for (int i = 0; i < n; ++i) {
            state = state * 1664525u + 1013904223u;
            a[i] = (uint8_t)(state >> 24);
            b[i] = (uint8_t)(a[i] / 2 + ((state >> 16) & 127));
        }
        double g, u;
        ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, b, width, height, &g), TSR_OK);
        ck_assert_int_eq(tsr_ssim_uniform(ctx, a, b, width, height, &u), TSR_OK);
        ck_assert_double_eq_tol(g, direct(a, b, width, height, 11, 1.5, 1), 1e-11);
        ck_assert_double_eq_tol(u, direct(a, b, width, height, 7, 0, 49.0 / 48), 1e-11);
        ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, a, width, height, &g), TSR_OK);
        ck_assert_int_eq(tsr_ssim_uniform(ctx, a, a, width, height, &u), TSR_OK);
        ck_assert_double_eq_tol(g, 1, 1e-12);
        ck_assert_double_eq_tol(u, 1, 1e-12);
        free(a);
        free(b);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(too_small) {
    tsr_context *ctx = open_context(1);
    uint8_t a[11 * 10 * 3] = {0};
    double v = 0;
    ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, a, 11, 10, &v), TSR_OK);
    ck_assert(isnan(v));
    ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, a, 10, 11, &v), TSR_OK);
    ck_assert(isnan(v));
    ck_assert_int_eq(tsr_ssim_uniform(ctx, a, a, 6, 11, &v), TSR_OK);
    ck_assert(isnan(v));
    ck_assert_int_eq(tsr_ssim_uniform(ctx, a, a, 7, 7, &v), TSR_OK);
    ck_assert_double_eq(v, 1);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(memory_is_bounded_by_the_width) {
    /* A picture of 8 MB may be measured with 2 MB of scratch. */
    tsr_context *ctx = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = 2;
    settings.memory_limit = 2 << 20;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    uint8_t *a = calloc(700 * 4000, 3);
    double v;
    ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, a, 700, 4000, &v), TSR_OK);
    ck_assert_double_eq(v, 1);
    ck_assert_int_eq(tsr_ssim_uniform(ctx, a, a, 700, 4000, &v), TSR_OK);
    free(a);
    tsr_context_close(&ctx);
    /* With less than its rows need it says so. */
    settings.memory_limit = 1000;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    uint8_t small[64 * 64 * 3] = {0};
    ck_assert_int_eq(tsr_ssim_gaussian(ctx, small, small, 64, 64, &v), TSR_ERROR_MEMORY);
    ck_assert_int_eq(tsr_ssim_uniform(ctx, small, small, 64, 64, &v), TSR_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted at most 1000 bytes"));
    tsr_context_close(&ctx);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ssim");
    TCase *tcase = tcase_create("ssim");
    tcase_add_test(tcase, golden);
    tcase_add_test(tcase, against_direct);
    tcase_add_test(tcase, too_small);
    tcase_add_test(tcase, memory_is_bounded_by_the_width);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
