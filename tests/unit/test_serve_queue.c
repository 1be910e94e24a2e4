/* SPDX-License-Identifier: MIT */
/* The queue of `tessera serve`: every job is run once, batches hold what goes together and no more
 * than they may, one client alone does not wait, and what is late, too much or at the end is told
 * so. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "testing.h"
#include "tools/serve_queue.c"

typedef struct work {
    serve_job job;
    int kind, runs, place; /* place: in its batch */
} work;

typedef struct log {
    atomic_int begun, batches, largest, mixed;
    _Atomic double pause; /* seconds that a batch takes */
    atomic_int open;      /* 0: batches wait for it */
} log_of_runs;

static bool same_kind(const serve_job *a, const serve_job *b) {
    return ((const work *)a)->kind == ((const work *)b)->kind;
}

static void run_jobs(void *user, serve_job *const *jobs, uint32_t count) {
    log_of_runs *log = user;
    atomic_fetch_add(&log->begun, 1);
    while (!atomic_load(&log->open))
        usleep(200);
    atomic_fetch_add(&log->batches, 1);
    if ((int)count > atomic_load(&log->largest)) atomic_store(&log->largest, (int)count);
    for (uint32_t i = 0; i < count; ++i) {
        work *w = (work *)jobs[i];
        w->runs++;
        w->place = (int)i;
        if (!same_kind(jobs[0], jobs[i])) atomic_store(&log->mixed, 1);
    }
    usleep((useconds_t)(1e6 * atomic_load(&log->pause)));
}

static serve_queue *open_queue(log_of_runs *log, uint32_t most, uint32_t length, double wait) {
    const serve_queue_settings s = {.most = most,
                                    .length = length,
                                    .wait = wait,
                                    .together = same_kind,
                                    .run = run_jobs,
                                    .user = log};
    serve_queue *q = serve_queue_open(&s);
    ck_assert_ptr_nonnull(q);
    return q;
}

typedef struct client {
    pthread_t thread;
    serve_queue *queue;
    int jobs, kinds, ran;
    double deadline;
    serve_queue_result last;
} client;

static void *be_client(void *user) {
    client *c = user;
    for (int i = 0; i < c->jobs; ++i) {
        work w = {.kind = i % c->kinds};
        serve_queue_expect(c->queue, 1);
        c->last = serve_queue_do(c->queue, &w.job, serve_clock() + c->deadline);
        c->ran += w.runs;
        if ((c->last == SERVE_QUEUE_DONE) != (w.runs == 1)) c->ran = -1000000;
    }
    return NULL;
}

static void start(client *c, int count) {
    for (int i = 0; i < count; ++i)
        ck_assert_int_eq(pthread_create(&c[i].thread, NULL, be_client, &c[i]), 0);
}

static void finish(client *c, int count) {
    for (int i = 0; i < count; ++i)
        pthread_join(c[i].thread, NULL);
}

static void await_waiting(serve_queue *q, uint32_t count) {
    while (serve_queue_waiting(q) != count)
        usleep(200);
}

static void await_begun(log_of_runs *log, int batches) {
    while (atomic_load(&log->begun) != batches)
        usleep(200);
}

START_TEST(every_job_once) {
    enum { CLIENTS = 24, JOBS = 50 };
    log_of_runs log = {.pause = 0.0002, .open = 1};
    serve_queue *q = open_queue(&log, 8, 1000, 0.002);
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; ++i)
        c[i] = (client){.queue = q, .jobs = JOBS, .kinds = 1 + i % 3, .deadline = 60};
    start(c, CLIENTS);
    finish(c, CLIENTS);
    for (int i = 0; i < CLIENTS; ++i)
        ck_assert_int_eq(c[i].ran, JOBS);
    ck_assert_int_eq(atomic_load(&log.mixed), 0);
    ck_assert_int_le(atomic_load(&log.largest), 8);
    ck_assert_int_ge(atomic_load(&log.batches), CLIENTS * JOBS / 8);
    ck_assert_uint_eq(serve_queue_waiting(q), 0);
    serve_queue_close(&q);
    ck_assert_ptr_null(q);
}
END_TEST

