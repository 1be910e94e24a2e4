/* SPDX-License-Identifier: MIT */
/* server_generate.c: prompts continued by a server, several at a time, each tried again where that
 * may help. One thread: a request is a slot that asks, waits, and asks again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compute/clock.h"
#include "server_connection.h"
#include "server_answer.h"

tsr_generate_request tsr_generate_request_default(void) {
    return (tsr_generate_request){.max_tokens = 256, .top_p = 1};
}

/* A request on its way. */
typedef struct slot {
    tsr_server *server;
    const tsr_generate_events *events;
    const tsr_generate_request *request;
    size_t index;
    bool used, asking;
    tsr_http_call call;
    tsr_bytes body;
    tsr_answer_reader reader;
    size_t before; /* ids when the try at hand began */
    size_t told;   /* ids and bytes of text that `part` has heard of */
    size_t told_text;
    uint32_t barren; /* tries in a row that brought no id */
    uint32_t tries, resumed;
    double started, first, last, ask_at;
    bool stopped; /* a callback said so */
} slot;

typedef struct generation {
    tsr_server *server;
    const tsr_generate_request *requests;
    size_t count, next, ended;
    const tsr_generate_events *events;
    slot *slots;
    uint32_t slot_count;
    tsr_status first_failure;
    char first_detail[1024];
    bool stopped;
} generation;

/* ---- before anything is sent ---- */

static tsr_status check_request(const tsr_server *s, const tsr_generate_request *r, size_t index) {
    if (!r->ids || !r->id_count)
        return tsr_fail(s->ctx, TSR_ERROR_ARGUMENT, "request %zu: prompt: wanted ids, got none",
                        index);
    if (!r->max_tokens || !(r->temperature >= 0 && r->temperature < 1e6) ||
        !(r->top_p > 0 && r->top_p <= 1) || r->logprobs > TSR_ANSWER_MOST_TOP)
        return tsr_fail(
            s->ctx, TSR_ERROR_ARGUMENT,
            "request %zu: wanted max_tokens from 1, temperature from 0, top_p in (0, 1] "
            "and at most %d logprobs",
            index, TSR_ANSWER_MOST_TOP);
    if (r->grammar && s->facts.dialect != TSR_SERVER_LLAMA)
        return tsr_fail(s->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: grammar: llama-server alone takes one, this one speaks %s", s->url,
                        tsr_server_dialect_name(s->facts.dialect));
    for (size_t i = 0; i < r->id_count; ++i)
        if (r->ids[i] > INT32_MAX || (s->facts.vocabulary && r->ids[i] >= s->facts.vocabulary))
            return tsr_fail(s->ctx, TSR_ERROR_ARGUMENT,
                            "request %zu: id %zu of the prompt: wanted a number below %u, got %u",
                            index, i, s->facts.vocabulary ? s->facts.vocabulary : 1u << 31,
                            r->ids[i]);
    if (s->facts.context && r->id_count >= s->facts.context)
        return tsr_fail(
            s->ctx, TSR_ERROR_TOO_LARGE,
            "request %zu: prompt: wanted fewer than the %u ids of the server's context, "
            "got %zu",
            index, s->facts.context, r->id_count);
    return TSR_OK;
}

/* ---- one request ---- */

static bool tell_part(slot *s) {
    const tsr_answer_reader *r = &s->reader;
    const size_t count = r->id_count - s->told;
    if (!count && r->text.size == s->told_text) return true;
    const char *text = r->text.at ? (const char *)r->text.at + s->told_text : "";
    const uint32_t *ids = r->ids ? r->ids + s->told : NULL;
    s->told = r->id_count;
    s->told_text = r->text.size;
    if (!s->events->part || !s->events->part(s->events->user, s->index, ids, count, text))
        return true;
    s->stopped = true;
    return false;
}

static bool take(void *user, const uint8_t *bytes, size_t size) {
    slot *s = user;
    s->reader.events = s->call.event_stream;
    const bool good = tsr_answer_take(&s->reader, bytes, size);
    s->last = tsr_seconds();
    if (s->reader.id_count && !s->first) s->first = s->last;
    return tell_part(s) && good;
}

