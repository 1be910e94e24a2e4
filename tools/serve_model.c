/* SPDX-License-Identifier: MIT */
/* serve_model.c: see serve_model.h. */
#include "serve_model.h"

#include <stdlib.h>
#include <string.h>

/* Same settings, so that one call encodes both. A search for a target, which decodes, and noise of
 * its own are for one picture. */
static bool together(const serve_job *first, const serve_job *second) {
    const serve_work *a = (const serve_work *)first, *b = (const serve_work *)second;
    const tsr_encode_settings *s = &a->settings, *t = &b->settings;
    const tsr_token_choice *c = &s->choice, *d = &t->choice;
    return !a->use && !b->use && !a->decode && !b->decode && !c->target.metric &&
           !d->target.metric && s->fit.fit == t->fit.fit &&
           s->fit.resampling == t->fit.resampling &&
           !memcmp(s->fit.background, t->fit.background, sizeof s->fit.background) &&
           c->tokens == d->tokens && c->quality == d->quality && c->budget == d->budget &&
           c->keep_all == d->keep_all && s->f32_latents == t->f32_latents;
}

/* tsr_progress_fn: stops what nobody waits for any more. */
static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    (void)what, (void)done, (void)total;
    return serve_clock() > *(const double *)user;
}

static void finish(serve_model *m, serve_work *w, tsr_status status) {
    w->status = status;
    snprintf(w->detail, sizeof w->detail, "%s", status ? tsr_detail(m->ctx) : "");
}

static void decode(serve_model *m, serve_work *w) {
    tsr_decode_settings s = w->decoding;
    s.progress = on_progress;
    s.progress_user = &w->deadline;
    finish(m, w, tsr_tokenizer_decode_with(m->tokenizer, w->header, w->tokens, &s, w->rgb));
}

static void encode(serve_model *m, serve_work *const *work, uint32_t count) {
    tsr_encode_settings s = work[0]->settings;
    double deadline = 0; /* of the most patient of them */
    tsr_picture *pictures = calloc(count, sizeof *pictures);
    tsr_item **items = calloc(count, sizeof *items);
    tsr_status status = pictures && items ? TSR_OK : TSR_ERROR_MEMORY;
    for (uint32_t i = 0; i < count && !status; ++i) {
        pictures[i] = work[i]->picture;
        if (work[i]->deadline > deadline) deadline = work[i]->deadline;
    }
    s.progress = on_progress;
    s.progress_user = &deadline;
    s.keep_fitted = s.choice.target.metric != TSR_TARGET_NONE;
    /* Ids of a client may have had tiles of another size, which are not the next one's. */
    if (!status) status = tsr_tokenizer_retile(m->tokenizer, &m->header);
    if (!status) status = tsr_tokenizer_encode(m->tokenizer, pictures, (int)count, &s, items, NULL);
    if (!status && s.choice.target.metric)
        status = tsr_tokenizer_search(m->tokenizer, &s.choice, items[0], NULL);
    if (status && count > 1) { /* one of them is to blame: each for itself */
        for (uint32_t i = 0; i < count; ++i)
            encode(m, &work[i], 1);
    } else {
        for (uint32_t i = 0; i < count; ++i) {
            work[i]->item = items ? items[i] : NULL;
            work[i]->together = count;
            finish(m, work[i], status);
            if (status) tsr_item_close(&work[i]->item);
        }
    }
    free(pictures);
    free(items);
}

/* Of serve_queue_settings. */
static void run(void *user, serve_job *const *jobs, uint32_t count) {
    serve_model *m = user;
    serve_work *const *work = (serve_work *const *)(const void *)jobs;
    if (work[0]->use) {
        work[0]->use(work[0]->use_arg);
        return;
    }
    serve_metrics_batch(m->metrics, count);
    if (work[0]->decode)
        decode(m, work[0]);
    else
        encode(m, work, count);
}

tsr_status serve_model_open(serve_model *m, tsr_context *ctx, const tsr_model_settings *settings,
                            uint32_t batch, uint32_t length, double wait, serve_metrics *metrics) {
    *m = (serve_model){.ctx = ctx, .metrics = metrics};
    const tsr_status status = tsr_tokenizer_open(ctx, &m->tokenizer, settings);
    if (status) return status;
    m->header = *tsr_tokenizer_header(m->tokenizer);
    snprintf(m->device, sizeof m->device, "%s", tsr_tokenizer_device(m->tokenizer));
    const serve_queue_settings queue = {
        .most = batch, .length = length, .wait = wait, .together = together, .run = run, .user = m};
    m->queue = serve_queue_open(&queue);
    if (m->queue) return TSR_OK;
    tsr_tokenizer_close(&m->tokenizer);
    return TSR_ERROR_MEMORY;
}

void serve_model_close(serve_model *m) {
    serve_queue_close(&m->queue);
    tsr_tokenizer_close(&m->tokenizer);
}

serve_queue_result serve_model_do(serve_model *m, serve_work *work) {
    return serve_queue_do(m->queue, &work->job, work->deadline);
}

int serve_model_turn(void *user, void (*use)(void *arg), void *arg) {
    const serve_turns *turns = user;
    serve_work w = {.use = use, .use_arg = arg, .deadline = turns->deadline};
    serve_queue_expect(turns->model->queue, 1);
    return serve_model_do(turns->model, &w) != SERVE_QUEUE_DONE;
}
