/* SPDX-License-Identifier: MIT */
/* letter_case.h: texts without the difference of capitals. */
#ifndef METRICS_LETTER_CASE_H
#define METRICS_LETTER_CASE_H

#include <stdint.h>

/* Writes the lower case of code points, as Python's str.lower makes it (Unicode 14; of two code
 * points for a capital I with a dot, a final sigma at the end of a word), to `to`, which has room
 * for 2 * count. Returns how many were written. */
int64_t tsr_lower_case(const uint32_t *points, int64_t count, uint32_t *to);

#endif
