/* SPDX-License-Identifier: MIT */
/* data_files.c: see data_files.h. */
#include "data_files.h"
#include "unpack.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STREAM_BUFFER = 1 << 18, MAX_FOLDERS = 64 };

bool tsr_ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

size_t tsr_suffix_length(const char *text, const char *suffixes) {
    const size_t n = strlen(text);
    for (size_t m; *suffixes; suffixes += m + (suffixes[m] != 0)) {
        m = strcspn(suffixes, "|");
        if (n >= m && !memcmp(text + n - m, suffixes, m)) return m;
    }
    return 0;
}

char *tsr_data_beside(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0, n = strlen(name);
    char *text = malloc(folder + n + 1);
    if (!text) return NULL;
    memcpy(text, path, folder);
    memcpy(text + folder, name, n + 1);
    return text;
}

static const tsr_memory_file *find_memory(const tsr_memory_folder *memory, const char *path) {
    for (int i = 0; i < memory->count; ++i)
        if (strcmp(memory->files[i].path, path) == 0) return &memory->files[i];
    return NULL;
}

tsr_status tsr_data_open(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                         tsr_input *in) {
    if (!memory) return tsr_input_open(ctx, path, in);
    const tsr_memory_file *file = find_memory(memory, path);
    *in = file ? tsr_input_memory(file->bytes, file->size) : (tsr_input){.fd = -1};
    return file ? TSR_OK : tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: open: no such file", path);
}

tsr_status tsr_data_load(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                         uint64_t most, uint8_t **bytes, size_t *size) {
    tsr_input in;
    *bytes = NULL;
    *size = 0;
    tsr_status s = tsr_data_open(ctx, memory, path, &in);
    if (s) return s;
    if (in.size > most)
        s = tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %llu bytes, got %llu", path,
                     (unsigned long long)most, (unsigned long long)in.size);
    if (!s && !(*bytes = tsr_alloc(ctx, (size_t)in.size + 1, 1, path))) s = TSR_ERROR_MEMORY;
    if (!s) s = tsr_input_read(ctx, &in, path, 0, *bytes, (size_t)in.size);
    *size = (size_t)in.size;
    tsr_input_close(&in);
    if (!s) return TSR_OK;
    free(*bytes);
    *bytes = NULL;
    return s;
}

