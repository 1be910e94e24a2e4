/* SPDX-License-Identifier: MIT */
/* item_records.h: between an item of a token file and a record. */
#ifndef FORMATS_ITEM_RECORDS_H
#define FORMATS_ITEM_RECORDS_H

#include "dataset.h"

/* The shape that an item's tiles say: [columns] or [rows, columns] of one full tile, with tile rows
 * and columns before them where there are several; [n] where a tile is not full or a mask says
 * which positions have a token. */
void tsr_item_shape(const tsr_token_header *header, const tsr_token_item *item, int *rank,
                    uint64_t shape[TSR_RECORD_MAX_RANK]);

/* A record of an item. An attribute "shape", "[2, 3]", that fits the ids takes the place of the
 * tiles' shape and is no attribute of the record. */
typedef struct tsr_item_record {
    tsr_record record;
    tsr_attribute *attributes;
    size_t room;
} tsr_item_record;
/* `item` must outlive the record. Errors: FORMAT (a key that is not UTF-8), MEMORY. */
tsr_status tsr_item_to_record(tsr_context *ctx, const char *where, const tsr_token_header *header,
                              const tsr_token_item *item, tsr_item_record *to);
void tsr_item_record_free(tsr_item_record *r);

/* An item of a record. Starts as zeros. */
typedef struct tsr_record_item {
    tsr_token_item item;
    uint32_t *counts;
    tsr_attribute *attributes;
    size_t counts_room, attributes_room;
    char key[32], shape[128];
} tsr_record_item;
/* `record` must outlive the item; `number` makes a key where it has none. Errors: TOKENS (ids that
 * fill no tiles), MEMORY. */
tsr_status tsr_record_to_item(tsr_context *ctx, const char *where, const tsr_token_header *header,
                              const tsr_record *record, uint64_t number, tsr_record_item *to);
void tsr_record_item_free(tsr_record_item *r);

#endif
