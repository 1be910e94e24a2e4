/* SPDX-License-Identifier: MIT */
/* torch_internal.h: what torch_pickle.c and torch_container.c share. */
#ifndef FORMATS_TORCH_INTERNAL_H
#define FORMATS_TORCH_INTERNAL_H

#include "torch_pickle.h"
#include "zip_reader.h"
#include "../../compute/arena.h"

/* 0x1950a86a20f9469cfc6c, which opens files of the old layout. */
#define TSR_TORCH_MAGIC "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

struct tsr_torch {
    char *name;   /* of the file */
    tsr_zip *zip; /* NULL in the old layout */
    tsr_pickle *tree;
    tsr_arena arena; /* paths */
    tsr_torch_tensor *tensors;
    int count;
    const char *weights_under; /* static */
};

typedef struct torch_storage { /* one persistent id */
    tsr_pickle_ref ref;
    const char *key, *dtype;
    size_t key_size, element_bytes;
    uint64_t elements;                  /* of the whole storage */
    uint64_t view_begin, view_elements; /* the part that is meant; all of it but in old files */
    const uint8_t *bytes;               /* of the whole; NULL = no record */
    uint64_t record_bytes;
    int record; /* zip entry, or -1 */
} torch_storage;

typedef struct torch_reader {
    tsr_context *ctx;
    const char *name;
    const uint8_t *bytes;
    size_t size;
    tsr_torch *file;
    torch_storage *storages; /* by ref */
    size_t storage_count;
    const char *prefix; /* zip: the archive's folder, with its slash */
    size_t prefix_size;
    size_t records_at; /* old layout: where the list of keys begins */
    uint64_t bytes_left, names_left, steps_left;
    int room; /* of tensors */
    char path[1024];
} torch_reader;

/* Fill file->tree, and whatever the second step needs. */
tsr_status tsr_torch_open_zip(torch_reader *r);
tsr_status tsr_torch_open_legacy(torch_reader *r);
/* Fill bytes, record_bytes and record of every storage that has one. */
tsr_status tsr_torch_place_zip(torch_reader *r);
tsr_status tsr_torch_place_legacy(torch_reader *r);

#endif
