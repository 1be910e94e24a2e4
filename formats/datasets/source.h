/* SPDX-License-Identifier: MIT */
/* source.h: where pictures come from. A list names what there is (files, archives, pipes), in
 * order; a source reads the samples of a part of the list, one after the other: the bytes of a
 * picture as they are stored, its key and its attributes. Nothing is decoded here. */
#ifndef FORMATS_DATASETS_SOURCE_H
#define FORMATS_DATASETS_SOURCE_H

#include <tessera/tessera.h>

#include <stdbool.h>

typedef enum tsr_source_kind {
    TSR_SOURCE_PICTURE, /* a file with one picture */
    TSR_SOURCE_ARCHIVE, /* tar, plain or compressed, WebDataset keys; "-" when stdin begins as one
                         */
    TSR_SOURCE_STREAM   /* a pipe with pictures one behind the other */
} tsr_source_kind;

/* One entry of a list. Owned by the list. */
typedef struct tsr_source_entry {
    const char *path; /* to open; "-" is stdin */
    const char *key;  /* of a picture's item; of archives and pipes what their names begin with */
    tsr_source_kind kind;
} tsr_source_entry;

typedef struct tsr_source_list tsr_source_list;
/* Expands inputs: folders (recursive, natural order, hidden files left out), --files-from lists,
 * archives, pictures, pipes. Keys are made as settings->key says. Errors: NOT_FOUND, IO, FORMAT,
 * ARGUMENT, MEMORY. */
tsr_status tsr_source_list_open(tsr_context *ctx, const char *const *inputs, int count,
                                const tsr_source_settings *settings, tsr_source_list **list);
void tsr_source_list_close(tsr_source_list **list);
uint64_t tsr_source_list_count(const tsr_source_list *list);
tsr_source_entry tsr_source_list_entry(const tsr_source_list *list, uint64_t index);

/* One picture of a source, or why there is none. Owned by whoever received it; it may be used and
 * freed on any thread. */
typedef struct tsr_sample {
    char *key;
    char *name;     /* for messages: the path, or ARCHIVE:MEMBER */
    uint8_t *bytes; /* [size] the picture as stored */
    size_t size;
    tsr_attribute *attributes; /* [attribute_count] */
    uint32_t attribute_count;
    uint64_t entry;    /* index in the list */
    tsr_status status; /* not OK: the picture cannot be had, and the source goes on behind it */
    char *detail;      /* text of `status` */
} tsr_sample;
void tsr_sample_free(tsr_sample **sample);

typedef struct tsr_source tsr_source;
/* Opens the samples of list entries first .. first + count - 1. The list must outlive the source.
 */
tsr_status tsr_source_open(tsr_context *ctx, const tsr_source_list *list, uint64_t first,
                           uint64_t count, tsr_source **source);
/* Reads the next sample; *sample is NULL at the end. A sample that cannot be had is a sample with a
 * status. Errors: those after which nothing more can be read of the source (IO, TRUNCATED,
 * FORMAT of an archive; MEMORY); the samples before were good. */
tsr_status tsr_source_next(tsr_source *source, tsr_sample **sample);
/* XXH64 of all bytes that were read so far, in order. */
uint64_t tsr_source_hash(const tsr_source *source);
void tsr_source_close(tsr_source **source);

#endif
