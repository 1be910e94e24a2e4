/* SPDX-License-Identifier: MIT */
/* dataset_card.h: tessera.json, which says beside a data set what its ids are: no other format
 * keeps that. */
#ifndef FORMATS_DATASET_CARD_H
#define FORMATS_DATASET_CARD_H

#include "data_folder.h"
#include "vocabulary.h"

typedef struct tsr_dataset_card {
    const char *format;
    const tsr_export_report *report;
    const tsr_token_header *header;
    const tsr_vocabulary *vocabulary; /* NULL: ids are codes */
    const tsr_export_split *splits;
    int split_count;
    uint64_t split_items[64];
} tsr_dataset_card;
tsr_status tsr_dataset_card_write(tsr_data_folder *folder, const tsr_dataset_card *card);

#endif
