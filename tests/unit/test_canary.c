/* SPDX-License-Identifier: MIT */
/* The arithmetic canary sings: exponentials whose split was undone, f16 that was cut and a NaN that
 * was not seen are told apart from right numbers; and every device here computes right. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/activation.h"
#include "compute/device.h"
#include "compute/vulkan/vulkan_canary.h"
#include "testing.h"

#ifdef TESSERA_WITH_VULKAN
static uint32_t bits(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

/* The canary's numbers as a device computes them: `reordered` as one that makes one term of ln 2's
 * two, `cut` as one that rounds to f16 towards zero, `blind` as one that folds NaN away. */
static const char *judge(bool reordered, bool cut, bool blind) {
    float x[VULKAN_ARITHMETIC];
    uint32_t y[VULKAN_ARITHMETIC];
    vulkan_arithmetic_input(x);
    for (int i = 0; i < VULKAN_ARITHMETIC; ++i) {
        if (i < VULKAN_EXPONENTIALS) {
            volatile float n = roundf(x[i] * 1.44269504f),
                           product = n * (0.693145752f + 1.42860677e-6f), r = x[i] - product;
            y[i] = bits(reordered ? ldexpf(tsr_fast_exp(r), (int)n) : tsr_fast_exp(x[i]));
        } else if (i < VULKAN_EXPONENTIALS + VULKAN_ROUNDED) {
            uint32_t u = bits(x[i]), m = u & 0x7FFFFFFFu,
                     r = m + (cut ? 0 : 0xFFFu + (m >> 13 & 1));
            r &= 0xFFFFE000u;
            y[i] = (r > 0x477FE000u ? 0x477FE000u : r) | (u & 0x80000000u);
        } else
            y[i] = !blind && isnan(x[i]) ? 1 : 0;
    }
    return vulkan_arithmetic_wrong(x, y);
}

START_TEST(wrong_numbers_are_told_apart) {
    const char *right = judge(false, false, false);
    ck_assert_msg(!right, "%s", right);
    ck_assert_str_eq(judge(true, false, false),
                     "exponentials lose digits: its driver reorders sums");
    ck_assert_str_eq(judge(false, true, false), "numbers are rounded to f16 wrongly");
    ck_assert_str_eq(judge(false, false, true), "its driver does not see that a number is NaN");
}
END_TEST
#else
START_TEST(wrong_numbers_are_told_apart) {
    leave_out("this build was made without Vulkan");
}
END_TEST
#endif

TEST_MAIN("canary", wrong_numbers_are_told_apart)
