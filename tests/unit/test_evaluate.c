/* SPDX-License-Identifier: MIT */
/* test_evaluate.c: the public evaluation calls, from memory and from picture files. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tessera/tessera.h>

#include "golden_pair.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-evaluate-XXXXXX";

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}
static void teardown(void) {
    tsr_context_close(&ctx);
}

static const char *in_folder(const char *name) {
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* Sums of the differences of two rows' bytes and of their squares: whole numbers, so that l1 and
 * mse are one division away. */
static void differences(const uint8_t *a, const uint8_t *b, int bytes, double *sum,
                        double *squares) {
    *sum = *squares = 0;
    for (int i = 0; i < bytes; ++i) {
        const int d = abs(a[i] - b[i]);
        *sum += d;
        *squares += d * d;
    }
}

/* psnr and ssim: published values. */
static void check_values(const tsr_evaluation *e, const uint8_t *a, const uint8_t *b) {
    double sum, squares;
    differences(a, b, 256 * 256 * 3, &sum, &squares);
    ck_assert_int_eq(e->width, 256);
    ck_assert_int_eq(e->height, 256);
    ck_assert_double_eq(e->mse, squares / (256 * 256 * 3));
    ck_assert_double_eq_tol(e->mse, 42.9073893229, 1e-10);
    ck_assert_double_eq_tol(e->psnr, 31.8054826995, 1e-10);
    ck_assert_double_eq_tol(e->ssim_gaussian, 0.8453629304, 1e-10);
    ck_assert_double_eq_tol(e->ssim_uniform, 0.8299736114, 1e-10);
    ck_assert_double_eq_tol(e->l1, sum / (256 * 256 * 3) / 255, 1e-15);
}

START_TEST(memory) {
    uint8_t *a, *b;
    golden_pair(256, &a, &b);
    tsr_evaluation e;
    ck_assert_int_eq(tsr_evaluate(ctx, a, b, 256, 256, &e), TSR_OK);
    check_values(&e, a, b);
    ck_assert_int_eq(tsr_evaluate(ctx, a, b, 5, 9, &e), TSR_OK);
    ck_assert(isnan(e.ssim_gaussian) && isnan(e.ssim_uniform));
    double sum, squares;
    differences(a, b, 5 * 9 * 3, &sum, &squares);
    ck_assert_double_gt(sum, 0);
    ck_assert_double_eq(e.mse, squares / (5 * 9 * 3));
    ck_assert_double_eq_tol(e.l1, sum / (5 * 9 * 3) / 255, 1e-15);
    ck_assert_int_eq(tsr_evaluate(ctx, a, b, 0, 256, &e), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "evaluate: size: wanted at least 1x1, got 0x256");
    ck_assert_int_eq(tsr_evaluate(ctx, a, NULL, 256, 256, &e), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "evaluate: reconstruction: wanted an address, got NULL");
    ck_assert_int_eq(tsr_evaluate(NULL, a, b, 256, 256, &e), TSR_ERROR_ARGUMENT);
    free(a);
    free(b);
}
END_TEST

START_TEST(files) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    uint8_t *a, *b;
    golden_pair(256, &a, &b);
    ck_assert_int_eq(tsr_picture_write_png(ctx, in_folder("a.png"), 256, 256, a), TSR_OK);
    ck_assert_int_eq(tsr_picture_write_png(ctx, in_folder("b.png"), 256, 256, b), TSR_OK);
    ck_assert_int_eq(tsr_picture_write_png(ctx, in_folder("small.png"), 255, 256, b), TSR_OK);
    tsr_evaluation e;
    ck_assert_int_eq(tsr_evaluate_files(ctx, in_folder("a.png"), in_folder("b.png"), &e), TSR_OK);
    check_values(&e, a, b);
    ck_assert_int_eq(tsr_evaluate_files(ctx, in_folder("a.png"), in_folder("small.png"), &e),
                     TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted 256x256 as in "));
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "got 255x256"));
    ck_assert_int_eq(tsr_evaluate_files(ctx, in_folder("a.png"), in_folder("none.png"), &e),
                     TSR_ERROR_NOT_FOUND);
    unlink(in_folder("a.png"));
    unlink(in_folder("b.png"));
    unlink(in_folder("small.png"));
    rmdir(folder);
    free(a);
    free(b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("evaluate");
    TCase *tcase = tcase_create("evaluate");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, memory);
    tcase_add_test(tcase, files);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
