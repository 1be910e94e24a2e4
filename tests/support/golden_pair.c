/* SPDX-License-Identifier: MIT */
/* golden_pair.c: made by integer arithmetic alone, so that every language makes the same bytes. */
#include "golden_pair.h"
#include "testing.h"

#include <stdlib.h>

void golden_pair(int side, uint8_t **reference, uint8_t **distorted) {
    size_t bytes = (size_t)side * (size_t)side * 3;
    uint8_t *r = malloc(bytes), *d = malloc(bytes);
    ck_assert(r && d);
    uint64_t sum_r = 0, sum_d = 0;
    size_t i = 0;
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x)
            for (int c = 0; c < 3; ++c, ++i) {
                int v = (128 + ((x * (c + 1)) >> 1) + ((y * (3 - c)) >> 2) +
                         48 * (((x >> 4) ^ (y >> 4)) & 1)) &
                        255;
                int w = v + ((x * 31 + y * 17 + c * 7 + ((x * y) >> 2)) % 23) - 11;
                r[i] = (uint8_t)v;
                d[i] = (uint8_t)(w < 0 ? 0 : w > 255 ? 255 : w);
                sum_r += r[i];
                sum_d += d[i];
            }
    if (side == 256) ck_assert(sum_r == 24438272 && sum_d == 24456030);
    if (side == 512) ck_assert(sum_r == 100270080 && sum_d == 100331998);
    *reference = r;
    *distorted = d;
}
