/* SPDX-License-Identifier: MIT */
/* recorded_plan.h: a chain while it is walked through, and what is known of its steps afterwards;
 * shared by recorded_plan.c (the walk) and
 * recorded_run.c (before and after). */
#ifndef REDUCE_RECORDED_PLAN_H
#define REDUCE_RECORDED_PLAN_H

#include "recorded.h"

enum { TSR_RECORDED_TENSORS = 256, TSR_RECORDED_STEPS = 32 };

/* What a tensor that comes down is for. */
typedef enum tsr_recorded_use {
    TSR_RECORDED_INDEX, /* of the kept tokens */
    TSR_RECORDED_MAP,   /* of the merged ones */
    TSR_RECORDED_COLUMN,
    TSR_RECORDED_TRACE,
    TSR_RECORDED_MARGINS, /* each is a decision */
    TSR_RECORDED_FALLING  /* each pair of neighbours is one */
} tsr_recorded_use;

/* A tensor that comes down. */
typedef struct tsr_recorded_piece {
    tsr_recorded_use use;
    bool integer;
    int64_t at;            /* first word among the integers or the numbers */
    tsr_token_array array; /* shape, and the type that is wanted */
    double bound, relative;
} tsr_recorded_piece;

typedef enum tsr_recorded_becomes {
    TSR_RECORDED_NOTHING = 0,
    TSR_RECORDED_STAY,
    TSR_RECORDED_KEPT,
    TSR_RECORDED_MERGED,
    TSR_RECORDED_REPLACED
} tsr_recorded_becomes;

/* What the steps of a walk have brought so far. */
typedef struct tsr_recorded_walker {
    tsr_tensor *tensors[TSR_RECORDED_TENSORS];
    int tensor_count;
    int64_t integers, numbers;
} tsr_recorded_walker;

struct tsr_recorded_step {
    const tsr_operator *op;
    tsr_operation o;
    char *text;
    bool last; /* of the whole chain */
    tsr_recorded_becomes becomes;
    int64_t rows, channels, grid[3];
    const int32_t *map; /* of REPLACED, or the tokens that are KEPT, where shapes decide; NULL */
    const char *stream; /* NULL: as it was */
    tsr_recorded_piece pieces[TSR_RECORDED_PIECES];
    int piece_count;
    tsr_recorded_walker *walker; /* during a walk */
};

/* Whether the step's operator reads the column. */
bool tsr_recorded_step_reads(const tsr_recorded_step *s, const char *column);

#endif
