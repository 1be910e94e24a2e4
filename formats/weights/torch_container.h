/* SPDX-License-Identifier: MIT */
/* torch_container.h: the two layouts in which torch.save keeps a pickle and the storages it names.
 * First the pickle is found and parsed; its reader lists the storages; then each gets its bytes. */
#ifndef FORMATS_TORCH_CONTAINER_H
#define FORMATS_TORCH_CONTAINER_H

#include "script_code.h"
#include "unpickle.h"
#include "zip_reader.h"

typedef struct torch_storage { /* one persistent id */
    tsr_pickle_ref ref;
    const char *key, *dtype;
    size_t key_size, element_bytes;
    uint64_t elements;                  /* of the whole storage */
    uint64_t view_begin, view_elements; /* the part that is meant; all of it but in old files */
    const uint8_t *bytes;               /* of the whole storage; NULL: no record */
    uint64_t record_bytes;
    int record; /* zip entry, or -1 */
} torch_storage;

typedef struct torch_container {
    tsr_context *ctx;
    const char *name;     /* of the file, for messages */
    const uint8_t *bytes; /* with `fetch`: room for them */
    size_t size;
    tsr_zip_fetch_fn fetch; /* NULL: all bytes are there */
    void *user;
    tsr_zip *zip;     /* NULL in the old layout; the caller closes it, also after a failure */
    tsr_pickle *tree; /* the caller closes it, also after a failure */
    torch_storage *storages; /* by ref; the caller's */
    size_t storage_count;
    const char *prefix; /* zip: the archive's folder, with its slash */
    size_t prefix_size;
    size_t records_at;      /* old layout: where the list of keys begins */
    bool script;            /* zip: a TorchScript archive */
    tsr_script_facts facts; /* what the code of a script says */
} torch_container;

/* First step: find and parse the pickle of a zip archive, or of the old layout. */
tsr_status tsr_torch_open_zip(torch_container *c);
tsr_status tsr_torch_open_legacy(torch_container *c);
/* Second step: fill bytes, record_bytes and record of every storage that has a record. */
tsr_status tsr_torch_place_zip(torch_container *c);
tsr_status tsr_torch_place_legacy(torch_container *c);

#endif
