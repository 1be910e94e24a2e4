/* SPDX-License-Identifier: MIT */
/* data_folder.c: see data_folder.h. */
#include "data_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 16, FLUSHED_FROM = 1 << 16 };

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Is there nothing in the folder, or a data set of ours? */
static bool may_be_replaced(const char *path) {
    char card[4200];
    struct stat st;
    snprintf(card, sizeof card, "%s/" TSR_DATASET_CARD, path);
    if (strlen(path) < 4096 && stat(card, &st) == 0 && S_ISREG(st.st_mode)) return true;
    DIR *d = opendir(path);
    bool empty = d != NULL;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (d) closedir(d);
    return empty;
}

tsr_status tsr_data_folder_check(tsr_context *ctx, const char *path) {
    struct stat st;
    if (!strcmp(path, "-")) return TSR_OK;
    if (!*path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted the name of a folder, got \"\"");
    if (lstat(path, &st) != 0) return TSR_OK;
    if (ctx && ctx->settings.keep_existing)
        return tsr_fail(ctx, TSR_ERROR_EXISTS, "%s: wanted a new name, got that of a %s", path,
                        S_ISDIR(st.st_mode) ? "folder" : "file");
    if (!S_ISDIR(st.st_mode))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted the name of a folder, got that of a file", path);
    if (may_be_replaced(path)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "%s: wanted a new folder, an empty one, or one with a " TSR_DATASET_CARD
                    " to replace, got a folder with other files",
                    path);
}

/* ".NAME.tmp-XXXXXXXXXXXX" in the folder of `path`. */
static char *hidden_name(const char *path, const char *what, unsigned attempt) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t z = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 44;
    z = (z + attempt) * 0x9E3779B97F4A7C15u;
    char *text = NULL;
    if (asprintf(&text, "%.*s.%.200s.%s-%012llx", (int)(name - path), path, name, what,
                 (unsigned long long)((z ^ z >> 29) & 0xFFFFFFFFFFFFu)) < 0)
        return NULL;
    return text;
}

tsr_status tsr_data_folder_open(tsr_context *ctx, const char *path, tsr_data_folder *folder) {
    *folder = (tsr_data_folder){.ctx = ctx};
    tsr_status s = tsr_data_folder_check(ctx, path);
    if (s || !strcmp(path, "-")) return s;
    folder->keep = ctx && ctx->settings.keep_existing;
    folder->path = strdup(path);
    for (char *end = folder->path ? folder->path + strlen(path) : NULL;
         end && end > folder->path + 1 && end[-1] == '/';)
        *--end = 0;
    if (!folder->path) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    for (unsigned attempt = 0; !folder->temporary && attempt < 100; ++attempt) {
        char *name = hidden_name(folder->path, "tmp", attempt);
        if (!name) s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a name", path);
        if (s) break;
        if (mkdir(name, 0777) == 0) {
            folder->temporary = name;
            return TSR_OK;
        }
        if (errno != EEXIST) s = tsr_fail_errno(ctx, "%s: create in its folder", path);
        free(name);
        if (s) break;
    }
    if (!s) s = tsr_fail(ctx, TSR_ERROR_IO, "%s: no free temporary name in its folder", path);
    tsr_data_folder_abandon(folder);
    return s;
}

tsr_status tsr_data_folder_commit(tsr_data_folder *f) {
    if (!f->temporary) return TSR_OK;
    struct stat st;
    char *old = NULL;
    const bool exists = lstat(f->path, &st) == 0;
    if (exists && f->keep)
        return tsr_fail(f->ctx, TSR_ERROR_EXISTS, "%s: it appeared while its data were written",
                        f->path);
    if (exists) {
        tsr_status s = tsr_data_folder_check(f->ctx, f->path);
        if (s) return s;
        if (!(old = hidden_name(f->path, "old", 0)))
            return tsr_fail(f->ctx, TSR_ERROR_MEMORY, "%s: no memory for a name", f->path);
    }
    tsr_status s = TSR_OK;
    if (old && rename(f->path, old) != 0) {
        s = tsr_fail_errno(f->ctx, "%s: replace", f->path);
        free(old);
        old = NULL;
    }
    if (!s && rename(f->temporary, f->path) != 0) {
        s = tsr_fail_errno(f->ctx, "%s: rename", f->path);
        if (old) (void)rename(old, f->path);
    } else if (!s) {
        free(f->temporary);
        f->temporary = NULL;
        if (old) remove_tree(old);
    }
    free(old);
    return s;
}

void tsr_data_folder_abandon(tsr_data_folder *f) {
    if (f->temporary) remove_tree(f->temporary);
    free(f->temporary);
    free(f->path);
    f->temporary = f->path = NULL;
}

