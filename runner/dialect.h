/* SPDX-License-Identifier: MIT */
/* dialect.h: what servers call the same things: routes, fields of requests, fields of replies. */
#ifndef RUNNER_DIALECT_H
#define RUNNER_DIALECT_H

#include <stdbool.h>
#include <tessera/runner/server.h>
#include "formats/tokens/token_layout.h"

/* Names of one dialect. A NULL field is one that it does not have. */
typedef struct tsr_dialect {
    const char *route;
    bool streams;         /* a stream of it brings ids, each once */
    bool has_model;       /* requests name the model */
    const char *prompt;   /* the list of ids */
    const char *sampling; /* the object that holds what follows; NULL: the request itself */
    const char *limit;    /* ids of the reply at most */
    const char *seed, *logprobs;
    bool samples_logprobs;       /* `logprobs` stands in the sampling object */
    const char *always;          /* JSON members that every request has */
    const char *sampling_always; /* JSON members that the sampling object has beside the others */
    /* of a reply */
    const char *choices; /* the list whose first element is read; NULL: the reply itself */
    const char *ids;     /* new ids */
    const char *text;
    /* of texts and ids; NULL: no such route */
    const char *tokenize, *tokenize_text, *tokenize_always, *detokenize_always, *detokenize_text;
} tsr_dialect;

/* Names of a dialect other than ASK. */
const tsr_dialect *tsr_dialect_of(tsr_server_dialect dialect);

/* Appends the JSON of a request. `more` ids follow those of the request: a reply that goes on; the
 * limit counts what is still to come. `model` may be NULL. */
void tsr_dialect_request(tsr_bytes *body, tsr_server_dialect dialect, const char *model,
                         const tsr_generate_request *request, const uint32_t *more, size_t count);
/* Appends the JSON that asks for the ids of a text. */
void tsr_dialect_tokenize(tsr_bytes *body, const tsr_dialect *d, const char *model,
                          const char *text);
/* Appends the JSON that asks for the text of ids. */
void tsr_dialect_detokenize(tsr_bytes *body, const tsr_dialect *d, const char *model,
                            const uint32_t *ids, size_t count);

#endif
