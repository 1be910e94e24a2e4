/* SPDX-License-Identifier: MIT */
/* flextok_trace.h: intermediate arrays, for verification. */
#ifndef CODEC_FLEXTOK_TRACE_H
#define CODEC_FLEXTOK_TRACE_H

#include "../../../compute/arena.h"
#include "flextok_model.h"

/* Looks at intermediate arrays, by their names in the golden cases. Rows, queries and keys are
 * [B, P + K, D]. For verification. */
typedef struct tsr_flextok_trace {
    void (*see)(void *user, const char *name, const float *data, int rank, const int64_t *dim);
    bool (*wants)(void *user, const char *name);
    void *user;
} tsr_flextok_trace;
/* Whether a trace, which may be NULL, asks for an array. */
static inline bool tsr_flextok_sees(const tsr_flextok_trace *t, const char *name) {
    return t && t->wants(t->user, name);
}

enum { TSR_FLEXTOK_TRACED = 12 };
/* Traced outputs of the program of a decoder step. */
typedef struct tsr_flextok_traced {
    const tsr_flextok_trace *trace;
    char name[TSR_FLEXTOK_TRACED][32];
    float *data[TSR_FLEXTOK_TRACED];
    tsr_scratch memory; /* of data */
    int count;
    int64_t pictures, patches, tokens, dim;
} tsr_flextok_traced;
/* Makes room for the arrays that traced->trace asks for, of one pass (`null`: the unconditional
 * pass). Fills `blocks` with the numbers of up to 7 traced blocks, then -1, and `out` with the
 * outputs. Errors: MEMORY. */
tsr_status tsr_flextok_traced_open(tsr_flextok_traced *traced, const tsr_flextok *m,
                                   int64_t pictures, int64_t patches, int64_t tokens, bool null,
                                   int *blocks, tsr_tensor *out);
/* Shows the arrays to the trace if `show`, and frees them. */
void tsr_flextok_traced_close(tsr_flextok_traced *traced, bool show);

#endif
