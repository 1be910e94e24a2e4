/* SPDX-License-Identifier: MIT */
/* vulkan_canary.h: the numbers of the arithmetic canary, and what is said of them. */
#ifndef COMPUTE_VULKAN_CANARY_H
#define COMPUTE_VULKAN_CANARY_H

#include <stdint.h>

/* Exponentials, numbers to be rounded to f16, numbers that may be NaN: in this order. */
enum {
    VULKAN_EXPONENTIALS = 12,
    VULKAN_ROUNDED = 8,
    VULKAN_NANS = 4,
    VULKAN_ARITHMETIC = VULKAN_EXPONENTIALS + VULKAN_ROUNDED + VULKAN_NANS
};

/* Fills x [VULKAN_ARITHMETIC], what goes in. */
void vulkan_arithmetic_input(float *x);
/* What is wrong with the bits y [VULKAN_ARITHMETIC] that came out of x, for people; NULL: nothing.
 */
const char *vulkan_arithmetic_wrong(const float *x, const uint32_t *y);

#endif
