/* SPDX-License-Identifier: MIT */
/* picture_set.c: see picture_set.h. What counts as a picture, and in which order, is the business
 * of the sources that encoding reads, too. */
#include "picture_set.h"
#include "../datasets/source.h"
#include "../formats/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *tsr_last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static size_t stem_length(const char *name) {
    const char *last = tsr_last_part(name), *dot = strrchr(last, '.');
    return dot && dot != last ? (size_t)(dot - name) : strlen(name);
}

int tsr_stem_order(const char *a, const char *b) {
    const size_t n = stem_length(a), m = stem_length(b);
    const int order = memcmp(a, b, n < m ? n : m);
    return order ? order : n < m ? -1 : n > m;
}

static tsr_set_picture *add(tsr_picture_set *set, const char *name) {
    if (set->count == set->room) {
        const uint64_t room = set->room ? 2 * set->room : 64;
        tsr_set_picture *more = realloc(set->pictures, room * sizeof *more);
        if (!more) return NULL;
        set->pictures = more;
        set->room = room;
    }
    tsr_set_picture *p = &set->pictures[set->count];
    *p = (tsr_set_picture){.name = strdup(name)};
    if (!p->name) return NULL;
    set->count++;
    return p;
}

/* All samples of entry `index`, an archive or a pipe, into the spool. */
static tsr_status add_archive(tsr_picture_set *set, const tsr_source_list *list, uint64_t index) {
    tsr_source *source = NULL;
    tsr_status status = tsr_source_open(set->ctx, list, index, 1, &source);
    for (bool more = true; !status && more;) {
        tsr_sample *s = NULL;
        status = tsr_source_next(source, &s);
        more = !status && s;
        if (!more) break;
        tsr_set_picture *p = add(set, *s->key ? s->key : s->name);
        if (!p) {
            status = tsr_fail(set->ctx, TSR_ERROR_MEMORY, "list of pictures");
        } else if (s->status) {
            p->status = s->status;
            p->detail = strdup(s->detail);
        } else {
            p->offset = set->spool.size;
            p->size = s->size;
            status = tsr_spool_put(&set->spool, s->bytes, s->size);
        }
        tsr_sample_free(&s);
    }
    tsr_source_close(&source);
    return status;
}

static tsr_status add_entry(tsr_picture_set *set, const tsr_source_list *list, uint64_t index) {
    const tsr_source_entry e = tsr_source_list_entry(list, index);
    if (e.kind != TSR_SOURCE_PICTURE) return add_archive(set, list, index);
    tsr_set_picture *p = add(set, e.key && *e.key ? e.key : e.path);
    if (p && e.problem) {
        p->status = e.problem;
        p->detail = strdup(e.detail);
    } else if (p) {
        p->path = strdup(e.path);
    }
    return p && (p->path || p->detail) ? TSR_OK
                                       : tsr_fail(set->ctx, TSR_ERROR_MEMORY, "list of pictures");
}

/* qsort has no argument for the names: they are sorted with their indexes. */
typedef struct named {
    const char *name;
    uint64_t index;
} named;

static int by_stem(const void *a, const void *b) {
    return tsr_stem_order(((const named *)a)->name, ((const named *)b)->name);
}

static uint64_t *sorted(const tsr_picture_set *set, bool last) {
    named *list = tsr_alloc(set->ctx, set->count, sizeof *list, "list of pictures");
    uint64_t *indexes = tsr_alloc(set->ctx, set->count, sizeof *indexes, "list of pictures");
    if (list && indexes) {
        for (uint64_t i = 0; i < set->count; ++i) {
            const char *name = set->pictures[i].name;
            list[i] = (named){last ? tsr_last_part(name) : name, i};
        }
        qsort(list, set->count, sizeof *list, by_stem);
        for (uint64_t i = 0; i < set->count; ++i)
            indexes[i] = list[i].index;
    } else {
        free(indexes);
        indexes = NULL;
    }
    free(list);
    return indexes;
}

static tsr_status sort_names(tsr_picture_set *set, const char *path) {
    if (!(set->by_stem = sorted(set, false)) || !(set->by_last = sorted(set, true)))
        return TSR_ERROR_MEMORY;
    for (uint64_t i = 1; i < set->count; ++i) {
        const char *name = set->pictures[set->by_stem[i]].name;
        if (tsr_stem_order(set->pictures[set->by_stem[i - 1]].name, name)) continue;
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted one picture called '%.*s', got two suffixes", path,
                        (int)stem_length(name), name);
    }
    return TSR_OK;
}

