/* SPDX-License-Identifier: MIT */
/* zip_reader.h: the entries of a zip archive: stored, not compressed, as PyTorch writes its
 * checkpoints, or deflated where the caller takes them (NumPy's .npz). Nothing is copied: an
 * entry's bytes lie in the archive's.
 *
 * Believed is only what agrees with itself: the end record closes the file, the directory holds as
 * many entries as it says, each entry's local header repeats name, method and sizes, and no two
 * entries share a byte (so that a small file cannot pretend to be a large one). Refused by name:
 * encrypted entries and (but for tsr_zip_parse_packed) compressed ones, archives in several parts,
 * names that are absolute, climb with
 * "..", hold a backslash or a control byte, are not UTF-8, or come twice. Zip64 is read.
 * Errors: FORMAT, TRUNCATED, UNSUPPORTED, CHECKSUM, MEMORY. */
#ifndef FORMATS_ZIP_READER_H
#define FORMATS_ZIP_READER_H

#include <stdbool.h>
#include "../../compute/context.h"

typedef struct tsr_zip tsr_zip;

typedef struct tsr_zip_entry {
    const char *name; /* owned by the tsr_zip */
    const uint8_t *bytes;
    uint64_t size;  /* of `bytes` */
    uint64_t plain; /* unpacked; `size` unless it is deflated */
    bool deflated;
    uint32_t crc; /* of the unpacked bytes */
} tsr_zip_entry;

/* True if the bytes begin like a zip archive. */
bool tsr_zip_recognised(const void *bytes, size_t size);
/* Brings `size` bytes from `at` of an archive to their place in memory. */
typedef tsr_status (*tsr_zip_fetch_fn)(void *user, uint64_t at, uint64_t size);
/* Reads and checks the directory. `name` begins detail texts. `bytes` must stay valid until close.
 * *zip is NULL on error. */
tsr_status tsr_zip_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                         tsr_zip **zip);
/* Reads an archive like tsr_zip_parse, but entries may be deflated, too: tsr_zip_unpack. One that
 * claims to grow more than deflate can is refused. */
tsr_status tsr_zip_parse_packed(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                tsr_zip **zip);
/* Writes the first `size` bytes of an entry, unpacked, to `to`; `size` is at most entry->plain.
 * When it is all of them, the CRC-32 is compared. Errors: CHECKSUM, FORMAT, MEMORY. */
tsr_status tsr_zip_unpack(tsr_context *ctx, const char *name, const tsr_zip_entry *entry, void *to,
                          size_t size);
/* tsr_zip_parse_packed for an archive whose bytes are not in memory yet: `fetch`, if it is not
 * NULL, is called for each range before it is looked at, which is never the data of an entry. */
tsr_status tsr_zip_parse_fetched(tsr_context *ctx, const char *name, const void *bytes,
                                 uint64_t size, tsr_zip_fetch_fn fetch, void *user, tsr_zip **zip);
/* Closes an archive and sets *zip to NULL. NULL and a NULL *zip are accepted. */
void tsr_zip_close(tsr_zip **zip);
/* Number of entries. */
int tsr_zip_count(const tsr_zip *zip);
/* Entry `index`, in the byte order of names. Owned by the archive. */
const tsr_zip_entry *tsr_zip_at(const tsr_zip *zip, int index);
/* Entry called `name`, or NULL. Owned by the archive. */
const tsr_zip_entry *tsr_zip_find(const tsr_zip *zip, const char *name);
/* Compares an entry's bytes with its CRC-32. `name`, the archive's, begins the detail text. Errors:
 * CHECKSUM. */
tsr_status tsr_zip_check(tsr_context *ctx, const char *name, const tsr_zip_entry *entry);
/* CRC-32 of more bytes behind those that gave `crc`; of none it is 0. */
uint32_t tsr_zip_crc(uint32_t crc, const void *bytes, uint64_t size);

#endif
