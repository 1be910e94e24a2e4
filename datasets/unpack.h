/* SPDX-License-Identifier: MIT */
/* unpack.h: bytes that may be packed with gzip or zstd, unpacked as they are read. */
#ifndef DATASETS_UNPACK_H
#define DATASETS_UNPACK_H

#include "../compute/context.h"

#include <stdbool.h>

typedef struct tsr_unpack tsr_unpack;
/* Reads up to `size` bytes as they are stored; *got 0 is the end. */
typedef tsr_status (*tsr_packed_fn)(void *user, void *to, size_t size, size_t *got);
/* Do the first bytes begin gzip or zstd? Four of them are enough. */
bool tsr_is_packed(const uint8_t *head, size_t size);
/* Begins at the start of what `read` gives, whose first bytes `head` say how it is packed. `name`
 * begins detail texts and is not copied. Errors: MEMORY. */
tsr_status tsr_unpack_open(tsr_context *ctx, const char *name, const uint8_t *head,
                           size_t head_size, tsr_packed_fn read, void *user, tsr_unpack **unpack);
/* Reads up to `size` unpacked bytes; *got 0 is the end. Several gzip members or zstd frames, one
 * behind the other, are one text; what follows the last and is no such thing is passed over.
 * Errors: those of `read`, TRUNCATED (the packed bytes end too early), FORMAT (they are damaged),
 * CHECKSUM, TOO_LARGE (a zstd frame that wants more than 128 MiB), MEMORY. */
tsr_status tsr_unpack_read(tsr_unpack *unpack, void *to, size_t size, size_t *got);
void tsr_unpack_close(tsr_unpack **unpack);

#endif