bool tsr_data_is_folder(const tsr_memory_folder *memory, const char *path) {
    struct stat st;
    return !memory && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static tsr_status add_path(tsr_context *ctx, tsr_path_list *list, const char *folder,
                           const char *name) {
    const size_t n = strlen(folder), m = strlen(name);
    const bool slash = n && folder[n - 1] != '/';
    tsr_status s =
        tsr_grow(ctx, &list->at, &list->room, list->count + 1, sizeof *list->at, "paths");
    if (s) return s;
    char *path = malloc(n + m + 2);
    if (!path) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a path", folder);
    memcpy(path, folder, n);
    if (slash) path[n] = '/';
    memcpy(path + n + slash, name, m + 1);
    list->at[list->count++] = path;
    return TSR_OK;
}

static tsr_status list_folder(tsr_context *ctx, const char *folder, const char *suffix,
                              bool recursive, int depth, tsr_path_list *list) {
    tsr_path_list inner = {0};
    tsr_status s = TSR_OK;
    DIR *d = opendir(folder);
    if (!d) return tsr_fail_errno(ctx, "%s: open", folder);
    for (struct dirent *e; !s && (errno = 0, e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        s = add_path(ctx, &inner, folder, e->d_name);
        if (s) break;
        struct stat st;
        const char *path = inner.at[inner.count - 1];
        const bool found = lstat(path, &st) == 0;
        const bool is_folder = found && S_ISDIR(st.st_mode);
        const bool link_to_file =
            found && S_ISLNK(st.st_mode) && stat(path, &st) == 0 && S_ISREG(st.st_mode);
        const bool file = found && (S_ISREG(st.st_mode) || link_to_file);
        if (file && tsr_suffix_length(path, suffix)) {
            s = tsr_grow(ctx, &list->at, &list->room, list->count + 1, sizeof *list->at, "paths");
            if (!s) list->at[list->count++] = inner.at[--inner.count];
        } else if (!is_folder || !recursive) {
            free(inner.at[--inner.count]);
        }
    }
    if (!s && errno) s = tsr_fail_errno(ctx, "%s: read", folder);
    closedir(d);
    if (!s && inner.count && depth == MAX_FOLDERS)
        s = tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d folders in each other",
                     folder, MAX_FOLDERS);
    for (size_t i = 0; !s && i < inner.count; ++i)
        s = list_folder(ctx, inner.at[i], suffix, recursive, depth + 1, list);
    tsr_path_list_free(&inner);
    return s;
}

/* '/' before every other byte, so that a folder's files stay together. */
static int compare_paths(const void *a, const void *b) {
    const uint8_t *x = *(const uint8_t *const *)a, *y = *(const uint8_t *const *)b;
    while (*x && *x == *y)
        ++x, ++y;
    const int p = *x == '/' ? 1 : *x ? *x + 1 : 0, q = *y == '/' ? 1 : *y ? *y + 1 : 0;
    return p - q;
}

tsr_status tsr_data_list(tsr_context *ctx, const tsr_memory_folder *memory, const char *folder,
                         const char *suffix, bool recursive, tsr_path_list *list) {
    tsr_status s = TSR_OK;
    const size_t before = list->count;
    if (!memory) {
        s = list_folder(ctx, folder, suffix, recursive, 0, list);
    } else {
        const size_t n = strlen(folder);
        for (int i = 0; !s && i < memory->count; ++i) {
            const char *path = memory->files[i].path;
            if (strncmp(path, folder, n) == 0 && path[n] == '/' &&
                tsr_suffix_length(path, suffix) && (recursive || !strchr(path + n + 1, '/')))
                s = add_path(ctx, list, "", path);
        }
    }
    if (list->count > before)
        qsort(list->at + before, list->count - before, sizeof *list->at, compare_paths);
    return s;
}

void tsr_path_list_free(tsr_path_list *list) {
    for (size_t i = 0; i < list->count; ++i)
        free(list->at[i]);
    free(list->at);
    *list = (tsr_path_list){0};
}

/* ---- streams ------------------------------------------------------------------------------ */

static tsr_status open_stored(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                              tsr_data_stream *s) {
    *s = (tsr_data_stream){.ctx = ctx, .name = strcmp(path, "-") ? path : "stdin", .fd = -1};
    if (memory) {
        const tsr_memory_file *file = find_memory(memory, path);
        if (!file) return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: open: no such file", path);
        s->bytes = file->bytes;
        s->size = file->size;
        s->ended = true;
        return TSR_OK;
    }
    s->buffer = tsr_alloc(ctx, STREAM_BUFFER, 1, path);
    if (!s->buffer) return TSR_ERROR_MEMORY;
    s->bytes = s->buffer;
    const tsr_status status = tsr_in_open(ctx, path, &s->fd);
    return status;
}

/* tsr_packed_fn: bytes of a stream as it is. */
static tsr_status take_stored(void *user, void *to, size_t size, size_t *got) {
    tsr_data_stream *s = user;
    const tsr_status status = tsr_stream_fill(s);
    *got = s->size - s->at < size ? s->size - s->at : size;
    if (status) return status;
    if (*got) memcpy(to, s->bytes + s->at, *got);
    s->at += *got;
    return TSR_OK;
}

/* The stream becomes that of the unpacked bytes, and what it was stands behind it. */
static tsr_status unpack(tsr_data_stream *s) {
    tsr_data_stream *packed = tsr_alloc(s->ctx, 1, sizeof *packed, s->name);
    if (!packed) return TSR_ERROR_MEMORY;
    *packed = *s;
    *s = (tsr_data_stream){.ctx = packed->ctx, .name = packed->name, .fd = -1, .packed = packed};
    s->bytes = s->buffer = tsr_alloc(s->ctx, STREAM_BUFFER, 1, s->name);
    if (!s->buffer) return TSR_ERROR_MEMORY;
    return tsr_unpack_open(s->ctx, s->name, packed->bytes + packed->at, packed->size - packed->at,
                           take_stored, packed, &s->unpack);
}

tsr_status tsr_stream_open(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                           tsr_data_stream *s) {
    tsr_status status = open_stored(ctx, memory, path, s);
    if (!status) status = tsr_stream_fill(s);
    if (!status && tsr_is_packed(s->bytes + s->at, s->size - s->at)) status = unpack(s);
    if (status) tsr_stream_close(s);
    return status;
}

void tsr_stream_close(tsr_data_stream *s) {
    if (!s) return;
    tsr_unpack_close(&s->unpack);
    if (s->packed) tsr_stream_close(s->packed);
    free(s->packed);
    tsr_in_close(s->fd);
    free(s->buffer);
    *s = (tsr_data_stream){.fd = -1};
}

uint64_t tsr_stream_position(const tsr_data_stream *s) {
    return s->passed + s->at;
}

tsr_status tsr_stream_fill(tsr_data_stream *s) {
    if (s->at < s->size || s->ended) return TSR_OK;
    s->passed += s->size;
    s->at = s->size = 0;
    size_t got;
    const tsr_status status =
        s->unpack ? tsr_unpack_read(s->unpack, s->buffer, STREAM_BUFFER, &got)
                  : tsr_in_read(s->ctx, s->name, s->fd, s->buffer, STREAM_BUFFER, &got);
    /* What came before damage is told first: the next call meets the damage again. */
    const bool before = status && s->unpack && got;
    s->size = status && !before ? 0 : got;
    s->ended = s->size == 0;
    return before ? TSR_OK : status;
}

static tsr_status pass(tsr_data_stream *s, uint64_t size, tsr_bytes *to, uint64_t *got) {
    for (*got = 0; *got < size;) {
        tsr_status status = tsr_stream_fill(s);
        if (status) return status;
        const size_t there = s->size - s->at;
        const size_t n = size - *got < there ? (size_t)(size - *got) : there;
        if (!n) break;
        if (to) tsr_bytes_put(to, s->bytes + s->at, n);
        if (to && to->failed)
            return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for %llu bytes", s->name,
                            (unsigned long long)size);
        s->at += n;
        *got += n;
    }
    return TSR_OK;
}

tsr_status tsr_stream_take(tsr_data_stream *s, uint64_t size, tsr_bytes *to, uint64_t *got) {
    return pass(s, size, to, got);
}

tsr_status tsr_stream_skip(tsr_data_stream *s, uint64_t size, uint64_t *got) {
    return pass(s, size, NULL, got);
}

tsr_status tsr_stream_line(tsr_data_stream *s, size_t most, tsr_bytes *to, bool *whole, bool *end) {
    *whole = true;
    *end = true;
    for (;;) {
        tsr_status status = tsr_stream_fill(s);
        if (status) return status;
        const size_t there = s->size - s->at;
        if (!there) return TSR_OK;
        *end = false;
        const uint8_t *from = s->bytes + s->at, *lf = memchr(from, '\n', there);
        const size_t n = lf ? (size_t)(lf - from) : there;
        if (n > most - to->size) *whole = false;
        if (*whole) tsr_bytes_put(to, from, n);
        if (to->failed)
            return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for a line", s->name);
        s->at += n + (lf != NULL);
        if (lf) return TSR_OK;
    }
}
