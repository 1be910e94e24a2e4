/* SPDX-License-Identifier: MIT */
/* source.h: where pictures come from. A list names what there is (files, archives, pipes), in
 * order; a source reads the samples of a part of the list, one after the other: the bytes of a
 * picture as they are stored, its key and its attributes. Nothing is decoded here. */
#ifndef DATASETS_SOURCE_H
#define DATASETS_SOURCE_H

#include <tessera/tessera.h>

#include <stdbool.h>

typedef enum tsr_source_kind {
    TSR_SOURCE_PICTURE, /* a file with one picture */
    TSR_SOURCE_ARCHIVE, /* a file that is a tar, plain or compressed, with WebDataset keys */
    TSR_SOURCE_VIDEO,   /* what tsr_video_open takes, in lists that were asked for videos: no source
                           reads it */
    TSR_SOURCE_STREAM   /* stdin or a pipe: pictures one behind the other, or a tar. Its first bytes
                           tell, and they are read when its turn comes */
} tsr_source_kind;

/* One entry of a list. Owned by the list. */
typedef struct tsr_source_entry {
    const char *path; /* to open; "-" is stdin */
    const char
        *key; /* of a picture's item; of videos, without suffix, and of pipes what the keys of
                 several pictures begin with; the samples of archives have keys of their own */
    tsr_source_kind kind;
    tsr_status problem; /* not OK: it is known already that it cannot be read, and its sample says
                           so: a line of a list that leads nowhere, a name that cannot be a key */
    const char *detail; /* text of `problem`; "" without one */
} tsr_source_entry;

typedef struct tsr_source_list tsr_source_list;
/* Expands inputs: folders (recursive, natural order, hidden files and what is no picture or archive
 * by its suffix left out, links followed), the list settings->files_from, archives, pictures,
 * pipes. Keys are made as settings->key says; a name that had to be changed and a key that several
 * pictures have are logged as warnings, of many the first few and their number. settings may be
 * NULL (zeros), and is not needed afterwards. *list is NULL on error.
 *
 * What is wrong with one entry of a folder or of a list (a name that cannot be a key, a file that
 * is not there) becomes a sample with a status; a named input that cannot have a key is an error.
 * Errors: NOT_FOUND, IO (the list or the attributes), FORMAT (the attributes), ARGUMENT (no entry
 * at all; "-" twice; a key), MEMORY. */
tsr_status tsr_source_list_open(tsr_context *ctx, const char *const *inputs, int count,
                                const tsr_source_settings *settings, tsr_source_list **list);
/* Which inputs are videos. */
typedef enum tsr_source_videos {
    TSR_SOURCE_NO_VIDEOS, /* none */
    TSR_SOURCE_SOME,      /* files that are, by their content where they were named, in folders by
                             their suffix */
    TSR_SOURCE_ALL /* every input that was named, also folders of numbered pictures and pipes */
} tsr_source_videos;
/* As tsr_source_list_open, which takes none for videos. */
tsr_status tsr_source_list_open_videos(tsr_context *ctx, const char *const *inputs, int count,
                                       const tsr_source_settings *settings,
                                       tsr_source_videos videos, tsr_source_list **list);
void tsr_source_list_close(tsr_source_list **list);
uint64_t tsr_source_list_count(const tsr_source_list *list);
tsr_source_entry tsr_source_list_entry(const tsr_source_list *list, uint64_t index);
/* What was met while a list was made. */
typedef struct tsr_source_list_info {
    uint64_t changed_keys; /* keys of pictures in which '_' stands for a byte no key may hold */
    uint64_t equal_keys;   /* keys that an earlier picture of the list has */
    bool counted;          /* every entry is one sample: there are no archives and pipes */
} tsr_source_list_info;
tsr_source_list_info tsr_source_list_properties(const tsr_source_list *list);
/* Looks for the keys of settings->attributes that no sample had so far, and logs a warning when
 * there are some. */
void tsr_source_list_unused_keys(tsr_context *ctx, const tsr_source_list *list,
                                 tsr_unused_keys *unused);
/* Takes the keys of entries that nobody reads for keys that samples had. False: archives or pipes
 * are among the entries, whose keys are not known. */
bool tsr_source_list_pass_over(const tsr_source_list *list, uint64_t first, uint64_t count);
/* Sources that are opened afterwards pass entry `index` over. */
void tsr_source_list_leave_out(tsr_source_list *list, uint64_t index);

/* One picture of a source, or why there is none. Owned by whoever received it; it may be used and
 * freed on any thread. */
typedef struct tsr_sample {
    char *key;      /* not NULL; of a sample with a status for messages alone: it may be "" or hold
                       what no key may */
    char *name;     /* for messages: the path, or ARCHIVE:MEMBER */
    uint8_t *bytes; /* [size] the picture as stored */
    size_t size;
    tsr_attribute *attributes; /* [attribute_count] within the limits of tokens.h */
    uint32_t attribute_count;
    uint64_t entry;    /* index in the list */
    tsr_status status; /* not OK: the picture cannot be had, and the source goes on behind it */
    char *detail;      /* text of `status`, not NULL */
    bool rest_lost;    /* with a status: nothing more can be read of the archive or pipe, and the
                          source goes on with its next entry */
} tsr_sample;
/* NULL and a NULL *sample are accepted. */
void tsr_sample_free(tsr_sample **sample);

/* Adds the label and the attributes that the list has for a sample: those of its key, or for the
 * frames of a video those of the video's. What does not fit makes the sample bad. Sources do it
 * themselves. Errors: MEMORY. */
tsr_status tsr_source_list_complete(tsr_context *ctx, const tsr_source_list *list,
                                    tsr_sample *sample);

/* A source uses its context until it is closed and belongs to its thread; several sources may read
 * from one list at the same time, each with a context of its own. */
typedef struct tsr_source tsr_source;
/* Opens the samples of list entries first .. first + count - 1. The list must outlive the source.
 * Errors: MEMORY. */
tsr_status tsr_source_open(tsr_context *ctx, const tsr_source_list *list, uint64_t first,
                           uint64_t count, tsr_source **source);
/* Reads the next sample; *sample is NULL at the end and on error. What cannot be had is a sample
 * with a status: one picture, or with `rest_lost` all that an archive would still have had (it is
 * cut or damaged there; the samples before were good). Errors: MEMORY, after which nothing more can
 * be read. */
tsr_status tsr_source_next(tsr_source *source, tsr_sample **sample);
/* XXH64 (seed 0) of all bytes that were read so far, in order: at the end of a source of one file,
 * that of the file. */
uint64_t tsr_source_hash(const tsr_source *source);
void tsr_source_close(tsr_source **source);

#endif
