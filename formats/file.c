/* SPDX-License-Identifier: MIT */
/* file.c: whole files in, complete files out. See file.h for the promises. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Smaller files are read: as fast, and what happens to the file afterwards does not matter. */
#define MAP_FROM ((size_t)1 << 20)

static int open_retrying(const char *path, int flags, mode_t mode) {
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static bool wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

bool tsr_in_is_stream(const char *path) {
    struct stat st;
    return !strcmp(path, "-") ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

tsr_status tsr_in_open(tsr_context *ctx, const char *path, int *fd) {
    struct stat st;
    *fd = strcmp(path, "-") ? open_retrying(path, O_RDONLY, 0) : STDIN_FILENO;
    if (*fd < 0) return tsr_fail_errno(ctx, "%s: open", path);
    if (*fd == STDIN_FILENO || fstat(*fd, &st) || !S_ISDIR(st.st_mode)) return TSR_OK;
    close(*fd);
    *fd = -1;
    return tsr_fail(ctx, TSR_ERROR_IO, "%s: wanted a file, got a directory", path);
}

tsr_status tsr_in_read(tsr_context *ctx, const char *path, int fd, void *bytes, size_t size,
                       size_t *got) {
    for (;;) {
        const ssize_t n = read(fd, bytes, size < (1u << 30) ? size : 1u << 30);
        *got = n > 0 ? (size_t)n : 0;
        if (n >= 0) return TSR_OK;
        if (errno == EAGAIN && wait_for(fd, POLLIN)) continue;
        if (errno != EINTR) return tsr_fail_errno(ctx, "%s: read", path);
    }
}

void tsr_in_close(int fd) {
    if (fd > STDIN_FILENO) close(fd);
}

/* Reads to the end into growing memory; `expect` bytes are likely. */
static tsr_status read_all(tsr_context *ctx, const char *path, int fd, size_t expect,
                           tsr_map *map) {
    uint64_t limit = ctx ? ctx->settings.memory_limit : SIZE_MAX / 2;
    if (limit > SIZE_MAX / 2) limit = SIZE_MAX / 2;
    size_t capacity = expect + 1 > 65536 ? expect + 1 : 65536, size = 0;
    uint8_t *bytes = malloc(capacity);
    if (!bytes)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", path, capacity);
    for (;;) {
        if (size == capacity) {
            if (size > limit) {
                free(bytes);
                return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                                "%s: wanted at most %llu bytes (the memory limit), got more", path,
                                (unsigned long long)limit);
            }
            capacity *= 2;
            if (capacity > limit + 1) capacity = limit + 1;
            uint8_t *more = realloc(bytes, capacity);
            if (!more) {
                free(bytes);
                return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", path,
                                capacity);
            }
            bytes = more;
        }
        size_t got;
        tsr_status status = tsr_in_read(ctx, path, fd, bytes + size, capacity - size, &got);
        if (status) {
            free(bytes);
            return status;
        }
        if (got == 0) break;
        size += got;
    }
    uint8_t *fitted = realloc(bytes, size ? size : 1);
    *map = (tsr_map){.bytes = fitted ? fitted : bytes, .size = size};
    return TSR_OK;
}

tsr_status tsr_map_open(tsr_context *ctx, const char *path, tsr_map *map) {
    *map = (tsr_map){0};
    if (strcmp(path, "-") == 0) return read_all(ctx, "standard input", STDIN_FILENO, 0, map);
    int fd = open_retrying(path, O_RDONLY, 0);
    if (fd < 0) return tsr_fail_errno(ctx, "%s: open", path);
    tsr_status status = TSR_OK;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        status = tsr_fail_errno(ctx, "%s: stat", path);
    } else if (S_ISDIR(st.st_mode)) {
        status = tsr_fail(ctx, TSR_ERROR_IO, "%s: wanted a file, got a directory", path);
    } else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < MAP_FROM) {
        status = read_all(ctx, path, fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, map);
    } else if ((uint64_t)st.st_size > SIZE_MAX / 2) {
        status = tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: %llu bytes do not fit the address space",
                          path, (unsigned long long)st.st_size);
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = tsr_fail_errno(ctx, "%s: mmap", path);
        else
            *map = (tsr_map){.bytes = p, .size = (size_t)st.st_size, .mapped = true};
    }
    close(fd);
    return status;
}

void tsr_map_close(tsr_map *map) {
    if (!map) return;
    if (map->mapped)
        munmap((void *)map->bytes, map->size);
    else
        free((void *)map->bytes);
    *map = (tsr_map){0};
}

