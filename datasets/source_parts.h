/* SPDX-License-Identifier: MIT */
/* source_parts.h: what the files of sources share: the list inside, names, bytes that are read. */
#ifndef DATASETS_SOURCE_PARTS_H
#define DATASETS_SOURCE_PARTS_H

#include "../compute/context.h"
#include "../formats/file_names.h"
#include "../formats/hash.h"
#include "attribute_table.h"
#include "source.h"

/* ---- the list (source_entries.c, source_keys.c, source_folder.c, source_list.c) ----------- */

typedef struct tsr_list_entry {
    const char *path, *key;
    const char *problem; /* text of why it cannot be read; NULL: it can be tried */
    uint64_t line;       /* in the list that names it, from 1; 0: in none */
    uint8_t kind;        /* tsr_source_kind */
    uint8_t status;      /* tsr_status of `problem` */
    bool named;          /* by the caller, not found in a folder or in a list */
    bool left_out;
} tsr_list_entry;

typedef struct tsr_text_block tsr_text_block;
struct tsr_source_list {
    tsr_context *ctx; /* of tsr_source_list_open, valid while it runs */
    tsr_source_settings settings;
    tsr_source_videos videos;
    tsr_list_entry *entries;
    size_t count, room;
    tsr_text_block *texts;
    char *scratch; /* a key that is being made */
    size_t scratch_room;
    uint64_t changed, equal;
    tsr_attribute_table *table; /* NULL: none */
};

/* Copy of a text, owned by the list. NULL after a MEMORY failure. */
const char *tsr_list_text(tsr_source_list *list, const char *text);
void tsr_list_texts_free(tsr_source_list *list);
/* Adds an entry without a key. NULL after a MEMORY failure. */
tsr_list_entry *tsr_list_add_entry(tsr_source_list *list, const char *path, uint64_t line,
                                   tsr_source_kind kind);
/* Adds an entry for what stands at `path` below a folder: the part of the path from `below` on is
 * its path below the folder (NULL: it was named as it is). Its key is made. Errors: MEMORY. */
tsr_status tsr_list_add(tsr_source_list *list, const char *path, const char *below, uint64_t line,
                        tsr_source_kind kind);
/* Adds an entry that cannot be read, for the reason in the context's detail. Errors: MEMORY. */
tsr_status tsr_list_add_bad(tsr_source_list *list, const char *path, uint64_t line,
                            tsr_status status);
/* Adds what is in a folder. Errors: MEMORY. */
tsr_status tsr_list_add_folder(tsr_source_list *list, const char *folder, uint64_t line);
/* Makes the key of an entry that was added. `below`: see tsr_list_add. Errors: MEMORY. */
tsr_status tsr_list_make_key(tsr_source_list *list, tsr_list_entry *entry, const char *below);
/* Refuses named inputs without a key, and warns of changed and equal ones. Errors: ARGUMENT,
 * MEMORY. */
tsr_status tsr_list_check_keys(tsr_source_list *list);

/* ---- bytes (source_bytes.c) --------------------------------------------------------------- */

enum { TSR_SOURCE_HEAD = 512 };
/* Largest picture as it is stored; also within the context's memory limit. */
static const uint64_t tsr_source_most_bytes = (uint64_t)1 << 30;

/* The bytes of an open file or pipe, in order, added to a hash. */
typedef struct tsr_source_bytes {
    tsr_context *ctx;
    const char *name; /* begins detail texts; not owned */
    int fd;           /* -1: none */
    tsr_hash *hash;
    uint8_t head[TSR_SOURCE_HEAD]; /* looked at before they are read */
    size_t head_at, head_size;
    const uint8_t *memory; /* [memory_size] instead of a file; NULL: none */
    size_t memory_size;
} tsr_source_bytes;
/* Opens a file or a pipe; "-" is stdin. Errors: NOT_FOUND, IO. */
tsr_status tsr_source_bytes_open(tsr_context *ctx, const char *path, tsr_hash *hash,
                                 tsr_source_bytes *bytes);
void tsr_source_bytes_close(tsr_source_bytes *bytes);
/* Reads up to `size` bytes; *got 0 is the end. `user` is a tsr_source_bytes. Errors: IO. */
tsr_status tsr_source_bytes_read(void *user, void *to, size_t size, size_t *got);
/* Looks at the first bytes, up to TSR_SOURCE_HEAD, before any is read: is it an archive? Errors:
 * IO. */
tsr_status tsr_source_bytes_look(tsr_source_bytes *bytes, bool *archive);
/* Do the first bytes begin a tar, plain or compressed? */
bool tsr_is_archive(const uint8_t *head, size_t size);

/* ---- samples (source_sample.c) ------------------------------------------------------------ */

/* A sample with copies of key and name. NULL after a MEMORY failure. */
tsr_sample *tsr_sample_new(tsr_context *ctx, uint64_t entry, const char *key, const char *name);
/* The sample gets `status`, whose text is the context's detail, and loses its bytes and attributes.
 * Errors: MEMORY. */
tsr_status tsr_sample_spoil(tsr_context *ctx, tsr_sample *sample, tsr_status status);
/* Adds or replaces an attribute; the name and the value [size] are copied, with a zero behind them.
 * Errors: FORMAT (beyond the limits of tokens.h, text that is not UTF-8), MEMORY. */
tsr_status tsr_sample_add(tsr_context *ctx, tsr_sample *sample, const tsr_attribute *attribute);

/* ---- archives (source_tar.c) -------------------------------------------------------------- */

typedef struct tsr_tar tsr_tar;
/* Begins an archive; `bytes` must outlive it. Errors: FORMAT, TRUNCATED, IO, MEMORY, UNSUPPORTED
 * (this build reads none). */
tsr_status tsr_tar_open(tsr_context *ctx, tsr_source_bytes *bytes, uint64_t entry, tsr_tar **tar);
/* As tsr_source_next, of one archive. */
tsr_status tsr_tar_next(tsr_tar *tar, tsr_sample **sample);
void tsr_tar_close(tsr_tar **tar);

#endif
