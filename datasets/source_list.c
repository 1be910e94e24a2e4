/* SPDX-License-Identifier: MIT */
/* source_list.c: what there is to read, in order. */
#include "source_parts.h"

#include <tessera/media.h>

#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 1 << 16, MOST_LINE = 1 << 16 };

/* A file with a suffix of its own is asked what it is; one that cannot be opened says so when it is
 * read. */
static tsr_source_kind kind_of_file(tsr_source_list *list, const char *path) {
    const tsr_name_kind kind = tsr_file_kind(path);
    if (kind != TSR_NAME_OTHER)
        return kind == TSR_NAME_ARCHIVE ? TSR_SOURCE_ARCHIVE : TSR_SOURCE_PICTURE;
    if (list->videos && tsr_video_is(path)) return TSR_SOURCE_VIDEO;
    tsr_hash unused;
    tsr_hash_start(&unused, 0);
    tsr_source_bytes bytes;
    bool archive = false;
    if (!tsr_source_bytes_open(list->ctx, path, &unused, &bytes))
        (void)tsr_source_bytes_look(&bytes, &archive);
    tsr_source_bytes_close(&bytes);
    return archive ? TSR_SOURCE_ARCHIVE : TSR_SOURCE_PICTURE;
}

/* How messages call the list that inputs were read from. */
static const char *list_name(const tsr_source_list *list) {
    const char *path = list->settings.files_from;
    return strcmp(path, "-") ? path : "standard input";
}

/* An input that was named, on a line of a list (from 1) or by the caller (0). */
static tsr_status add_input(tsr_source_list *list, const char *path, uint64_t line) {
    struct stat st;
    const bool video = list->videos == TSR_SOURCE_ALL;
    if (!strcmp(path, "-")) {
        if (!line)
            return tsr_list_add(list, path, NULL, 0, video ? TSR_SOURCE_VIDEO : TSR_SOURCE_STREAM);
        const tsr_status bad = tsr_fail(
            list->ctx, TSR_ERROR_ARGUMENT,
            "%s:%llu: wanted a file or folder, got '-' (stdin is named on the command line)",
            list_name(list), (unsigned long long)line);
        return tsr_list_add_bad(list, path, line, bad);
    }
    if (stat(path, &st)) {
        if (!line)
            return tsr_list_add(list, path, NULL, 0, video ? TSR_SOURCE_VIDEO : TSR_SOURCE_PICTURE);
        const tsr_status bad = tsr_fail_errno(list->ctx, "%s:%llu: %s", list_name(list),
                                              (unsigned long long)line, path);
        return tsr_list_add_bad(list, path, line, bad);
    }
    if (video) return tsr_list_add(list, path, NULL, line, TSR_SOURCE_VIDEO);
    if (S_ISDIR(st.st_mode)) return tsr_list_add_folder(list, path, line);
    return tsr_list_add(list, path, NULL, line,
                        S_ISREG(st.st_mode) ? kind_of_file(list, path) : TSR_SOURCE_STREAM);
}

/* Lines of a list that is read piece by piece. */
typedef struct lines {
    tsr_source_list *list;
    char *line;
    size_t size, room;
    uint64_t number;
} lines;

static tsr_status end_line(lines *l) {
    l->number++;
    if (!l->size) return TSR_OK;
    l->line[l->size] = 0;
    l->size = 0;
    return add_input(l->list, l->line, l->number);
}

static tsr_status take(lines *l, const char *bytes, size_t size, char end) {
    for (size_t i = 0; i < size; ++i) {
        tsr_status status = TSR_OK;
        if (bytes[i] == end)
            status = end_line(l);
        else if (!bytes[i])
            status = tsr_fail(l->list->ctx, TSR_ERROR_FORMAT,
                              "%s:%llu: wanted one path a line, got a zero byte (paths that end "
                              "with one are another form of list)",
                              list_name(l->list), (unsigned long long)l->number + 1);
        else if (l->size == MOST_LINE)
            status = tsr_fail(l->list->ctx, TSR_ERROR_FORMAT,
                              "%s:%llu: wanted a path of at most %d bytes, got more",
                              list_name(l->list), (unsigned long long)l->number + 1, MOST_LINE);
        else
            status = tsr_grow(l->list->ctx, &l->line, &l->room, l->size + 2, 1, "list");
        if (status) return status;
        if (bytes[i] != end) l->line[l->size++] = bytes[i];
    }
    return TSR_OK;
}

static tsr_status add_listed(tsr_source_list *list) {
    const tsr_source_settings *s = &list->settings;
    tsr_hash unused;
    tsr_hash_start(&unused, 0);
    tsr_source_bytes bytes;
    lines l = {.list = list};
    char *piece = tsr_alloc(list->ctx, PIECE_BYTES, 1, "list");
    if (!piece) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_source_bytes_open(list->ctx, s->files_from, &unused, &bytes);
    for (size_t got = 1; !status && got;) {
        status = tsr_source_bytes_read(&bytes, piece, PIECE_BYTES, &got);
        if (!status) status = take(&l, piece, got, s->files_from_zero ? '\0' : '\n');
    }
    if (!status && l.size) status = end_line(&l);
    tsr_source_bytes_close(&bytes);
    free(l.line);
    free(piece);
    return status;
}