tsr_status tsr_picture_set_open(tsr_context *ctx, const char *path, tsr_picture_set *set) {
    *set = (tsr_picture_set){.ctx = ctx, .spool = {.ctx = ctx}};
    struct stat st;
    const bool pipe = !strcmp(path, "-");
    if (!pipe && stat(path, &st)) return tsr_fail_errno(ctx, "%s", path);
    const bool folder = !pipe && S_ISDIR(st.st_mode);
    const tsr_source_settings settings = {.key = folder ? TSR_KEY_AUTO : TSR_KEY_NAME};
    tsr_source_list *list = NULL;
    tsr_status status = tsr_source_list_open(ctx, &path, 1, &settings, &list);
    if (status == TSR_ERROR_ARGUMENT && folder)
        status = tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted pictures, got none", path);
    const uint64_t entries = status ? 0 : tsr_source_list_count(list);
    const tsr_source_entry only =
        entries == 1 ? tsr_source_list_entry(list, 0) : (tsr_source_entry){0};
    if (only.problem && folder && !strcmp(only.path, path)) /* the folder itself is the problem */
        status = tsr_fail(ctx, only.problem == TSR_ERROR_IO ? TSR_ERROR_IO : TSR_ERROR_NOT_FOUND,
                          "%s: wanted pictures, got none", path);
    for (uint64_t i = 0; i < entries && !status; ++i)
        status = add_entry(set, list, i);
    set->single =
        !folder && entries == 1 && tsr_source_list_entry(list, 0).kind == TSR_SOURCE_PICTURE;
    tsr_source_list_close(&list);
    if (!status && !set->count)
        status = tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted pictures, got none", path);
    if (!status) status = sort_names(set, path);
    if (status) tsr_picture_set_close(set);
    return status;
}

void tsr_picture_set_close(tsr_picture_set *set) {
    for (uint64_t i = 0; i < set->count; ++i) {
        free(set->pictures[i].name);
        free(set->pictures[i].path);
        free(set->pictures[i].detail);
    }
    free(set->pictures);
    free(set->by_stem);
    free(set->by_last);
    tsr_spool_clear(&set->spool);
    *set = (tsr_picture_set){0};
}

/* First place in `order` whose name is not before `name`. */
static uint64_t lower_bound(const tsr_picture_set *set, const uint64_t *order, bool last,
                            const char *name) {
    uint64_t low = 0, high = set->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const char *there = set->pictures[order[middle]].name;
        if (tsr_stem_order(last ? tsr_last_part(there) : there, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t tsr_picture_set_find(const tsr_picture_set *set, const char *name) {
    uint64_t at = lower_bound(set, set->by_stem, false, name);
    if (at < set->count && !tsr_stem_order(set->pictures[set->by_stem[at]].name, name))
        return (int64_t)set->by_stem[at];
    const char *last = tsr_last_part(name);
    at = lower_bound(set, set->by_last, true, last);
    if (at == set->count ||
        tsr_stem_order(tsr_last_part(set->pictures[set->by_last[at]].name), last))
        return -1;
    const bool only = at + 1 == set->count ||
                      tsr_stem_order(tsr_last_part(set->pictures[set->by_last[at + 1]].name), last);
    /* Two paths that both have folders are two pictures. */
    const char *there = set->pictures[set->by_last[at]].name;
    const bool one_is_bare = last == name || tsr_last_part(there) == there;
    return only && one_is_bare ? (int64_t)set->by_last[at] : -1;
}

tsr_status tsr_picture_set_read(tsr_context *ctx, const tsr_picture_set *set, uint64_t index,
                                const tsr_image_settings *settings, tsr_image *image) {
    const tsr_set_picture *p = &set->pictures[index];
    if (p->status) return tsr_fail(ctx, p->status, "%s", p->detail);
    if (p->path) return tsr_image_read(ctx, p->path, settings, image);
    uint8_t *bytes = tsr_alloc_raw(ctx, p->size, 1, p->name);
    if (!bytes) return TSR_ERROR_MEMORY;
    tsr_spool spool = set->spool; /* a copy with the caller's context: reading changes nothing */
    spool.ctx = ctx;
    tsr_status status = tsr_spool_read(&spool, p->offset, bytes, p->size);
    if (!status) status = tsr_image_decode(ctx, p->name, bytes, p->size, settings, image);
    free(bytes);
    return status;
}

uint64_t tsr_picture_set_bytes(const tsr_picture_set *set, uint64_t index) {
    const tsr_set_picture *p = &set->pictures[index];
    struct stat st;
    if (!p->path) return p->size;
    return stat(p->path, &st) || !S_ISREG(st.st_mode) ? 0 : (uint64_t)st.st_size;
}
