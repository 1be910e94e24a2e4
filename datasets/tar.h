/* SPDX-License-Identifier: MIT */
/* tar.h: archives of POSIX (ustar and pax) and GNU tar, read and written as a stream. Nothing is
 * unpacked: a member is a name and bytes. */
#ifndef FORMATS_TAR_H
#define FORMATS_TAR_H

#include "data_files.h"
#include "data_folder.h"

enum { TSR_TAR_BLOCK = 512, TSR_TAR_MAX_NAME = 65536 };

typedef struct tsr_tar_stream {
    tsr_data_stream *stream;
    uint64_t left;  /* bytes of the member that were not taken */
    uint32_t pad;   /* bytes behind them */
    tsr_bytes name; /* of the member, with a zero byte; any bytes but zero */
    char type;      /* '0' a plain file, '5' a folder, '1' and '2' links, ... */
    uint64_t size, position;
    bool ended, no_end; /* no_end: the file ended without the blocks of zeros that end an archive */
    tsr_bytes extra;
} tsr_tar_stream;
/* Goes to the next member; tar->ended is set behind the last. Errors: FORMAT (a header that is
 * damaged), TRUNCATED, TOO_LARGE, IO, MEMORY. */
tsr_status tsr_tar_stream_next(tsr_tar_stream *tar);
/* Appends the bytes of the member to `to`. Errors: TRUNCATED, IO, MEMORY. */
tsr_status tsr_tar_stream_take(tsr_tar_stream *tar, tsr_bytes *to);
void tsr_tar_stream_free(tsr_tar_stream *tar);

/* Adds a member: mode 0444, no owner, time 0, so that equal contents are equal bytes. A name of
 * more than 100 bytes or beyond ASCII gets a pax header. */
tsr_status tsr_tar_put(tsr_data_file *file, const char *name, const void *bytes, size_t size);
/* Ends an archive, filled up to 10240 bytes. */
tsr_status tsr_tar_end(tsr_data_file *file);

#endif