void tsr_map_release(const void *bytes, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)bytes;
    const uintptr_t from = (at + page - 1) / page * page, to = (at + size) / page * page;
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

tsr_status tsr_input_open(tsr_context *ctx, const char *path, tsr_input *in) {
    *in = (tsr_input){.fd = -1};
    struct stat st;
    int fd = strcmp(path, "-") == 0 ? -1 : open_retrying(path, O_RDONLY, 0);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size >= MAP_FROM) {
        in->fd = fd;
        in->size = (uint64_t)st.st_size;
        return TSR_OK;
    }
    if (fd >= 0) close(fd);
    tsr_status status = tsr_map_open(ctx, path, &in->map);
    in->size = in->map.size;
    return status;
}

tsr_input tsr_input_memory(const void *bytes, size_t size) {
    return (tsr_input){
        .map = {.bytes = bytes, .size = size}, .fd = -1, .size = size, .borrowed = true};
}

void tsr_input_close(tsr_input *in) {
    if (!in) return;
    if (in->fd > 0) close(in->fd);
    if (!in->borrowed) tsr_map_close(&in->map);
    *in = (tsr_input){.fd = -1};
}

tsr_status tsr_input_read(tsr_context *ctx, const tsr_input *in, const char *name, uint64_t offset,
                          void *to, size_t size) {
    size_t done = 0;
    if (offset > in->size || in->size - offset < size)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted %zu bytes at %llu, got a file of %llu", name, size,
                        (unsigned long long)offset, (unsigned long long)in->size);
    if (in->map.bytes) {
        if (size) memcpy(to, in->map.bytes + offset, size);
        return TSR_OK;
    }
    while (done < size) {
        const size_t piece = size - done < (1u << 30) ? size - done : 1u << 30;
        const ssize_t got = pread(in->fd, (uint8_t *)to + done, piece, (off_t)(offset + done));
        if (got == 0)
            return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                            "%s: wanted %llu bytes as when it was opened, got %llu: it became "
                            "shorter while it was read",
                            name, (unsigned long long)in->size,
                            (unsigned long long)(offset + done));
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return tsr_fail_errno(ctx, "%s: read", name);
    }
    return TSR_OK;
}

/* A name for the temporary file in the folder of `path`: ".NAME.tmp-XXXXXXXXXXXX". Hidden, so that
 * a pattern such as *.png never meets a half picture. The caller frees it. */
static char *temporary_name(const char *path, unsigned attempt) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int folder = (int)(name - path);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t z = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 44;
    z = (z + attempt) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 29)) & 0xFFFFFFFFFFFFu;
    char *text = NULL;
    /* 200: file names may have 255 bytes in all. */
    if (asprintf(&text, "%.*s.%.200s.tmp-%012llx", folder, path, name, (unsigned long long)z) < 0)
        return NULL;
    return text;
}

int tsr_temporary_open(const char *path, int flags, unsigned mode, char **name) {
    *name = NULL;
    for (unsigned attempt = 0; attempt < 100; ++attempt) {
        *name = temporary_name(path, attempt);
        if (!*name) {
            errno = ENOMEM;
            return -1;
        }
        /* open, not mkstemp: the kernel then applies the umask to the permissions. */
        const int fd = open_retrying(*name, flags | O_CREAT | O_EXCL, (mode_t)mode);
        if (fd >= 0) return fd;
        const int error = errno;
        free(*name);
        *name = NULL;
        errno = error;
        if (error != EEXIST) return -1;
    }
    return -1;
}

static tsr_status open_temporary(tsr_context *ctx, tsr_out *out, const struct stat *old) {
    out->fd = tsr_temporary_open(out->path, O_WRONLY, 0666, &out->temporary);
    if (out->fd < 0 && errno == EEXIST)
        return tsr_fail(ctx, TSR_ERROR_IO, "%s: no free temporary name in its folder", out->path);
    if (out->fd < 0) return tsr_fail_errno(ctx, "%s: create in its folder", out->path);
    /* A failure is harmless: some file systems have no permissions. */
    if (old && fchmod(out->fd, old->st_mode & 0777) != 0) errno = 0;
    return TSR_OK;
}

/* The descriptor that a path names: "-" and /dev/stdout, /dev/fd/N (process substitution), or -1.
 * Opened by its name, a pipe would do, but a socket would not, and a file would be written from its
 * beginning instead of where the shell's >> or an earlier command left off. */
