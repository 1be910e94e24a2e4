/* SPDX-License-Identifier: MIT */
/* threads.c: workers sleep until a job is posted, then race for tiles with one atomic counter.
 * Before they sleep they look out for the next job for some microseconds: a model is a chain of
 * short jobs, and waking a thread takes as long as a small one of them. */
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

struct tsr_threads {
    pthread_mutex_t lock;
    pthread_cond_t posted, finished;
    pid_t process; /* in which the helpers run */
    int count;     /* helpers, without the caller */
    pthread_t *ids;
    /* the job */
    tsr_tile_fn fn;
    void *arg;
    int64_t tiles;
    atomic_llong next;
    atomic_ullong job; /* number of the posted job */
    atomic_int busy;   /* helpers still inside it */
    bool quit;
};

static _Thread_local int inside = -1; /* this thread's worker number while it does a tile */

enum { LOOKS = 1500 }; /* some 30 microseconds */

static void breathe(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(tsr_threads *t, int worker) {
    inside = worker;
    for (;;) {
        long long tile = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
        if (tile >= t->tiles) break;
        t->fn(t->arg, tile, worker);
    }
    inside = -1;
}

typedef struct helper_start {
    tsr_threads *threads;
    int worker;
} helper_start;

static void *helper(void *start) {
    helper_start s = *(helper_start *)start;
    free(start);
    tsr_threads *t = s.threads;
    unsigned long long seen = 0;
    for (;;) {
        for (int i = 0; i < LOOKS && atomic_load(&t->job) == seen; ++i)
            breathe();
        pthread_mutex_lock(&t->lock);
        while (!t->quit && atomic_load(&t->job) == seen)
            pthread_cond_wait(&t->posted, &t->lock);
        const bool quit = t->quit;
        seen = atomic_load(&t->job);
        pthread_mutex_unlock(&t->lock);
        if (quit) return NULL;
        work(t, s.worker);
        if (atomic_fetch_sub(&t->busy, 1) == 1) {
            pthread_mutex_lock(&t->lock); /* the caller checks under the lock before it sleeps */
            pthread_cond_signal(&t->finished);
            pthread_mutex_unlock(&t->lock);
        }
    }
}

static tsr_threads *start(int helpers) {
    tsr_threads *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->ids = calloc((size_t)helpers, sizeof *t->ids);
    if (!t->ids) {
        free(t);
        return NULL;
    }
    t->process = getpid();
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->posted, NULL);
    pthread_cond_init(&t->finished, NULL);
    for (int i = 0; i < helpers; ++i) {
        helper_start *s = malloc(sizeof *s);
        if (!s) break;
        *s = (helper_start){t, i + 1};
        if (pthread_create(&t->ids[i], NULL, helper, s)) {
            free(s);
            break;
        }
        t->count = i + 1;
    }
    return t;
}

/* fork() copies the pool into the child and its helpers not. What the copy's locks and conditions
 * say of threads that are not there would never change, so the child frees the memory and waits for
 * nothing. */
static bool is_left_by_fork(const tsr_threads *t) {
    return t && t->process != getpid();
}

int tsr_thread_count(const tsr_context *ctx) {
    return ctx ? ctx->settings.threads : 1;
}

void tsr_parallel(tsr_context *ctx, int64_t tiles, tsr_tile_fn fn, void *arg) {
    if (inside >= 0 || tiles <= 1 || tsr_thread_count(ctx) == 1) {
        /* Inside a tile of another context: any number of this one's will do. */
        const int worker = inside >= 0 && inside < tsr_thread_count(ctx) ? inside : 0;
        for (int64_t i = 0; i < tiles; ++i)
            fn(arg, i, worker);
        return;
    }
    if (is_left_by_fork(ctx->threads)) tsr_threads_close(&ctx->threads);
    if (!ctx->threads) ctx->threads = start(ctx->settings.threads - 1);
    tsr_threads *t = ctx->threads;
    if (!t || t->count == 0) {
        for (int64_t i = 0; i < tiles; ++i)
            fn(arg, i, 0);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->fn = fn;
    t->arg = arg;
    t->tiles = tiles;
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    atomic_store(&t->busy, t->count);
    atomic_fetch_add(&t->job, 1);
    pthread_cond_broadcast(&t->posted);
    pthread_mutex_unlock(&t->lock);
    work(t, 0);
    for (int i = 0; i < LOOKS && atomic_load(&t->busy); ++i)
        breathe();
    pthread_mutex_lock(&t->lock);
    while (atomic_load(&t->busy))
        pthread_cond_wait(&t->finished, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

void tsr_threads_close(tsr_threads **threads) {
    if (!threads || !*threads) return;
    tsr_threads *t = *threads;
    if (!is_left_by_fork(t)) {
        pthread_mutex_lock(&t->lock);
        t->quit = true;
        pthread_cond_broadcast(&t->posted);
        pthread_mutex_unlock(&t->lock);
        for (int i = 0; i < t->count; ++i)
            pthread_join(t->ids[i], NULL);
        pthread_mutex_destroy(&t->lock);
        pthread_cond_destroy(&t->posted);
        pthread_cond_destroy(&t->finished);
    }
    free(t->ids);
    free(t);
    *threads = NULL;
}
