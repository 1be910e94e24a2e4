/* SPDX-License-Identifier: MIT */
/* unpack.h: bytes that may be packed with gzip or zstd, unpacked as they are read. */
#ifndef DATASETS_UNPACK_H
#define DATASETS_UNPACK_H

#include "source_parts.h"

typedef struct tsr_unpack tsr_unpack;
/* Begins at the start of `bytes`, which must outlive it; the first bytes say how they are packed.
 * Errors: IO, MEMORY. */
tsr_status tsr_unpack_open(tsr_context *ctx, tsr_source_bytes *bytes, tsr_unpack **unpack);
/* Reads up to `size` unpacked bytes; *got 0 is the end. Several gzip members or zstd frames, one
 * behind the other, are one text; what follows the last and is no such thing is passed over.
 * Errors: IO, TRUNCATED (the packed bytes end too early), FORMAT (they are damaged), CHECKSUM,
 * TOO_LARGE (a zstd frame that wants more than 128 MiB), MEMORY. */
tsr_status tsr_unpack_read(tsr_unpack *unpack, void *to, size_t size, size_t *got);
void tsr_unpack_close(tsr_unpack **unpack);

#endif
