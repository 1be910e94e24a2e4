/* SPDX-License-Identifier: MIT */
/* zip_reader.c: see zip_reader.h. APPNOTE.TXT 6.3 is the format's description; offsets below are
 * those of its tables. */
#include "zip_reader.h"
#include "../utf8.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END = 22,       /* bytes of the end record without comment */
    LOCATOR = 20,   /* of the zip64 locator */
    END64 = 56,     /* of the zip64 end record */
    DIRECTORY = 46, /* of a directory entry without name */
    LOCAL = 30,     /* of a local header without name */
    MAX_COMMENT = 65535,
    DEFLATED = 8 /* method */
};
#define UNSET32 0xFFFFFFFFu

typedef struct place {
    uint64_t begin, end; /* from the local header to the last byte of the data */
} place;

struct tsr_zip {
    tsr_zip_entry *entries;
    place *places;
    char *names;
    int count;
};

typedef struct reader {
    tsr_context *ctx;
    const char *name;
    const uint8_t *bytes;
    uint64_t size;
    tsr_zip *zip;
    uint64_t directory, directory_size, count;
    size_t names_used;
    tsr_zip_fetch_fn fetch; /* NULL: all bytes are there */
    void *user;
    bool deflated; /* entries may be */
} reader;

static tsr_status fetch(const reader *r, uint64_t at, uint64_t size) {
    return r->fetch ? r->fetch(r->user, at, size) : TSR_OK;
}

static uint32_t get16(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p) {
    return get16(p) | get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p) {
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

bool tsr_zip_recognised(const void *bytes, size_t size) {
    return size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
}

/* From the end backwards over a comment; the record must close the file exactly. */
static const uint8_t *find_end(const reader *r) {
    if (r->size < END) return NULL;
    uint64_t least = r->size > END + MAX_COMMENT ? r->size - END - MAX_COMMENT : 0;
    for (uint64_t at = r->size - END;; --at) {
        const uint8_t *p = r->bytes + at;
        if (memcmp(p, "PK\5\6", 4) == 0 && get16(p + 20) == r->size - END - at) return p;
        if (at == least) return NULL;
    }
}

static tsr_status read_end(reader *r) {
    const uint64_t last = r->size < END + MAX_COMMENT ? r->size : END + MAX_COMMENT;
    tsr_status status = fetch(r, r->size - last, last);
    if (status) return status;
    const uint8_t *end = find_end(r);
    if (!end)
        return tsr_fail(r->ctx, TSR_ERROR_TRUNCATED,
                        "%s: zip end record: wanted it at the end of %llu bytes, got none", r->name,
                        (unsigned long long)r->size);
    uint64_t at = (uint64_t)(end - r->bytes), stop = at, here = get16(end + 8);
    r->count = get16(end + 10);
    r->directory_size = get32(end + 12);
    r->directory = get32(end + 16);
    bool parts = get16(end + 4) != 0 || get16(end + 6) != 0;
    if (at >= LOCATOR && (status = fetch(r, at - LOCATOR, LOCATOR))) return status;
    if (at >= LOCATOR && memcmp(end - LOCATOR, "PK\6\7", 4) == 0) {
        const uint8_t *locator = end - LOCATOR;
        uint64_t end64 = get64(locator + 8);
        stop = at - LOCATOR;
        if (end64 <= stop && stop - end64 >= END64 && (status = fetch(r, end64, END64)))
            return status;
        if (end64 > stop || stop - end64 < END64 || memcmp(r->bytes + end64, "PK\6\6", 4) != 0)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: zip64 end record: wanted one before byte %llu, got offset %llu",
                            r->name, (unsigned long long)stop, (unsigned long long)end64);
        const uint8_t *p = r->bytes + end64;
        parts = get32(p + 16) != 0 || get32(p + 20) != 0 || get32(locator + 16) > 1;
        here = get64(p + 24);
        r->count = get64(p + 32);
        r->directory_size = get64(p + 40);
        r->directory = get64(p + 48);
        stop = end64;
    }
    if (parts || here != r->count)
        return tsr_fail(r->ctx, TSR_ERROR_UNSUPPORTED, "%s: zip: wanted one part, got several",
                        r->name);
    if (r->directory > stop || stop - r->directory < r->directory_size)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: zip directory: wanted it within 0..%llu, got %llu + %llu", r->name,
                        (unsigned long long)stop, (unsigned long long)r->directory,
                        (unsigned long long)r->directory_size);
    if (r->count > r->directory_size / DIRECTORY || r->count > INT32_MAX)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: zip directory: wanted room for %llu entries, got %llu bytes", r->name,
                        (unsigned long long)r->count, (unsigned long long)r->directory_size);
    return TSR_OK;
}

