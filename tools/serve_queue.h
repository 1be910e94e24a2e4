/* SPDX-License-Identifier: MIT */
/* serve_queue.h: jobs of many threads, run in batches by one thread: the model's. A batch is the
 * oldest job and those behind it that go with it. The queue waits a little for more of them, but
 * only while somebody is on the way: a single client never waits. */
#ifndef TOOLS_SERVE_QUEUE_H
#define TOOLS_SERVE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct serve_queue serve_queue;

/* First member of what is queued. Its memory is the caller's, and must stay until serve_queue_do
 * returns. */
typedef struct serve_job {
    struct serve_job *next;
    double arrived; /* seconds of serve_clock */
    bool taken, done;
} serve_job;

typedef struct serve_queue_settings {
    uint32_t most;   /* jobs of a batch, 1 or more */
    uint32_t length; /* jobs that may wait, 1 or more */
    double wait;     /* seconds that the oldest job waits for others, 0 or more */
    /* Whether `b` may be in the batch of `a`; called with the queue locked. */
    bool (*together)(const serve_job *a, const serve_job *b);
    /* Runs a batch, 1 to `most` jobs in the order in which they came, on the queue's thread. */
    void (*run)(void *user, serve_job *const *jobs, uint32_t count);
    void *user;
} serve_queue_settings;

typedef enum serve_queue_result {
    SERVE_QUEUE_DONE,   /* it was run */
    SERVE_QUEUE_FULL,   /* too many wait */
    SERVE_QUEUE_LATE,   /* its time was over before its turn came */
    SERVE_QUEUE_CLOSED, /* the queue ends */
} serve_queue_result;

/* Seconds of a clock that goes on whatever the date becomes. */
double serve_clock(void);

/* Starts the queue's thread. NULL: no memory, or no thread. */
serve_queue *serve_queue_open(const serve_queue_settings *settings);
/* Says that a job is on the way (change 1), or that it will not come (-1). Each job that was
 * announced is either given to serve_queue_do or taken back, once. */
void serve_queue_expect(serve_queue *queue, int change);
/* Queues a job that was announced and waits until it has been run, at most until `deadline` on
 * serve_clock; once its batch has begun, until that has ended. */
serve_queue_result serve_queue_do(serve_queue *queue, serve_job *job, double deadline);
/* Jobs that wait. */
uint32_t serve_queue_waiting(serve_queue *queue);
/* Runs what waits, refuses what comes, ends the thread and sets *queue to NULL. Nobody may be
 * inside a call but serve_queue_do, and nobody may make a new one. NULL and a NULL *queue are
 * accepted. */
void serve_queue_close(serve_queue **queue);

#endif
