/* SPDX-License-Identifier: MIT */
/* zip_bytes.h: zip archives made byte by byte, with faults where a test wants them. */
#ifndef TESTS_ZIP_BYTES_H
#define TESTS_ZIP_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct zip_part {
    const char *name;
    const void *bytes;
    size_t size;
    /* faults; 0 = none */
    const char *local_name; /* another name in the local header */
    uint32_t method, flags;
    uint32_t crc_flip;  /* xor of both checksums */
    int64_t size_lie;   /* added to both sizes of both headers */
    int64_t packed_lie; /* added to the packed size alone, in both headers */
    int64_t begin_lie;  /* added to the offset */
    int wide;           /* 1: sizes and offset in zip64 fields */
} zip_part;

typedef struct zip_faults {
    int64_t count_lie, directory_lie, directory_size_lie, disk;
    const char *comment;
    int wide; /* 1: a zip64 end record */
} zip_faults;

/* malloc'd; *size bytes. `faults` may be NULL. */
uint8_t *make_zip(const zip_part *parts, int count, const zip_faults *faults, size_t *size);
uint32_t zip_crc(const void *bytes, size_t size);

#endif
