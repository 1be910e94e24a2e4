/* SPDX-License-Identifier: MIT */
/* spool.c: see spool.h. */
#include "spool.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *spool_name(const tsr_spool *s) {
    return s->beside ? s->beside : "output";
}

/* Opens the file if there can be one. False: the bytes stay in memory. */
static bool open_file(tsr_spool *s, tsr_status *status) {
    if (s->filed) return true;
    if (s->in_memory) return false;
    char *name = NULL;
    const int fd =
        tsr_temporary_open(s->beside ? s->beside : P_tmpdir "/tessera", O_RDWR, 0600, &name);
    if (fd < 0 && !s->beside) return false;
    if (fd < 0) {
        *status = tsr_fail_errno(s->ctx, "%s: create a temporary file in its folder", s->beside);
        return false;
    }
    unlink(name);
    free(name);
    s->file = fd;
    s->filed = true;
    return true;
}

static tsr_status write_out(tsr_spool *s) {
    const uint8_t *at = s->bytes;
    size_t left = s->used;
    while (left > 0) {
        const ssize_t put = write(s->file, at, left);
        if (put >= 0)
            at += put, left -= (size_t)put;
        else if (errno != EINTR)
            return tsr_fail_errno(s->ctx, "%s: write to its temporary file", spool_name(s));
    }
    s->used = 0;
    return TSR_OK;
}

/* Makes room for `size` more bytes in memory. */
static tsr_status make_room(tsr_spool *s, size_t size) {
    const size_t most = s->most ? s->most : TSR_SPOOL_MEMORY;
    tsr_status status = TSR_OK;
    if (s->used + size > most && s->used && open_file(s, &status)) status = write_out(s);
    if (status || s->used + size <= s->room) return status;
    size_t room = s->room ? s->room : 4096;
    while (room < s->used + size)
        room *= 2;
    uint8_t *more = realloc(s->bytes, room);
    if (!more)
        return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes of its index",
                        spool_name(s), room);
    s->bytes = more;
    s->room = room;
    return TSR_OK;
}

tsr_status tsr_spool_put(tsr_spool *s, const void *bytes, size_t size) {
    const tsr_status status = make_room(s, size);
    if (status) return status;
    memcpy(s->bytes + s->used, bytes, size);
    s->used += size;
    s->size += size;
    return TSR_OK;
}

tsr_status tsr_spool_read(tsr_spool *s, uint64_t offset, void *to, size_t size) {
    const uint64_t filed = s->size - s->used;
    uint8_t *out = to;
    while (size > 0 && offset < filed) {
        const size_t piece = filed - offset < size ? (size_t)(filed - offset) : size;
        const ssize_t got = pread(s->file, out, piece, (off_t)offset);
        if (got > 0)
            out += got, offset += (uint64_t)got, size -= (size_t)got;
        else if (got == 0 || errno != EINTR)
            return tsr_fail_errno(s->ctx, "%s: read its temporary file", spool_name(s));
    }
    if (size > 0) memcpy(out, s->bytes + (offset - filed), size);
    return TSR_OK;
}

void tsr_spool_clear(tsr_spool *s) {
    if (s->filed) close(s->file);
    free(s->bytes);
    *s =
        (tsr_spool){.ctx = s->ctx, .beside = s->beside, .in_memory = s->in_memory, .most = s->most};
}
