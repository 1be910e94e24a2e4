/* SPDX-License-Identifier: MIT */
/* tar_bytes.h: tar archives (POSIX ustar, GNU, pax) made header by header, with faults where a test
 * wants them. */
#ifndef TESTS_TAR_BYTES_H
#define TESTS_TAR_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct tar_bytes {
    uint8_t *p; /* malloc'd, the caller's */
    size_t size;
} tar_bytes;

/* Adds a member of type '0' with a text as contents; name at most 100 bytes. */
void tar_file(tar_bytes *tar, const char *name, const char *text);
/* The same of bytes. */
void tar_member(tar_bytes *tar, const char *name, char type, const void *bytes, size_t size);
/* Adds a header alone: a member of this type that says it has `size` bytes. The field of the size
 * is `field` [12] where that is not NULL. */
void tar_header(tar_bytes *tar, const char *name, char type, uint64_t size, const char *field);
/* Adds a pax header (type 'x') with the record "path=<path>". */
void tar_pax_path(tar_bytes *tar, const char *path);
/* Adds bytes as they are. */
void tar_raw(tar_bytes *tar, const void *bytes, size_t size);
/* Adds the two zero blocks of the end. */
void tar_end(tar_bytes *tar);
/* Computes the sum of the header at `offset` again. */
void tar_sum(tar_bytes *tar, size_t offset);

#endif