static int descriptor_of(const char *path) {
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (!strcmp(path, "-") || !strcmp(path, "/dev/stdout")) return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr")) return STDERR_FILENO;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) {
        const size_t n = strlen(folders[i]);
        if (strncmp(path, folders[i], n) || path[n] < '0' || path[n] > '9') continue;
        char *end;
        const unsigned long number = strtoul(path + n, &end, 10);
        if (!*end && number < 1u << 20) return (int)number;
    }
    return -1;
}

tsr_status tsr_out_check(tsr_context *ctx, const char *path) {
    struct stat st;
    if (!ctx || !ctx->settings.keep_existing || descriptor_of(path) >= 0) return TSR_OK;
    /* A link that leads nowhere is there, too: renaming would replace it. */
    if (stat(path, &st) != 0 && lstat(path, &st) != 0) return TSR_OK;
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_EXISTS, "%s: wanted a new name, got that of a file", path);
}

static tsr_status open_descriptor(tsr_context *ctx, const char *path, int fd, tsr_out *out) {
    if (fd == STDOUT_FILENO) { /* stays open: it is the caller's */
        out->fd = fd;
        return TSR_OK;
    }
    out->path = strdup(path);
    if (!out->path) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (out->fd >= 0) return TSR_OK;
    const tsr_status status = tsr_fail_errno(ctx, "%s: open for writing", path);
    tsr_out_abandon(out);
    return status;
}

tsr_status tsr_out_open(tsr_context *ctx, const char *path, tsr_out *out) {
    *out = (tsr_out){.fd = -1};
    const int descriptor = descriptor_of(path);
    if (descriptor >= 0) return open_descriptor(ctx, path, descriptor, out);
    size_t length = strlen(path);
    if (length == 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted a file name, got \"\"");
    if (path[length - 1] == '/')
        return tsr_fail(ctx, TSR_ERROR_IO, "%s: wanted a file name, got a directory name", path);
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return tsr_fail(ctx, TSR_ERROR_IO, "%s: wanted a file, got a directory", path);
    tsr_status status = tsr_out_check(ctx, path);
    if (status) return status;
    out->keep = ctx && ctx->settings.keep_existing;
    /* Behind a link, the file it leads to is replaced, not the link. What is no file keeps its
     * name: that of a pipe behind /proc leads to no path. */
    out->path = exists && S_ISREG(st.st_mode) ? realpath(path, NULL) : strdup(path);
    if (!out->path) return tsr_fail_errno(ctx, "%s: finding its place", path);
    if (exists && !S_ISREG(st.st_mode)) {
        out->fd = open_retrying(path, O_WRONLY, 0);
        if (out->fd < 0) status = tsr_fail_errno(ctx, "%s: open for writing", path);
    } else if (exists && access(path, W_OK) != 0) {
        status = tsr_fail_errno(ctx, "%s: write", path);
    } else {
        status = open_temporary(ctx, out, exists ? &st : NULL);
    }
    if (status) tsr_out_abandon(out);
    return status;
}

tsr_out tsr_out_memory(void) {
    return (tsr_out){.fd = -1, .in_memory = true};
}

static tsr_status write_to_memory(tsr_context *ctx, tsr_out *out, const void *bytes, size_t size) {
    const size_t used = (size_t)out->written;
    if (size > out->room - used) {
        const size_t room = used + size > 2 * out->room ? used + size : 2 * out->room;
        uint8_t *more = realloc(out->bytes, room);
        if (!more) return tsr_fail(ctx, TSR_ERROR_MEMORY, "output: no memory for %zu bytes", room);
        out->bytes = more;
        out->room = room;
    }
    if (size) memcpy(out->bytes + used, bytes, size);
    out->written += size;
    return TSR_OK;
}

tsr_status tsr_out_write(tsr_context *ctx, tsr_out *out, const void *bytes, size_t size) {
    if (out->in_memory) return write_to_memory(ctx, out, bytes, size);
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t put = write(out->fd, at, size < (1u << 30) ? size : 1u << 30);
        if (put >= 0) {
            at += put;
            size -= (size_t)put;
            out->written += (uint64_t)put;
        } else if (errno == EAGAIN && wait_for(out->fd, POLLOUT)) {
            continue;
        } else if (errno != EINTR) {
            return tsr_fail_errno(ctx, "%s: write at byte %llu",
                                  out->path ? out->path : "standard output",
                                  (unsigned long long)out->written);
        }
    }
    return TSR_OK;
}

bool tsr_out_can_change(const tsr_out *out) {
    return out->temporary != NULL;
}

