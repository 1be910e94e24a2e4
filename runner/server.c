/* SPDX-License-Identifier: MIT */
/* server.c: what a server is, and its tokenizer. */
#include "server_connection.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server_answer.h"

tsr_server_settings tsr_server_settings_default(void) {
    return (tsr_server_settings){
        .connect_timeout = 10, .timeout = 300, .most_seconds = 3600, .retries = 5, .in_flight = 1};
}

double tsr_server_backoff(uint32_t tries, uint32_t retry_after) {
    if (retry_after) return retry_after;
    const double wait = 0.25 * (double)(1u << (tries < 8 ? tries - 1 : 7));
    return wait < 30 ? wait : 30;
}

bool tsr_server_may_recover(const tsr_http_call *call) {
    if (call->end == TSR_HTTP_CUT) return true;
    if (call->end == TSR_HTTP_UNREACHABLE) return false;
    return call->code == 408 || call->code == 429 || (call->code >= 500 && call->code != 501);
}

/* ---- one call ---- */

static void wait_seconds(double seconds) {
    const struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};
    nanosleep(&t, NULL);
}

static bool take_answer(void *user, const uint8_t *bytes, size_t size) {
    tsr_bytes *answer = user;
    if (answer->size + size > TSR_ANSWER_MOST_LINE) return false;
    tsr_bytes_put(answer, bytes, size);
    return !answer->failed;
}

static tsr_status say_failure(tsr_server *s, const char *path, const tsr_http_call *call) {
    char text[400];
    if (call->end == TSR_HTTP_STOPPED)
        return tsr_fail(s->ctx, TSR_ERROR_TOO_LARGE, "%s%s: answer: wanted at most 16 MiB", s->url,
                        path);
    if (call->end != TSR_HTTP_ANSWERED)
        return tsr_fail(s->ctx, TSR_ERROR_IO, "%s%s: %s", s->url, path, call->why);
    return tsr_fail(s->ctx, call->code == 400 ? TSR_ERROR_ARGUMENT : TSR_ERROR_IO,
                    "%s%s: the server answered %d: %s", s->url, path, call->code,
                    tsr_refusal_text(&call->refusal, text, sizeof text));
}

tsr_status tsr_server_call(tsr_server *s, const char *path, const tsr_bytes *body,
                           tsr_bytes *answer) {
    tsr_http_call call = {.path = path,
                          .body = body ? (const char *)body->at : NULL,
                          .body_size = body ? body->size : 0,
                          .take = take_answer,
                          .user = answer};
    tsr_status status = TSR_OK;
    if (body && body->failed)
        return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s%s: memory for a request", s->url, path);
    for (uint32_t tries = 1;; ++tries) {
        answer->size = 0;
        status = tsr_http_start(s->http, &call);
        while (!status && call.end == TSR_HTTP_RUNNING)
            status = tsr_http_wait(s->http, 1000);
        if (status || (call.end == TSR_HTTP_ANSWERED && call.code == 200)) break;
        if (!tsr_server_may_recover(&call) || tries > s->settings.retries) {
            status = say_failure(s, path, &call);
            break;
        }
        wait_seconds(tsr_server_backoff(tries, call.retry_after));
    }
    tsr_http_drop(s->http, &call);
    tsr_bytes_u8(answer, 0);
    if (!status && answer->failed)
        status = tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s%s: memory for an answer", s->url, path);
    return status;
}

/* ---- what it is ---- */

static uint32_t number_of(const cJSON *object, const char *name) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(n) || !(n->valuedouble >= 0 && n->valuedouble < 4294967296.0)) return 0;
    return (uint32_t)n->valuedouble;
}

static const char *text_of(const cJSON *object, const char *name) {
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(text) ? text->valuestring : "";
}

/* The model of the list that is meant; NULL when it is not there. */
static const cJSON *find_model(const tsr_server *s, const cJSON *list) {
    const cJSON *model;
    cJSON_ArrayForEach(model, list) {
        if (!s->settings.model || !strcmp(text_of(model, "id"), s->settings.model)) return model;
    }
    return NULL;
}