static bool good_name(const char *name, size_t size) {
    if (size == 0 || name[0] == '/' || !tsr_utf8_valid(name, size, NULL)) return false;
    size_t part = 0;
    for (size_t i = 0; i <= size; ++i) {
        if (i < size && ((uint8_t)name[i] < 0x20 || name[i] == 0x7F || name[i] == '\\'))
            return false;
        if (i < size && name[i] != '/') continue;
        if (i - part == 2 && name[part] == '.' && name[part + 1] == '.') return false;
        part = i + 1;
    }
    return size < 2 || name[1] != ':';
}

/* The real values behind 0xFFFFFFFF stand in the extra field with tag 1, in this order. */
static bool read_extra64(const uint8_t *extra, size_t size, uint64_t *const *values, int count) {
    while (size >= 4) {
        size_t length = get16(extra + 2);
        if (length > size - 4) return false;
        if (get16(extra) == 1) {
            const uint8_t *p = extra + 4;
            for (int i = 0; i < count; ++i) {
                if (*values[i] != UNSET32) continue;
                if (length < 8) return false;
                *values[i] = get64(p);
                p += 8;
                length -= 8;
            }
            return true;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return true; /* 0xFFFFFFFF itself */
}

/* The local header at `begin` must say what the directory says. Finds the data. */
static tsr_status read_local(reader *r, const uint8_t *central, uint64_t begin, uint64_t size,
                             tsr_zip_entry *e, place *where) { /* size: packed */
    tsr_context *ctx = r->ctx;
    if (begin > r->directory || r->directory - begin < LOCAL)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: zip entry %.200s: offset: wanted at most %llu, got %llu", r->name,
                        e->name, (unsigned long long)r->directory, (unsigned long long)begin);
    const uint8_t *p = r->bytes + begin;
    uint64_t room = r->directory - begin - LOCAL;
    tsr_status status = fetch(r, begin, LOCAL);
    if (status) return status;
    const uint64_t more = (uint64_t)get16(p + 26) + get16(p + 28); /* name and extra field */
    if ((status = fetch(r, begin + LOCAL, more < room ? more : room))) return status;
    uint32_t name_size = get16(p + 26), extra_size = get16(p + 28);
    bool same = memcmp(p, "PK\3\4", 4) == 0 && name_size == get16(central + 28) &&
                name_size <= room && memcmp(p + LOCAL, central + DIRECTORY, name_size) == 0 &&
                get16(p + 8) == get16(central + 10);
    if (!same)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: zip entry %.200s: wanted its local header at %llu, got another one",
                        r->name, e->name, (unsigned long long)begin);
    if (room - name_size < extra_size || room - name_size - extra_size < size)
        return tsr_fail(
            ctx, TSR_ERROR_TRUNCATED, "%s: zip entry %.200s: wanted %llu bytes of data, got %llu",
            r->name, e->name, (unsigned long long)size,
            (unsigned long long)(room - name_size > extra_size ? room - name_size - extra_size
                                                               : 0));
    if (!(get16(p + 6) & 8)) { /* bit 3: the sizes come behind the data, the directory has them */
        uint64_t plain = get32(p + 22), packed = get32(p + 18);
        uint64_t *const wide[] = {&plain, &packed};
        if (!read_extra64(p + LOCAL + name_size, extra_size, wide, 2) || plain != e->plain ||
            packed != size || get32(p + 14) != e->crc)
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: zip entry %.200s: its two headers disagree on size or checksum",
                            r->name, e->name);
    }
    e->bytes = p + LOCAL + name_size + extra_size;
    e->size = size;
    *where = (place){begin, begin + LOCAL + name_size + extra_size + size};
    return TSR_OK;
}

