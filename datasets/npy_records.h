/* SPDX-License-Identifier: MIT */
/* npy_records.h: the ids of a record as NumPy's array file. */
#ifndef FORMATS_NPY_RECORDS_H
#define FORMATS_NPY_RECORDS_H

#include "../formats/arrays/npy.h"
#include "dataset.h"

/* The type of an array's elements, which must be whole numbers. Errors: UNSUPPORTED. */
tsr_status tsr_npy_id_type(tsr_context *ctx, const char *where, const tsr_npy_header *header,
                           tsr_id_type *type);
/* Reads an array of ids, of any type and order, into a record that has none yet, with its shape.
 * One without axes becomes one id. Bytes behind the array are logged and left. Errors: FORMAT,
 * UNSUPPORTED, TRUNCATED, TOKENS, TOO_LARGE, MEMORY. */
tsr_status tsr_npy_record(tsr_context *ctx, const char *where, const void *bytes, size_t size,
                          uint32_t codebook_size, tsr_record_memory *m);
/* Appends an array file with the ids of a record. */
void tsr_npy_put(tsr_bytes *to, const uint32_t *ids, uint64_t count, const uint64_t *shape,
                 int rank, tsr_id_type type);

#endif
