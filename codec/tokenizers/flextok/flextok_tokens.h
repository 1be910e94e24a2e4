/* SPDX-License-Identifier: MIT */
/* flextok_tokens.h: ids to the tokens that condition the decoder. */
#ifndef CODEC_FLEXTOK_TOKENS_H
#define CODEC_FLEXTOK_TOKENS_H

#include "flextok_trace.h"

/* Tokens of one pass of one picture, after every step that depends on ids alone. */
typedef struct tsr_flextok_tokens {
    float *values;      /* [rows, D']; freed by the caller with free() */
    int64_t rows;       /* 1 or more */
    int64_t last_count; /* equal tokens that the last row stands for; 1: one */
    bool done;          /* the caller's */
} tsr_flextok_tokens;
/* Makes the tokens of ids [n], or with `null` those of the unconditional pass, where n is 0.
 * `collapse`: equal rows at the end become one row. Errors: TOKENS (an id, or n), MEMORY. */
tsr_status tsr_flextok_tokens_make(const tsr_flextok *m, const uint32_t *ids, uint32_t n, bool null,
                                   bool collapse, tsr_flextok_tokens *tokens);
/* Shows dec.linear, dec.pos, dec.keep and dec.null for the first counts[b] ids of each row of ids
 * [count, K]. Errors: MEMORY. */
tsr_status tsr_flextok_tokens_show(const tsr_flextok *m, const uint32_t *ids,
                                   const uint32_t *counts, int64_t count,
                                   const tsr_flextok_trace *trace);

#endif
