/* SPDX-License-Identifier: MIT */
/* near_lists.h: the nearest of each row, and how far apart rows are at most, on the cpu: by
 * products of bytes, whose error is known, and distances in f32 of the few rows that are within it.
 */
#ifndef REDUCE_NEAR_LISTS_H
#define REDUCE_NEAR_LISTS_H

#include "operator.h"

/* Most nearest that can be asked for. */
#define TSR_NEAR_MOST 8

typedef struct tsr_near_lists {
    tsr_operation *o;
    const float *x;       /* [n, dim] */
    const float *centred; /* [n, dim] the same less one row, so that they are short */
    const double *length; /* [n] squared lengths of centred rows */
    int64_t n, dim;
    int64_t k;      /* nearest that are wanted of each row, itself among them */
    int64_t listed; /* room for so many, at least k */
    /* found */
    float *near;          /* [n, listed] squared distances, ascending, ties by index */
    int32_t *nearest;     /* [n, listed] their rows */
    int32_t *count;       /* [n] of them, k or more */
    float *radius;        /* [n] all rows that are nearer than this are listed */
    const int32_t *order; /* [n] rows, those near each other one after the other: as they are best
                             read */
    int32_t apart[2];     /* two rows that are as far from each other as any */
    struct tsr_near_rough *rough;
} tsr_near_lists;

/* Fills in what is found. False, and nothing is, after a failure and where products of bytes are
 * not fast or tell too little: then the caller looks at all distances. Memory: n (dim + 700) bytes.
 */
bool tsr_near_lists_find(tsr_near_lists *l);
/* The nearest row j of each of the rows row[0 .. count-1] with rank[j] below its own, which has
 * one: to [count]. After tsr_near_lists_find was true. */
void tsr_near_lists_lower(tsr_near_lists *l, const int32_t *row, int64_t count, const int32_t *rank,
                          int32_t *to);

#endif
