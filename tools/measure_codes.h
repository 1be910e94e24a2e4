/* SPDX-License-Identifier: MIT */
/* measure_codes.h: how a token file uses its codebook, for reports. */
#ifndef TOOLS_MEASURE_CODES_H
#define TOOLS_MEASURE_CODES_H

#include "measure_options.h"

/* Attaches "codes" to candidate `index` of a report: use, perplexity and entropy of the ids of a
 * token file, the first `tokens` of each tile (0: all). Nothing for tokens that are vectors.
 * Returns -1, or the exit code after it has told the failure. */
int measure_codes(tool *t, const char *path, uint32_t tokens, tsr_report *report, int index);

#endif
