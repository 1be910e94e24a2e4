/* SPDX-License-Identifier: MIT */
/* server_answer.c: see server_answer.h. */
#include "server_answer.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool wrong(tsr_answer_reader *r, const char *what) {
    if (!r->wrong[0]) snprintf(r->wrong, sizeof r->wrong, "%s", what);
    return false;
}

static bool no_memory(tsr_answer_reader *r) {
    r->no_memory = true;
    return wrong(r, "memory for the reply");
}

void tsr_answer_begin(tsr_answer_reader *r, bool events) {
    r->events = events;
    r->line.size = 0;
    r->bytes = 0;
    r->refused = 0;
    r->wrong[0] = 0;
}

void tsr_answer_forget(tsr_answer_reader *r) {
    r->id_count = 0;
    r->text.size = 0;
    r->ended = false;
}

void tsr_answer_free(tsr_answer_reader *r) {
    free(r->ids);
    free(r->logprobs);
    free(r->top);
    tsr_bytes_free(&r->text);
    tsr_bytes_free(&r->line);
}

/* ---- ids ---- */

static bool whole_number(const cJSON *value, double below, uint32_t *number) {
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0 && value->valuedouble < below) ||
        value->valuedouble != floor(value->valuedouble))
        return false;
    *number = (uint32_t)value->valuedouble;
    return true;
}

static bool read_id(const tsr_answer_reader *r, const cJSON *value, uint32_t *id) {
    return whole_number(value, r->vocabulary ? r->vocabulary : 4294967295.0, id);
}

static bool add_room(tsr_answer_reader *r) {
    if (r->id_count < r->id_room) return true;
    const size_t room = r->id_room ? 2 * r->id_room : 64;
    uint32_t *ids = realloc(r->ids, room * sizeof *ids);
    if (ids) r->ids = ids;
    if (r->top_count) {
        float *logprobs = realloc(r->logprobs, room * sizeof *logprobs);
        if (logprobs) r->logprobs = logprobs;
        tsr_token_logprob *top = realloc(r->top, room * r->top_count * sizeof *top);
        if (top) r->top = top;
        if (!logprobs || !top) return no_memory(r);
    }
    if (!ids) return no_memory(r);
    r->id_room = room;
    return true;
}

static bool add_id(tsr_answer_reader *r, uint32_t id) {
    if (r->id_count >= r->most_ids) return wrong(r, "more ids than were asked for");
    if (!add_room(r)) return false;
    r->ids[r->id_count] = id;
    if (r->top_count) {
        r->logprobs[r->id_count] = NAN;
        for (uint32_t i = 0; i < r->top_count; ++i)
            r->top[r->id_count * r->top_count + i] = (tsr_token_logprob){UINT32_MAX, NAN};
    }
    ++r->id_count;
    return true;
}

/* Adds the ids of a list, where it is one. */
static bool add_ids(tsr_answer_reader *r, const cJSON *list) {
    const cJSON *element;
    cJSON_ArrayForEach(element, list) {
        uint32_t id;
        if (!read_id(r, element, &id)) {
            snprintf(r->wrong, sizeof r->wrong, "an id of the reply: wanted a number below %u",
                     r->vocabulary);
            return false;
        }
        if (!add_id(r, id)) return false;
    }
    return true;
}

/* ---- probabilities ---- */

static float logprob_of(const cJSON *value) {
    return cJSON_IsNumber(value) && value->valuedouble <= 1e-3 ? (float)value->valuedouble : NAN;
}

/* The id of {"id": 5} or of {"token": "token_id:5"}, which vLLM writes. */
static bool id_of_object(const tsr_answer_reader *r, const cJSON *object, uint32_t *id) {
    if (read_id(r, cJSON_GetObjectItemCaseSensitive(object, "id"), id)) return true;
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(object, "token");
    if (!cJSON_IsString(token) || strncmp(token->valuestring, "token_id:", 9)) return false;
    cJSON number = {.type = cJSON_Number, .valuedouble = strtod(token->valuestring + 9, NULL)};
    return read_id(r, &number, id);
}

static void put_top(tsr_answer_reader *r, size_t at, uint32_t place, uint32_t id, float logprob) {
    if (place < r->top_count) r->top[at * r->top_count + place] = (tsr_token_logprob){id, logprob};
}

/* [{"id", "logprob", "top_logprobs": [{"id", "logprob"}]}] of the ids from `from` on; where the
 * reply has no list of ids, they are these. */
