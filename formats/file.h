/* SPDX-License-Identifier: MIT */
/* file.h: whole files in, complete files out.
 * An output is written under a temporary name in the same folder and renamed when it is complete
 * and flushed; whatever stood under the final name stays until then. */
#ifndef FORMATS_FILE_H
#define FORMATS_FILE_H

#include <stdbool.h>
#include "../compute/context.h"

/* The bytes of a file, read-only: mapped, or read when the file is small or a pipe. */
typedef struct tsr_map {
    const uint8_t *bytes;
    size_t size;
    bool mapped;
} tsr_map;
/* Opens a file; "-" reads stdin to its end. Files above 1 MiB are mapped: if another process
 * shortens a mapped file, touching the lost part raises SIGBUS. Processes that replace files by
 * rename, as tsr_out does, cannot cause this. Errors: NOT_FOUND, IO (also "is a directory"),
 * TOO_LARGE (a pipe beyond the memory limit). */
tsr_status tsr_map_open(tsr_context *ctx, const char *path, tsr_map *map);
/* True unless `path` is a file or a folder: "-", a pipe, a device. Such an input may hold several
 * pictures, one behind the other. */
bool tsr_in_is_stream(const char *path);
/* Opens a stream for tsr_in_read; "-" is stdin. Errors: NOT_FOUND, IO. */
tsr_status tsr_in_open(tsr_context *ctx, const char *path, int *fd);
/* Reads up to `size` bytes, as many as are there, and waits for one; *got 0 is the end. Errors: IO.
 */
tsr_status tsr_in_read(tsr_context *ctx, const char *path, int fd, void *bytes, size_t size,
                       size_t *got);
/* Closes what tsr_in_open opened; stdin stays open. */
void tsr_in_close(int fd);
/* Unmaps or frees the bytes and zeroes *map. A zeroed map is accepted. */
void tsr_map_close(tsr_map *map);
/* Gives the memory of mapped bytes back to the system, whole pages only; pages come again from the
 * file when they are touched. */
void tsr_map_release(const void *bytes, size_t size);

/* A file that is read piece by piece, where pieces are needed. Nothing of it is mapped: when
 * another process shortens the file, a read fails with TRUNCATED and nothing raises SIGBUS. Pipes
 * and files below 1 MiB are read at once. */
typedef struct tsr_input {
    tsr_map map; /* the bytes of a file that was read at once, or of memory; else empty */
    int fd;      /* -1: everything is in `map` */
    uint64_t size;
    bool borrowed; /* the map's bytes are the caller's */
} tsr_input;
/* Opens a file for reading in pieces; "-" reads stdin to its end. Errors: as tsr_map_open. */
tsr_status tsr_input_open(tsr_context *ctx, const char *path, tsr_input *in);
/* An input over the caller's bytes, which must stay valid until close. */
tsr_input tsr_input_memory(const void *bytes, size_t size);
/* Closes a file. A zeroed input is accepted. */
void tsr_input_close(tsr_input *in);
/* Copies `size` bytes from `offset`. `name` begins detail texts. Threads may read from one input.
 * Errors: TRUNCATED (the file ends before, perhaps since it was opened), IO. */
tsr_status tsr_input_read(tsr_context *ctx, const tsr_input *in, const char *name, uint64_t offset,
                          void *to, size_t size);

/* Opens a new temporary file in the folder of `path` with `flags` (O_WRONLY, O_RDWR) and
 * permissions `mode` under the umask. *name is its hidden name, which the caller frees. -1 with
 * errno when there can be none. */
int tsr_temporary_open(const char *path, int flags, unsigned mode, char **name);

/* An output file being written. An existing file is replaced only if it is writable and the context
 * does not keep what exists; its permissions carry over, and a link is followed. A device or a pipe
 * is written directly, and so is an open descriptor: "-", /dev/stdout, /dev/fd/N. */
typedef struct tsr_out {
    int fd;
    uint64_t written;
    char *path, *temporary; /* NULL, NULL for stdout; temporary is NULL when written directly */
    bool keep;              /* nothing may stand under `path` when the output is committed */
    bool in_memory;         /* of tsr_out_memory: `bytes` [written] in `room` */
    uint8_t *bytes;
    size_t room;
} tsr_out;
/* Opens an output; "-" is stdout. Errors: IO, NO_SPACE, EXISTS, MEMORY. */
tsr_status tsr_out_open(tsr_context *ctx, const char *path, tsr_out *out);
/* Says what tsr_out_open would say of what exists, and makes nothing: for before the work begins.
 * Errors: EXISTS. */
tsr_status tsr_out_check(tsr_context *ctx, const char *path);
/* Appends bytes. Errors: IO, NO_SPACE. */
tsr_status tsr_out_write(tsr_context *ctx, tsr_out *out, const void *bytes, size_t size);
/* An output whose bytes stay in memory, for tsr_out_write alone; the caller frees out->bytes. */
tsr_out tsr_out_memory(void);
/* True if written bytes can be changed: the output is a file under a temporary name. */
bool tsr_out_can_change(const tsr_out *out);
/* Writes over bytes that were written at `offset`, of an output that can change. Errors: IO. */
tsr_status tsr_out_change(tsr_context *ctx, tsr_out *out, uint64_t offset, const void *bytes,
                          size_t size);
/* Gives the output another final name in the same folder, for before tsr_out_commit: what stands
 * between the folder and the end of the old name becomes "<old name without `suffix`><insert>
 * <suffix>". Where that name is taken and must not be replaced, -2, -3 ... follow the insert.
 * *name is the name, owned by `out`. Errors: STATE (written directly), EXISTS, MEMORY. */
tsr_status tsr_out_rename(tsr_context *ctx, tsr_out *out, const char *insert, const char *suffix,
                          const char **name);
/* Flushes the output to the disk (fsync) and renames it. On error the temporary file is deleted.
 * Errors: IO, NO_SPACE, EXISTS (a file of that name appeared meanwhile). */
tsr_status tsr_out_commit(tsr_context *ctx, tsr_out *out);
/* Deletes the temporary file. Does nothing after tsr_out_commit. */
void tsr_out_abandon(tsr_out *out);

/* True if both names lead to one existing file that a name can replace; "-", devices and pipes
 * never are. */
bool tsr_file_same(const char *a, const char *b);
/* Fails with ARGUMENT when `output` is the file `input`; a NULL input is accepted. An output must
 * not be one of the inputs, also where replacing is allowed. */
tsr_status tsr_out_not_input(tsr_context *ctx, const char *output, const char *input);

#endif
