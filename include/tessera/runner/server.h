/* SPDX-License-Identifier: MIT */
/* server.h: language models behind HTTP: ids in, ids out.
 *
 *     tsr_server *server = NULL;
 *     tsr_server_settings where = tsr_server_settings_default();
 *     where.url = "http://127.0.0.1:8080";
 *     tsr_server_open(ctx, &where, &server);
 *     tsr_generate_request ask = tsr_generate_request_default();
 *     ask.ids = ids, ask.id_count = count;
 *     tsr_generate_events events = {.done = take_reply, .user = &mine};
 *     tsr_server_generate(server, &ask, 1, &events);
 *     tsr_server_close(&server);
 *
 * Four dialects are spoken: llama-server's /completion, the /v1/completions of OpenAI's interface
 * with a list of ids for a prompt (vLLM, SGLang, TensorRT-LLM and llama-server have it), vLLM's
 * /inference/v1/generate and SGLang's /generate. llama-server was run against; the other three were
 * read in their projects' sources and tested against a server of our own that answers as they do.
 *
 * Nothing that a server sends is believed: ids are checked against the vocabulary, and an answer
 * has limits. A call that fails names the server's address, the field, what was wanted and what
 * came. */
#ifndef TESSERA_RUNNER_SERVER_H
#define TESSERA_RUNNER_SERVER_H

#include <stddef.h>
#include <tessera/runner/map.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A server and the connections to it. One thread at a time may use it. */
typedef struct tsr_server tsr_server;

/* How a server is spoken to. */
typedef enum tsr_server_dialect {
    TSR_SERVER_ASK = 0,    /* by what the server says of itself in /v1/models */
    TSR_SERVER_LLAMA = 1,  /* llama-server: POST /completion */
    TSR_SERVER_OPENAI = 2, /* POST /v1/completions with ids; the reply must hold ids, too */
    TSR_SERVER_VLLM = 3,   /* vLLM: POST /inference/v1/generate */
    TSR_SERVER_SGLANG = 4  /* SGLang: POST /generate */
} tsr_server_dialect;
/* Name of a dialect ("llama", "openai", "vllm", "sglang"; "ask"). Never NULL, static storage. */
const char *tsr_server_dialect_name(tsr_server_dialect dialect);

/* How a server is reached. */
typedef struct tsr_server_settings {
    const char *url;            /* http:// or https:// with host and port; no default */
    tsr_server_dialect dialect; /* default TSR_SERVER_ASK */
    const char *model;          /* the model's name on a server that has several; default NULL: the
                                   first one it lists */
    const char *key;            /* bearer token of the server; default NULL: none */
    uint32_t connect_timeout;   /* seconds until a connection stands, 1 or more; default 10 */
    uint32_t timeout;           /* seconds without a byte, 1 or more; default 300, since a long
                                   prompt is read before the first id */
    uint32_t most_seconds;      /* for one answer, 1 or more; default 3600 */
    uint32_t retries;           /* tries in a row without a new id before a request is given up;
                                   default 5, 0: none */
    uint32_t in_flight;         /* requests at a time, 1..256; default 1 */
} tsr_server_settings;
/* Default settings of a server. */
tsr_server_settings tsr_server_settings_default(void);

/* Connects to a server and asks what it is, with retries while it loads. The caller closes it with
 * tsr_server_close. Errors: ARGUMENT, IO (nothing there, or no server of a known kind), FORMAT (an
 * answer that is not what the dialect says), MEMORY, UNSUPPORTED (a build without libcurl). */
tsr_status tsr_server_open(tsr_context *ctx, const tsr_server_settings *settings,
                           tsr_server **server);
/* Closes a server and sets *server to NULL. NULL and a NULL *server are accepted. */
void tsr_server_close(tsr_server **server);

/* What a server said of itself; 0 and "" where it said nothing. */
typedef struct tsr_server_facts {
    tsr_server_dialect dialect;
    const char *model;   /* name of the model. Owned by the server */
    uint32_t vocabulary; /* ids */
    uint32_t context;    /* ids of prompt and reply together */
    uint32_t embedding;  /* numbers in the row of an id */
} tsr_server_facts;
/* Facts of an open server. */
tsr_server_facts tsr_server_get_facts(const tsr_server *server);

/* Ids of a text by the server's tokenizer; special tokens in it become their ids, and no begin is
 * added. The caller frees *ids with free(). Errors: IO, FORMAT, MEMORY, UNSUPPORTED (the server
 * has no such route). */
tsr_status tsr_server_tokenize(tsr_server *server, const char *text, uint32_t **ids,
                               size_t *id_count);