static bool read_objects(tsr_answer_reader *r, const cJSON *list, size_t from, bool add) {
    const cJSON *object, *other;
    size_t at = from;
    cJSON_ArrayForEach(object, list) {
        uint32_t id;
        const bool named = id_of_object(r, object, &id);
        if (add && !named) return wrong(r, "an id of the reply's probabilities: wanted a number");
        if (add && !add_id(r, id)) return false;
        if (at >= r->id_count) return wrong(r, "more probabilities than ids");
        if (named && r->ids[at] != id)
            return wrong(r, "probabilities of other ids than the reply's");
        if (r->top_count) {
            uint32_t place = 0;
            r->logprobs[at] = logprob_of(cJSON_GetObjectItemCaseSensitive(object, "logprob"));
            cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(object, "top_logprobs")) {
                if (id_of_object(r, other, &id))
                    put_top(r, at, place++, id,
                            logprob_of(cJSON_GetObjectItemCaseSensitive(other, "logprob")));
            }
        }
        ++at;
    }
    return true;
}

/* [[logprob, id, text]] of SGLang. */
static bool read_pairs(tsr_answer_reader *r, const cJSON *list, const cJSON *tops, size_t from,
                       bool add) {
    const cJSON *pair, *other;
    size_t at = from;
    cJSON_ArrayForEach(pair, list) {
        uint32_t id;
        if (!read_id(r, cJSON_GetArrayItem(pair, 1), &id))
            return wrong(r, "output_token_logprobs of the reply: wanted [logprob, id, text]");
        if (add && !add_id(r, id)) return false;
        if (at >= r->id_count || r->ids[at] != id)
            return wrong(r, "probabilities of other ids than the reply's");
        if (r->top_count) r->logprobs[at] = logprob_of(cJSON_GetArrayItem(pair, 0));
        ++at;
    }
    at = from;
    cJSON_ArrayForEach(pair, tops) {
        uint32_t id, place = 0;
        if (at >= r->id_count) break;
        cJSON_ArrayForEach(other, pair) {
            if (read_id(r, cJSON_GetArrayItem(other, 1), &id))
                put_top(r, at, place++, id, logprob_of(cJSON_GetArrayItem(other, 0)));
        }
        ++at;
    }
    return true;
}

/* "token_logprobs" of OpenAI's older form: numbers beside the ids. */
static void read_numbers(tsr_answer_reader *r, const cJSON *list, size_t from) {
    const cJSON *number;
    size_t at = from;
    cJSON_ArrayForEach(number, list) {
        if (at >= r->id_count || !r->top_count) break;
        r->logprobs[at++] = logprob_of(number);
    }
}

/* ---- messages ---- */

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool read_stop(tsr_answer_reader *r, const cJSON *from, const cJSON *meta) {
    const cJSON *why = member(from, "finish_reason");
    if (!why) why = member(from, "stop_type");
    if (!why) why = member(meta, "finish_reason");
    if (cJSON_IsObject(why)) why = member(why, "type");
    if (!cJSON_IsString(why) || !strcmp(why->valuestring, "none")) return false;
    const char *text = why->valuestring;
    r->stop =
        !strcmp(text, "length") || !strcmp(text, "limit") ? TSR_GENERATE_LENGTH : TSR_GENERATE_END;
    return true;
}

static void read_prompt_tokens(tsr_answer_reader *r, const cJSON *message, const cJSON *meta) {
    const cJSON *count = member(message, "tokens_evaluated");
    if (!count) count = member(member(message, "usage"), "prompt_tokens");
    if (!count) count = member(meta, "prompt_tokens");
    /* What is resumed has a longer prompt. */
    uint32_t number;
    if (whole_number(count, 4294967296.0, &number) && !r->prompt_tokens) r->prompt_tokens = number;
}

static bool read_ids(tsr_answer_reader *r, const cJSON *from, const cJSON *meta) {
    const size_t before = r->id_count;
    const cJSON *ids = member(from, r->dialect->ids);
    if (!add_ids(r, ids)) return false;
    const cJSON *objects = member(from, "completion_probabilities");
    const cJSON *logprobs = member(from, "logprobs");
    if (!objects) objects = member(logprobs, "content");
    const bool add = r->id_count == before && !cJSON_IsArray(ids);
    if (!read_objects(r, objects, before, add)) return false;
    const bool still = add && r->id_count == before;
    if (!read_pairs(r, member(meta, "output_token_logprobs"), member(meta, "output_top_logprobs"),
                    before, still))
        return false;
    read_numbers(r, member(logprobs, "token_logprobs"), before);
    const cJSON *text = member(from, r->dialect->text);
    if (!cJSON_IsString(text)) return true;
    const size_t size = strlen(text->valuestring);
    if (size && r->id_count == before && !cJSON_IsArray(ids)) r->foreign = true;
    tsr_bytes_put(&r->text, text->valuestring, size + 1);
    if (r->text.failed) return no_memory(r);
    --r->text.size; /* the zero is written over by the next text */
    return true;
}