static tsr_status read_models(tsr_server *s, const cJSON *json) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "data");
    if (!cJSON_IsArray(list))
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                        "%s/v1/models: data: wanted a list of models, got something else", s->url);
    const cJSON *model = find_model(s, list);
    if (!model)
        return tsr_fail(s->ctx, TSR_ERROR_NOT_FOUND, "%s/v1/models: wanted the model %s, got %s%s",
                        s->url, s->settings.model ? s->settings.model : "of any name",
                        cJSON_GetArraySize(list) ? "" : "none",
                        text_of(cJSON_GetArrayItem(list, 0), "id"));
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(model, "meta");
    const char *owner = text_of(model, "owned_by");
    s->facts.vocabulary = number_of(meta, "n_vocab");
    s->facts.embedding = number_of(meta, "n_embd");
    s->facts.context = number_of(meta, "n_ctx");
    if (!s->facts.context) s->facts.context = number_of(model, "max_model_len");
    s->facts.dialect = s->settings.dialect          ? s->settings.dialect
                       : !strcmp(owner, "llamacpp") ? TSR_SERVER_LLAMA
                       : !strcmp(owner, "sglang")   ? TSR_SERVER_SGLANG
                                                    : TSR_SERVER_OPENAI;
    s->model = strdup(text_of(model, "id"));
    if (!s->model)
        return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: memory for a model's name", s->url);
    s->facts.model = s->model;
    return TSR_OK;
}

static tsr_status ask_models(tsr_server *s) {
    tsr_bytes answer = {0};
    tsr_status status = tsr_server_call(s, "/v1/models", NULL, &answer);
    if (!status) {
        cJSON *json = cJSON_Parse((const char *)answer.at);
        status = json ? read_models(s, json)
                      : tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                                 "%s/v1/models: wanted JSON, got something else", s->url);
        cJSON_Delete(json);
    }
    tsr_bytes_free(&answer);
    return status;
}

static tsr_status check(tsr_context *ctx, const tsr_server_settings *s) {
    if (!s || !s->url) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "server: url: wanted an address");
    if (!s->connect_timeout || !s->timeout || !s->most_seconds)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: seconds: wanted 1 or more, got 0", s->url);
    if (s->in_flight < 1 || s->in_flight > 256)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: in_flight: wanted 1 to 256, got %u", s->url,
                        s->in_flight);
    if ((unsigned)s->dialect > TSR_SERVER_SGLANG)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: dialect: wanted 0 to %d, got %d", s->url,
                        TSR_SERVER_SGLANG, s->dialect);
    return TSR_OK;
}

tsr_status tsr_server_open(tsr_context *ctx, const tsr_server_settings *settings,
                           tsr_server **out) {
    if (!out)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "server: wanted an address for it, got NULL");
    *out = NULL;
    tsr_status status = check(ctx, settings);
    if (status) return status;
    tsr_server *s = tsr_alloc(ctx, 1, sizeof *s, "a server");
    if (!s) return TSR_ERROR_MEMORY;
    *s = (tsr_server){.ctx = ctx, .settings = *settings, .url = strdup(settings->url)};
    const tsr_http_settings http = {.url = settings->url,
                                    .key = settings->key,
                                    .connect_timeout = settings->connect_timeout,
                                    .timeout = settings->timeout,
                                    .most_seconds = settings->most_seconds};
    status = s->url ? tsr_http_open(ctx, &http, &s->http)
                    : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: memory for a server", settings->url);
    s->settings.url = s->url;
    s->settings.key = NULL; /* the connection has it */
    if (!status) status = ask_models(s);
    s->settings.model = s->model;
    if (status)
        tsr_server_close(&s);
    else
        *out = s;
    return status;
}

void tsr_server_close(tsr_server **at) {
    if (!at || !*at) return;
    tsr_server *s = *at;
    *at = NULL;
    tsr_http_close(&s->http);
    free(s->url);
    free(s->model);
    free(s->piece);
    free(s);
}

