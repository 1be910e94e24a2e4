/* SPDX-License-Identifier: MIT */
/* arena.c: a chain of blocks; `current` is the one being filled, later ones wait for reuse. */
#include "arena.h"

#include <stdlib.h>

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

struct tsr_scratch_piece {
    _Alignas(16) tsr_scratch_piece *before;
};

static void *take(tsr_scratch *s, size_t count, size_t size, const char *what,
                  void *(*alloc)(tsr_context *, size_t, size_t, const char *)) {
    size_t bytes;
    if (s->status) return NULL;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(tsr_scratch_piece), &bytes))
        bytes = SIZE_MAX; /* which tsr_alloc refuses by name */
    tsr_scratch_piece *piece = alloc(s->ctx, 1, bytes, what);
    if (!piece) {
        s->status = TSR_ERROR_MEMORY;
        return NULL;
    }
    piece->before = s->last;
    s->last = piece;
    return piece + 1;
}

void *tsr_scratch_take(tsr_scratch *s, size_t count, size_t size, const char *what) {
    return take(s, count, size, what, tsr_alloc);
}

void *tsr_scratch_take_raw(tsr_scratch *s, size_t count, size_t size, const char *what) {
    return take(s, count, size, what, tsr_alloc_raw);
}

void tsr_scratch_free(tsr_scratch *s) {
    while (s->last) {
        tsr_scratch_piece *piece = s->last;
        s->last = piece->before;
        free(piece);
    }
    s->status = TSR_OK;
}
