/* SPDX-License-Identifier: MIT */
/* data_folder.c: see data_folder.h. */
#include "data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 16, FLUSHED_FROM = 1 << 16 };

tsr_status tsr_data_folder_check(tsr_context *ctx, const char *path) {
    return strcmp(path, "-") ? tsr_out_folder_check(ctx, path, TSR_DATASET_CARD) : TSR_OK;
}

tsr_status tsr_data_folder_open(tsr_context *ctx, const char *path, tsr_data_folder *folder) {
    *folder = (tsr_data_folder){.ctx = ctx};
    return strcmp(path, "-") ? tsr_out_folder_open(ctx, path, TSR_DATASET_CARD, folder) : TSR_OK;
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