static tsr_status ask(slot *s) {
    const tsr_dialect *d = tsr_dialect_of(s->server->facts.dialect);
    if (s->request->grammar) tsr_answer_forget(&s->reader); /* its state is lost */
    if (s->told > s->reader.id_count) s->told = s->told_text = 0;
    s->before = s->reader.id_count;
    s->body.size = 0;
    tsr_dialect_request(&s->body, s->server->facts.dialect, s->server->model, s->request,
                        s->reader.ids, s->reader.id_count);
    if (s->body.failed)
        return tsr_fail(s->server->ctx, TSR_ERROR_MEMORY, "request %zu: memory for it", s->index);
    tsr_answer_begin(&s->reader, false);
    s->call = (tsr_http_call){.path = d->route,
                              .body = (const char *)s->body.at,
                              .body_size = s->body.size,
                              .take = take,
                              .user = s,
                              .refusal = s->call.refusal};
    ++s->tries;
    s->resumed += s->before > 0;
    s->asking = true;
    return tsr_http_start(s->server->http, &s->call);
}

static tsr_status begin(generation *g, slot *s) {
    const tsr_generate_request *request = &g->requests[g->next];
    const tsr_http_call call = {.refusal = s->call.refusal};
    const tsr_bytes body = s->body;
    *s = (slot){.server = g->server,
                .events = g->events,
                .request = request,
                .index = g->next++,
                .used = true,
                .call = call,
                .body = body,
                .started = tsr_seconds(),
                .reader = {.dialect = tsr_dialect_of(g->server->facts.dialect),
                           .vocabulary = g->server->facts.vocabulary,
                           .most_ids = request->max_tokens,
                           .top_count = request->logprobs}};
    return ask(s);
}

