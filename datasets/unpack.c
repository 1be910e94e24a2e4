/* SPDX-License-Identifier: MIT */
/* unpack.c: see unpack.h. zlib and zstd compare the check sums, which libarchive's own gzip filter
 * does not. */
#include "unpack.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* zstd says nothing of what it unpacked in a call that fails: little at a time, so that little is
 * lost. */
enum { PACKED = 1 << 16, SOME = 512 };
typedef enum packing { PLAIN, GZIP, ZSTD } packing;

struct tsr_unpack {
    tsr_context *ctx;
    const char *name;
    tsr_packed_fn read;
    void *user;
    packing packing;
    z_stream z;
    ZSTD_DStream *zstd;
    bool inside; /* a member or frame that has begun */
    bool ended;
    size_t at, size; /* of `packed`: not used yet */
    uint8_t packed[PACKED];
};

static const uint8_t gzip_magic[] = {0x1f, 0x8b}, zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};

static bool begins(const uint8_t *bytes, size_t size, const uint8_t *magic, size_t n) {
    return size >= n && !memcmp(bytes, magic, n);
}

static packing packing_of(const uint8_t *bytes, size_t size) {
    if (begins(bytes, size, gzip_magic, sizeof gzip_magic)) return GZIP;
    return begins(bytes, size, zstd_magic, sizeof zstd_magic) ? ZSTD : PLAIN;
}

bool tsr_is_packed(const uint8_t *head, size_t size) {
    return packing_of(head, size) != PLAIN;
}

tsr_status tsr_unpack_open(tsr_context *ctx, const char *name, const uint8_t *head,
                           size_t head_size, tsr_packed_fn read, void *user, tsr_unpack **unpack) {
    tsr_unpack *u = *unpack = tsr_alloc(ctx, 1, sizeof **unpack, name);
    if (!u) return TSR_ERROR_MEMORY;
    u->ctx = ctx;
    u->name = name;
    u->read = read;
    u->user = user;
    tsr_status status = TSR_OK;
    const packing packing = packing_of(head, head_size);
    bool good = true;
    if (packing == GZIP) good = inflateInit2(&u->z, MAX_WBITS + 16) == Z_OK;
    if (packing == ZSTD) good = (u->zstd = ZSTD_createDStream()) != NULL;
    if (good)
        u->packing = packing;
    else
        status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory to unpack it", name);
    if (status) tsr_unpack_close(unpack);
    return status;
}

void tsr_unpack_close(tsr_unpack **unpack) {
    if (!*unpack) return;
    if ((*unpack)->packing == GZIP) inflateEnd(&(*unpack)->z);
    ZSTD_freeDStream((*unpack)->zstd);
    free(*unpack);
    *unpack = NULL;
}

static tsr_status damaged(const tsr_unpack *u, tsr_status status, const char *what) {
    return tsr_fail(u->ctx, status, "%s: wanted whole %s data, got %s", u->name,
                    u->packing == GZIP ? "gzip" : "zstd", what);
}

/* Gets packed bytes where few are left. */
static tsr_status refill(tsr_unpack *u) {
    size_t got = 1;
    memmove(u->packed, u->packed + u->at, u->size);
    u->at = 0;
    while (got && u->size < sizeof zstd_magic) {
        const tsr_status status = u->read(u->user, u->packed + u->size, PACKED - u->size, &got);
        if (status) return status;
        u->size += got;
    }
    return TSR_OK;
}

static tsr_status inflate_some(tsr_unpack *u, uint8_t *to, size_t size, size_t *got) {
    u->z.next_in = u->packed + u->at;
    u->z.avail_in = (uInt)u->size;
    u->z.next_out = to;
    u->z.avail_out = (uInt)(size < INT_MAX ? size : INT_MAX);
    const uInt room = u->z.avail_out;
    const int result = inflate(&u->z, Z_NO_FLUSH);
    const size_t used = u->size - u->z.avail_in;
    u->at += used;
    u->size -= used;
    *got = room - u->z.avail_out;
    if (result == Z_STREAM_END) {
        u->inside = false;
        return inflateReset(&u->z) == Z_OK ? TSR_OK : damaged(u, TSR_ERROR_FORMAT, "damage");
    }
    if (result == Z_OK || result == Z_BUF_ERROR) return TSR_OK;
    if (result == Z_MEM_ERROR) return damaged(u, TSR_ERROR_MEMORY, "no memory for them");
    const bool sum = u->z.msg && strstr(u->z.msg, "check");
    return damaged(u, sum ? TSR_ERROR_CHECKSUM : TSR_ERROR_FORMAT, u->z.msg ? u->z.msg : "damage");
}

static tsr_status decompress_some(tsr_unpack *u, uint8_t *to, size_t size, size_t *got) {
    ZSTD_inBuffer in = {u->packed + u->at, u->size, 0};
    ZSTD_outBuffer out = {to, size < SOME ? size : SOME, 0};
    const size_t left = ZSTD_decompressStream(u->zstd, &out, &in);
    u->at += in.pos;
    u->size -= in.pos;
    *got = out.pos;
    if (!ZSTD_isError(left)) {
        u->inside = left != 0;
        return TSR_OK;
    }
    const char *name = ZSTD_getErrorName(left);
    tsr_status status = TSR_ERROR_FORMAT;
    if (strstr(name, "checksum")) status = TSR_ERROR_CHECKSUM;
    if (strstr(name, "memory")) status = TSR_ERROR_TOO_LARGE;
    return damaged(u, status, name);
}

tsr_status tsr_unpack_read(tsr_unpack *u, void *to, size_t size, size_t *got) {
    *got = 0;
    if (u->packing == PLAIN) return u->read(u->user, to, size, got);
    while (!*got && !u->ended && size) {
        if (u->size < sizeof zstd_magic) {
            const tsr_status status = refill(u);
            if (status) return status;
        }
        if (!u->inside && packing_of(u->packed + u->at, u->size) != u->packing) {
            u->ended = true;
            break;
        }
        u->inside = true;
        const size_t had = u->size;
        const tsr_status status =
            u->packing == GZIP ? inflate_some(u, to, size, got) : decompress_some(u, to, size, got);
        if (status) return status;
        if (!*got && u->inside && u->size == had) /* all was given, and nothing came of it */
            return damaged(u, TSR_ERROR_TRUNCATED, "an early end");
    }
    return TSR_OK;
}
