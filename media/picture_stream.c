/* SPDX-License-Identifier: MIT */
/* picture_stream.c: see picture_stream.h. */
#include "picture_stream.h"
#include "picture_extent.h"

#include <stdlib.h>
#include <string.h>

struct tsr_picture_stream {
    tsr_context *ctx;
    const char *name;
    tsr_stream_read_fn read;
    void *user;
    uint8_t *bytes; /* [room], of which [from, from + size) are not handed out yet */
    size_t from, size, room;
    size_t taken; /* of `size`: handed out by the last call, and blanks behind it */
    bool ended;   /* the pipe has no more bytes */
};

tsr_status tsr_picture_stream_open(tsr_context *ctx, const char *name, tsr_stream_read_fn read,
                                   void *user, tsr_picture_stream **stream) {
    *stream = tsr_alloc(ctx, 1, sizeof **stream, "picture stream");
    if (!*stream) return TSR_ERROR_MEMORY;
    (*stream)->ctx = ctx;
    (*stream)->name = name;
    (*stream)->read = read;
    (*stream)->user = user;
    return TSR_OK;
}

void tsr_picture_stream_close(tsr_picture_stream **stream) {
    if (!*stream) return;
    free((*stream)->bytes);
    free(*stream);
    *stream = NULL;
}

/* Reads until there are `wanted` bytes or the end. */
static tsr_status fill(tsr_picture_stream *s, size_t wanted) {
    const uint64_t limit = s->ctx->settings.memory_limit;
    while (s->size < wanted && !s->ended) {
        if (s->from && s->from + s->size == s->room) {
            memmove(s->bytes, s->bytes + s->from, s->size);
            s->from = 0;
        }
        if (s->from + s->size == s->room) {
            const size_t room = s->room ? 2 * s->room : 1 << 16;
            if (s->room > limit)
                return tsr_fail(s->ctx, TSR_ERROR_TOO_LARGE,
                                "%s: wanted a picture of at most %llu bytes (the memory limit), "
                                "got more",
                                s->name, (unsigned long long)limit);
            uint8_t *grown = realloc(s->bytes, room);
            if (!grown)
                return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", s->name,
                                room);
            s->bytes = grown;
            s->room = room;
        }
        size_t got;
        const size_t end = s->from + s->size;
        const tsr_status status = s->read(s->user, s->bytes + end, s->room - end, &got);
        if (status) return status;
        s->size += got;
        s->ended = got == 0;
    }
    return TSR_OK;
}

/* Goes over what writers leave behind a picture, blanks and zeros. *more: something follows. */
static tsr_status look_behind(tsr_picture_stream *s, bool *more) {
    for (;; s->taken++) {
        const tsr_status status = fill(s, s->taken + 18); /* as many as tell a picture */
        const size_t left = s->size - s->taken;
        *more = left > 0;
        if (status || !left) return status;
        const uint8_t *p = s->bytes + s->from + s->taken;
        tsr_extent_scan scan = {0};
        size_t end;
        if (*p && !strchr(" \t\r\n", *p)) return TSR_OK;
        if (left >= 18 && tsr_picture_extent(p, 18, &scan, &end) != TSR_EXTENT_NONE)
            return TSR_OK; /* boxes begin with zeros */
    }
}

tsr_status tsr_picture_stream_next(tsr_picture_stream *s, const uint8_t **bytes, size_t *size,
                                   bool *more) {
    tsr_extent_scan scan = {0};
    size_t end = 0;
    s->from += s->taken;
    s->size -= s->taken;
    s->taken = 0;
    for (;;) {
        tsr_extent extent = TSR_EXTENT_MORE;
        if (s->size) extent = tsr_picture_extent(s->bytes + s->from, s->size, &scan, &end);
        if (extent == TSR_EXTENT_KNOWN) break;
        if (s->ended) {
            end = s->size;
            break;
        }
        const bool wanted = extent == TSR_EXTENT_MORE && end > s->size;
        const tsr_status status = fill(s, wanted ? end : s->size + 1);
        if (status) return status;
    }
    s->taken = end;
    const tsr_status status = look_behind(s, more);
    *bytes = s->bytes + s->from;
    *size = end;
    return status;
}