static tsr_status read_entry(reader *r, const uint8_t **at, uint64_t *left, int index) {
    tsr_context *ctx = r->ctx;
    const uint8_t *p = *at;
    if (*left < DIRECTORY || memcmp(p, "PK\1\2", 4) != 0)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: zip directory: wanted entry %d, got other bytes", r->name, index);
    uint32_t name_size = get16(p + 28), extra_size = get16(p + 30), comment = get16(p + 32);
    uint64_t whole = (uint64_t)DIRECTORY + name_size + extra_size + comment;
    if (whole > *left)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: zip directory: entry %d: wanted %llu bytes, got %llu", r->name, index,
                        (unsigned long long)whole, (unsigned long long)*left);
    *at += whole;
    *left -= whole;
    const char *name = (const char *)p + DIRECTORY;
    if (!good_name(name, name_size))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: zip entry %d: wanted a plain name inside the archive, got \"%.*s\"",
                        r->name, index, (int)(name_size < 200 ? name_size : 200), name);
    tsr_zip_entry *e = &r->zip->entries[index];
    e->name = memcpy(r->zip->names + r->names_used, name, name_size);
    r->names_used += name_size + 1; /* the names' memory is zeroed */
    e->crc = get32(p + 16);
    uint64_t packed = get32(p + 20), plain = get32(p + 24), begin = get32(p + 42);
    uint64_t *const wide[] = {&plain, &packed, &begin};
    if (!read_extra64(p + DIRECTORY + name_size, extra_size, wide, 3))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: zip entry %.200s: broken zip64 field", r->name,
                        e->name);
    if (get16(p + 8) & 1)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: zip entry %.200s: it is encrypted",
                        r->name, e->name);
    e->plain = plain;
    e->deflated = r->deflated && get16(p + 10) == DEFLATED;
    /* A block of deflate gives at most 258 bytes for 2 bits: 1032 for one. */
    if (e->deflated && plain / 1032 > packed)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: zip entry %.200s: %llu bytes cannot become %llu", r->name, e->name,
                        (unsigned long long)packed, (unsigned long long)plain);
    if (!e->deflated && (get16(p + 10) != 0 || packed != plain))
        return tsr_fail(
            ctx, TSR_ERROR_UNSUPPORTED,
            "%s: zip entry %.200s: wanted it stored, got it compressed (method %u, %llu "
            "bytes that would become %llu); torch.save never compresses",
            r->name, e->name, get16(p + 10), (unsigned long long)packed, (unsigned long long)plain);
    return read_local(r, p, begin, packed, e, &r->zip->places[index]);
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const tsr_zip_entry *)a)->name, ((const tsr_zip_entry *)b)->name);
}

static int compare_places(const void *a, const void *b) {
    uint64_t x = ((const place *)a)->begin, y = ((const place *)b)->begin;
    return x < y ? -1 : x > y;
}

static tsr_status read_directory(reader *r) {
    tsr_zip *z = r->zip;
    size_t count = (size_t)r->count;
    z->entries = tsr_alloc(r->ctx, count, sizeof *z->entries, r->name);
    z->places = tsr_alloc(r->ctx, count, sizeof *z->places, r->name);
    z->names = tsr_alloc(r->ctx, (size_t)r->directory_size + 1, 1, r->name);
    if (!z->entries || !z->places || !z->names) return TSR_ERROR_MEMORY;
    tsr_status fetched = fetch(r, r->directory, r->directory_size);
    if (fetched) return fetched;
    const uint8_t *at = r->bytes + r->directory;
    uint64_t left = r->directory_size;
    for (; z->count < (int)count; ++z->count) {
        tsr_status status = read_entry(r, &at, &left, z->count);
        if (status) return status;
    }
    if (left)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: zip directory: wanted it to end with entry %zu, got %llu more bytes",
                        r->name, count, (unsigned long long)left);
    qsort(z->places, count, sizeof *z->places, compare_places);
    for (size_t i = 1; i < count; ++i)
        if (z->places[i].begin < z->places[i - 1].end)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: zip: two entries share the bytes at %llu", r->name,
                            (unsigned long long)z->places[i].begin);
    qsort(z->entries, count, sizeof *z->entries, compare_entries);
    for (size_t i = 1; i < count; ++i)
        if (strcmp(z->entries[i].name, z->entries[i - 1].name) == 0)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: zip entry %.200s: wanted once, got twice", r->name,
                            z->entries[i].name);
    return TSR_OK;
}

static tsr_status parse(reader *r, tsr_zip **zip) {
    *zip = NULL;
    tsr_status status = read_end(r);
    if (status) return status;
    r->zip = tsr_alloc(r->ctx, 1, sizeof *r->zip, r->name);
    if (!r->zip) return TSR_ERROR_MEMORY;
    status = read_directory(r);
    if (status) tsr_zip_close(&r->zip);
    *zip = r->zip;
    return status;
}

tsr_status tsr_zip_parse_fetched(tsr_context *ctx, const char *name, const void *bytes,
                                 uint64_t size, tsr_zip_fetch_fn fetch_fn, void *user,
                                 tsr_zip **zip) {
    reader r = {.ctx = ctx,
                .name = name,
                .bytes = bytes,
                .size = size,
                .fetch = fetch_fn,
                .user = user,
                .deflated = true};
    return parse(&r, zip);
}

tsr_status tsr_zip_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                         tsr_zip **zip) {
    reader r = {.ctx = ctx, .name = name, .bytes = bytes, .size = size};
    return parse(&r, zip);
}

tsr_status tsr_zip_parse_packed(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                tsr_zip **zip) {
    return tsr_zip_parse_fetched(ctx, name, bytes, size, NULL, NULL, zip);
}

