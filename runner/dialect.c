/* SPDX-License-Identifier: MIT */
/* dialect.c: see dialect.h. */
#include "dialect.h"

#include "formats/json_text.h"

/* What vLLM's two routes and SGLang's call the cutting of texts, and vLLM's the way back. */
#define CUTS_LIKE_VLLM                                                                             \
    .tokenize = "/tokenize", .tokenize_text = "prompt",                                            \
    .tokenize_always = "\"add_special_tokens\":false"
#define TEXTS_OF_VLLM CUTS_LIKE_VLLM, .detokenize_text = "prompt"

/* llama-server: tools/server of llama.cpp v0.5.0, run against. vLLM: entrypoints/openai and
 * entrypoints/serve/disagg of 2026, read. SGLang: managers/io_struct.py of 2026, read. */
static const tsr_dialect dialects[] = {
    [TSR_SERVER_LLAMA] = {.route = "/completion",
                          .streams = true,
                          .prompt = "prompt",
                          .limit = "n_predict",
                          .seed = "seed",
                          .logprobs = "n_probs",
                          /* A prompt that is read anew gives the same ids each time. */
                          .always = "\"return_tokens\":true,\"cache_prompt\":false,\"min_p\":0",
                          .ids = "tokens",
                          .text = "content",
                          .tokenize = "/tokenize",
                          .tokenize_text = "content",
                          .tokenize_always = "\"add_special\":false,\"parse_special\":true",
                          .detokenize_text = "content"},
    [TSR_SERVER_OPENAI] = {.route = "/v1/completions",
                           .streams = true,
                           .has_model = true,
                           .prompt = "prompt",
                           .limit = "max_tokens",
                           .seed = "seed",
                           .logprobs = "logprobs",
                           .always = "\"return_token_ids\":true",
                           .choices = "choices",
                           .ids = "token_ids",
                           .text = "text",
                           TEXTS_OF_VLLM},
    [TSR_SERVER_VLLM] = {.route = "/inference/v1/generate",
                         .has_model = true,
                         .prompt = "token_ids",
                         .sampling = "sampling_params",
                         .limit = "max_tokens",
                         .seed = "seed",
                         .logprobs = "logprobs",
                         .samples_logprobs = true,
                         .choices = "choices",
                         .ids = "token_ids",
                         .text = "text",
                         TEXTS_OF_VLLM},
    [TSR_SERVER_SGLANG] = {.route = "/generate",
                           .prompt = "input_ids",
                           .sampling = "sampling_params",
                           .limit = "max_new_tokens",
                           .seed = "sampling_seed",
                           .logprobs = "top_logprobs_num",
                           /* Its own list of pairs names each id, whatever its version. */
                           .always = "\"return_logprob\":true",
                           .sampling_always = "\"skip_special_tokens\":false",
                           .ids = "output_ids",
                           .text = "text",
                           CUTS_LIKE_VLLM,
                           .detokenize_always = "\"skip_special_tokens\":false",
                           .detokenize_text = "text"},
};

static const char *const names[] = {"ask", "llama", "openai", "vllm", "sglang"};

const char *tsr_server_dialect_name(tsr_server_dialect dialect) {
    return (unsigned)dialect < sizeof names / sizeof *names ? names[dialect] : "unknown";
}

const tsr_dialect *tsr_dialect_of(tsr_server_dialect dialect) {
    return &dialects[dialect];
}

static void put(tsr_bytes *body, const char *text) {
    tsr_bytes_put(body, text, strlen(text));
}

static void put_member(tsr_bytes *body, const char *name) {
    if (body->size && body->at[body->size - 1] != '{') put(body, ",");
    tsr_json_put_format(body, "\"%s\":", name);
}

static void put_text(tsr_bytes *body, const char *name, const char *text) {
    put_member(body, name);
    tsr_json_put(body, text, strlen(text), false);
}

static void put_ids(tsr_bytes *body, const uint32_t *ids, size_t count, bool comma) {
    for (size_t i = 0; i < count; ++i) {
        if (i || comma) put(body, ",");
        tsr_json_put_number(body, ids[i]);
    }
}

void tsr_dialect_request(tsr_bytes *body, tsr_server_dialect dialect, const char *model,
                         const tsr_generate_request *request, const uint32_t *more, size_t count) {
    const tsr_dialect *d = &dialects[dialect];
    put(body, "{");
    if (d->has_model && model) put_text(body, "model", model);
    put_member(body, d->prompt);
    put(body, "[");
    put_ids(body, request->ids, request->id_count, false);
    put_ids(body, more, count, request->id_count > 0);
    put(body, "]");
    if (d->streams) tsr_json_put_format(body, ",\"stream\":%s", request->whole ? "false" : "true");
    if (d->always) put(body, ","), put(body, d->always);
    if (!d->samples_logprobs && request->logprobs)
        tsr_json_put_format(body, ",\"%s\":%u", d->logprobs, request->logprobs);
    if (request->grammar) put_text(body, "grammar", request->grammar);
    if (d->sampling) tsr_json_put_format(body, ",\"%s\":{", d->sampling);
    put_member(body, d->limit);
    tsr_json_put_number(body, request->max_tokens - count);
    tsr_json_put_format(body, ",\"temperature\":%.9g,\"top_p\":%.9g", request->temperature,
                        request->top_p);
    /* "Every id" is 0 for llama-server and -1 for the others, whose default it is. */
    if (request->top_k || dialect == TSR_SERVER_LLAMA)
        tsr_json_put_format(body, ",\"top_k\":%u", request->top_k);
    if (request->temperature > 0)
        tsr_json_put_format(body, ",\"%s\":%llu", d->seed, (unsigned long long)request->seed);
    if (d->samples_logprobs && request->logprobs)
        tsr_json_put_format(body, ",\"%s\":%u", d->logprobs, request->logprobs);
    if (d->sampling_always) put(body, ","), put(body, d->sampling_always);
    put(body, d->sampling ? "}}" : "}");
}

void tsr_dialect_tokenize(tsr_bytes *body, const tsr_dialect *d, const char *model,
                          const char *text) {
    put(body, "{");
    if (d->has_model && model) put_text(body, "model", model);
    put_text(body, d->tokenize_text, text);
    put(body, ",");
    put(body, d->tokenize_always);
    put(body, "}");
}

void tsr_dialect_detokenize(tsr_bytes *body, const tsr_dialect *d, const char *model,
                            const uint32_t *ids, size_t count) {
    put(body, "{");
    if (d->has_model && model) put_text(body, "model", model);
    put_member(body, "tokens");
    put(body, "[");
    put_ids(body, ids, count, false);
    put(body, "]");
    if (d->detokenize_always) put(body, ","), put(body, d->detokenize_always);
    put(body, "}");
}
