/* SPDX-License-Identifier: MIT */
/* flextok_time.h: a time step to the vectors that modulate the decoder. */
#ifndef CODEC_FLEXTOK_TIME_H
#define CODEC_FLEXTOK_TIME_H

#include "../../../compute/arena.h"
#include "flextok_trace.h"

/* Modulation vectors of some time steps in a row; zeroed: none yet. */
typedef struct tsr_flextok_times {
    int first, count;   /* steps first, first - 1, ... */
    float *table;       /* [count, rows, D'] */
    float *e, *temb;    /* of step `first`: [F], [D'] */
    tsr_scratch memory; /* of table, e and temb */
} tsr_flextok_times;
/* Number of rows of D' that modulate one step: for each block and part (TSR_MODULATION_GATE_ATTN
 * ...) one for each group, then shift and scale of a head that is modulated. */
int64_t tsr_flextok_time_rows(const tsr_flextok_config *config);
/* Finds the rows of time step / steps, [tsr_flextok_time_rows, D'], computing them if need be.
 * *rows is valid until the next call. Errors: MEMORY. */
tsr_status tsr_flextok_times_get(tsr_flextok_times *times, const tsr_flextok *m, int step,
                                 int steps, const float **rows);
/* Shows time.e, time.temb and the modulation of first block and head, of step `first`. */
void tsr_flextok_times_show(const tsr_flextok_times *times, const tsr_flextok *m,
                            const tsr_flextok_trace *trace);
/* Frees the vectors; `times` may be used again. */
void tsr_flextok_times_close(tsr_flextok_times *times);

#endif
