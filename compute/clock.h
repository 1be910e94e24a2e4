/* SPDX-License-Identifier: MIT */
/* clock.h: how long something takes. */
#ifndef COMPUTE_CLOCK_H
#define COMPUTE_CLOCK_H

#include <time.h>

/* Seconds since some moment that stays the same, whatever happens to the time of day. */
static inline double tsr_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
