/* SPDX-License-Identifier: MIT */
/* server_connection.h: the inside of a tsr_server. */
#ifndef RUNNER_SERVER_CONNECTION_H
#define RUNNER_SERVER_CONNECTION_H

#include "dialect.h"
#include "http.h"

struct tsr_server {
    tsr_context *ctx;
    tsr_http *http;
    tsr_server_settings settings;
    char *url, *model;
    char *piece; /* the text of an id that was asked for last */
    tsr_server_facts facts;
};

/* How long to wait, in seconds, before try number `tries` (1: the first after a failure). */
double tsr_server_backoff(uint32_t tries, uint32_t retry_after);
/* True for answers that a later call may not get: busy, loading, a fault of the server. */
bool tsr_server_may_recover(const tsr_http_call *call);
/* One call whose answer is a JSON text, with retries: its bytes into *answer, a zero byte behind
 * them. */
tsr_status tsr_server_call(tsr_server *server, const char *path, const tsr_bytes *body,
                           tsr_bytes *answer);

#endif
