/* SPDX-License-Identifier: MIT */
/* picture_set.h: the pictures of one side of a measurement, by name: a file, a folder with what is
 * below it, or archives, whose bytes are kept in a temporary file so that any picture can be read
 * at any time. */
#ifndef EVALUATION_PICTURE_SET_H
#define EVALUATION_PICTURE_SET_H

#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/measure.h>
#include "../formats/spool.h"
#include "../media/image.h"

typedef struct tsr_set_picture {
    char *name;            /* path below the folder, or key */
    char *path;            /* of its file; NULL: in the spool, or it cannot be read */
    char *detail;          /* of `status`; NULL with OK */
    tsr_status status;     /* not OK: known already not to be readable */
    uint64_t offset, size; /* in the spool */
} tsr_set_picture;

typedef struct tsr_picture_set {
    tsr_context *ctx;
    tsr_set_picture *pictures;
    uint64_t count, room;
    uint64_t *by_stem; /* [count] indexes, in the order of names without suffix */
    uint64_t *by_last; /* [count] likewise, of the last parts of the names alone */
    tsr_spool spool;
    bool single; /* one file that was named, no folder and no archive */
} tsr_picture_set;

/* Errors: as tsr_originals_open. On success tsr_picture_set_close. */
tsr_status tsr_picture_set_open(tsr_context *ctx, const char *path, tsr_picture_set *set);
void tsr_picture_set_close(tsr_picture_set *set);
/* The picture that `name` means, suffixes aside: the one of this path, or else the only one whose
 * last part is that of `name`. -1: none. */
int64_t tsr_picture_set_find(const tsr_picture_set *set, const char *name);
/* Reads the pixels, with the caller's context: threads may read from one set at the same time.
 * Errors: reading errors. */
tsr_status tsr_picture_set_read(tsr_context *ctx, const tsr_picture_set *set, uint64_t index,
                                const tsr_image_settings *settings, tsr_image *image);
/* Bytes of the picture as stored; 0: not known. */
uint64_t tsr_picture_set_bytes(const tsr_picture_set *set, uint64_t index);

/* Orders names without their suffixes; a suffix is what stands behind the last dot of the last
 * part, unless the dot begins it. */
int tsr_stem_order(const char *a, const char *b);
/* The last part of a path. */
const char *tsr_last_part(const char *path);

#endif
