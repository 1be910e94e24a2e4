/* SPDX-License-Identifier: MIT */
/* test_fsq_levels.c: digits, ids and codes of FSQ on the host, and rows on every device. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "everywhere.h"
#include "quantizer/quantizer.h"

START_TEST(ids_and_digits) {
    static const int sets[][4] = {{8, 5, 3, 2}, {2, 2, 2, 2}, {7, 16, 11, 9}, {30, 31, 2, 3}};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; ++s) {
        const int *levels = sets[s];
        int64_t codebook = 0;
        ck_assert_int_eq(tsr_levels_check(NULL, levels, 4, &codebook), TSR_OK);
        ck_assert_int_eq(codebook, levels[0] * levels[1] * levels[2] * levels[3]);
        int32_t id = 0;
        int d[4];
        for (d[3] = 0; d[3] < levels[3]; ++d[3])
            for (d[2] = 0; d[2] < levels[2]; ++d[2])
                for (d[1] = 0; d[1] < levels[1]; ++d[1])
                    for (d[0] = 0; d[0] < levels[0]; ++d[0], ++id) { /* the first counts fastest */
                        int back[4];
                        float code[4];
                        ck_assert_int_eq(tsr_levels_pack(levels, 4, d), id);
                        tsr_levels_unpack(levels, 4, id, back);
                        ck_assert(!memcmp(back, d, sizeof d));
                        for (int i = 0; i < 4; ++i) {
                            code[i] = tsr_levels_value(levels[i], d[i]);
                            ck_assert_float_eq(code[i], (float)(d[i] - levels[i] / 2) /
                                                            (float)(levels[i] / 2));
                        }
                        ck_assert_int_eq(tsr_levels_id(levels, 4, code), id);
                    }
    }
}
END_TEST

START_TEST(rounding) {
    const int levels[2] = {4, 5}; /* digits stand for -2..1 and -2..2 */
    static const struct {
        float bounded[2];
        int digit[2];
        float margin;
    } known[] = {
        {{0.5f, 0.5f}, {2, 2}, 0},   {{1.5f, 1.5f}, {3, 4}, 0}, /* 2 is beyond level 4 */
        {{-0.5f, -1.5f}, {2, 0}, 0}, {{0.75f, -0.1f}, {3, 2}, 0.25f}, {{-9, 9}, {0, 4}, 0.5f},
        {{NAN, 0}, {0, 2}, 0.5f},    {{INFINITY, -2}, {3, 0}, 0.5f},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        int d[2];
        float codes[2];
        int32_t id = tsr_levels_round(levels, 2, known[i].bounded, codes);
        tsr_levels_unpack(levels, 2, id, d);
        ck_assert_msg(d[0] == known[i].digit[0] && d[1] == known[i].digit[1],
                      "case %zu: got digits %d, %d", i, d[0], d[1]);
        ck_assert_float_eq(codes[0], (float)(d[0] - 2) / 2);
        ck_assert_float_eq(codes[1], (float)(d[1] - 2) / 2);
        ck_assert_float_eq_tol(tsr_levels_margin(2, known[i].bounded), known[i].margin, 1e-7);
    }
}
END_TEST

START_TEST(refusals) {
    tsr_context *ctx = everywhere_context();
    int levels[17];
    for (int i = 0; i < 17; ++i)
        levels[i] = 8;
    ck_assert_int_eq(tsr_levels_check(ctx, levels, 0, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "fsq: number of levels: wanted 1 to 16, got 0");
    ck_assert_int_eq(tsr_levels_check(ctx, levels, 17, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_levels_check(ctx, levels, 10, NULL), TSR_OK);
    ck_assert_int_eq(tsr_levels_check(ctx, levels, 11, NULL), TSR_ERROR_ARGUMENT); /* 2^33 */
    ck_assert_str_eq(tsr_detail(ctx),
                     "fsq: codebook: wanted at most 2147483647 codes, got more with level 10");
    levels[1] = 1;
    ck_assert_int_eq(tsr_levels_check(ctx, levels, 2, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "fsq: level 1: wanted 2 to 1000, got 1");
    const int two[1] = {3};
    const int32_t ids[2] = {2, 3};
    float codes[2];
    tsr_device *cpu = everywhere_device("cpu", NULL);
    ck_assert_int_eq(tsr_fsq_dequantize(cpu, ids, 2, two, 1, codes), TSR_ERROR_TOKENS);
    ck_assert_str_eq(tsr_detail(ctx), "fsq: id 1: wanted 0 to 2, got 3");
    ck_assert_int_eq(tsr_fsq_quantize(cpu, NULL, 0, two, 1, NULL, NULL, NULL), TSR_OK);
}
END_TEST

/* More rows than one chunk; two level sets one after the other, so that a recording made for the
 * first would show in the second. */
START_TEST(on_devices) {
    enum { N = 70000 };
    static const int sets[2][3] = {{8, 6, 5}, {7, 4, 9}};
    char name[32] = "cpu";
    float *z = malloc(sizeof *z * N * 3), *bounded = guarded(sizeof *z * N * 3),
          *codes = guarded(sizeof *z * N * 3), *back = guarded(sizeof *z * N * 3);
    int32_t *ids = guarded(4 * N), *again = guarded(4 * N);
    random_normals(z, N * 3);
    for (int v = 0; v <= everywhere_vulkan_count(); ++v) {
        if (v > 0) snprintf(name, sizeof name, "vulkan:%d", v - 1);
        tsr_device *device = everywhere_device(name, NULL);
        ck_assert_msg(device != NULL, "%s could not be opened", name);
        for (int s = 0; s < 2; ++s) {
            const int *levels = sets[s];
            ck_assert_int_eq(tsr_fsq_quantize(device, z, N, levels, 3, bounded, codes, ids),
                             TSR_OK);
            ck_assert_int_eq(tsr_fsq_round_rows(device, bounded, N, levels, 3, NULL, again),
                             TSR_OK);
            expect_equal_i32("rounded again", again, ids, N);
            ck_assert_int_eq(tsr_fsq_dequantize(device, ids, N, levels, 3, back), TSR_OK);
            ck_assert(!memcmp(back, codes, sizeof *z * N * 3));
            for (int64_t i = 0; i < N; ++i) {
                for (int c = 0; c < 3; ++c) {
                    double half = (levels[c] - 1) * 1.001 / 2, offset = levels[c] % 2 ? 0 : 0.5;
                    double want = tanh(z[i * 3 + c] + atanh(offset / half)) * half - offset;
                    ck_assert_double_eq_tol(bounded[i * 3 + c], want, 1e-5);
                }
                float host[3];
                ck_assert_int_eq(tsr_levels_round(levels, 3, bounded + i * 3, host), ids[i]);
                ck_assert(!memcmp(host, codes + i * 3, sizeof host));
            }
        }
    }
    free(z);
    guarded_free(bounded);
    guarded_free(codes);
    guarded_free(back);
    guarded_free(ids);
    guarded_free(again);
}
END_TEST

/* A value that is no number has a certain digit, wherever it stands. */
START_TEST(margins_of_nan) {
    for (int at = 0; at < 3; ++at) {
        float bounded[3] = {0.25f, 1.125f, -0.375f};
        ck_assert_float_eq(tsr_levels_margin(3, bounded), 0.125f);
        bounded[at] = NAN;
        ck_assert_float_eq(tsr_levels_margin(3, bounded), at == 2 ? 0.25f : 0.125f);
    }
}
END_TEST

TEST_MAIN("fsq_levels", ids_and_digits, rounding, margins_of_nan, refusals, on_devices)
