/* SPDX-License-Identifier: MIT */
/* mds.h: shards of MosaicML Streaming (MDS): what its reader and its writer share. */
#ifndef FORMATS_MDS_H
#define FORMATS_MDS_H

#include "dataset.h"

/* Codes of types in a column "ndarray", which has one byte for them; -1: none. */
int tsr_mds_type_code(tsr_id_type type);
/* The word of a type, "uint16", into word[16]. */
const char *tsr_mds_type_word(tsr_id_type type, char word[16]);

/* Writers of the format's table. */
tsr_status tsr_mds_begin(tsr_dataset_output *output, void **writer);
tsr_status tsr_mds_add(void *writer, const tsr_record *record);
tsr_status tsr_mds_finish(void *writer);
void tsr_mds_abandon(void **writer);

#endif
