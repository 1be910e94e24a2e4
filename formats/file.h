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

/* An output file being written. An existing file is replaced only if it is writable, and its
 * permissions carry over; a link is followed. A device or a pipe is written directly. */
typedef struct tsr_out {
    int fd;
    uint64_t written;
    char *path, *temporary; /* NULL, NULL for stdout; temporary is NULL when written directly */
} tsr_out;
/* Opens an output; "-" is stdout. Errors: IO, NO_SPACE, MEMORY. */
tsr_status tsr_out_open(tsr_context *ctx, const char *path, tsr_out *out);
/* Appends bytes. Errors: IO, NO_SPACE. */
tsr_status tsr_out_write(tsr_context *ctx, tsr_out *out, const void *bytes, size_t size);
/* Flushes the output to the disk (fsync) and renames it. On error the temporary file is deleted.
 * Errors: IO, NO_SPACE. */
tsr_status tsr_out_commit(tsr_context *ctx, tsr_out *out);
/* Deletes the temporary file. Does nothing after tsr_out_commit. */
void tsr_out_abandon(tsr_out *out);

/* True if both names lead to one existing file. An output must not be one of the inputs. */
bool tsr_file_same(const char *a, const char *b);

#endif
