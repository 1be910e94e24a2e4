/* SPDX-License-Identifier: MIT */
/* kept_features.h: rows of features of pictures, by their pixels. Several candidates are measured
 * over the same originals, whose features are computed for the first of them. */
#ifndef METRICS_KEPT_FEATURES_H
#define METRICS_KEPT_FEATURES_H

#include <stddef.h>

#include <tessera/judges.h>

typedef struct tsr_kept_row {
    uint64_t hash[2]; /* XXH64 of the pixels with two seeds, which are made of the sides */
    size_t place;     /* of the row; from 1, 0: free */
} tsr_kept_row;
typedef struct tsr_kept_features {
    tsr_context *ctx;
    size_t columns;
    uint64_t weights; /* identity of the judge's weights, and where it ran */
    char device[300];
    float *rows;         /* [count, columns] */
    tsr_kept_row *table; /* [slots] by hash, a power of two, at most half full */
    size_t count, room, slots;
    uint64_t computed, reused; /* rows that were added, and found */
} tsr_kept_features;

/* NULL after a MEMORY failure. Close with tsr_kept_features_close. */
tsr_kept_features *tsr_kept_features_open(tsr_context *ctx, size_t columns);
/* Its argument is a tsr_kept_features; NULL is accepted. */
void tsr_kept_features_close(void *kept);
/* Forgets the rows of another judge, or of another device. */
void tsr_kept_features_of(tsr_kept_features *kept, const tsr_judge *judge);
/* The row of a picture, [columns], valid until the next addition; NULL: there is none. */
const float *tsr_kept_features_find(tsr_kept_features *kept, const tsr_picture *picture);
/* Keeps a row, unless all rows would take more than an eighth of the context's memory limit.
 * Errors: MEMORY. */
tsr_status tsr_kept_features_add(tsr_kept_features *kept, const tsr_picture *picture,
                                 const float *row);

#endif
