/* SPDX-License-Identifier: MIT */
/* threads.h: a pool with a dynamic tile queue.
 *
 * Work is cut into tiles whose borders depend on the problem alone, never on the thread count, so
 * results are the same to the bit for every number of threads. Tiles are taken one by one from a
 * shared counter (a static split would wait for the slower core).
 *
 * fork() leaves the pool's threads behind: the child's first parallel call starts its own. */
#ifndef COMPUTE_THREADS_H
#define COMPUTE_THREADS_H

#include "context.h"

/* Computes tile `tile`. `worker`, 0 .. tsr_thread_count(ctx) - 1, is the thread's number, for its
 * scratch memory. */
typedef void (*tsr_tile_fn)(void *arg, int64_t tile, int worker);

/* Worker threads of a context, 1 or more. */
int tsr_thread_count(const tsr_context *ctx);
/* Runs tiles 0 .. tiles-1 and returns when all are done. The caller works too, as worker 0. A call
 * from inside a tile runs its tiles at once on that worker. Without memory for threads it runs
 * everything on the caller. */
void tsr_parallel(tsr_context *ctx, int64_t tiles, tsr_tile_fn fn, void *arg);
/* Ends the threads of a pool and sets *threads to NULL; tsr_context_close calls this. */
void tsr_threads_close(tsr_threads **threads);

#endif
