/* SPDX-License-Identifier: MIT */
/* golden_pair.h: the picture pair whose metric values are known from other programs. */
#ifndef TESTS_GOLDEN_PAIR_H
#define TESTS_GOLDEN_PAIR_H

#include <stdint.h>

/* side x side x 3, malloc'd. Aborts the test when the pair's check sums are wrong (256, 512). */
void golden_pair(int side, uint8_t **reference, uint8_t **distorted);

#endif