/* Text of ids by the server's tokenizer, special tokens included. The caller frees *text with
 * free(). Errors: as for tsr_server_tokenize; ARGUMENT (the server knows no such id). */
tsr_status tsr_server_detokenize(tsr_server *server, const uint32_t *ids, size_t id_count,
                                 char **text);

/* The server's vocabulary, for tsr_vocab_map_check: each text that is looked at is asked for. A
 * text is valid until the next one is asked for. Valid as long as the server. */
tsr_vocabulary tsr_server_vocabulary(tsr_server *server);

/* A prompt and how it is to be continued. */
typedef struct tsr_generate_request {
    const uint32_t *ids; /* [id_count], at least one. They go as they are: a begin-of-text id that
                            the model wants must be among them */
    size_t id_count;
    uint32_t max_tokens; /* ids of the reply at most, 1 or more; default 256 */
    double temperature;  /* 0 or more; default 0: the likeliest id each time */
    double top_p;        /* 0..1; default 1: every id */
    uint32_t top_k;      /* default 0: every id */
    uint64_t seed;       /* of what is drawn when temperature is above 0; default 0 */
    uint32_t logprobs;   /* likeliest ids to report for each id of the reply, 0..100; default 0 */
    const char
        *grammar; /* GBNF that the reply must fit, llama-server's alone; default NULL: none */
    int whole;    /* 1: the reply is asked for in one piece; default 0: as a stream where the
                     dialect has one, so that a cut connection loses nothing */
} tsr_generate_request;
/* Default request. `ids` is the caller's to fill in. */
tsr_generate_request tsr_generate_request_default(void);

/* Why a reply ended. */
typedef enum tsr_generate_stop {
    TSR_GENERATE_LENGTH = 0, /* max_tokens, or the context is full */
    TSR_GENERATE_END = 1,    /* the model's end id, or a stop text */
    TSR_GENERATE_CUT = 2     /* the connection, and every further try; `status` says why */
} tsr_generate_stop;

/* An id with its natural log-probability. */
typedef struct tsr_token_logprob {
    uint32_t id;
    float logprob;
} tsr_token_logprob;

/* What came back for one request. Valid during the call that hands it over. */
typedef struct tsr_generate_reply {
    tsr_status status;   /* TSR_OK, or why the reply is not whole; what came is here */
    const char *detail;  /* one line for a status that is not TSR_OK; "" otherwise */
    const uint32_t *ids; /* [id_count] */
    size_t id_count;
    const float *logprobs; /* [id_count] natural log-probability of each id, NaN where the server
                              did not say; NULL without `logprobs` */
    const tsr_token_logprob *top; /* [id_count, top_count], the likeliest first; id UINT32_MAX where
                                     the server gave fewer; NULL without `logprobs` */
    uint32_t top_count;
    const char *text; /* the text of the ids as the server gave it, UTF-8; special tokens
                         are often left out of it: read `ids` */
    tsr_generate_stop stop;
    uint32_t prompt_tokens; /* ids of the prompt as the server counted them; 0: not said */
    double seconds;         /* from the first byte sent to the last that came, waits included */
    double first_seconds;   /* until the first id came; that of all without a stream */
    uint32_t tries;         /* calls that were made; 1 when nothing went wrong */
    uint32_t resumed;       /* of them, those that went on behind ids that had come */
} tsr_generate_reply;

/* Who hears of replies. Each may be NULL; a result other than 0 stops all requests. */
typedef struct tsr_generate_events {
    /* Hears of `count` new ids of request number `index`, and of the text that came with them. */
    int (*part)(void *user, size_t index, const uint32_t *ids, size_t count, const char *text);
    /* Hears of each request once, in the order in which they end, also of those that failed. */
    int (*done)(void *user, size_t index, const tsr_generate_reply *reply);
    /* Hears why a request is tried again, one line. */
    int (*again)(void *user, size_t index, const char *why);
    /* Hears at least four times a second how many requests ended. */
    tsr_progress_fn progress;
    void *user; /* first argument of each */
} tsr_generate_events;

/* Has prompts continued, as many at a time as the settings say. A refused or failed request does
 * not stop the others. A server that is busy (429, 503) is asked again after the time it names, or
 * after 0.25 seconds and then twice as long each time; a stream that is cut goes on behind the ids
 * that came, unless there is a grammar, whose state is lost: the reply then begins anew. Errors:
 * those of the first request that failed; ARGUMENT before anything is sent (an id beyond the
 * vocabulary, a prompt and reply longer than the context, a setting out of range), INTERRUPTED by a
 * callback. */
tsr_status tsr_server_generate(tsr_server *server, const tsr_generate_request *requests,
                               size_t count, const tsr_generate_events *events);

#ifdef __cplusplus
}
#endif
#endif
