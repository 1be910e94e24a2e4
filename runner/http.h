/* SPDX-License-Identifier: MIT */
/* http.h: calls of an HTTP server, several at a time from one thread. A call is a struct that its
 * owner fills, starts and waits for; connections are kept between calls. Needs libcurl
 * (TESSERA_WITH_SERVERS); without it tsr_http_open answers UNSUPPORTED. */
#ifndef RUNNER_HTTP_H
#define RUNNER_HTTP_H

#include <stdbool.h>
#include "formats/tokens/token_layout.h"

typedef struct tsr_http tsr_http;

/* How a server is reached. */
typedef struct tsr_http_settings {
    const char *url;          /* http:// or https://, without a query; routes are appended */
    const char *key;          /* a bearer token that goes to this server alone, or NULL */
    uint32_t connect_timeout; /* seconds until a connection stands */
    uint32_t timeout;         /* seconds without a byte before an answer is given up */
    uint32_t most_seconds;    /* until an answer must be whole */
} tsr_http_settings;

/* What became of a call. */
typedef enum tsr_http_end {
    TSR_HTTP_RUNNING,
    TSR_HTTP_ANSWERED,    /* `code` and the whole body came */
    TSR_HTTP_CUT,         /* the connection ended inside the answer, or stood still too long */
    TSR_HTTP_UNREACHABLE, /* no connection */
    TSR_HTTP_STOPPED      /* `take` returned false */
} tsr_http_end;

typedef struct tsr_http_call {
    const char *path; /* "/v1/models" */
    const char *body; /* JSON to post; NULL: a GET */
    size_t body_size;
    /* Takes bytes of the body of an answer 200; false stops the call. */
    bool (*take)(void *user, const uint8_t *bytes, size_t size);
    void *user;
    /* what came */
    tsr_http_end end;
    int code;             /* 0: no answer began */
    uint32_t retry_after; /* seconds that the server asked to wait; 0: it did not say */
    bool event_stream;    /* the answer is text/event-stream */
    char why[200];        /* CUT and UNREACHABLE: the reason in words */
    tsr_bytes refusal;    /* body of an answer that is not 200, at most 64 KiB */
    void *easy;           /* the transfer */
} tsr_http_call;

/* Opens the way to a server; no connection is made yet. Errors: ARGUMENT (an address that is none),
 * MEMORY, UNSUPPORTED. */
tsr_status tsr_http_open(tsr_context *ctx, const tsr_http_settings *settings, tsr_http **http);
void tsr_http_close(tsr_http **http);
/* Starts a call, which with its path, body and user must stay until it ended or was dropped.
 * Errors: MEMORY. */
tsr_status tsr_http_start(tsr_http *http, tsr_http_call *call);
/* Moves all calls on: returns when one of them ended or took bytes, or after `milliseconds`.
 * Errors: IO. */
tsr_status tsr_http_wait(tsr_http *http, int milliseconds);
/* Ends a call that runs, and frees what it holds. A call of zeros is accepted. */
void tsr_http_drop(tsr_http *http, tsr_http_call *call);

#endif
