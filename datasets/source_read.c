/* SPDX-License-Identifier: MIT */
/* source_read.c: the samples of a part of a list, one after the other. */
#include "source_parts.h"

#include "../media/picture_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct tsr_source {
    tsr_context *ctx;
    const tsr_source_list *list;
    uint64_t at, end; /* entries to come */
    tsr_hash hash;
    tsr_source_bytes bytes; /* of entry at - 1, while there is a tar or a stream */
    tsr_tar *tar;
    tsr_picture_stream *stream;
    uint64_t number; /* of the picture in its pipe, from 1 */
};

tsr_status tsr_source_open(tsr_context *ctx, const tsr_source_list *list, uint64_t first,
                           uint64_t count, tsr_source **source) {
    *source = tsr_alloc(ctx, 1, sizeof **source, "source");
    if (!*source) return TSR_ERROR_MEMORY;
    (*source)->ctx = ctx;
    (*source)->list = list;
    (*source)->at = first < list->count ? first : list->count;
    (*source)->end = list->count - (*source)->at < count ? list->count : (*source)->at + count;
    (*source)->bytes.fd = -1;
    tsr_hash_start(&(*source)->hash, 0);
    return TSR_OK;
}

static void end_entry(tsr_source *s) {
    tsr_tar_close(&s->tar);
    tsr_picture_stream_close(&s->stream);
    tsr_source_bytes_close(&s->bytes);
}

void tsr_source_close(tsr_source **source) {
    if (!source || !*source) return;
    end_entry(*source);
    free(*source);
    *source = NULL;
}

uint64_t tsr_source_hash(const tsr_source *source) {
    return tsr_hash_finish(&source->hash);
}

static const tsr_list_entry *current(const tsr_source *s) {
    return &s->list->entries[s->at - 1];
}

static const char *shown(const char *path) {
    return strcmp(path, "-") ? path : "standard input";
}

/* A sample of the current entry that has a status; its text is the context's detail. */
static tsr_status bad_sample(tsr_source *s, const char *name, tsr_status status, bool rest_lost,
                             tsr_sample **sample) {
    char detail[sizeof s->ctx->detail];
    snprintf(detail, sizeof detail, "%s", tsr_detail(s->ctx));
    *sample = tsr_sample_new(s->ctx, s->at - 1, current(s)->key, name);
    if (!*sample) return TSR_ERROR_MEMORY;
    (*sample)->rest_lost = rest_lost;
    (void)tsr_fail(s->ctx, status, "%s", detail);
    return tsr_sample_spoil(s->ctx, *sample, status);
}

/* ---- what goes with a sample --------------------------------------------------------------- */

/* The name of the folder that a path ends in: of "a/b/c.png" b; "" where there is none. */
static size_t folder_of(const char *path, const char **name) {
    const char *slash = strrchr(path, '/');
    size_t end = slash ? (size_t)(slash - path) : 0;
    while (end && path[end - 1] == '/')
        --end;
    size_t begin = end;
    while (begin && path[begin - 1] != '/')
        --begin;
    *name = path + begin;
    const size_t n = end - begin;
    return n <= 2 && !memcmp(*name, "..", n) ? 0 : n;
}

typedef struct addition {
    tsr_context *ctx;
    tsr_sample *sample;
} addition;

/* tsr_attribute_fn */
static tsr_status add_attribute(void *user, const tsr_attribute *attribute) {
    addition *a = user;
    return tsr_sample_add(a->ctx, a->sample, attribute);
}

tsr_status tsr_source_list_complete(tsr_context *ctx, const tsr_source_list *list,
                                    tsr_sample *sample) {
    const tsr_list_entry *e = &list->entries[sample->entry];
    const bool video = e->kind == TSR_SOURCE_VIDEO;
    tsr_status status = TSR_OK;
    if (sample->status) return TSR_OK;
    if (list->settings.folder_labels) {
        const bool member = e->kind != TSR_SOURCE_PICTURE && !video;
        tsr_attribute label = {.name = "label", .type = TSR_ATTRIBUTE_TEXT};
        const char *name;
        label.size = folder_of(member ? sample->key : e->path, &name);
        label.bytes = name;
        if (label.size) status = tsr_sample_add(ctx, sample, &label);
    }
    addition a = {ctx, sample};
    if (!status && list->table)
        status = tsr_attribute_table_find(ctx, list->table, video ? e->key : sample->key,
                                          add_attribute, &a);
    return status && status != TSR_ERROR_MEMORY ? tsr_sample_spoil(ctx, sample, status) : status;
}

/* ---- pictures ------------------------------------------------------------------------------ */

