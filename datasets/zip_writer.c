/* SPDX-License-Identifier: MIT */
/* zip_writer.c: see zip_writer.h; numbers are those of APPNOTE.TXT 6.3. */
#include "zip_writer.h"

#include <stdlib.h>
#include <zlib.h>

enum { LOCAL = 30, CENTRAL = 46, EXTRA = 20, VERSION = 45, UTF8 = 0x800, DAY = 0x21 };

static void u16(uint8_t *p, unsigned value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static bool beyond_ascii(const char *name) {
    for (; *name; ++name)
        if ((unsigned char)*name >= 0x80) return true;
    return false;
}

/* What local header and directory share, from the version on: 26 bytes. */
static void put_common(uint8_t *p, const char *name, uint32_t crc) {
    u16(p, VERSION);
    u16(p + 2, beyond_ascii(name) ? UTF8 : 0);
    u16(p + 4, 0); /* stored */
    u16(p + 6, 0);
    u16(p + 8, DAY);
    tsr_set_u32(p + 10, crc);
    memset(p + 14, 0xFF, 8); /* sizes: in the extra field */
    u16(p + 22, (unsigned)strlen(name));
}

static tsr_status no_memory(tsr_zip_writer *z) {
    return tsr_fail(z->file->ctx, TSR_ERROR_MEMORY, "%s: no memory for its directory",
                    z->file->name);
}

tsr_status tsr_zip_entry_begin(tsr_zip_writer *z, const char *name) {
    uint8_t local[LOCAL + EXTRA] = {'P', 'K', 3, 4};
    const size_t n = strlen(name);
    free(z->name);
    z->name = strdup(name);
    if (!z->name) return no_memory(z);
    z->begin = z->file->written;
    z->crc = 0;
    put_common(local + 4, name, 0);
    u16(local + 28, EXTRA);
    uint8_t *extra = local + LOCAL;
    u16(extra, 1);
    u16(extra + 2, 16);
    tsr_status s = tsr_data_file_put(z->file, local, LOCAL);
    if (!s) s = tsr_data_file_put(z->file, name, n);
    if (!s) s = tsr_data_file_put(z->file, extra, EXTRA);
    z->data = z->file->written;
    return s;
}

tsr_status tsr_zip_entry_put(tsr_zip_writer *z, const void *bytes, size_t size) {
    if (size) z->crc = (uint32_t)crc32_z(z->crc, bytes, size);
    return tsr_data_file_put(z->file, bytes, size);
}

tsr_status tsr_zip_entry_end(tsr_zip_writer *z) {
    const uint64_t size = z->file->written - z->data;
    const size_t n = strlen(z->name);
    uint8_t crc[4], sizes[16], entry[CENTRAL] = {'P', 'K', 1, 2, VERSION, 3};
    uint8_t extra[4 + 24];
    tsr_set_u32(crc, z->crc);
    tsr_set_u64(sizes, size);
    tsr_set_u64(sizes + 8, size);
    tsr_status s = tsr_data_file_patch(z->file, z->begin + 14, crc, sizeof crc);
    if (!s) s = tsr_data_file_patch(z->file, z->begin + LOCAL + n + 4, sizes, sizeof sizes);
    put_common(entry + 6, z->name, z->crc);
    u16(entry + 30, sizeof extra);
    tsr_set_u32(entry + 38, 0600u << 16); /* permissions, as Python has them */
    tsr_set_u32(entry + 42, UINT32_MAX);  /* offset: in the extra field */
    u16(extra, 1);
    u16(extra + 2, 24);
    memcpy(extra + 4, sizes, 16);
    tsr_set_u64(extra + 20, z->begin);
    tsr_bytes_put(&z->directory, entry, CENTRAL);
    tsr_bytes_put(&z->directory, z->name, n);
    tsr_bytes_put(&z->directory, extra, sizeof extra);
    ++z->entries;
    if (!s && z->directory.failed) s = no_memory(z);
    return s;
}

tsr_status tsr_zip_writer_end(tsr_zip_writer *z) {
    const uint64_t at = z->file->written, size = z->directory.size, end64 = at + size;
    uint8_t end[56 + 20 + 22] = {'P', 'K', 6, 6};
    uint8_t *locator = end + 56, *last = locator + 20;
    tsr_set_u64(end + 4, 44);
    u16(end + 12, VERSION);
    u16(end + 14, VERSION);
    tsr_set_u64(end + 24, z->entries);
    tsr_set_u64(end + 32, z->entries);
    tsr_set_u64(end + 40, size);
    tsr_set_u64(end + 48, at);
    memcpy(locator, "PK\6\7", 4);
    tsr_set_u64(locator + 8, end64);
    tsr_set_u32(locator + 16, 1);
    memcpy(last, "PK\5\6", 4);
    const unsigned entries = z->entries < 0xFFFF ? (unsigned)z->entries : 0xFFFF;
    u16(last + 8, entries);
    u16(last + 10, entries);
    tsr_set_u32(last + 12, size < UINT32_MAX ? (uint32_t)size : UINT32_MAX);
    tsr_set_u32(last + 16, at < UINT32_MAX ? (uint32_t)at : UINT32_MAX);
    tsr_status s = tsr_data_file_put(z->file, z->directory.at, z->directory.size);
    return s ? s : tsr_data_file_put(z->file, end, sizeof end);
}

void tsr_zip_writer_free(tsr_zip_writer *z) {
    free(z->name);
    tsr_bytes_free(&z->directory);
    *z = (tsr_zip_writer){0};
}
