/* SPDX-License-Identifier: MIT */
/* arena.h: memory that is taken piece by piece and given back all at once (or back to a mark).
 * Pieces are aligned to 64 bytes. Blocks grow by doubling and are kept for reuse. */
#ifndef COMPUTE_ARENA_H
#define COMPUTE_ARENA_H

#include <stdbool.h>
#include "context.h"

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

/* Zeroed or not: `tsr_arena_take` leaves the bytes as they are. NULL + MEMORY when there is none.
 */
void *tsr_arena_take(tsr_context *ctx, tsr_arena *arena, size_t bytes);
tsr_arena_mark tsr_arena_position(const tsr_arena *arena);
void tsr_arena_rewind(tsr_arena *arena, tsr_arena_mark mark); /* a zeroed mark rewinds all */
size_t tsr_arena_used(const tsr_arena *arena); /* bytes below the end of what was taken */
/* True if p was taken after `mark`. */
bool tsr_arena_holds(const tsr_arena *arena, tsr_arena_mark mark, const void *p);
void tsr_arena_free(tsr_arena *arena);

#endif
