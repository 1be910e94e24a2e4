/* SPDX-License-Identifier: MIT */
/* file.h: whole files in, complete files out.
 * An output is written under a temporary name in the same folder and renamed when it is complete
 * and flushed; whatever stood under the final name stays until then. */
#ifndef FORMATS_FILE_H
#define FORMATS_FILE_H

#include <stdbool.h>
#include "../compute/context.h"

typedef struct tsr_map { /* a file's bytes, mapped (or read, for pipes) read-only */
    const uint8_t *bytes;
    size_t size;
    bool mapped;
} tsr_map;
/* path "-" reads stdin to its end. Files above 1 MiB are mapped: one that another process shortens
 * meanwhile raises SIGBUS when the lost part is touched, as with any mapping; replace files by
 * rename, as the writers below do, and it cannot happen.
 * Errors: NOT_FOUND, IO (also "is a directory"), TOO_LARGE (a pipe beyond the memory limit). */
tsr_status tsr_map_open(tsr_context *ctx, const char *path, tsr_map *map);
void tsr_map_close(tsr_map *map);
/* Bytes of a mapped file that are not needed for now: the whole pages among them leave memory. */
void tsr_map_release(const void *bytes, size_t size);

/* An output on its way. An existing file is replaced only if it could be written to, and its
 * permissions are kept; a link is followed. What is not a regular file (a device, a pipe) is
 * written directly. */
typedef struct tsr_out {
    int fd;
    uint64_t written;
    char *path, *temporary; /* NULL, NULL for stdout; temporary is NULL when written directly */
} tsr_out;
tsr_status tsr_out_open(tsr_context *ctx, const char *path, tsr_out *out); /* "-" = stdout */
tsr_status tsr_out_write(tsr_context *ctx, tsr_out *out, const void *bytes, size_t size);
/* fsync, rename. When it fails the temporary file is gone already. */
tsr_status tsr_out_commit(tsr_context *ctx, tsr_out *out);
void tsr_out_abandon(tsr_out *out); /* after a failure, and harmless after commit */

/* Do both names lead to one existing file? (An output must not be one of the inputs.) */
bool tsr_file_same(const char *a, const char *b);

#endif