/* What became of a try: OK with *again false is a whole reply. */
static tsr_status judge(slot *s, bool *again, char *why, size_t size) {
    tsr_server *server = s->server;
    const char *route = s->call.path;
    char text[400];
    *again = false;
    if (s->stopped) return tsr_fail(server->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped", server->url);
    if (s->call.code != 200 && s->call.end == TSR_HTTP_ANSWERED) {
        tsr_refusal_text(&s->call.refusal, text, sizeof text);
        snprintf(why, size, "the server answered %d: %.300s", s->call.code, text);
        *again = tsr_server_may_recover(&s->call);
        return tsr_fail(server->ctx, s->call.code == 400 ? TSR_ERROR_ARGUMENT : TSR_ERROR_IO,
                        "%s%s: request %zu: %s", server->url, route, s->index, why);
    }
    if (s->call.end == TSR_HTTP_ANSWERED) tsr_answer_finish(&s->reader);
    if (s->reader.refused) {
        snprintf(why, size, "the server ended its answer with an error %d: %.200s",
                 s->reader.refused, s->reader.wrong);
        *again = s->reader.refused >= 500;
        return tsr_fail(server->ctx, TSR_ERROR_IO, "%s%s: request %zu: %s", server->url, route,
                        s->index, why);
    }
    if (s->reader.wrong[0])
        return tsr_fail(server->ctx, s->reader.no_memory ? TSR_ERROR_MEMORY : TSR_ERROR_FORMAT,
                        "%s%s: request %zu: answer: %s", server->url, route, s->index,
                        s->reader.wrong);
    if (s->reader.ended ||
        (s->call.end == TSR_HTTP_ANSWERED && !s->reader.events && s->reader.id_count > s->before))
        return TSR_OK;
    const bool cut = s->call.end == TSR_HTTP_CUT || s->call.end == TSR_HTTP_ANSWERED;
    snprintf(why, size, "%s after %zu of %u ids%s%s", cut ? "the answer was cut" : "no connection",
             s->reader.id_count, s->request->max_tokens, s->call.why[0] ? ": " : "", s->call.why);
    *again = cut || s->tries > 1;
    return tsr_fail(server->ctx, cut ? TSR_ERROR_TRUNCATED : TSR_ERROR_IO, "%s%s: request %zu: %s",
                    server->url, route, s->index, why);
}

static void finish(generation *g, slot *s, tsr_status status) {
    const tsr_answer_reader *r = &s->reader;
    const double now = tsr_seconds();
    const tsr_generate_reply reply = {
        .status = status,
        .detail = status ? tsr_detail(g->server->ctx) : "",
        .ids = r->ids,
        .id_count = r->id_count,
        .logprobs = r->logprobs,
        .top = r->top,
        .top_count = r->top_count,
        .text = r->text.size ? (const char *)r->text.at : "",
        .stop = status ? TSR_GENERATE_CUT : r->stop,
        .prompt_tokens = r->prompt_tokens,
        .seconds = now - s->started,
        .first_seconds = (s->first ? s->first : now) - s->started,
        .tries = s->tries,
        .resumed = s->resumed,
    };
    if (status && !g->first_failure) {
        g->first_failure = status;
        snprintf(g->first_detail, sizeof g->first_detail, "%s", reply.detail);
    }
    if (status == TSR_ERROR_INTERRUPTED) g->stopped = true;
    if (g->events->done && g->events->done(g->events->user, s->index, &reply)) g->stopped = true;
    tsr_answer_free(&s->reader);
    s->used = false;
    ++g->ended;
}

/* A try has ended: is it all, is there another, or is it given up? */
static void look(generation *g, slot *s) {
    bool again;
    char why[500];
    s->asking = false;
    const tsr_status status = judge(s, &again, why, sizeof why);
    s->barren = s->reader.id_count > s->before ? 1 : s->barren + 1;
    /* Every id has come, the end alone was cut off. */
    if (again && s->reader.id_count == s->request->max_tokens) {
        s->reader.stop = TSR_GENERATE_LENGTH;
        finish(g, s, TSR_OK);
        return;
    }
    if (!status || !again || s->barren > g->server->settings.retries) {
        finish(g, s, status);
        return;
    }
    s->ask_at = tsr_seconds() + tsr_server_backoff(s->barren, s->call.retry_after);
    if (g->events->again && g->events->again(g->events->user, s->index, why)) g->stopped = true;
}

/* ---- all of them ---- */

static tsr_status step(generation *g) {
    const double now = tsr_seconds();
    double soonest = now + 0.25;
    for (uint32_t i = 0; i < g->slot_count && !g->stopped; ++i) {
        slot *s = &g->slots[i];
        tsr_status status = TSR_OK;
        if (!s->used && g->next < g->count) {
            status = begin(g, s);
        } else if (s->used && !s->asking) {
            if (s->ask_at <= now)
                status = ask(s);
            else if (s->ask_at < soonest)
                soonest = s->ask_at;
        }
        if (status) return status;
    }
    const tsr_status status = tsr_http_wait(g->server->http, (int)ceil(1000 * (soonest - now)));
    for (uint32_t i = 0; !status && i < g->slot_count; ++i)
        if (g->slots[i].asking && g->slots[i].call.end != TSR_HTTP_RUNNING) look(g, &g->slots[i]);
    if (g->events->progress && g->events->progress(g->events->user, "requests", g->ended, g->count))
        g->stopped = true;
    return status;
}

tsr_status tsr_server_generate(tsr_server *server, const tsr_generate_request *requests,
                               size_t count, const tsr_generate_events *events) {
    static const tsr_generate_events deaf = {0};
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < count && !status; ++i)
        status = check_request(server, &requests[i], i);
    if (status || !count) return status;
    generation g = {.server = server,
                    .requests = requests,
                    .count = count,
                    .events = events ? events : &deaf,
                    .slot_count = server->settings.in_flight};
    if (g.slot_count > count) g.slot_count = (uint32_t)count;
    g.slots = tsr_alloc(server->ctx, g.slot_count, sizeof *g.slots, "requests in flight");
    if (!g.slots) return TSR_ERROR_MEMORY;
    while (!status && !g.stopped && g.ended < count)
        status = step(&g);
    for (uint32_t i = 0; i < g.slot_count; ++i) {
        tsr_http_drop(server->http, &g.slots[i].call);
        if (g.slots[i].used) tsr_answer_free(&g.slots[i].reader);
        tsr_bytes_free(&g.slots[i].body);
    }
    free(g.slots);
    if (!status && g.stopped && g.first_failure != TSR_ERROR_INTERRUPTED)
        return tsr_fail(server->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped after %zu of %zu requests",
                        server->url, g.ended, count);
    if (status || !g.first_failure) return status;
    return tsr_fail(server->ctx, g.first_failure, "%s", g.first_detail);
}
