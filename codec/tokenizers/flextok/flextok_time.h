/* SPDX-License-Identifier: MIT */
/* flextok_time.h: a time step to the vectors that modulate the decoder. */
#ifndef CODEC_FLEXTOK_TIME_H
#define CODEC_FLEXTOK_TIME_H

#include "../../../compute/arena.h"
#include "flextok_trace.h"

/* Modulation vectors of a stretch of time steps. */
typedef struct tsr_flextok_times {
    int first, count;   /* steps first, first - 1, ... */
    float *table;       /* [count, rows, D'] */
    float *e, *temb;    /* of step `first`: [F], [D'] */
    tsr_scratch memory; /* of table, e and temb */
} tsr_flextok_times;
/* Rows of D' of one step: for each block and part (TSR_MODULATION_GATE_ATTN ...) one for each
 * group, then shift and scale of the head if it has them. */
int64_t tsr_flextok_time_rows(const tsr_flextok_config *config);
/* Those of time step / steps; valid until the next call. */
tsr_status tsr_flextok_times_get(tsr_flextok_times *times, const tsr_flextok *m, int step,
                                 int steps, const float **rows);
void tsr_flextok_times_show(const tsr_flextok_times *times, const tsr_flextok *m,
                            const tsr_flextok_trace *trace);
void tsr_flextok_times_close(tsr_flextok_times *times);

#endif