/* What waits while a batch runs becomes the next one, what does not go with it the one after. */
START_TEST(batches_are_gathered) {
    log_of_runs log = {0};
    serve_queue *q = open_queue(&log, 4, 100, 0);
    client first = {.queue = q, .jobs = 1, .kinds = 1, .deadline = 60}, c[6];
    start(&first, 1);
    await_begun(&log, 1);
    for (int i = 0; i < 6; ++i)
        c[i] = first;
    start(c, 6);
    await_waiting(q, 6);
    atomic_store(&log.open, 1);
    finish(c, 6);
    finish(&first, 1);
    ck_assert_int_eq(atomic_load(&log.batches), 3); /* 1, 4, 2 */
    ck_assert_int_eq(atomic_load(&log.largest), 4);
    serve_queue_close(&q);
}
END_TEST

/* Nobody else is on the way: no waiting, however long it might be. Somebody is: until he came. */
START_TEST(waits_only_for_those_who_come) {
    log_of_runs log = {.open = 1};
    serve_queue *q = open_queue(&log, 2, 100, 30);
    const double before = serve_clock();
    client alone = {.queue = q, .jobs = 5, .kinds = 1, .deadline = 60};
    start(&alone, 1);
    finish(&alone, 1);
    ck_assert_int_eq(alone.ran, 5);
    serve_queue_expect(q, 1); /* one that takes its time */
    client pair = {.queue = q, .jobs = 1, .kinds = 1, .deadline = 60};
    start(&pair, 1);
    await_waiting(q, 1);
    work second = {0};
    ck_assert_int_eq(serve_queue_do(q, &second.job, serve_clock() + 60), SERVE_QUEUE_DONE);
    finish(&pair, 1);
    ck_assert_int_eq(atomic_load(&log.largest), 2);
    serve_queue_expect(q, 1); /* one that does not come after all */
    pair.ran = 0;
    start(&pair, 1);
    await_waiting(q, 1);
    serve_queue_expect(q, -1);
    finish(&pair, 1);
    ck_assert_int_eq(pair.ran, 1);
    ck_assert(serve_clock() - before < 25);
    serve_queue_close(&q);
}
END_TEST

START_TEST(late_and_full) {
    log_of_runs log = {0};
    serve_queue *q = open_queue(&log, 1, 2, 0);
    client running = {.queue = q, .jobs = 1, .kinds = 1, .deadline = 60}, waiting[2];
    start(&running, 1);
    await_begun(&log, 1);
    waiting[0] = waiting[1] = running;
    waiting[1].deadline = 0.05;
    start(waiting, 1);
    await_waiting(q, 1);
    start(waiting + 1, 1);
    await_waiting(q, 2);
    work more = {0};
    serve_queue_expect(q, 1);
    ck_assert_int_eq(serve_queue_do(q, &more.job, serve_clock() + 60), SERVE_QUEUE_FULL);
    finish(waiting + 1, 1); /* leaves the end of the line while the batch is still running */
    ck_assert_int_eq(waiting[1].last, SERVE_QUEUE_LATE);
    ck_assert_int_eq(waiting[1].ran, 0);
    ck_assert_uint_eq(serve_queue_waiting(q), 1);
    client again = running; /* the line goes on behind the one that left */
    start(&again, 1);
    await_waiting(q, 2);
    atomic_store(&log.open, 1);
    finish(&running, 1);
    finish(waiting, 1);
    finish(&again, 1);
    ck_assert_int_eq(running.ran + waiting[0].ran + again.ran, 3);
    serve_queue_close(&q);
}
END_TEST

/* What waits at the end is run. */
START_TEST(closing_runs_the_rest) {
    enum { CLIENTS = 12 };
    log_of_runs log = {0};
    serve_queue *q = open_queue(&log, 3, 100, 5);
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; ++i)
        c[i] = (client){.queue = q, .jobs = 1, .kinds = 1, .deadline = 60};
    start(c, 1);
    await_begun(&log, 1);
    start(c + 1, CLIENTS - 1);
    await_waiting(q, CLIENTS - 1);
    atomic_store(&log.open, 1);
    serve_queue_close(&q);
    finish(c, CLIENTS);
    for (int i = 0; i < CLIENTS; ++i)
        ck_assert_int_eq(c[i].ran, 1);
    serve_queue_close(&q); /* NULL */
}
END_TEST

TEST_MAIN("serve_queue", every_job_once, batches_are_gathered, waits_only_for_those_who_come,
          late_and_full, closing_runs_the_rest)
