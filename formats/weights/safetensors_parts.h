/* SPDX-License-Identifier: MIT */
/* safetensors_parts.h: the inside of an open weight file, for the files that fill it. */
#ifndef FORMATS_SAFETENSORS_PARTS_H
#define FORMATS_SAFETENSORS_PARTS_H

#include <cjson/cJSON.h>
#include "safetensors.h"

typedef struct tsr_safetensors_entry {
    tsr_safetensors_info info; /* its texts are inside the JSON tree of its part */
    tsr_tensor view;
    uint64_t begin, end; /* from the start of the part's data */
    void *copy;          /* values that were loaded, or were not aligned */
    int part;
    int64_t unusable; /* see tsr_safetensors_unusable */
    float unusable_value;
} tsr_safetensors_entry;

/* One file. */
typedef struct tsr_safetensors_part {
    tsr_input in;
    uint64_t data_at; /* where the values begin */
    cJSON *root;      /* keeps the strings */
    char *path;       /* for messages */
} tsr_safetensors_part;

struct tsr_safetensors {
    tsr_safetensors_part *parts;
    int part_count;
    tsr_safetensors_entry *entries; /* by part, then by offset */
    int count;
    const tsr_safetensors_entry **by_name; /* entries in the byte order of names */
    tsr_metadata_pair *metadata;           /* in the byte order of keys */
    int metadata_count;
};

/* Refuses text of JSON with bytes that every JSON reader would refuse, and amounts that would only
 * serve to exhaust memory. `at` is the text's place in the file. Errors: FORMAT. */
tsr_status tsr_safetensors_check_text(tsr_context *ctx, const char *name, size_t at,
                                      const uint8_t *text, size_t size);
/* Reads the header of a part whose input is open, and adds its tensors and metadata to the file's.
 * Metadata keys that are there already stay as they are. */
tsr_status tsr_safetensors_add(tsr_context *ctx, const char *name, tsr_safetensors *file,
                               tsr_safetensors_part *part);
/* Opens the parts that an index names, and adds their tensors. */
tsr_status tsr_safetensors_add_index(tsr_context *ctx, const char *path, tsr_safetensors *file);

#endif
