/* SPDX-License-Identifier: MIT */
/* flextok_trace.h: intermediate arrays, for verification. */
#ifndef CODEC_FLEXTOK_TRACE_H
#define CODEC_FLEXTOK_TRACE_H

#include "../../../compute/arena.h"
#include "flextok_model.h"

/* For verification: sees intermediate arrays by their names in the golden cases. Rows of D are
 * [B, P + K, D], queries and keys too. */
typedef struct tsr_flextok_trace {
    void (*see)(void *user, const char *name, const float *data, int rank, const int64_t *dim);
    bool (*wants)(void *user, const char *name);
    void *user;
} tsr_flextok_trace;
static inline bool tsr_flextok_sees(const tsr_flextok_trace *t, const char *name) {
    return t && t->wants(t->user, name);
}

enum { TSR_FLEXTOK_TRACED = 12 };
/* Intermediate outputs of a step's program. */
typedef struct tsr_flextok_traced {
    const tsr_flextok_trace *trace;
    char name[TSR_FLEXTOK_TRACED][32];
    float *data[TSR_FLEXTOK_TRACED];
    tsr_scratch memory; /* of data */
    int count;
    int64_t pictures, patches, tokens, dim;
} tsr_flextok_traced;
/* Makes room for what the trace wants: fills `blocks` (up to 7, then -1) and `out`. */
tsr_status tsr_flextok_traced_open(tsr_flextok_traced *traced, const tsr_flextok *m,
                                   int64_t pictures, int64_t patches, int64_t tokens, bool null,
                                   int *blocks, tsr_tensor *out);
void tsr_flextok_traced_close(tsr_flextok_traced *traced, bool show);

#endif
