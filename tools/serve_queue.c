/* SPDX-License-Identifier: MIT */
/* serve_queue.c: see serve_queue.h. */
#include "serve_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct serve_queue {
    serve_queue_settings s;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;   /* a job came, is no longer expected, or the queue closes */
    pthread_cond_t result; /* jobs are done; nobody is inside any more */
    serve_job *first, **last;
    uint32_t waiting, inside; /* inside: threads in serve_queue_do */
    int expected;
    bool closing;
    serve_job **batch; /* [s.most] */
};

double serve_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Waits until there is news, or until `deadline` on serve_clock. */
static void wait_until(pthread_cond_t *news, pthread_mutex_t *lock, double deadline) {
    struct timespec at = {.tv_sec = (time_t)deadline};
    at.tv_nsec = (long)(1e9 * (deadline - (double)at.tv_sec));
    pthread_cond_timedwait(news, lock, &at);
}

/* Takes `job` out of the line; `link` points to it. */
static void take(serve_queue *q, serve_job **link) {
    serve_job *job = *link;
    *link = job->next;
    if (q->last == &job->next) q->last = link;
    job->next = NULL;
    job->taken = true;
    q->waiting--;
}

/* Jobs that would be in the batch of the first one. */
static uint32_t ready(const serve_queue *q) {
    uint32_t count = 0;
    for (const serve_job *j = q->first; j && count < q->s.most; j = j->next)
        count += j == q->first || q->s.together(q->first, j);
    return count;
}

static uint32_t take_batch(serve_queue *q) {
    uint32_t count = 0;
    serve_job *const first = q->first;
    serve_job **link = &q->first;
    while (*link && count < q->s.most) {
        serve_job *job = *link;
        if (job == first || q->s.together(first, job)) {
            take(q, link);
            q->batch[count++] = job;
        } else
            link = &job->next;
    }
    return count;
}

static void *run(void *user) {
    serve_queue *q = user;
    pthread_mutex_lock(&q->lock);
    while (q->first || !q->closing) {
        if (!q->first) {
            pthread_cond_wait(&q->work, &q->lock);
            continue;
        }
        const double until = q->first->arrived + q->s.wait;
        if (q->expected > 0 && !q->closing && ready(q) < q->s.most && serve_clock() < until) {
            wait_until(&q->work, &q->lock, until);
            continue; /* the first one may have left meanwhile */
        }
        const uint32_t count = take_batch(q);
        pthread_mutex_unlock(&q->lock);
        q->s.run(q->s.user, q->batch, count);
        pthread_mutex_lock(&q->lock);
        for (uint32_t i = 0; i < count; ++i)
            q->batch[i]->done = true;
        pthread_cond_broadcast(&q->result);
    }
    while (q->inside)
        pthread_cond_wait(&q->result, &q->lock);
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

serve_queue *serve_queue_open(const serve_queue_settings *settings) {
    serve_queue *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    q->s = *settings;
    q->last = &q->first;
    q->batch = calloc(settings->most, sizeof *q->batch);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->work, &clock);
    pthread_cond_init(&q->result, &clock);
    pthread_condattr_destroy(&clock);
    if (q->batch && !pthread_create(&q->thread, NULL, run, q)) return q;
    pthread_cond_destroy(&q->work);
    pthread_cond_destroy(&q->result);
    pthread_mutex_destroy(&q->lock);
    free(q->batch);
    free(q);
    return NULL;
}

void serve_queue_expect(serve_queue *q, int change) {
    pthread_mutex_lock(&q->lock);
    q->expected += change;
    if (change < 0) pthread_cond_signal(&q->work);
    pthread_mutex_unlock(&q->lock);
}

/* A job whose time is over leaves the line. */
static void leave(serve_queue *q, serve_job *job) {
    for (serve_job **link = &q->first; *link; link = &(*link)->next)
        if (*link == job) {
            take(q, link);
            break;
        }
    pthread_cond_signal(&q->work);
}

serve_queue_result serve_queue_do(serve_queue *q, serve_job *job, double deadline) {
    serve_queue_result result = SERVE_QUEUE_DONE;
    *job = (serve_job){.arrived = serve_clock()};
    pthread_mutex_lock(&q->lock);
    q->expected--;
    q->inside++;
    if (q->closing)
        result = SERVE_QUEUE_CLOSED;
    else if (q->waiting >= q->s.length)
        result = SERVE_QUEUE_FULL;
    else {
        *q->last = job;
        q->last = &job->next;
        q->waiting++;
    }
    pthread_cond_signal(&q->work);
    while (!result && !job->done) {
        if (job->taken)
            pthread_cond_wait(&q->result, &q->lock);
        else if (serve_clock() < deadline)
            wait_until(&q->result, &q->lock, deadline);
        else {
            leave(q, job);
            result = SERVE_QUEUE_LATE;
        }
    }
    q->inside--;
    if (q->closing && !q->inside) pthread_cond_broadcast(&q->result);
    pthread_mutex_unlock(&q->lock);
    return result;
}

uint32_t serve_queue_waiting(serve_queue *q) {
    pthread_mutex_lock(&q->lock);
    const uint32_t waiting = q->waiting;
    pthread_mutex_unlock(&q->lock);
    return waiting;
}

void serve_queue_close(serve_queue **queue) {
    if (!queue || !*queue) return;
    serve_queue *q = *queue;
    *queue = NULL;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->work);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->work);
    pthread_cond_destroy(&q->result);
    pthread_mutex_destroy(&q->lock);
    free(q->batch);
    free(q);
}
