/* SPDX-License-Identifier: MIT */
/* flextok_decoder.h: what the decoder's files share. */
#ifndef CODEC_FLEXTOK_DECODER_H
#define CODEC_FLEXTOK_DECODER_H

#include "flextok_model.h"

/* ---- flextok_tokens.c ---- */

/* The tokens of one pass of one picture, after everything that depends on ids alone. */
typedef struct tsr_flextok_tokens {
    float *values; /* [rows, D'], malloc'd */
    int64_t rows;
    int64_t last_count; /* the last row stands for so many equal ones */
    bool done;          /* for the caller */
} tsr_flextok_tokens;
/* ids [n], or none of them for the unconditional pass (`null`). collapse: equal rows at the end are
 * kept once. Without it, and always for a last row that differs, last_count is 1. */
tsr_status tsr_flextok_tokens_make(tsr_flextok *m, const uint32_t *ids, uint32_t n, bool null,
                                   bool collapse, tsr_flextok_tokens *tokens);
/* Shows dec.linear, dec.pos, dec.keep and dec.null. */
tsr_status tsr_flextok_tokens_show(tsr_flextok *m, const uint32_t *ids, const uint32_t *counts,
                                   int64_t count, const tsr_flextok_trace *trace);

/* ---- flextok_time.c ---- */

/* Modulation vectors of a stretch of time steps. */
typedef struct tsr_flextok_times {
    int first, count; /* steps first, first - 1, ... */
    float *table;     /* [count, rows, D'] */
    float *e, *temb;  /* of step `first`: [F], [D'] */
} tsr_flextok_times;
/* Rows of D' of one step: for each block and part (TSR_GATE_ATTN ...) one for each group, then
 * shift and scale of the head if it has them. */
int64_t tsr_flextok_time_rows(const tsr_flextok_config *config);
/* Those of time step / steps; valid until the next call. */
tsr_status tsr_flextok_times_get(tsr_flextok_times *times, tsr_flextok *m, int step, int steps,
                                 const float **rows);
void tsr_flextok_times_show(const tsr_flextok_times *times, const tsr_flextok *m,
                            const tsr_flextok_trace *trace);
void tsr_flextok_times_close(tsr_flextok_times *times);

/* ---- flextok_trace.c ---- */

enum { TSR_FLEXTOK_TRACED = 12 };
/* Intermediate outputs of a step's program. */
typedef struct tsr_flextok_traced {
    const tsr_flextok_trace *trace;
    char name[TSR_FLEXTOK_TRACED][32];
    float *data[TSR_FLEXTOK_TRACED];
    int count;
    int64_t pictures, patches, tokens, dim;
} tsr_flextok_traced;
/* Makes room for what the trace wants: fills `blocks` (up to 7, then -1) and `out`. */
tsr_status tsr_flextok_traced_open(tsr_flextok_traced *traced, tsr_flextok *m, int64_t pictures,
                                   int64_t patches, int64_t tokens, bool null, int *blocks,
                                   tsr_tensor *out);
void tsr_flextok_traced_close(tsr_flextok_traced *traced, bool show);

#endif