/* ---- files ---------------------------------------------------------------------------------- */

static tsr_status make_folders(tsr_data_file *file, size_t base) {
    for (char *slash = strchr(file->path + base, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        const bool made = mkdir(file->path, 0777) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made) return tsr_fail_errno(file->ctx, "%s: create its folder", file->name);
    }
    return TSR_OK;
}

tsr_status tsr_data_file_open(tsr_data_folder *folder, const char *prefix, const char *name,
                              tsr_data_file *file) {
    *file = (tsr_data_file){.ctx = folder->ctx, .fd = -1};
    file->buffer = malloc(BUFFER);
    const char *place = folder->path ? folder->path : "stdout";
    bool good = file->buffer != NULL;
    if (good && folder->temporary)
        good = asprintf(&file->path, "%s/%s%s", folder->temporary, prefix, name) >= 0;
    if (good) good = asprintf(&file->name, "%s/%s%s", place, prefix, name) >= 0;
    if (!good) {
        tsr_data_file_abandon(file);
        return tsr_fail(folder->ctx, TSR_ERROR_MEMORY, "%s: no memory for %s", place, name);
    }
    if (!folder->temporary) {
        file->fd = STDOUT_FILENO;
        return TSR_OK;
    }
    tsr_status s = make_folders(file, strlen(folder->temporary) + 1);
    if (!s) file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (!s && file->fd < 0 && errno == EEXIST)
        s = tsr_fail(folder->ctx, TSR_ERROR_EXISTS,
                     "%s: wanted a name of its own, got that of another item", file->name);
    else if (!s && file->fd < 0)
        s = tsr_fail_errno(folder->ctx, "%s: create", file->name);
    if (s) tsr_data_file_abandon(file);
    return s;
}

tsr_status tsr_data_file_over(tsr_context *ctx, int fd, const char *name, tsr_data_file *file) {
    *file = (tsr_data_file){.ctx = ctx, .fd = fd, .name = strdup(name), .buffer = malloc(BUFFER)};
    if (file->name && file->buffer) return TSR_OK;
    tsr_data_file_abandon(file);
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its buffer", name);
}

static tsr_status flush(tsr_data_file *file) {
    tsr_out out = {.fd = file->fd, .path = file->name, .written = file->written - file->used};
    tsr_status s = tsr_out_write(file->ctx, &out, file->buffer, file->used);
    file->used = 0;
    return s;
}

tsr_status tsr_data_file_put(tsr_data_file *file, const void *bytes, size_t size) {
    tsr_status s = TSR_OK;
    const uint8_t *from = bytes;
    while (!s && size) {
        const size_t room = BUFFER - file->used, n = size < room ? size : room;
        memcpy(file->buffer + file->used, from, n);
        file->used += n;
        file->written += n;
        from += n;
        size -= n;
        if (file->used == BUFFER) s = flush(file);
    }
    return s;
}

tsr_status tsr_data_file_patch(tsr_data_file *file, uint64_t at, const void *bytes, size_t size) {
    tsr_status s = flush(file);
    if (!s && pwrite(file->fd, bytes, size, (off_t)at) != (ssize_t)size)
        s = tsr_fail_errno(file->ctx, "%s: write", file->name);
    return s;
}

tsr_status tsr_data_file_get(tsr_data_file *file, uint64_t at, void *bytes, size_t size) {
    tsr_status s = file->used ? flush(file) : TSR_OK;
    if (s) return s;
    const tsr_input in = {.fd = file->fd, .size = file->written};
    return tsr_input_read(file->ctx, &in, file->name, at, bytes, size);
}

tsr_status tsr_data_file_close(tsr_data_file *file) {
    tsr_status s = flush(file);
    if (!s && file->path && file->written > FLUSHED_FROM && fsync(file->fd) != 0)
        s = tsr_fail_errno(file->ctx, "%s: flush", file->name);
    if (!s && file->path && close(file->fd) != 0)
        s = tsr_fail_errno(file->ctx, "%s: close", file->name);
    if (file->path) file->fd = -1;
    tsr_data_file_abandon(file);
    return s;
}

void tsr_data_file_abandon(tsr_data_file *file) {
    if (file->fd > STDOUT_FILENO && file->path) close(file->fd);
    free(file->buffer);
    free(file->name);
    free(file->path);
    *file = (tsr_data_file){.fd = -1};
}

void tsr_data_file_remove(tsr_data_file *file) {
    if (file->path) (void)unlink(file->path);
    tsr_data_file_abandon(file);
}
