/* SPDX-License-Identifier: MIT */
/* source_bytes.c: the bytes of a source's files and pipes, as they are stored. */
#include "source_parts.h"

#include "../formats/file.h"

#include <string.h>

tsr_status tsr_source_bytes_open(tsr_context *ctx, const char *path, tsr_hash *hash,
                                 tsr_source_bytes *bytes) {
    *bytes = (tsr_source_bytes){.ctx = ctx, .fd = -1, .hash = hash};
    bytes->name = strcmp(path, "-") ? path : "standard input";
    return tsr_in_open(ctx, path, &bytes->fd);
}

void tsr_source_bytes_close(tsr_source_bytes *bytes) {
    tsr_in_close(bytes->fd);
    bytes->fd = -1;
}

static tsr_status read_on(tsr_source_bytes *b, void *to, size_t size, size_t *got) {
    if (b->fd >= 0) return tsr_in_read(b->ctx, b->name, b->fd, to, size, got);
    *got = size < b->memory_size ? size : b->memory_size;
    if (*got) memcpy(to, b->memory, *got);
    b->memory += *got;
    b->memory_size -= *got;
    return TSR_OK;
}

tsr_status tsr_source_bytes_read(void *user, void *to, size_t size, size_t *got) {
    tsr_source_bytes *b = user;
    tsr_status status = TSR_OK;
    if (b->head_at < b->head_size) {
        *got = b->head_size - b->head_at < size ? b->head_size - b->head_at : size;
        memcpy(to, b->head + b->head_at, *got);
        b->head_at += *got;
    } else
        status = read_on(b, to, size, got);
    if (!status) tsr_hash_add(b->hash, to, *got);
    return status;
}

tsr_status tsr_source_bytes_look(tsr_source_bytes *b, bool *archive) {
    size_t got = 1;
    while (got && b->head_size < TSR_SOURCE_HEAD) {
        const tsr_status status =
            read_on(b, b->head + b->head_size, TSR_SOURCE_HEAD - b->head_size, &got);
        if (status) return status;
        b->head_size += got;
    }
    *archive = tsr_is_archive(b->head, b->head_size);
    return TSR_OK;
}

/* The sum of a tar header's bytes, its own field counted as blanks (POSIX ustar). */
static bool has_tar_sum(const uint8_t *head) {
    enum { FIELD = 148, FIELD_END = 156 };
    unsigned sum = 0, stored = 0;
    for (size_t i = 0; i < TSR_SOURCE_HEAD; ++i)
        sum += i >= FIELD && i < FIELD_END ? ' ' : head[i];
    size_t i = FIELD;
    while (i < FIELD_END && head[i] == ' ')
        ++i;
    for (; i < FIELD_END && head[i] >= '0' && head[i] <= '7'; ++i)
        stored = stored * 8 + (head[i] - '0');
    return sum == stored;
}

bool tsr_is_archive(const uint8_t *head, size_t size) {
    static const uint8_t gzip[] = {0x1f, 0x8b, 8}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (size >= sizeof gzip && !memcmp(head, gzip, sizeof gzip)) return true;
    if (size >= sizeof zstd && !memcmp(head, zstd, sizeof zstd)) return true;
    if (size < TSR_SOURCE_HEAD) return false;
    size_t zeros = 0;
    while (zeros < TSR_SOURCE_HEAD && !head[zeros])
        ++zeros;
    return zeros == TSR_SOURCE_HEAD || !memcmp(head + 257, "ustar", 5) || has_tar_sum(head);
}