/* All bytes of an open file; memory grows with what comes, not with what the file says. */
static tsr_status read_file(tsr_source *s, tsr_sample *sample) {
    struct stat st;
    uint64_t limit = s->ctx->settings.memory_limit;
    if (limit > tsr_source_most_bytes) limit = tsr_source_most_bytes;
    size_t room = 1 << 16, got = 1;
    if (!fstat(s->bytes.fd, &st) && st.st_size > 0 && (uint64_t)st.st_size <= limit)
        room = (size_t)st.st_size + 1;
    for (;;) {
        if (sample->size + 1 >= room || !sample->bytes) {
            if (sample->bytes) room *= 2;
            uint8_t *grown = realloc(sample->bytes, room);
            if (!grown)
                return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes",
                                sample->name, room);
            sample->bytes = grown;
        }
        const tsr_status status = tsr_source_bytes_read(&s->bytes, sample->bytes + sample->size,
                                                        room - sample->size, &got);
        if (status || !got) return status;
        sample->size += got;
        if (sample->size > limit)
            return tsr_fail(s->ctx, TSR_ERROR_TOO_LARGE,
                            "%s: wanted a picture of at most %" PRIu64 " bytes, got more",
                            sample->name, limit);
    }
}

static tsr_status read_picture(tsr_source *s, tsr_sample **sample) {
    const tsr_list_entry *e = current(s);
    *sample = tsr_sample_new(s->ctx, s->at - 1, e->key, shown(e->path));
    if (!*sample) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_source_bytes_open(s->ctx, e->path, &s->hash, &s->bytes);
    if (!status) status = read_file(s, *sample);
    tsr_source_bytes_close(&s->bytes);
    return status ? tsr_sample_spoil(s->ctx, *sample, status) : TSR_OK;
}

/* ---- pipes --------------------------------------------------------------------------------- */

/* The next picture of the pipe that is open. */
static tsr_status read_stream(tsr_source *s, tsr_sample **sample) {
    const tsr_list_entry *e = current(s);
    const uint8_t *bytes;
    size_t size;
    bool more = false;
    const uint64_t number = ++s->number;
    char *name = NULL, *key = NULL;
    tsr_status status = tsr_picture_stream_next(s->stream, &bytes, &size, &more);
    if (status) {
        status = bad_sample(s, shown(e->path), status, true, sample);
    } else if (number == 1 && !more) {
        *sample = tsr_sample_new(s->ctx, s->at - 1, e->key, shown(e->path));
        if (!*sample) status = TSR_ERROR_MEMORY;
    } else if (asprintf(&key, "%s-%06" PRIu64, e->key, number) < 0 ||
               asprintf(&name, "%s: picture %" PRIu64, shown(e->path), number) < 0) {
        status = tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", e->path);
    } else {
        *sample = tsr_sample_new(s->ctx, s->at - 1, key, name);
        if (!*sample) status = TSR_ERROR_MEMORY;
    }
    if (!status && !(*sample)->status) {
        (*sample)->bytes = malloc(size + 1);
        if (!(*sample)->bytes)
            status = tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes",
                              shown(e->path), size);
        else
            memcpy((*sample)->bytes, bytes, (*sample)->size = size);
    }
    free(key);
    free(name);
    if (!more) end_entry(s);
    return status;
}

/* ---- archives and all of it ----------------------------------------------------------------- */

/* The next sample of the archive that is open; none at its end. */
static tsr_status read_tar(tsr_source *s, tsr_sample **sample) {
    const tsr_status status = tsr_tar_next(s->tar, sample);
    if (status || !*sample || (*sample)->rest_lost) end_entry(s);
    return status;
}

/* Begins an archive or a pipe; a sample says why it cannot be begun. */
static tsr_status begin(tsr_source *s, tsr_sample **sample) {
    const tsr_list_entry *e = current(s);
    bool archive = e->kind == TSR_SOURCE_ARCHIVE;
    tsr_status status = tsr_source_bytes_open(s->ctx, e->path, &s->hash, &s->bytes);
    if (!status && !archive) status = tsr_source_bytes_look(&s->bytes, &archive);
    s->number = 0;
    if (!status && archive) status = tsr_tar_open(s->ctx, &s->bytes, s->at - 1, &s->tar);
    if (!status && !archive)
        status = tsr_picture_stream_open(s->ctx, shown(e->path), tsr_source_bytes_read, &s->bytes,
                                         &s->stream);
    if (!status) return TSR_OK;
    status = bad_sample(s, shown(e->path), status, true, sample);
    end_entry(s);
    return status;
}

static tsr_status next(tsr_source *s, tsr_sample **sample) {
    tsr_status status = TSR_OK;
    while (!status && !*sample) {
        if (s->tar)
            status = read_tar(s, sample);
        else if (s->stream)
            status = read_stream(s, sample);
        else if (s->at == s->end)
            break;
        else {
            const tsr_list_entry *e = &s->list->entries[s->at++];
            if (e->left_out) continue;
            if (e->problem) {
                (void)tsr_fail(s->ctx, (tsr_status)e->status, "%s", e->problem);
                status = bad_sample(s, shown(e->path), (tsr_status)e->status, false, sample);
            } else
                status = e->kind == TSR_SOURCE_PICTURE ? read_picture(s, sample) : begin(s, sample);
        }
    }
    return status;
}

tsr_status tsr_source_next(tsr_source *source, tsr_sample **sample) {
    *sample = NULL;
    tsr_status status = next(source, sample);
    if (!status && *sample) status = tsr_source_list_complete(source->ctx, source->list, *sample);
    if (status) tsr_sample_free(sample);
    return status;
}
