/* SPDX-License-Identifier: MIT */
/* arena.c: a chain of blocks; `current` is the one being filled, later ones wait for reuse. */
#include "arena.h"
#include "cpu/simd.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, SMALLEST_BLOCK = 1 << 20 };

struct tsr_arena_block {
    tsr_arena_block *next;
    size_t size;
    unsigned char *bytes;
};

static size_t round_up(size_t n) {
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *tsr_arena_take(tsr_context *ctx, tsr_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - ALIGNMENT) {
        tsr_fail(ctx, TSR_ERROR_MEMORY, "arena: %zu bytes overflow", bytes);
        return NULL;
    }
    bytes = round_up(bytes ? bytes : 1);
    while (arena->current && arena->used + bytes > arena->current->size && arena->current->next) {
        arena->current = arena->current->next;
        arena->used = 0;
    }
    if (!arena->current || arena->used + bytes > arena->current->size) {
        size_t size = arena->current ? arena->current->size * 2 : SMALLEST_BLOCK;
        if (size < bytes) size = bytes;
        if (ctx && arena->total + size > ctx->settings.memory_limit) size = bytes;
        if (ctx && arena->total + size > ctx->settings.memory_limit) {
            tsr_fail(ctx, TSR_ERROR_MEMORY,
                     "activations: wanted at most %llu bytes (the memory limit), got %zu",
                     (unsigned long long)ctx->settings.memory_limit, arena->total + size);
            return NULL;
        }
        tsr_arena_block *block = malloc(sizeof *block);
        void *memory = NULL;
        if (!block || posix_memalign(&memory, ALIGNMENT, size)) {
            free(block);
            tsr_fail(ctx, TSR_ERROR_MEMORY, "arena: no memory for %zu bytes", size);
            return NULL;
        }
        *block = (tsr_arena_block){.size = size, .bytes = memory};
        if (arena->current) {
            block->next = arena->current->next;
            arena->current->next = block;
        } else
            arena->first = block;
        arena->current = block;
        arena->used = 0;
        arena->total += size;
    }
    void *p = arena->current->bytes + arena->used;
    arena->used += bytes;
    return p;
}

tsr_arena_mark tsr_arena_position(const tsr_arena *arena) {
    return (tsr_arena_mark){arena->current, arena->used};
}

void tsr_arena_rewind(tsr_arena *arena, tsr_arena_mark mark) {
    arena->current = mark.block ? mark.block : arena->first;
    arena->used = mark.block ? mark.used : 0;
}

size_t tsr_arena_used(const tsr_arena *arena) {
    size_t n = arena->used;
    for (const tsr_arena_block *b = arena->first; b && b != arena->current; b = b->next)
        n += b->size;
    return n;
}

bool tsr_arena_holds(const tsr_arena *arena, tsr_arena_mark mark, const void *p) {
    uintptr_t at = (uintptr_t)p;
    size_t from = mark.block ? mark.used : 0;
    for (const tsr_arena_block *b = mark.block ? mark.block : arena->first; b;
         b = b->next, from = 0) {
        uintptr_t start = (uintptr_t)b->bytes;
        if (at >= start + from && at < start + b->size) return true;
        if (b == arena->current) break;
    }
    return false;
}

void tsr_arena_free(tsr_arena *arena) {
    for (tsr_arena_block *b = arena->first; b;) {
        tsr_arena_block *next = b->next;
        free(b->bytes);
        free(b);
        b = next;
    }
    *arena = (tsr_arena){0};
}

/* ---- scratch ---- */

/* What a context keeps for the next call: only arrays that take long to be had from the system.
 * Sanitizers see what is used after it was given back if it really is. */
#ifdef TSR_SANITIZED
enum { KEPT_LEAST = 1 << 16, KEPT_MOST = 0 };
#else
enum { KEPT_LEAST = 1 << 16, KEPT_MOST = 1 << 25 };
#endif

struct tsr_scratch_piece {
    _Alignas(16) tsr_scratch_piece *before;
    size_t bytes; /* with this header */
};

/* The smallest kept array of at least `bytes` bytes that is not far too large, taken out; or NULL.
 */
static tsr_scratch_piece *take_kept(tsr_context *ctx, size_t bytes) {
    tsr_scratch_piece **best = NULL;
    for (tsr_scratch_piece **p = &ctx->kept; *p; p = &(*p)->before)
        if ((*p)->bytes >= bytes && (*p)->bytes / 2 <= bytes &&
            (!best || (*p)->bytes < (*best)->bytes))
            best = p;
    if (!best) return NULL;
    tsr_scratch_piece *piece = *best;
    *best = piece->before;
    ctx->kept_bytes -= piece->bytes;
    return piece;
}

/* Keeps an array; those that have waited longest make room. */
static void keep(tsr_context *ctx, tsr_scratch_piece *piece) {
    if (piece->bytes < KEPT_LEAST || piece->bytes > KEPT_MOST) {
        free(piece);
        return;
    }
    piece->before = ctx->kept;
    ctx->kept = piece;
    ctx->kept_bytes += piece->bytes;
    while (ctx->kept_bytes > KEPT_MOST) {
        tsr_scratch_piece **last = &ctx->kept;
        while ((*last)->before)
            last = &(*last)->before;
        ctx->kept_bytes -= (*last)->bytes;
        free(*last);
        *last = NULL;
    }
}

void tsr_scratch_forget(tsr_context *ctx) {
    while (ctx->kept) {
        tsr_scratch_piece *piece = ctx->kept;
        ctx->kept = piece->before;
        free(piece);
    }
    ctx->kept_bytes = 0;
}

static void *take(tsr_scratch *s, size_t count, size_t size, const char *what, bool zeroed) {
    size_t bytes;
    if (s->status) return NULL;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(tsr_scratch_piece), &bytes))
        bytes = SIZE_MAX; /* which tsr_alloc refuses by name */
    tsr_scratch_piece *piece = s->reuse && s->ctx ? take_kept(s->ctx, bytes) : NULL;
    if (piece) {
        if (zeroed) memset(piece + 1, 0, bytes - sizeof *piece);
    } else {
        piece = (zeroed ? tsr_alloc : tsr_alloc_raw)(s->ctx, 1, bytes, what);
        if (piece) piece->bytes = bytes;
    }
    if (!piece) {
        s->status = TSR_ERROR_MEMORY;
        return NULL;
    }
    piece->before = s->last;
    s->last = piece;
    return piece + 1;
}

void *tsr_scratch_take(tsr_scratch *s, size_t count, size_t size, const char *what) {
    return take(s, count, size, what, true);
}

void *tsr_scratch_take_raw(tsr_scratch *s, size_t count, size_t size, const char *what) {
    return take(s, count, size, what, false);
}

void tsr_scratch_free(tsr_scratch *s) {
    while (s->last) {
        tsr_scratch_piece *piece = s->last;
        s->last = piece->before;
        if (s->reuse && s->ctx)
            keep(s->ctx, piece);
        else
            free(piece);
    }
    s->status = TSR_OK;
}
