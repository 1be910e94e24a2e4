/* SPDX-License-Identifier: MIT */
/* test_psnr.c: PSNR, MSE and L1 against the golden pair's published values and by hand. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden_pair.h"
#include "metrics/metrics.h"

static void check_golden(int side, double mse, double psnr) {
    uint8_t *a, *b;
    golden_pair(side, &a, &b);
    for (int threads = 1; threads <= 2; ++threads) {
        tsr_context *ctx = NULL;
        tsr_context_settings settings = tsr_context_settings_default();
        settings.threads = threads;
        ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
        tsr_pixel_error e;
        ck_assert_int_eq(tsr_psnr(ctx, a, b, side, side, &e), TSR_OK);
        ck_assert_double_eq_tol(e.mse, mse, 1e-10);
        ck_assert_double_eq_tol(e.psnr, psnr, 1e-10);
        double l1 = 0;
        for (int i = 0; i < side * side * 3; ++i)
            l1 += abs(a[i] - b[i]);
        ck_assert_double_eq_tol(e.l1, l1 / side / side / 3 / 255, 1e-15);
        tsr_context_close(&ctx);
    }
    free(a);
    free(b);
}

START_TEST(golden) {
    check_golden(256, 42.9073893229, 31.8054826995);
    check_golden(512, 42.9986775716, 31.7962526185);
}
END_TEST

START_TEST(extremes) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    /* Black against white at a size that crosses a tile border by one value. */
    int width = 349526, height = 1;
    uint8_t *a = calloc((size_t)width, 3), *b = malloc((size_t)width * 3);
    memset(b, 255, (size_t)width * 3);
    tsr_pixel_error e;
    ck_assert_int_eq(tsr_psnr(ctx, a, b, width, height, &e), TSR_OK);
    ck_assert_double_eq(e.mse, 65025);
    ck_assert_double_eq(e.psnr, 0);
    ck_assert_double_eq(e.l1, 1);
    ck_assert_int_eq(tsr_psnr(ctx, b, b, width, height, &e), TSR_OK);
    ck_assert(e.mse == 0 && isinf(e.psnr) && e.psnr > 0 && e.l1 == 0);
    memcpy(a, b, (size_t)width * 3);
    a[width * 3 - 1] = 0; /* only the last value differs */
    ck_assert_int_eq(tsr_psnr(ctx, a, b, width, height, &e), TSR_OK);
    ck_assert_double_eq_tol(e.mse, 65025.0 / (width * 3.0), 1e-15);
    free(a);
    free(b);
    tsr_context_close(&ctx);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("psnr");
    TCase *tcase = tcase_create("psnr");
    tcase_add_test(tcase, golden);
    tcase_add_test(tcase, extremes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
