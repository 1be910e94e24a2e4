/* SPDX-License-Identifier: MIT */
/* serve.h: what the parts of `tessera serve` share. cmd_serve.c has the options and the end;
 * serve_http.c speaks HTTP through libmicrohttpd, in one thread, and holds every limit of
 * connections; serve_workers.c hands whole requests to threads with a context each; serve_routes.c
 * answers them with serve_request.c (what is asked for), serve_model.c (the model behind its queue)
 * and serve_answer.c (what goes out). */
#ifndef TOOLS_SERVE_H
#define TOOLS_SERVE_H

#include "serve_model.h"
#include "serve_request.h"

/* Limits of requests; the options of the verb have their defaults. */
typedef struct serve_limits {
    uint64_t body;        /* bytes of a body */
    uint64_t pixels;      /* of a picture, before it is decoded, and of a decoded item */
    uint32_t seconds;     /* from the first byte of a request to its answer */
    uint32_t connections; /* open at once */
    uint32_t running;     /* requests in work at once: threads */
    uint32_t waiting;     /* whole requests that wait for a thread */
} serve_limits;

/* What goes out. */
typedef struct serve_answer {
    int status;       /* of HTTP; 0: none yet */
    const char *type; /* static storage */
    char *bytes;      /* malloc'd, or static storage if `kept` */
    size_t size;
    bool kept;
    char about[64]; /* for the log: "batch of 3" */
} serve_answer;

typedef struct serve_server serve_server;
typedef struct serve_exchange serve_exchange;
typedef struct serve_http serve_http;

/* An address and what stands behind it. */
typedef struct serve_route {
    const char *path;
    const char *method; /* GET (and HEAD), or POST */
    bool open;          /* answered without the token */
    serve_action action;
    /* Fills x->answer; GET on the thread of HTTP, POST on a worker's with its context. */
    void (*answer)(serve_server *s, tsr_context *ctx, serve_exchange *x);
} serve_route;
/* The route of a path, NULL when there is none. */
const serve_route *serve_route_find(const char *path);

/* One request and its answer. */
struct serve_exchange {
    const serve_route *route; /* NULL: refused before it was known */
    char type[128], accept[256];
    char *body; /* [size], malloc'd */
    size_t size, room;
    serve_request request; /* with the options of the address and of a form */
    double started, deadline;
    serve_answer answer;
    struct serve_form *form;         /* of a request that is one */
    serve_exchange *next;            /* in the line of the workers */
    void (*done)(serve_exchange *x); /* called by the worker when there is an answer */
    bool queued;                     /* the answer belongs to libmicrohttpd */
    struct MHD_Connection *connection;
    struct serve_connection *place;
};

typedef struct serve_workers serve_workers;

struct serve_server {
    tool *t;
    serve_limits limits;
    serve_model model;
    tsr_model_settings model_settings; /* that it was opened with */
    serve_metrics *metrics;
    serve_workers *workers;
    const char *token; /* NULL: none is wanted */
    double started;
    bool local; /* bound to an address that only this machine reaches */
    uint32_t (*connections)(serve_server *s);
    serve_http *http;
};

/* What an answer can be: its name in ?format= and its media type. */
typedef struct serve_format {
    const char *name, *type;
} serve_format;
/* Items that came as a token file or as ids: one to decode, some for a prompt. */
typedef struct serve_tokens {
    const serve_format *format; /* of the picture to answer with; NULL for prompts */
    tsr_token_file *file;       /* NULL: ids */
    uint64_t *chosen, count;    /* [count] items of the file; NULL: 0 .. count - 1 */
    /* What serve_tokens_item gave: */
    tsr_token_header header;
    tsr_token_item item; /* points into the file or the request */
    uint32_t single;     /* its only count, where there was none */
} serve_tokens;
/* Reads the body of a request for tokens. False: the answer says why not. serve_tokens_close closes
 * in either case. */
bool serve_tokens_open(serve_server *s, tsr_context *ctx, serve_exchange *x, serve_tokens *tokens);
/* Fills header and item with picture `index`, 0 .. count - 1, until the next call. False: the
 * answer says why not. */
bool serve_tokens_item(serve_server *s, tsr_context *ctx, serve_exchange *x, serve_tokens *tokens,
                       uint64_t index);
void serve_tokens_close(serve_tokens *tokens);
/* Ids as a piece of the prompt of a language model (serve_prompt.c). */
void serve_prompt(serve_server *s, tsr_context *ctx, serve_exchange *x);

/* A video to a token file (serve_clip.c). */
void serve_clip(serve_server *s, tsr_context *ctx, serve_exchange *x, const encode_meaning *m);

/* ---- serve_workers.c ---- */

/* Starts limits.running threads, each with a context. NULL after a failure, with its status. */
serve_workers *serve_workers_open(serve_server *s, tsr_status *status);
/* Puts a whole request into the line; false when that is full. */
bool serve_workers_put(serve_workers *w, serve_exchange *x);
/* Requests in work, and waiting. */
void serve_workers_count(serve_workers *w, uint32_t *running, uint32_t *waiting);
/* Ends the threads, which finish what they have. */
void serve_workers_close(serve_workers **workers);

/* ---- serve_answer.c ---- */

/* Makes {"error": {"code", "message"}} the answer. */
void serve_answer_refusal(serve_exchange *x, const serve_refusal *refusal);
/* The same, formatted. */
void serve_answer_error(serve_exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failure of the library. */
void serve_answer_status(serve_exchange *x, tsr_status status, const char *detail);
/* Takes malloc'd bytes as the answer 200. */
void serve_answer_bytes(serve_exchange *x, const char *type, void *bytes, size_t size);
/* The item as JSON: what POST /v1/decode takes. */
void serve_answer_item(serve_exchange *x, const serve_model *model, const serve_work *work);

/* ---- serve_form.c ---- */

/* Reads a form (multipart/form-data) as it comes: the file becomes x->body, fields become options.
 */
bool serve_form_open(serve_exchange *x, serve_refusal *wrong);
/* The next bytes of the body. False when they are none of a form, or hold a wrong option; *wrong is
 * set then. */
bool serve_form_read(serve_exchange *x, const char *bytes, size_t size, serve_refusal *wrong);
/* Ends it, also after a failure, with its file in x->request.bytes. */
bool serve_form_close(serve_exchange *x, serve_refusal *wrong);
/* Appends to x->body. False without memory. */
bool serve_body_append(serve_exchange *x, const char *bytes, size_t size);

/* ---- serve_http.c ---- */

/* Listens on `address` (of IPv4 or IPv6, in numbers) and *port, which becomes the one that was
 * chosen when it is 0. NULL after it has told the failure, with the exit code in *code. */
serve_http *serve_http_open(serve_server *s, const char *address, uint16_t *port, int *code);
/* Takes no more connections, refuses new requests on those there are, and waits until those that
 * had begun are answered, at most `seconds`. */
void serve_http_quiesce(serve_http *h, double seconds);
/* Ends; no request may be with the workers. */
void serve_http_close(serve_http **http);
/* The library's name and version. */
const char *serve_http_library(void);

#endif
