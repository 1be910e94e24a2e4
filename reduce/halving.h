/* SPDX-License-Identifier: MIT */
/* halving.h: the one rule of merging down to a number of tokens, for halving-merge, frame-budget
 * and merge-schedules. */
#ifndef REDUCE_HALVING_H
#define REDUCE_HALVING_H

#include <stdint.h>

/* Pairs to merge next of t tokens on the way to `target`, 0 when it is reached: half of them while
 * half is still above the target, then what is missing, but never more than half. */
static inline int64_t tsr_halving_step(int64_t t, int64_t target) {
    const int64_t half = t / 2;
    if (t <= target) return 0;
    return half > target || t - target > half ? half : t - target;
}

#endif