static tsr_status check_settings(tsr_context *ctx, const char *const *inputs, int count,
                                 const tsr_source_settings *s) {
    if (s->key < TSR_KEY_NAME || s->key > TSR_KEY_AUTO)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "key: wanted 0..%d, got %d", TSR_KEY_AUTO,
                        (int)s->key);
    int pipes = s->files_from && !strcmp(s->files_from, "-");
    if (count < 0 || (count && !inputs))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted %d of them, got NULL", count);
    for (int i = 0; i < count; ++i) {
        if (!inputs[i]) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: %d is NULL", i);
        if (!strcmp(inputs[i], "-") && pipes++)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "-: wanted once among the inputs, got twice");
    }
    return TSR_OK;
}

static tsr_status fill(tsr_source_list *list, const char *const *inputs, int count) {
    tsr_status status = TSR_OK;
    if (list->settings.attributes)
        status = tsr_attribute_table_open(list->ctx, list->settings.attributes, &list->table);
    for (int i = 0; i < count && !status; ++i)
        status = add_input(list, inputs[i], 0);
    if (!status && list->settings.files_from) status = add_listed(list);
    if (status) return status;
    if (!list->count)
        return tsr_fail(list->ctx, TSR_ERROR_ARGUMENT,
                        "inputs: wanted at least one picture, got none");
    return tsr_list_check_keys(list);
}

tsr_status tsr_source_list_open(tsr_context *ctx, const char *const *inputs, int count,
                                const tsr_source_settings *settings, tsr_source_list **list) {
    return tsr_source_list_open_videos(ctx, inputs, count, settings, TSR_SOURCE_NO_VIDEOS, list);
}

tsr_status tsr_source_list_open_videos(tsr_context *ctx, const char *const *inputs, int count,
                                       const tsr_source_settings *settings,
                                       tsr_source_videos videos, tsr_source_list **list) {
    const tsr_source_settings s = settings ? *settings : (tsr_source_settings){0};
    *list = NULL;
    tsr_status status = check_settings(ctx, inputs, count, &s);
    if (status) return status;
    tsr_source_list *l = tsr_alloc(ctx, 1, sizeof *l, "inputs");
    if (!l) return TSR_ERROR_MEMORY;
    l->ctx = ctx;
    l->settings = s;
    l->videos = videos;
    status = fill(l, inputs, count);
    free(l->scratch);
    l->scratch = NULL;
    l->ctx = NULL;
    l->settings.files_from = l->settings.files_from ? tsr_list_text(l, s.files_from) : NULL;
    l->settings.attributes = NULL;
    if (!status && s.files_from && !l->settings.files_from) status = TSR_ERROR_MEMORY;
    *list = l;
    if (status) tsr_source_list_close(list);
    return status;
}

void tsr_source_list_close(tsr_source_list **list) {
    if (!list || !*list) return;
    tsr_attribute_table_close(&(*list)->table);
    tsr_list_texts_free(*list);
    free((*list)->entries);
    free((*list)->scratch);
    free(*list);
    *list = NULL;
}

uint64_t tsr_source_list_count(const tsr_source_list *list) {
    return list->count;
}

tsr_source_entry tsr_source_list_entry(const tsr_source_list *list, uint64_t index) {
    const tsr_list_entry *e = &list->entries[index];
    return (tsr_source_entry){.path = e->path,
                              .key = e->key,
                              .kind = (tsr_source_kind)e->kind,
                              .problem = (tsr_status)e->status,
                              .detail = e->problem ? e->problem : ""};
}

void tsr_source_list_leave_out(tsr_source_list *list, uint64_t index) {
    list->entries[index].left_out = true;
}

tsr_source_list_info tsr_source_list_properties(const tsr_source_list *list) {
    tsr_source_list_info info = {
        .changed_keys = list->changed, .equal_keys = list->equal, .counted = true};
    for (size_t i = 0; i < list->count && info.counted; ++i)
        info.counted = list->entries[i].kind == TSR_SOURCE_PICTURE;
    return info;
}

void tsr_source_list_unused_keys(tsr_context *ctx, const tsr_source_list *list,
                                 tsr_unused_keys *unused) {
    enum { SAID = sizeof unused->first / sizeof *unused->first };
    char *keys[SAID], text[SAID * (sizeof *unused->first + 4) + 1] = "";
    *unused = (tsr_unused_keys){.known = list->table != NULL};
    if (!list->table) return;
    unused->count = tsr_attribute_table_unused(list->table, keys, SAID);
    for (int i = 0, at = 0; i < SAID; free(keys[i++])) {
        char *key = unused->first[i];
        tsr_token_key_clean(keys[i] ? keys[i] : "", key, sizeof *unused->first);
        if (keys[i])
            at += snprintf(text + at, sizeof text - (size_t)at, "%s'%s'", i ? ", " : "", key);
    }
    if (unused->count)
        tsr_log(ctx, TSR_LOG_WARNING, "%s: no picture has %llu of its keys: %s%s",
                tsr_attribute_table_name(list->table), (unsigned long long)unused->count, text,
                unused->count > SAID ? ", ..." : "");
}

bool tsr_source_list_pass_over(const tsr_source_list *list, uint64_t first, uint64_t count) {
    bool known = true;
    for (uint64_t i = first; list->table && i < first + count; ++i) {
        const tsr_list_entry *e = &list->entries[i];
        known &= e->kind == TSR_SOURCE_PICTURE;
        if (e->kind == TSR_SOURCE_PICTURE && e->key) tsr_attribute_table_use(list->table, e->key);
    }
    return known;
}
