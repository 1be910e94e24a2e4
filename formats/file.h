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
/* Errors: NOT_FOUND, IO (also "is a directory"), TOO_LARGE (a pipe beyond the memory limit). */
tsr_status tsr_map_open(tsr_context *ctx, const char *path, tsr_map *map);
void tsr_map_close(tsr_map *map);

typedef struct tsr_out { /* an output on its way */
    int fd;
    uint64_t written;
    char *path, *temporary; /* NULL, NULL for stdout */
} tsr_out;
tsr_status tsr_out_open(tsr_context *ctx, const char *path, tsr_out *out); /* "-" = stdout */
tsr_status tsr_out_write(tsr_context *ctx, tsr_out *out, const void *bytes, size_t size);
tsr_status tsr_out_commit(tsr_context *ctx, tsr_out *out); /* fsync, rename */
void tsr_out_abandon(tsr_out *out); /* after a failure, and harmless after commit */

#endif
