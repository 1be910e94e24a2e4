/* SPDX-License-Identifier: MIT */
/* zip_bytes.c: see zip_bytes.h. */
#include "zip_bytes.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *put(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
        *to++ = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
    return to;
}

static uint8_t *put_bytes(uint8_t *to, const void *bytes, size_t size) {
    if (size) memcpy(to, bytes, size);
    return to + size;
}

uint32_t zip_crc(const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; ++i) {
        crc ^= p[i];
        for (int k = 0; k < 8; ++k)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static uint8_t *put_local(uint8_t *at, const zip_part *p) {
    const char *name = p->local_name ? p->local_name : p->name;
    uint64_t plain = p->size + (uint64_t)p->size_lie, packed = plain + (uint64_t)p->packed_lie;
    at = put(put(put(at, 0x04034b50, 4), 45, 2), p->flags, 2);
    at = put(put(at, p->method, 2), 0, 4);
    at = put(at, zip_crc(p->bytes, p->size) ^ p->crc_flip, 4);
    at = put(put(at, p->wide ? UINT32_MAX : packed, 4), p->wide ? UINT32_MAX : plain, 4);
    at = put(put(at, strlen(name), 2), p->wide ? 20 : 0, 2);
    at = put_bytes(at, name, strlen(name));
    if (p->wide) at = put(put(put(put(at, 1, 2), 16, 2), plain, 8), packed, 8);
    return put_bytes(at, p->bytes, p->size);
}

static uint8_t *put_central(uint8_t *at, const zip_part *p, uint64_t begin) {
    uint64_t plain = p->size + (uint64_t)p->size_lie, packed = plain + (uint64_t)p->packed_lie;
    begin += (uint64_t)p->begin_lie;
    at = put(put(put(put(at, 0x02014b50, 4), 45, 2), 45, 2), p->flags, 2);
    at = put(put(at, p->method, 2), 0, 4);
    at = put(at, zip_crc(p->bytes, p->size) ^ p->crc_flip, 4);
    at = put(put(at, p->wide ? UINT32_MAX : packed, 4), p->wide ? UINT32_MAX : plain, 4);
    at = put(put(at, strlen(p->name), 2), p->wide ? 28 : 0, 2);
    at = put(put(at, 0, 10), p->wide ? UINT32_MAX : begin, 4);
    at = put_bytes(at, p->name, strlen(p->name));
    if (p->wide) at = put(put(put(put(put(at, 1, 2), 24, 2), plain, 8), packed, 8), begin, 8);
    return at;
}

uint8_t *make_zip(const zip_part *parts, int count, const zip_faults *faults, size_t *size) {
    const zip_faults none = {0}, f = faults ? *faults : none;
    size_t room = 512 + (f.comment ? strlen(f.comment) : 0);
    uint64_t begin[64] = {0};
    for (int i = 0; i < count; ++i)
        room += parts[i].size + 400 + 2 * strlen(parts[i].name);
    uint8_t *zip = calloc(room, 1), *at = zip;
    for (int i = 0; i < count; ++i) {
        begin[i] = (uint64_t)(at - zip);
        at = put_local(at, &parts[i]);
    }
    uint64_t directory = (uint64_t)(at - zip);
    for (int i = 0; i < count; ++i)
        at = put_central(at, &parts[i], begin[i]);
    uint64_t end = (uint64_t)(at - zip), bytes = end - directory + (uint64_t)f.directory_size_lie;
    uint64_t entries = (uint64_t)(count + f.count_lie);
    directory += (uint64_t)f.directory_lie;
    if (f.wide) {
        at = put(put(put(put(at, 0x06064b50, 4), 44, 8), 45, 2), 45, 2);
        at = put(put(put(put(at, 0, 8), entries, 8), entries, 8), bytes, 8);
        at = put(at, directory, 8);
        at = put(put(put(put(at, 0x07064b50, 4), 0, 4), end, 8), 1, 4);
    }
    at = put(put(put(at, 0x06054b50, 4), (uint64_t)f.disk, 2), 0, 2);
    at = put(put(at, f.wide ? 0xFFFF : entries, 2), f.wide ? 0xFFFF : entries, 2);
    at = put(put(at, f.wide ? UINT32_MAX : bytes, 4), f.wide ? UINT32_MAX : directory, 4);
    size_t comment = f.comment ? strlen(f.comment) : 0;
    at = put_bytes(put(at, comment, 2), f.comment, comment);
    *size = (size_t)(at - zip);
    return zip;
}
