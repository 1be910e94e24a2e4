/* SPDX-License-Identifier: MIT */
/* serve_workers.c: the threads that answer whole requests, and the line before them; see serve.h.
 */
#include "serve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct serve_workers {
    serve_server *server;
    pthread_mutex_t lock;
    pthread_cond_t news; /* a request came, which is for one of the threads; or the end is near */
    serve_exchange *first, **last;
    uint32_t running, waiting, threads;
    bool closing;
    struct worker {
        pthread_t thread;
        tsr_context *ctx;
        serve_workers *all;
    } * each; /* [limits.running] */
};

static void answer(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    if (serve_clock() > x->deadline)
        serve_answer_error(x, 503, "the server had no time for this request within %u s",
                           s->limits.seconds);
    else
        x->route->answer(s, ctx, x);
    if (!x->answer.status) serve_answer_error(x, 500, "no answer was made");
}

static void *work(void *user) {
    struct worker *me = user;
    serve_workers *w = me->all;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->closing)
            pthread_cond_wait(&w->news, &w->lock);
        serve_exchange *x = w->first;
        if (!x) break;
        w->first = x->next;
        if (!w->first) w->last = &w->first;
        w->waiting--;
        w->running++;
        pthread_mutex_unlock(&w->lock);
        answer(w->server, me->ctx, x);
        x->done(x);
        pthread_mutex_lock(&w->lock);
        w->running--;
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

serve_workers *serve_workers_open(serve_server *s, tsr_status *status) {
    serve_workers *w = calloc(1, sizeof *w);
    *status = TSR_ERROR_MEMORY;
    if (!w) return NULL;
    w->server = s;
    w->last = &w->first;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->news, &clock);
    pthread_condattr_destroy(&clock);
    w->each = calloc(s->limits.running, sizeof *w->each);
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = 1; /* pictures of several requests are decoded side by side as it is */
    settings.memory_limit = s->t->o->memory;
    *status = w->each ? TSR_OK : TSR_ERROR_MEMORY;
    while (!*status && w->threads < s->limits.running) {
        struct worker *me = &w->each[w->threads];
        me->all = w;
        *status = tsr_context_open(&me->ctx, &settings);
        if (!*status && pthread_create(&me->thread, NULL, work, me)) {
            tsr_context_close(&me->ctx);
            *status = TSR_ERROR_MEMORY;
        }
        w->threads += !*status;
    }
    if (*status) serve_workers_close(&w);
    return w;
}

bool serve_workers_put(serve_workers *w, serve_exchange *x) {
    x->next = NULL;
    pthread_mutex_lock(&w->lock);
    const bool room = w->waiting < w->server->limits.waiting && !w->closing;
    if (room) {
        *w->last = x;
        w->last = &x->next;
        w->waiting++;
        pthread_cond_signal(&w->news);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

void serve_workers_count(serve_workers *w, uint32_t *running, uint32_t *waiting) {
    pthread_mutex_lock(&w->lock);
    *running = w->running;
    *waiting = w->waiting;
    pthread_mutex_unlock(&w->lock);
}

void serve_workers_close(serve_workers **workers) {
    if (!*workers) return;
    serve_workers *w = *workers;
    *workers = NULL;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->news);
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < w->threads; ++i) {
        pthread_join(w->each[i].thread, NULL);
        tsr_context_close(&w->each[i].ctx);
    }
    pthread_cond_destroy(&w->news);
    pthread_mutex_destroy(&w->lock);
    free(w->each);
    free(w);
}
