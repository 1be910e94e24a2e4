/* SPDX-License-Identifier: MIT */
/* arena.h: memory that is taken piece by piece and given back all at once: tsr_arena for many small
 * pieces over many runs, tsr_scratch for the few arrays of one call. */
#ifndef COMPUTE_ARENA_H
#define COMPUTE_ARENA_H

#include <stdbool.h>
#include "context.h"

/* ---- arena: blocks that grow by doubling and are kept for reuse; pieces aligned to 64 bytes ----
 */

typedef struct tsr_arena_block tsr_arena_block;
typedef struct tsr_arena {
    tsr_arena_block *first, *current;
    size_t used;  /* in `current` */
    size_t total; /* bytes in all blocks */
} tsr_arena;
typedef struct tsr_arena_mark {
    tsr_arena_block *block;
    size_t used;
} tsr_arena_mark;

/* Takes `bytes` bytes, aligned to 64, uninitialised, owned by the arena. NULL after a MEMORY
 * failure.
 */
void *tsr_arena_take(tsr_context *ctx, tsr_arena *arena, size_t bytes);
/* Marks the end of what was taken so far. */
tsr_arena_mark tsr_arena_position(const tsr_arena *arena);
/* Gives back everything taken after `mark`; a zeroed mark gives back everything. */
void tsr_arena_rewind(tsr_arena *arena, tsr_arena_mark mark);
/* Bytes from the arena's start to the end of what was taken. */
size_t tsr_arena_used(const tsr_arena *arena);
/* True if p was taken after `mark`. */
bool tsr_arena_holds(const tsr_arena *arena, tsr_arena_mark mark, const void *p);
/* Frees all blocks; the arena may be used again. */
void tsr_arena_free(tsr_arena *arena);

/* ---- scratch: the arrays of one call ---- */

/* A call takes what it needs, checks `status` once, and frees once:
 *
 *     tsr_scratch s = {.ctx = ctx};
 *     float *x = tsr_scratch_take(&s, n, sizeof *x, "tiles");
 *     float *y = tsr_scratch_take(&s, m, sizeof *y, "latents");
 *     tsr_status status = s.status;
 *     if (!status) status = ...;
 *     tsr_scratch_free(&s);
 *
 * Every array is an allocation of its own size, so that nothing is held beyond what was
 * taken. With `reuse` large arrays go back to the context, 32 MiB of them at most, for the next
 * call: to be handed pages by the kernel can take longer than what is done in them. */
typedef struct tsr_scratch {
    tsr_context *ctx;
    bool reuse;              /* not where several threads take; ctx NULL: never */
    tsr_status status;       /* the first failure; later calls of tsr_scratch_take do nothing */
    tsr_scratch_piece *last; /* of the list of arrays */
} tsr_scratch;
/* Array of count * size bytes, zeroed, aligned to 16. NULL after a failure: MEMORY, naming `what`,
 * when there is no memory, or when count * size overflows or exceeds the context's limit. */
void *tsr_scratch_take(tsr_scratch *scratch, size_t count, size_t size, const char *what);
/* The same, not zeroed: for large arrays that are written before they are read. */
void *tsr_scratch_take_raw(tsr_scratch *scratch, size_t count, size_t size, const char *what);
/* Frees every array, or gives it back to the context; the scratch may be used again. */
void tsr_scratch_free(tsr_scratch *scratch);
/* Frees what a context keeps for the next call; tsr_context_close calls this. */
void tsr_scratch_forget(tsr_context *ctx);

#endif
