/* SPDX-License-Identifier: MIT */
/* token_bytes.c: growing output bytes, the bounded input cursor, chunk headers. */
#include "token_layout.h"
#include "../checksum.h"

#include <stdlib.h>

void tsr_set_u32(uint8_t *b, uint32_t value) {
    for (int i = 0; i < 4; ++i)
        b[i] = (uint8_t)(value >> 8 * i);
}

void tsr_set_u64(uint8_t *b, uint64_t value) {
    for (int i = 0; i < 8; ++i)
        b[i] = (uint8_t)(value >> 8 * i);
}

uint8_t *tsr_bytes_extend(tsr_bytes *bytes, size_t size) {
    if (bytes->failed) return NULL;
    if (size > bytes->room - bytes->size) {
        if (size > SIZE_MAX / 2 - bytes->size) {
            bytes->failed = true;
            return NULL;
        }
        size_t room = bytes->room < 256 ? 256 : bytes->room;
        while (room < bytes->size + size)
            room *= 2;
        uint8_t *more = realloc(bytes->at, room);
        if (!more) {
            bytes->failed = true;
            return NULL;
        }
        bytes->at = more;
        bytes->room = room;
    }
    uint8_t *at = bytes->at + bytes->size;
    bytes->size += size;
    return at;
}

void tsr_bytes_put(tsr_bytes *bytes, const void *data, size_t size) {
    if (size == 0) return;
    uint8_t *at = tsr_bytes_extend(bytes, size);
    if (at) memcpy(at, data, size);
}

void tsr_bytes_u8(tsr_bytes *bytes, uint32_t value) {
    uint8_t b = (uint8_t)value;
    tsr_bytes_put(bytes, &b, 1);
}

void tsr_bytes_u32(tsr_bytes *bytes, uint32_t value) {
    uint8_t b[4];
    tsr_set_u32(b, value);
    tsr_bytes_put(bytes, b, sizeof b);
}

void tsr_bytes_u64(tsr_bytes *bytes, uint64_t value) {
    uint8_t b[8];
    tsr_set_u64(b, value);
    tsr_bytes_put(bytes, b, sizeof b);
}

void tsr_bytes_varint(tsr_bytes *bytes, uint64_t value) {
    uint8_t b[10];
    size_t n = 0;
    for (; value >= 128; value >>= 7)
        b[n++] = (uint8_t)(value | 128);
    b[n++] = (uint8_t)value;
    tsr_bytes_put(bytes, b, n);
}

void tsr_bytes_free(tsr_bytes *bytes) {
    free(bytes->at);
    *bytes = (tsr_bytes){0};
}

size_t tsr_bytes_chunk_start(tsr_bytes *bytes) {
    size_t start = bytes->size;
    tsr_bytes_extend(bytes, TSR_TESS_CHUNK_BYTES);
    return start;
}

void tsr_bytes_chunk_finish(tsr_bytes *bytes, size_t start, uint32_t type, uint32_t flags) {
    if (bytes->failed) return;
    uint8_t *chunk = bytes->at + start;
    size_t size = bytes->size - start - TSR_TESS_CHUNK_BYTES;
    tsr_set_u32(chunk, type);
    tsr_set_u32(chunk + 4, flags);
    tsr_set_u64(chunk + 8, size);
    tsr_set_u32(chunk + 16, tsr_crc32c(chunk + TSR_TESS_CHUNK_BYTES, size));
    tsr_set_u32(chunk + 20, tsr_crc32c(chunk, 20));
}

tsr_status tsr_grow(tsr_context *ctx, void *memory, size_t *room, size_t count, size_t size,
                    const char *what) {
    if (count <= *room) return TSR_OK;
    void **pointer = memory;
    size_t wanted = *room <= SIZE_MAX / 2 && *room * 2 > count ? *room * 2 : count;
    uint64_t limit = ctx ? ctx->settings.memory_limit : SIZE_MAX;
    if (limit > SIZE_MAX) limit = SIZE_MAX;
    if (wanted > limit / size) wanted = count;
    if (wanted > limit / size)
        return tsr_fail(ctx, TSR_ERROR_MEMORY,
                        "%s: wanted at most %llu bytes (the memory limit), got %zu x %zu", what,
                        (unsigned long long)limit, count, size);
    void *more = realloc(*pointer, wanted * size);
    if (!more)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", what, wanted * size);
    *pointer = more;
    *room = wanted;
    return TSR_OK;
}

const uint8_t *tsr_cursor_take(tsr_cursor *c, size_t size) {
    if (c->bad || tsr_cursor_left(c) < size) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += size;
    return at;
}

uint32_t tsr_cursor_u8(tsr_cursor *c) {
    const uint8_t *b = tsr_cursor_take(c, 1);
    return b ? *b : 0;
}

uint64_t tsr_cursor_varint(tsr_cursor *c, uint64_t most) {
    uint64_t value = 0;
    /* Most numbers have one or two bytes, and an index has millions of them. */
    if (!c->bad && c->at < c->end && *c->at < 128 && *c->at <= most) return *c->at++;
    if (!c->bad && c->end - c->at > 1 && c->at[0] >= 128 && c->at[1] - 1u < 127) {
        value = (c->at[0] & 127u) | (uint32_t)c->at[1] << 7;
        c->at += 2;
        c->bad = value > most;
        return c->bad ? 0 : value;
    }
    for (uint32_t shift = 0; shift < 70; shift += 7) {
        uint32_t byte = tsr_cursor_u8(c);
        if (c->bad || (shift == 63 && byte > 1)) break;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            if ((byte == 0 && shift > 0) || value > most) break;
            return value;
        }
    }
    c->bad = true;
    return 0;
}

bool tsr_chunk_read(const uint8_t *bytes, size_t left, tsr_chunk *chunk) {
    if (left < TSR_TESS_CHUNK_BYTES) return false;
    for (int i = 0; i < 4; ++i) {
        bool letter = bytes[i] >= 'A' && bytes[i] <= 'Z',
             digit = bytes[i] >= '0' && bytes[i] <= '9';
        if (!letter && !digit) return false;
    }
    if (tsr_get_u32(bytes + 20) != tsr_crc32c(bytes, 20)) return false;
    chunk->type = tsr_get_u32(bytes);
    chunk->flags = tsr_get_u32(bytes + 4);
    chunk->size = tsr_get_u64(bytes + 8);
    chunk->payload_crc = tsr_get_u32(bytes + 16);
    return true;
}

bool tsr_chunk_known(const tsr_chunk *chunk) {
    switch (chunk->type) {
    case TSR_TESS_HEAD:
    case TSR_TESS_FRAM:
    case TSR_TESS_ITEM:
    case TSR_TESS_LAYR:
    case TSR_TESS_STRM:
    case TSR_TESS_PRED:
        return chunk->flags == TSR_TESS_CRITICAL;
    case TSR_TESS_ATTR:
    case TSR_TESS_CLIP:
    case TSR_TESS_KEYS:
    case TSR_TESS_INDX:
    case TSR_TESS_TEND:
        return chunk->flags == 0;
    default:
        return false;
    }
}
