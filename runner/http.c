/* SPDX-License-Identifier: MIT */
/* http.c: see http.h. */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#ifndef TESSERA_WITH_SERVERS

tsr_status tsr_http_open(tsr_context *ctx, const tsr_http_settings *settings, tsr_http **http) {
    *http = NULL;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: this build was made without libcurl; -DTESSERA_SERVERS=ON brings it",
                    settings->url);
}
void tsr_http_close(tsr_http **http) {
    (void)http;
}
tsr_status tsr_http_start(tsr_http *http, tsr_http_call *call) {
    (void)http, (void)call;
    return TSR_ERROR_UNSUPPORTED;
}
tsr_status tsr_http_wait(tsr_http *http, int milliseconds) {
    (void)http, (void)milliseconds;
    return TSR_ERROR_UNSUPPORTED;
}
void tsr_http_drop(tsr_http *http, tsr_http_call *call) {
    (void)http, (void)call;
}

#else

#include <curl/curl.h>

enum { MOST_REFUSAL = 65536 };

struct tsr_http {
    tsr_context *ctx;
    CURLM *multi;
    struct curl_slist *headers; /* of a post */
    char *url, *key;
    tsr_http_settings settings;
};

static bool is_address(const char *url) {
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : NULL;
    if (!host || !*host || *host == '/' || strlen(url) > 2000) return false;
    return !strpbrk(url, " \t\r\n?#");
}

tsr_status tsr_http_open(tsr_context *ctx, const tsr_http_settings *settings, tsr_http **out) {
    *out = NULL;
    if (!settings->url || !is_address(settings->url))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: address of the server: wanted http://HOST:PORT or https://HOST",
                        settings->url ? settings->url : "(none)");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: libcurl could not be started", settings->url);
    tsr_http *http = calloc(1, sizeof *http);
    if (http) {
        *http = (tsr_http){.ctx = ctx,
                           .settings = *settings,
                           .multi = curl_multi_init(),
                           .url = strdup(settings->url),
                           .key = settings->key ? strdup(settings->key) : NULL,
                           .headers = curl_slist_append(NULL, "Content-Type: application/json")};
        /* A large body is not announced first: servers that do not know the question wait. */
        struct curl_slist *more =
            http->headers ? curl_slist_append(http->headers, "Expect:") : NULL;
        if (http->multi && http->url && more && (http->key || !settings->key)) {
            for (size_t n = strlen(http->url); n && http->url[n - 1] == '/'; --n)
                http->url[n - 1] = 0;
            *out = http;
            return TSR_OK;
        }
    }
    tsr_http_close(&http);
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: memory for a connection", settings->url);
}

void tsr_http_close(tsr_http **at) {
    tsr_http *http = *at;
    *at = NULL;
    if (!http) return;
    if (http->multi) curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http->url);
    free(http->key);
    free(http);
    curl_global_cleanup();
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user) {
    tsr_http_call *call = user;
    char line[256];
    size *= count;
    snprintf(line, sizeof line, "%.*s", size < 255 ? (int)size : 255, bytes);
    if (strncmp(line, "HTTP/", 5) == 0) {
        const char *blank = strchr(line, ' ');
        call->code = blank ? atoi(blank) : 0;
        call->retry_after = 0;
        call->event_stream = false;
    } else if (strncasecmp(line, "retry-after:", 12) == 0) {
        const long seconds = strtol(line + 12, NULL, 10);
        call->retry_after = seconds > 0 ? (uint32_t)(seconds < 3600 ? seconds : 3600) : 0;
    } else if (strncasecmp(line, "content-type:", 13) == 0) {
        call->event_stream = strcasestr(line, "text/event-stream") != NULL;
    }
    return size;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    tsr_http_call *call = user;
    size *= count;
    if (call->code == 200) return call->take(call->user, (const uint8_t *)bytes, size) ? size : 0;
    const size_t room = MOST_REFUSAL - call->refusal.size;
    tsr_bytes_put(&call->refusal, bytes, size < room ? size : room);
    return size;
}

tsr_status tsr_http_start(tsr_http *http, tsr_http_call *call) {
    char url[2400];
    call->end = TSR_HTTP_RUNNING;
    call->code = 0;
    call->retry_after = 0;
    call->refusal.size = 0;
    CURL *easy = curl_easy_init();
    if (!easy) return tsr_fail(http->ctx, TSR_ERROR_MEMORY, "%s: memory for a call", http->url);
    snprintf(url, sizeof url, "%s%s", http->url, call->path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tessera");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)http->settings.connect_timeout);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)http->settings.timeout);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)http->settings.most_seconds);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    if (http->key) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, http->key);
    }
    if (call->body) {
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    }
    if (curl_multi_add_handle(http->multi, easy) != CURLM_OK) {
        curl_easy_cleanup(easy);
        return tsr_fail(http->ctx, TSR_ERROR_MEMORY, "%s: memory for a call", http->url);
    }
    call->easy = easy;
    return TSR_OK;
}

static void end_call(tsr_http_call *call, CURLcode result) {
    snprintf(call->why, sizeof call->why, "%s", curl_easy_strerror(result));
    switch (result) {
    case CURLE_OK:
        call->end = TSR_HTTP_ANSWERED;
        return;
    case CURLE_WRITE_ERROR:
        call->end = TSR_HTTP_STOPPED;
        return;
    case CURLE_OPERATION_TIMEDOUT:
        call->end = call->code ? TSR_HTTP_CUT : TSR_HTTP_UNREACHABLE;
        snprintf(call->why, sizeof call->why, "no byte came in time");
        return;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
        call->end = TSR_HTTP_CUT;
        return;
    default:
        call->end = TSR_HTTP_UNREACHABLE;
    }
}

tsr_status tsr_http_wait(tsr_http *http, int milliseconds) {
    int running = 0, left = 0;
    CURLMcode result = curl_multi_perform(http->multi, &running);
    if (result == CURLM_OK && milliseconds)
        result = curl_multi_poll(http->multi, NULL, 0, milliseconds, NULL);
    if (result == CURLM_OK) result = curl_multi_perform(http->multi, &running);
    if (result != CURLM_OK)
        return tsr_fail(http->ctx, TSR_ERROR_IO, "%s: %s", http->url, curl_multi_strerror(result));
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL *easy = message->easy_handle;
        const CURLcode ended = message->data.result; /* the message goes with its handle */
        char *call = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
        curl_multi_remove_handle(http->multi, easy);
        curl_easy_cleanup(easy);
        ((tsr_http_call *)call)->easy = NULL;
        end_call((tsr_http_call *)call, ended);
    }
    return TSR_OK;
}

void tsr_http_drop(tsr_http *http, tsr_http_call *call) {
    if (call->easy) {
        curl_multi_remove_handle(http->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    tsr_bytes_free(&call->refusal);
    call->easy = NULL;
}

#endif
