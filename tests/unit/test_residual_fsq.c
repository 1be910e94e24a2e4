/* SPDX-License-Identifier: MIT */
/* Chains of FSQ slots: rounding, restoring, packing. */
#include "quantizer/residual_fsq.h"
#include "testing.h"

#include <math.h>
#include <string.h>

enum { SLOTS = 12, WIDTH = 8 };
static const int levels[3] = {8, 5, 4};
static const int32_t source[SLOTS] = {-1, 0, 1, 0, 2, 1, 0, 3, 3, 2, 1, 0};
static const int32_t previous[SLOTS] = {-1, -1, -1, 1, -1, 2, 3, -1, 7, 4, 5, 6};

/* Tables made so that each slot's digit decodes to the middle of what rounds to it. */
static tsr_residual_fsq make(float *scale, float *table) {
    for (int j = 0; j < SLOTS; ++j) {
        const int n = levels[j % 3];
        float reach = 4; /* each slot of a chain sees about a quarter of the range before */
        for (int p = previous[j]; p >= 0; p = previous[p])
            reach *= 0.3f;
        scale[j] = 1 / reach;
        const double half = (n - 1) * 1.001 / 2, offset = n % 2 ? 0 : 0.5;
        for (int d = 0; d < WIDTH; ++d) {
            double t = (d - n / 2 + offset) / half;
            t = t < -0.999 ? -0.999 : t > 0.999 ? 0.999 : t;
            table[j * WIDTH + d] = d < n ? (float)(atanh(t) * reach) : NAN;
        }
    }
    return (tsr_residual_fsq){.slots = SLOTS,
                              .level_count = 3,
                              .levels = levels,
                              .source = source,
                              .previous = previous,
                              .scale = scale,
                              .table = table,
                              .table_width = WIDTH,
                              .first = 1};
}

/* FSQ's bound in float64: the digit of what a slot was left with, and how far from another one. */
static int digit_of(int n, double scaled, double *margin) {
    const double bounded = tanh(scaled) * (n - 1) * 1.001 / 2 - (n % 2 ? 0 : 0.5);
    const double rounded = rint(bounded);
    *margin = 0.5 - fabs(bounded - rounded);
    return (int)rounded + n / 2;
}

START_TEST(each_slot_of_a_chain_comes_closer) {
    float scale[SLOTS], table[SLOTS * WIDTH];
    const tsr_residual_fsq q = make(scale, table);
    double before = 0, sums[4] = {0};
    for (int trial = 0; trial < 200; ++trial) {
        float c[4], left[SLOTS], margin[SLOTS];
        uint8_t digits[SLOTS];
        for (int i = 0; i < 4; ++i)
            c[i] = random_uniform(-3, 3);
        tsr_residual_fsq_round(&q, SLOTS, c, left, digits, margin);
        ck_assert_int_eq(digits[0], 0);
        ck_assert_float_eq(left[0], 0);
        ck_assert_float_eq(margin[0], 0.5f); /* a slot that rounds nothing is no tie */
        for (int j = 1; j < SLOTS; ++j) {
            const int p = previous[j];
            double wanted;
            ck_assert_float_eq(left[j],
                               p < 0 ? c[source[j]] : left[p] - table[p * WIDTH + digits[p]]);
            ck_assert_int_eq(digits[j],
                             digit_of(levels[j % 3], (double)left[j] * scale[j], &wanted));
            ck_assert_double_eq_tol(margin[j], wanted, 1e-7);
        }
        before += fabs(c[0]);
        const int chain[4] = {1, 3, 6, 11};
        for (int i = 0; i < 4; ++i) {
            float restored[4] = {0};
            tsr_residual_fsq_restore(&q, chain[i] + 1, digits, restored);
            sums[i] += fabs(c[0] - restored[0]);
        }
    }
    ck_assert_double_lt(sums[0], 0.5 * before);
    for (int i = 1; i < 4; ++i)
        ck_assert_double_lt(sums[i], 0.8 * sums[i - 1]);
}
END_TEST

START_TEST(a_prefix_is_the_same_prefix) {
    float scale[SLOTS], table[SLOTS * WIDTH];
    const tsr_residual_fsq q = make(scale, table);
    float c[4] = {1.5f, -2, 0.1f, 0.7f}, left[SLOTS];
    uint8_t all[SLOTS], some[SLOTS];
    tsr_residual_fsq_round(&q, SLOTS, c, left, all, NULL);
    for (int n = 1; n <= SLOTS; ++n) {
        memset(some, 99, sizeof some);
        tsr_residual_fsq_round(&q, n, c, left, some, NULL);
        ck_assert_mem_eq(all, some, (size_t)n);
        if (n < SLOTS) ck_assert_int_eq(some[n], 99);
    }
}
END_TEST

START_TEST(extremes_and_nan_stay_inside) {
    float scale[SLOTS], table[SLOTS * WIDTH];
    const tsr_residual_fsq q = make(scale, table);
    const float values[] = {INFINITY, -INFINITY, NAN, 1e30f, -1e30f, 0};
    for (unsigned v = 0; v < sizeof values / sizeof *values; ++v) {
        float c[4] = {values[v], values[v], values[v], values[v]}, left[SLOTS];
        uint8_t digits[SLOTS];
        tsr_residual_fsq_round(&q, SLOTS, c, left, digits, NULL);
        ck_assert_int_eq(digits[0], 0);
        for (int j = 1; j < SLOTS; ++j) { /* no digit takes anything from what is so large */
            const int n = levels[j % 3];
            if (values[v] != 0)
                ck_assert_int_eq(digits[j], values[v] > 0 ? n - 1 : 0);
            else if (previous[j] < 0)
                ck_assert_int_eq(digits[j], n / 2);
        }
    }
}
END_TEST

START_TEST(packing_is_a_bijection) {
    float scale[SLOTS], table[SLOTS * WIDTH];
    const tsr_residual_fsq q = make(scale, table);
    for (uint32_t id = 0; id < 8 * 5 * 4; ++id) {
        uint8_t digits[3];
        tsr_residual_fsq_unpack(&q, id, digits);
        for (int d = 0; d < 3; ++d)
            ck_assert_int_lt(digits[d], levels[d]);
        ck_assert_uint_eq(tsr_residual_fsq_pack(&q, digits), id);
    }
    uint8_t digits[3];
    tsr_residual_fsq_unpack(&q, 1, digits); /* the first digit counts ones */
    ck_assert_int_eq(digits[0], 1);
}
END_TEST

TEST_MAIN("residual_fsq", each_slot_of_a_chain_comes_closer, a_prefix_is_the_same_prefix,
          extremes_and_nan_stay_inside, packing_is_a_bijection)