/* Inflates pieces of at most 2^30 bytes, which zlib can count. */
static tsr_status inflate_entry(tsr_context *ctx, const char *name, const tsr_zip_entry *e,
                                uint8_t *to, size_t size) {
    z_stream z = {0};
    uint64_t in = 0;
    size_t out = 0;
    int result = Z_OK;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: zip entry %.200s: no memory to unpack", name,
                        e->name);
    while (result == Z_OK && out < size) {
        const uint64_t left = e->size - in, room = size - out;
        const unsigned put = left < 1u << 30 ? (unsigned)left : 1u << 30;
        const unsigned most = room < 1u << 30 ? (unsigned)room : 1u << 30;
        z.next_in = (Bytef *)(uintptr_t)(e->bytes + in);
        z.avail_in = put;
        z.next_out = to + out;
        z.avail_out = most;
        result = inflate(&z, Z_NO_FLUSH);
        in += put - z.avail_in;
        out += most - z.avail_out;
        if (result == Z_OK && put == z.avail_in && most == z.avail_out) result = Z_BUF_ERROR;
    }
    uint8_t more; /* all of it: the end must be there, too */
    if (result == Z_OK && size == e->plain) {
        z.next_in = (Bytef *)(uintptr_t)(e->bytes + in);
        z.avail_in = e->size - in < 1u << 30 ? (unsigned)(e->size - in) : 1u << 30;
        z.next_out = &more;
        z.avail_out = 1;
        result = inflate(&z, Z_FINISH);
        if (z.avail_out == 0) result = Z_DATA_ERROR;
    }
    inflateEnd(&z);
    if (out == size && (result == Z_STREAM_END || (result == Z_OK && size < e->plain)))
        return TSR_OK;
    return tsr_fail(ctx, result == Z_MEM_ERROR ? TSR_ERROR_MEMORY : TSR_ERROR_FORMAT,
                    "%s: zip entry %.200s: wanted %llu bytes of deflated data, got others", name,
                    e->name, (unsigned long long)e->plain);
}

tsr_status tsr_zip_unpack(tsr_context *ctx, const char *name, const tsr_zip_entry *e, void *to,
                          size_t size) {
    if (!e->deflated && size) memcpy(to, e->bytes, size);
    tsr_status status = e->deflated ? inflate_entry(ctx, name, e, to, size) : TSR_OK;
    if (status || size < e->plain) return status;
    const tsr_zip_entry unpacked = {.name = e->name, .bytes = to, .size = size, .crc = e->crc};
    return tsr_zip_check(ctx, name, &unpacked);
}

void tsr_zip_close(tsr_zip **zip) {
    if (!zip || !*zip) return;
    free((*zip)->entries);
    free((*zip)->places);
    free((*zip)->names);
    free(*zip);
    *zip = NULL;
}

int tsr_zip_count(const tsr_zip *zip) {
    return zip->count;
}

const tsr_zip_entry *tsr_zip_at(const tsr_zip *zip, int index) {
    return index >= 0 && index < zip->count ? &zip->entries[index] : NULL;
}

const tsr_zip_entry *tsr_zip_find(const tsr_zip *zip, const char *name) {
    const tsr_zip_entry key = {.name = name};
    if (!zip->count) return NULL;
    return bsearch(&key, zip->entries, (size_t)zip->count, sizeof key, compare_entries);
}

/* CRC-32 of the polynomial 0xEDB88320, eight bytes at a time. */
uint32_t tsr_zip_crc(uint32_t crc, const void *bytes, uint64_t size) {
    const uint8_t *p = bytes;
    uint32_t table[8][256];
    crc = ~crc;
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int k = 0; k < 8; ++k)
            c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; ++i)
        for (int k = 1; k < 8; ++k)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t a = crc ^ get32(p), b = get32(p + 4);
        crc = table[7][a & 255] ^ table[6][a >> 8 & 255] ^ table[5][a >> 16 & 255] ^
              table[4][a >> 24] ^ table[3][b & 255] ^ table[2][b >> 8 & 255] ^
              table[1][b >> 16 & 255] ^ table[0][b >> 24];
    }
    for (; size; --size, ++p)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    return ~crc;
}

tsr_status tsr_zip_check(tsr_context *ctx, const char *name, const tsr_zip_entry *entry) {
    uint32_t crc = tsr_zip_crc(0, entry->bytes, entry->size);
    if (crc != entry->crc)
        return tsr_fail(ctx, TSR_ERROR_CHECKSUM,
                        "%s: zip entry %.200s: CRC-32: wanted %08x, got %08x", name, entry->name,
                        entry->crc, crc);
    return TSR_OK;
}
