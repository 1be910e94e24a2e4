/* SPDX-License-Identifier: MIT */
/* The thread pool: every tile once, whatever the numbers; nesting; contexts side by side. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "compute/threads.h"
#include "testing.h"

typedef struct job {
    tsr_context *ctx;
    atomic_int *seen;
    atomic_int bad_worker;
    int64_t inner; /* tiles of a nested call */
    atomic_llong inner_done;
} job;

static void inner_tile(void *arg, int64_t tile, int worker) {
    job *j = arg;
    (void)tile;
    if (worker < 0 || worker >= tsr_thread_count(j->ctx)) atomic_store(&j->bad_worker, 1);
    atomic_fetch_add(&j->inner_done, 1);
}

static void tile(void *arg, int64_t index, int worker) {
    job *j = arg;
    atomic_fetch_add(&j->seen[index], 1);
    if (worker < 0 || worker >= tsr_thread_count(j->ctx)) atomic_store(&j->bad_worker, 1);
    if (j->inner) tsr_parallel(j->ctx, j->inner, inner_tile, j);
}

static tsr_context *open_with(int threads) {
    tsr_context_settings s = tsr_context_settings_default();
    s.threads = threads;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

static void run_and_check(tsr_context *ctx, int64_t tiles, int64_t inner) {
    job j = {.ctx = ctx, .seen = calloc((size_t)tiles + 1, sizeof *j.seen), .inner = inner};
    ck_assert_ptr_nonnull(j.seen);
    tsr_parallel(ctx, tiles, tile, &j);
    for (int64_t i = 0; i < tiles; ++i)
        ck_assert_msg(atomic_load(&j.seen[i]) == 1, "tile %lld of %lld: done %d times",
                      (long long)i, (long long)tiles, atomic_load(&j.seen[i]));
    ck_assert_int_eq(atomic_load(&j.seen[tiles]), 0);
    ck_assert_int_eq(atomic_load(&j.bad_worker), 0);
    ck_assert_int_eq(atomic_load(&j.inner_done), tiles * inner);
    free(j.seen);
}

START_TEST(every_tile_once) {
    static const int threads[] = {1, 2, 3, 8, 33};
    static const int64_t tiles[] = {0, 1, 2, 3, 7, 100, 10007};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; ++t) {
        tsr_context *ctx = open_with(threads[t]);
        ck_assert_int_eq(tsr_thread_count(ctx), threads[t]);
        for (size_t i = 0; i < sizeof tiles / sizeof *tiles; ++i)
            run_and_check(ctx, tiles[i], 0);
        run_and_check(ctx, 50, 20);
        tsr_context_close(&ctx);
    }
}
END_TEST

START_TEST(many_short_jobs) {
    tsr_context *ctx = open_with(4);
    for (int i = 0; i < 3000; ++i)
        run_and_check(ctx, 1 + i % 9, 0);
    tsr_context_close(&ctx);
}
END_TEST

static void *side(void *failed) {
    (void)failed;
    tsr_context *ctx = open_with(3);
    for (int i = 0; i < 200; ++i)
        run_and_check(ctx, 40, i % 3);
    tsr_context_close(&ctx);
    return NULL;
}

START_TEST(contexts_side_by_side) {
    pthread_t t[4];
    for (int i = 0; i < 4; ++i)
        ck_assert_int_eq(pthread_create(&t[i], NULL, side, NULL), 0);
    for (int i = 0; i < 4; ++i)
        pthread_join(t[i], NULL);
}
END_TEST

START_TEST(no_context_runs_on_the_caller) {
    job j = {.seen = calloc(5, sizeof *j.seen)};
    tsr_parallel(NULL, 4, tile, &j);
    for (int i = 0; i < 4; ++i)
        ck_assert_int_eq(atomic_load(&j.seen[i]), 1);
    ck_assert_int_eq(atomic_load(&j.bad_worker), 0);
    free(j.seen);
}
END_TEST

typedef struct meeting {
    atomic_int arrived[2], workers;
} meeting;

/* Waits until the other tile is being done as well. */
static void meet(void *arg, int64_t tile, int worker) {
    meeting *m = arg;
    atomic_fetch_or(&m->workers, 1 << worker);
    atomic_store(&m->arrived[tile], 1);
    while (!atomic_load(&m->arrived[!tile]))
        sched_yield();
}

/* Done one after the other, the first tile would wait for ever. */
START_TEST(two_tiles_are_done_at_once) {
    tsr_context *ctx = open_with(2);
    for (int i = 0; i < 100; ++i) {
        meeting m = {0};
        tsr_parallel(ctx, 2, meet, &m);
        ck_assert_int_eq(atomic_load(&m.workers), 3);
    }
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("threads", every_tile_once, many_short_jobs, contexts_side_by_side,
          no_context_runs_on_the_caller, two_tiles_are_done_at_once)