tsr_status tsr_out_change(tsr_context *ctx, tsr_out *out, uint64_t offset, const void *bytes,
                          size_t size) {
    const uint8_t *at = bytes;
    while (size > 0) {
        const ssize_t put = pwrite(out->fd, at, size, (off_t)offset);
        if (put >= 0)
            at += put, size -= (size_t)put, offset += (uint64_t)put;
        else if (errno != EINTR)
            return tsr_fail_errno(ctx, "%s: write at byte %llu", out->path,
                                  (unsigned long long)offset);
    }
    return TSR_OK;
}

/* Makes the new name itself survive a power cut. Not every file system can; nothing is lost then
 * but this guarantee, so errors are not reported. */
static void sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder) return;
    int fd = open_retrying(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

static void out_forget(tsr_out *out) {
    free(out->temporary);
    free(out->path);
    out->temporary = out->path = NULL;
    out->fd = -1;
}

/* Renames without replacing, through a second link to the file: making one fails when the name is
 * taken. Where there are no links (FAT) a look beforehand has to do. */
static int rename_new(const char *from, const char *to) {
    if (link(from, to) == 0) {
        (void)unlink(from);
        return 0;
    }
    if (errno == EEXIST) return -1;
    struct stat st;
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static tsr_status move_into_place(tsr_context *ctx, tsr_out *out) {
    if ((out->keep ? rename_new : rename)(out->temporary, out->path) != 0) {
        if (out->keep && errno == EEXIST)
            return tsr_fail(ctx, TSR_ERROR_EXISTS,
                            "%s: wanted a new name, got that of a file that appeared meanwhile",
                            out->path);
        return tsr_fail_errno(ctx, "%s: rename into place", out->path);
    }
    free(out->temporary);
    out->temporary = NULL;
    sync_folder(out->path);
    return TSR_OK;
}

tsr_status tsr_out_rename(tsr_context *ctx, tsr_out *out, const char *insert, const char *suffix,
                          const char **name) {
    if (!out->temporary)
        return tsr_fail(ctx, TSR_ERROR_STATE, "output: wanted a file, got what has no other name");
    size_t stem = strlen(out->path);
    const size_t tail = strlen(suffix);
    if (stem > tail && !strcmp(out->path + stem - tail, suffix)) stem -= tail;
    for (unsigned n = 1; n < 1000; ++n) {
        char number[16] = "", *path = NULL;
        struct stat st;
        if (n > 1) snprintf(number, sizeof number, "-%u", n);
        if (asprintf(&path, "%.*s%s%s%s", (int)stem, out->path, insert, number, suffix) < 0)
            return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for another name", out->path);
        if (out->keep && lstat(path, &st) == 0) {
            free(path);
            continue;
        }
        free(out->path);
        *name = out->path = path;
        return TSR_OK;
    }
    return tsr_fail(ctx, TSR_ERROR_EXISTS, "%s: wanted a free name beside it, got none", out->path);
}

tsr_status tsr_out_commit(tsr_context *ctx, tsr_out *out) {
    if (!out->path) { /* stdout stays open: it is the caller's */
        out_forget(out);
        return TSR_OK;
    }
    tsr_status status = TSR_OK;
    /* Pipes and some devices cannot be flushed and say so with EINVAL. */
    int flushed;
    do
        flushed = fsync(out->fd);
    while (flushed != 0 && errno == EINTR);
    if (flushed != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
        status = tsr_fail_errno(ctx, "%s: flush", out->path);
    int closed = close(out->fd);
    out->fd = -1;
    if (!status && closed != 0 && errno != EINTR)
        status = tsr_fail_errno(ctx, "%s: close", out->path);
    if (!status && out->temporary) status = move_into_place(ctx, out);
    if (status)
        tsr_out_abandon(out);
    else
        out_forget(out);
    return status;
}

void tsr_out_abandon(tsr_out *out) {
    if (!out) return;
    if (out->path && out->fd >= 0) close(out->fd);
    if (out->temporary) unlink(out->temporary);
    out_forget(out);
}

bool tsr_file_same(const char *a, const char *b) {
    struct stat x, y;
    if (!strcmp(a, "-") || !strcmp(b, "-")) return false;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino &&
           S_ISREG(x.st_mode);
}

tsr_status tsr_out_not_input(tsr_context *ctx, const char *output, const char *input) {
    if (!input || !tsr_file_same(output, input)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "%s: output: wanted a file that is not an input, got the same file", output);
}
