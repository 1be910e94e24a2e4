/* SPDX-License-Identifier: MIT */
/* token_rows.h: ids of many items in one call, for the Python package: a loop over
 * tsr_token_file_item that runs without Python's lock and makes no object for an item. */
#ifndef TESSERA_TOKEN_ROWS_H
#define TESSERA_TOKEN_ROWS_H

#include <tessera/tokens.h>

/* Which items are read, and into what. */
typedef struct tessera_rows {
    const uint64_t *indexes; /* [count] items in this order; NULL: first, first + 1, ... */
    uint64_t first, count;
    int id_bytes;     /* of an id in `ids`: 2 (uint16), 4 (uint32) or 8 (int64) */
    void *ids;        /* the caller's array */
    uint64_t room;    /* ids that `ids` holds */
    uint64_t stride;  /* ids from one row to the next, rows filled up with `padding`; 0: one item
                         stands behind the other */
    int64_t padding;  /* read with a stride alone */
    uint64_t *totals; /* [count] receives the number of ids of each item; NULL: not wanted */
    uint64_t done;    /* becomes the number of items that were read */
    uint64_t needed;  /* after TOO_LARGE: ids of the item that did not fit */
} tessera_rows;

/* Reads rows->count items of a file of ids. rows->done says which item an error is about. Errors:
 * those of tsr_token_file_item; TOO_LARGE without a detail text (an item beyond room or stride);
 * ARGUMENT without a detail text (file NULL; a file of vectors; id_bytes; an id that is too large
 * for its type). */
tsr_status tessera_read_rows(tsr_token_file *file, tessera_rows *rows);

/* Reads the ids of one item to `ids`, which holds `room` of `id_bytes` each. Returns how many the
 * item has; when that is more than `room`, nothing was written. Negative: a tsr_status of
 * tessera_read_rows. */
int64_t tessera_read_row(tsr_token_file *file, uint64_t index, int id_bytes, void *ids,
                         uint64_t room);

#endif
