/* SPDX-License-Identifier: MIT */
/* flextok_tokens.h: ids to the tokens that condition the decoder. */
#ifndef CODEC_FLEXTOK_TOKENS_H
#define CODEC_FLEXTOK_TOKENS_H

#include "flextok_trace.h"

/* The tokens of one pass of one picture, after everything that depends on ids alone. */
typedef struct tsr_flextok_tokens {
    float *values; /* [rows, D'], malloc'd */
    int64_t rows;
    int64_t last_count; /* the last row stands for so many equal ones */
    bool done;          /* for the caller */
} tsr_flextok_tokens;
/* ids [n], or none of them for the unconditional pass (`null`). collapse: equal rows at the end are
 * kept once. Without it, and always for a last row that differs, last_count is 1. */
tsr_status tsr_flextok_tokens_make(const tsr_flextok *m, const uint32_t *ids, uint32_t n, bool null,
                                   bool collapse, tsr_flextok_tokens *tokens);
/* Shows dec.linear, dec.pos, dec.keep and dec.null. */
tsr_status tsr_flextok_tokens_show(const tsr_flextok *m, const uint32_t *ids,
                                   const uint32_t *counts, int64_t count,
                                   const tsr_flextok_trace *trace);

#endif
