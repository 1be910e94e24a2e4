/* SPDX-License-Identifier: MIT */
/* kept_features.h: rows of features of pictures and windows of clips, by their pixels. Several
 * candidates are measured over the same originals, whose features are computed for the first of
 * them; with a folder of files (tsr_measure_settings.cache) in one of all runs. */
#ifndef METRICS_KEPT_FEATURES_H
#define METRICS_KEPT_FEATURES_H

#include <stddef.h>

#include <tessera/judges.h>
#include <tessera/statistics.h>

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
    tsr_feature_key key;       /* of the file; its pictures and rows are not used */
    char *path;                /* of the file; NULL: none */
    size_t in_file;            /* rows that it has */
} tsr_kept_features;

/* NULL after a MEMORY failure. Close with tsr_kept_features_close. */
tsr_kept_features *tsr_kept_features_open(tsr_context *ctx, size_t columns);
/* Its argument is a tsr_kept_features; NULL is accepted. */
void tsr_kept_features_close(void *kept);
/* Forgets the rows of another judge, or of another device, and the file. */
void tsr_kept_features_of(tsr_kept_features *kept, const tsr_judge *judge);
/* Names the file in `folder`, which is made, that keeps what this judge gives as `output` after
 * `preparation`, and takes its rows, if it is there and was not taken before. Errors: IO (the
 * folder cannot be made or written to); reading errors; STATE and FORMAT (the file is of something
 * else; the detail names the field, wanted and got); MEMORY. */
tsr_status tsr_kept_features_load(tsr_kept_features *kept, const char *folder,
                                  const tsr_judge *judge, const char *output,
                                  const char *preparation);
/* Writes the file anew if there are more rows than it has. Errors: writing errors, MEMORY. */
tsr_status tsr_kept_features_save(tsr_kept_features *kept);
/* The row of a picture, [columns], valid until the next addition; NULL: there is none. */
const float *tsr_kept_features_find(tsr_kept_features *kept, const tsr_picture *picture);
/* Keeps a row, unless all rows would take more than an eighth of the context's memory limit.
 * Errors: MEMORY. */
tsr_status tsr_kept_features_add(tsr_kept_features *kept, const tsr_picture *picture,
                                 const float *row);
/* The same for the row of a hash, without counting it as computed. */
tsr_status tsr_kept_features_put(tsr_kept_features *kept, const uint64_t hash[2], const float *row);

#endif