static bool read_error(tsr_answer_reader *r, const cJSON *error) {
    const cJSON *code = member(error, "code"), *text = member(error, "message");
    r->refused = cJSON_IsNumber(code) && code->valuedouble >= 400 && code->valuedouble < 600
                     ? (int)code->valuedouble
                     : 500;
    if (cJSON_IsString(error)) text = error;
    const bool said = cJSON_IsString(text) && text->valuestring[0];
    return wrong(r, said ? text->valuestring : "an error without a message");
}

/* An event "error:" is all error; other messages may have one. */
static bool read_message(tsr_answer_reader *r, const char *json, size_t size, bool all_error) {
    cJSON *message = cJSON_ParseWithLength(json, size);
    if (!message) return wrong(r, "wanted JSON, got something else");
    const cJSON *error = member(message, "error"), *from = message;
    if (all_error && !error) error = message;
    bool good = true;
    if (r->dialect->choices) from = cJSON_GetArrayItem(member(message, r->dialect->choices), 0);
    const cJSON *meta = member(from, "meta_info");
    if (error && !cJSON_IsNull(error)) {
        good = read_error(r, error);
    } else if (!cJSON_IsObject(message) || (from && !cJSON_IsObject(from))) {
        good = wrong(r, "wanted a JSON object");
    } else if (from) {
        good = read_ids(r, from, meta);
        if (good && read_stop(r, from, meta)) r->ended = true;
        read_prompt_tokens(r, message, meta);
    } else if (!r->events) {
        snprintf(r->wrong, sizeof r->wrong, "wanted a list \"%s\"", r->dialect->choices);
        good = false;
    }
    cJSON_Delete(message);
    return good;
}

/* ---- bytes ---- */

static bool take_line(tsr_answer_reader *r) {
    const char *line = (const char *)r->line.at;
    size_t size = r->line.size, name = 0;
    if (size && line[size - 1] == '\r') --size;
    if (size > 5 && !memcmp(line, "data:", 5)) name = 5;
    if (size > 6 && !memcmp(line, "error:", 6)) name = 6;
    if (!name) return true; /* a comment, the end of an event, another field of it */
    while (name < size && isspace((unsigned char)line[name]))
        ++name;
    if (size - name == 6 && !memcmp(line + name, "[DONE]", 6)) return true;
    return read_message(r, line + name, size - name, line[0] == 'e');
}

bool tsr_answer_take(tsr_answer_reader *r, const uint8_t *bytes, size_t size) {
    if (r->wrong[0]) return false;
    r->bytes += size;
    if (r->bytes > TSR_ANSWER_MOST_BYTES) return wrong(r, "an answer of more than 256 MiB");
    while (r->events && size) {
        const uint8_t *end = memchr(bytes, '\n', size);
        const size_t part = end ? (size_t)(end - bytes) : size;
        if (r->line.size + part > TSR_ANSWER_MOST_LINE)
            return wrong(r, "an event of more than 16 MiB");
        tsr_bytes_put(&r->line, bytes, part);
        if (r->line.failed) return no_memory(r);
        if (!end) return true;
        if (!take_line(r)) return false;
        r->line.size = 0;
        bytes += part + 1;
        size -= part + 1;
    }
    tsr_bytes_put(&r->line, bytes, size);
    return r->line.failed ? no_memory(r) : true;
}

bool tsr_answer_finish(tsr_answer_reader *r) {
    if (r->wrong[0]) return false;
    if (r->events) {
        if (r->line.size && !take_line(r)) return false;
    } else if (!read_message(r, (const char *)r->line.at, r->line.size, false)) {
        return false;
    }
    r->line.size = 0;
    if (r->foreign && !r->id_count)
        return wrong(r, "a reply of text without ids: wanted a server that returns token ids");
    return true;
}

const char *tsr_refusal_text(const tsr_bytes *body, char *text, size_t size) {
    cJSON *json = cJSON_ParseWithLength((const char *)body->at, body->size);
    const cJSON *error = member(json, "error");
    const cJSON *message = cJSON_IsString(error) ? error : member(error, "message");
    if (!message) message = member(json, "message");
    if (!message) message = member(json, "detail");
    /* FastAPI lists what is wrong with a body: [{"loc", "msg", "type"}]. */
    if (cJSON_IsArray(message)) message = member(cJSON_GetArrayItem(message, 0), "msg");
    if (cJSON_IsString(message)) {
        snprintf(text, size, "%s", message->valuestring);
    } else {
        const int shown = body->size < 160 ? (int)body->size : 160;
        snprintf(text, size, "%.*s", shown, body->size ? (const char *)body->at : "");
    }
    cJSON_Delete(json);
    for (char *p = text; *p; ++p)
        if ((unsigned char)*p < 0x20) *p = ' ';
    return text;
}