tsr_server_facts tsr_server_get_facts(const tsr_server *server) {
    return server->facts;
}

/* ---- its tokenizer ---- */

static tsr_status ask_json(tsr_server *s, const char *path, tsr_bytes *body, cJSON **json) {
    tsr_bytes answer = {0};
    *json = NULL;
    tsr_status status = tsr_server_call(s, path, body, &answer);
    if (!status && !(*json = cJSON_Parse((const char *)answer.at)))
        status = tsr_fail(s->ctx, TSR_ERROR_FORMAT, "%s%s: wanted JSON, got something else", s->url,
                          path);
    tsr_bytes_free(body);
    tsr_bytes_free(&answer);
    return status;
}

static tsr_status read_tokens(tsr_server *s, const cJSON *list, uint32_t **ids, size_t *count) {
    const size_t n = (size_t)cJSON_GetArraySize(list);
    const double below = s->facts.vocabulary ? s->facts.vocabulary : 4294967296.0;
    if (!cJSON_IsArray(list))
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                        "%s/tokenize: tokens: wanted a list, got something else", s->url);
    *ids = tsr_alloc(s->ctx, n ? n : 1, sizeof **ids, "ids of a text");
    if (!*ids) return TSR_ERROR_MEMORY;
    const cJSON *element;
    cJSON_ArrayForEach(element, list) {
        const double id = cJSON_IsNumber(element) ? element->valuedouble : -1;
        if (!(id >= 0 && id < below) || id != floor(id)) {
            free(*ids);
            *ids = NULL;
            return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                            "%s/tokenize: an id: wanted a number below %.0f, got %.9g", s->url,
                            below, id);
        }
        (*ids)[(*count)++] = (uint32_t)id;
    }
    return TSR_OK;
}

tsr_status tsr_server_tokenize(tsr_server *s, const char *text, uint32_t **ids, size_t *count) {
    const tsr_dialect *d = tsr_dialect_of(s->facts.dialect);
    tsr_bytes body = {0};
    cJSON *json;
    *ids = NULL;
    *count = 0;
    tsr_dialect_tokenize(&body, d, s->model, text);
    tsr_status status = ask_json(s, d->tokenize, &body, &json);
    if (!status)
        status = read_tokens(s, cJSON_GetObjectItemCaseSensitive(json, "tokens"), ids, count);
    cJSON_Delete(json);
    return status;
}

tsr_status tsr_server_detokenize(tsr_server *s, const uint32_t *ids, size_t count, char **text) {
    const tsr_dialect *d = tsr_dialect_of(s->facts.dialect);
    tsr_bytes body = {0};
    cJSON *json;
    *text = NULL;
    /* llama-server answers an id beyond its vocabulary with 500, which would be tried again. */
    for (size_t i = 0; i < count; ++i)
        if (s->facts.vocabulary && ids[i] >= s->facts.vocabulary)
            return tsr_fail(s->ctx, TSR_ERROR_ARGUMENT, "%s: id: wanted a number below %u, got %u",
                            s->url, s->facts.vocabulary, ids[i]);
    tsr_dialect_detokenize(&body, d, s->model, ids, count);
    tsr_status status = ask_json(s, "/detokenize", &body, &json);
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, d->detokenize_text);
    if (!status && !cJSON_IsString(found))
        status = tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                          "%s/detokenize: %s: wanted a text, got something else", s->url,
                          d->detokenize_text);
    if (!status && !(*text = strdup(found->valuestring)))
        status = tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: memory for a text", s->url);
    cJSON_Delete(json);
    return status;
}

static const char *piece_of(void *user, uint32_t id, size_t *size) {
    tsr_server *s = user;
    free(s->piece);
    s->piece = NULL;
    if (tsr_server_detokenize(s, &id, 1, &s->piece)) return NULL;
    *size = strlen(s->piece);
    return s->piece;
}

tsr_vocabulary tsr_server_vocabulary(tsr_server *server) {
    return (tsr_vocabulary){.count = server->facts.vocabulary, .text = piece_of, .user = server};
}
