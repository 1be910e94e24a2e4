/* SPDX-License-Identifier: MIT */
/* record_sort.h: sorts any number of pairs of numbers in little memory: pieces are sorted in
 * memory, wait in a spool, and are merged. (External merge sort: Knuth, The Art of Computer
 * Programming 3, section 5.4.) */
#ifndef FORMATS_RECORD_SORT_H
#define FORMATS_RECORD_SORT_H

#include "spool.h"

typedef struct tsr_record {
    uint64_t first, second; /* records rise by the first, equal ones by the second */
} tsr_record;

/* Set `spool` (ctx, beside, in_memory); the rest starts as zeros. */
typedef struct tsr_record_sort {
    tsr_spool spool;
    size_t piece;        /* records that are sorted in memory; 0 = 65536 */
    tsr_record *records; /* [used] not in the spool yet */
    size_t used, room;
    uint64_t count; /* of all records */
    uint64_t run;   /* records in each sorted run of the spool; the last may be shorter */
    bool finished;
} tsr_record_sort;

/* Adds a record. Errors: MEMORY, IO, NO_SPACE. */
tsr_status tsr_record_sort_add(tsr_record_sort *sort, uint64_t first, uint64_t second);
/* Receives records; any other answer than OK ends the walk and is its answer. */
typedef tsr_status (*tsr_record_fn)(void *user, const tsr_record *record);
/* Calls `each` for all records in rising order. No record may be added after the first walk; there
 * may be several walks. Errors: those of `each`, MEMORY, IO, NO_SPACE. */
tsr_status tsr_record_sort_walk(tsr_record_sort *sort, tsr_record_fn each, void *user);
void tsr_record_sort_free(tsr_record_sort *sort);

#endif
