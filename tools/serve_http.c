/* SPDX-License-Identifier: MIT */
/* serve_http.c: HTTP through libmicrohttpd; see serve.h. One thread of the library reads, keeps
 * every limit and sends; a request that is whole is suspended until a worker has its answer.
 * Another thread looks after connections that take too long, in whatever they do. */
#include "serve.h"

#ifdef TESSERA_WITH_SERVE

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Seconds that a connection without a request may stay when there is no room for others. */
#define SHORT_STAY 0.5

typedef struct serve_connection {
    struct serve_connection *next, **link;
    int fd;
    enum place {
        PLACE_NEW,     /* half a head may have come */
        PLACE_READING, /* the body of a request comes */
        PLACE_BUSY,    /* its request is with the workers */
        PLACE_SENDING, /* its answer goes out */
        PLACE_IDLE     /* its last request has ended */
    } place;
    double since; /* it came to this place */
} serve_connection;

struct serve_http {
    serve_server *s;
    struct MHD_Daemon *daemon;
    pthread_t watch;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t end;
    serve_connection *connections;
    uint32_t count;
    bool closing;
    atomic_bool stopping;
    atomic_int exchanges;
    uint64_t buffered; /* bytes of bodies; of the thread of HTTP alone */
};

const char *serve_http_library(void) {
    static char text[48];
    snprintf(text, sizeof text, "libmicrohttpd %s", MHD_get_version());
    return text;
}

/* ---- connections and their time ---- */

/* MHD_NotifyConnectionCallback */
static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    serve_http *h = user;
    serve_connection *c = *context;
    pthread_mutex_lock(&h->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = calloc(1, sizeof *c);
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (c && info) {
            *c = (serve_connection){.next = h->connections,
                                    .link = &h->connections,
                                    .fd = info->connect_fd,
                                    .since = serve_clock()};
            if (c->next) c->next->link = &c->next;
            h->connections = c;
            h->count++;
            *context = c;
        } else
            free(c);
    } else if (c) {
        *c->link = c->next;
        if (c->next) c->next->link = c->link;
        h->count--;
        *context = NULL;
        free(c);
    }
    pthread_mutex_unlock(&h->lock);
}

static serve_connection *place_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void set_place(serve_http *h, serve_connection *c, enum place place) {
    if (!c) return;
    pthread_mutex_lock(&h->lock);
    c->since = serve_clock();
    c->place = place;
    pthread_mutex_unlock(&h->lock);
}

/* An answer to a request that is not whole, for which libmicrohttpd takes none, straight to the
 * socket; nothing else was sent for it. The connection is closed right after. */
static void tell(int fd, int status, const char *reason, const char *text) {
    char body[400], all[700];
    const int n = snprintf(body, sizeof body,
                           "{\n  \"error\": {\n    \"code\": \"%s\",\n    \"message\": \"%s\"\n  "
                           "}\n}\n",
                           serve_code(status), text);
    const int size = snprintf(all, sizeof all,
                              "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                              "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                              status, reason, n, body);
    if (send(fd, all, (size_t)size, MSG_DONTWAIT) < 0) return; /* who does not read is not told */
}

/* Ends connections whose time is over, and, when there is no room, the one that has been without a
 * request for longest. Nothing else ends half requests that come a byte at a time. */
static void look_after(serve_http *h) {
    const double now = serve_clock(), most = h->s->limits.seconds;
    serve_connection *idle = NULL;
    char text[80];
    for (serve_connection *c = h->connections; c; c = c->next) {
        const bool asks = c->place == PLACE_NEW || c->place == PLACE_READING;
        if (c->place == PLACE_BUSY) continue;
        if (now - c->since > most) {
            snprintf(text, sizeof text, "the request was not whole within %u s",
                     h->s->limits.seconds);
            if (asks) tell(c->fd, 408, "Request Timeout", text);
            shutdown(c->fd, SHUT_RDWR);
        } else if ((c->place == PLACE_NEW || c->place == PLACE_IDLE) &&
                   now - c->since > SHORT_STAY && (!idle || c->since < idle->since))
            idle = c;
    }
    if (idle && h->count >= h->s->limits.connections) {
        if (idle->place == PLACE_NEW)
            tell(idle->fd, 503, "Service Unavailable", "too many connections");
        shutdown(idle->fd, SHUT_RDWR);
    }
}

static void *watch(void *user) {
    serve_http *h = user;
    pthread_mutex_lock(&h->lock);
    while (!h->closing) {
        const bool full = h->count >= h->s->limits.connections;
        const double until = serve_clock() + (full ? 0.02 : 0.2);
        struct timespec at = {.tv_sec = (time_t)until};
        at.tv_nsec = (long)(1e9 * (until - (double)at.tv_sec));
        pthread_cond_timedwait(&h->end, &h->lock, &at);
        look_after(h);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static uint32_t count_connections(serve_server *s) {
    pthread_mutex_lock(&s->http->lock);
    const uint32_t count = s->http->count;
    pthread_mutex_unlock(&s->http->lock);
    return count;
}

/* ---- answers ---- */

static void keep(void *bytes) {
    (void)bytes;
}

/* Hands the answer to libmicrohttpd, which frees its bytes. */
static enum MHD_Result send_answer(serve_http *h, serve_exchange *x) {
    static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; script-src "
                                 "'unsafe-inline'; img-src blob: data:; connect-src 'self'; "
                                 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    serve_answer *a = &x->answer;
    struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback(
        a->size, a->bytes, a->kept ? keep : free);
    if (!r) return MHD_NO; /* on_completed frees the bytes */
    MHD_add_response_header(r, "Content-Type", a->type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (!strncmp(a->type, "text/html", 9))
        MHD_add_response_header(r, "Content-Security-Policy", policy);
    if (a->status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (a->status == 405 && x->route)
        MHD_add_response_header(r, "Allow", *x->route->method == 'P' ? "POST" : "GET, HEAD");
    if (a->status == 503) MHD_add_response_header(r, "Retry-After", "1");
    if (atomic_load(&h->stopping)) MHD_add_response_header(r, "Connection", "close");
    const enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)a->status, r);
    MHD_destroy_response(r);
    set_place(h, x->place, PLACE_SENDING); /* its reader has its time, too */
    x->queued = true;
    return result;
}

static enum MHD_Result send_refusal(serve_http *h, serve_exchange *x, const serve_refusal *wrong) {
    serve_answer_refusal(x, wrong);
    return send_answer(h, x);
}

/* MHD_RequestCompletedCallback */
static void on_completed(void *user, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how) {
    (void)connection;
    serve_http *h = user;
    serve_exchange *x = *context;
    if (!x) return;
    const double seconds = serve_clock() - x->started;
    const bool ended = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    const char *path = x->route ? x->route->path : "other";
    serve_refusal none;
    if (x->form) serve_form_close(x, &none);
    const size_t size = x->request.bytes ? x->request.size : x->size;
    serve_metrics_request(h->s->metrics, path, x->answer.status, seconds, size,
                          ended ? x->answer.size : 0);
    tool_say(h->s->t, "%s %s %d %.1f ms, %zu bytes in, %zu out%s%s%s",
             x->route ? x->route->method : "?", path, x->answer.status, 1e3 * seconds, x->size,
             x->answer.size, *x->answer.about ? ", " : "", x->answer.about,
             ended ? "" : " (the client had gone)");
    h->buffered -= x->room;
    set_place(h, x->place, PLACE_IDLE);
    if (!x->queued && !x->answer.kept) free(x->answer.bytes);
    serve_request_free(&x->request);
    free(x->body);
    free(x);
    *context = NULL;
    atomic_fetch_sub(&h->exchanges, 1);
}

/* ---- requests ---- */

static const char *header(serve_exchange *x, const char *name) {
    const char *value = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

/* Compares in a time that does not tell how much was right. */
static bool same_token(const char *given, const char *wanted) {
    const size_t n = strlen(wanted);
    volatile unsigned different = strlen(given) != n;
    for (size_t i = 0; given[i] && n; ++i)
        different |= (unsigned char)(given[i] ^ wanted[i % n]);
    return !different;
}

/* A page of another place must not use the server through somebody's browser: its address is in
 * Origin, and Host has the name that its place was given to lead here. */
static bool check_place(const serve_server *s, serve_exchange *x, serve_refusal *wrong) {
    const char *host = header(x, "Host"), *origin = header(x, "Origin");
    if (*origin && (strncmp(origin, "http://", 7) || strcmp(origin + 7, host)))
        return serve_refuse(wrong, 403, "Origin: wanted a page of this server, got '%.100s'",
                            origin);
    const size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (s->local && *host && strncmp(host, "127.", 4) && !(n == 5 && !strncmp(host, "[::1]", 5)) &&
        !(n == 9 && !strncasecmp(host, "localhost", 9)))
        return serve_refuse(wrong, 403,
                            "Host: wanted localhost or a loopback address, got '%.100s'", host);
    return true;
}

static bool check_token(const serve_server *s, serve_exchange *x, serve_refusal *wrong) {
    const char *given = header(x, "Authorization");
    if (!s->token || x->route->open) return true;
    if (!strncasecmp(given, "Bearer ", 7) && same_token(given + 7, s->token)) return true;
    return serve_refuse(wrong, 401, "Authorization: wanted 'Bearer ' and the token, got %s",
                        *given ? "another one" : "none");
}

static bool check_size(serve_http *h, serve_exchange *x, serve_refusal *wrong) {
    const char *text = header(x, "Content-Length");
    const uint64_t most = h->s->limits.body;
    if (*text && strtoull(text, NULL, 10) > most)
        return serve_refuse(wrong, 413, "body: wanted at most %" PRIu64 " bytes, got %.24s", most,
                            text);
    if (h->buffered > 8 * most) return serve_refuse(wrong, 503, "too many bodies are being read");
    return true;
}

typedef struct query {
    serve_exchange *x;
    serve_refusal *wrong;
    bool good;
} query;

/* MHD_KeyValueIterator */
static enum MHD_Result on_argument(void *user, enum MHD_ValueKind kind, const char *key,
                                   const char *value) {
    (void)kind;
    query *q = user;
    q->good = serve_request_option(&q->x->request, key, value ? value : "", q->wrong);
    return q->good ? MHD_YES : MHD_NO;
}

/* Everything that the head of a request can be refused for. */
static bool check_head(serve_http *h, serve_exchange *x, const char *url, const char *method,
                       serve_refusal *wrong) {
    x->route = NULL;
    if (!check_place(h->s, x, wrong)) return false;
    x->route = serve_route_find(url);
    if (!x->route) return serve_refuse(wrong, 404, "'%.100s': there is nothing here", url);
    if (strcmp(method, x->route->method) && (*x->route->method != 'G' || strcmp(method, "HEAD")))
        return serve_refuse(wrong, 405, "%s: wanted %s, got %.20s", x->route->path,
                            x->route->method, method);
    if (!check_token(h->s, x, wrong)) return false;
    if (atomic_load(&h->stopping)) return serve_refuse(wrong, 503, "the server is stopping");
    if (!check_size(h, x, wrong)) return false;
    x->request.action = x->route->action;
    query q = {.x = x, .wrong = wrong, .good = true};
    if (x->route->action)
        MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, on_argument, &q);
    snprintf(x->type, sizeof x->type, "%s", header(x, "Content-Type"));
    snprintf(x->accept, sizeof x->accept, "%s", header(x, "Accept"));
    if (q.good && x->route->action && !strncasecmp(x->type, "multipart/form-data", 19))
        return serve_form_open(x, wrong);
    return q.good;
}

/* A worker has the answer. */
static void on_done(serve_exchange *x) {
    MHD_resume_connection(x->connection);
}

/* The head of a request. */
static enum MHD_Result begin(serve_http *h, struct MHD_Connection *connection, const char *url,
                             const char *method, void **context) {
    serve_exchange *x = calloc(1, sizeof *x);
    serve_refusal wrong;
    if (!x) return MHD_NO;
    *context = x;
    atomic_fetch_add(&h->exchanges, 1);
    x->connection = connection;
    x->place = place_of(connection);
    x->started = serve_clock();
    x->deadline = x->started + h->s->limits.seconds;
    x->request.choices = (encode_choices)ENCODE_CHOICES;
    x->done = on_done;
    set_place(h, x->place, PLACE_READING);
    return check_head(h, x, url, method, &wrong) ? MHD_YES : send_refusal(h, x, &wrong);
}

/* Bytes of a body. */
static enum MHD_Result more(serve_http *h, serve_exchange *x, const char *bytes, size_t *size) {
    serve_refusal wrong;
    const uint64_t most = h->s->limits.body;
    const size_t room = x->room, n = *size;
    bool good = x->size + (uint64_t)n <= most;
    *size = 0;
    if (x->answer.status || !x->route->action)
        return MHD_YES; /* refused already, or not asked for */
    if (!good)
        serve_refuse(&wrong, 413, "body: wanted at most %" PRIu64 " bytes, got more", most);
    else if (x->form)
        good = serve_form_read(x, bytes, n, &wrong);
    else if (!serve_body_append(x, bytes, n))
        good = serve_refuse(&wrong, 503, "no memory for the body");
    h->buffered += x->room - room;
    if (good) return MHD_YES;
    x->answer.status = wrong.status;
    snprintf(x->answer.about, sizeof x->answer.about, "%.60s", wrong.text);
    if (x->place) tell(x->place->fd, wrong.status, wrong.code, wrong.text);
    return MHD_NO;
}

/* A request is whole, or a worker has answered it. */
static enum MHD_Result whole(serve_http *h, serve_exchange *x) {
    serve_refusal wrong;
    if (!x->answer.status && x->form && !serve_form_close(x, &wrong))
        return send_refusal(h, x, &wrong);
    if (!x->answer.status && !x->route->action) x->route->answer(h->s, NULL, x);
    if (x->answer.status) return send_answer(h, x);
    set_place(h, x->place, PLACE_BUSY);
    MHD_suspend_connection(x->connection); /* first: a worker may be done at once */
    if (serve_workers_put(h->s->workers, x)) return MHD_YES;
    serve_refuse(&wrong, 503, "too many requests wait");
    serve_answer_refusal(x, &wrong);
    MHD_resume_connection(x->connection);
    return MHD_YES;
}

/* MHD_AccessHandlerCallback */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *size, void **context) {
    (void)version;
    serve_http *h = user;
    if (!*context) return begin(h, connection, url, method, context);
    return *size ? more(h, *context, bytes, size) : whole(h, *context);
}

/* ---- the daemon ---- */

/* A socket that listens; -1 after it has told the failure. */
static int listen_at(serve_server *s, const char *address, uint16_t *port, int *code) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    const int yes = 1;
    snprintf(service, sizeof service, "%u", *port);
    if (getaddrinfo(address, service, &hints, &found)) {
        *code = tool_fail_text(s->t, TSR_ERROR_ARGUMENT,
                               "--host: wanted an address in numbers, like 127.0.0.1 or ::1, got "
                               "'%s'",
                               address);
        return -1;
    }
    const struct in_addr *v4 = &((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr;
    const struct in6_addr *v6 = &((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr;
    s->local =
        found->ai_family == AF_INET ? ntohl(v4->s_addr) >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(v6);
    const int fd = socket(found->ai_family, SOCK_STREAM, 0);
    bool good = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) &&
                !bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, 512);
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    good = good && !getsockname(fd, (struct sockaddr *)&bound, &length);
    freeaddrinfo(found);
    if (!good) {
        *code =
            tool_fail_text(s->t, TSR_ERROR_IO, "%s port %u: %s%s", address, *port, strerror(errno),
                           errno == EADDRINUSE ? "; --port 0 takes a free one" : "");
        if (fd >= 0) close(fd);
        return -1;
    }
    *port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&bound)->sin_port
                                             : ((struct sockaddr_in6 *)(void *)&bound)->sin6_port);
    return fd;
}

static void free_http(serve_http *h) {
    pthread_cond_destroy(&h->end);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

serve_http *serve_http_open(serve_server *s, const char *address, uint16_t *port, int *code) {
    const int fd = listen_at(s, address, port, code);
    if (fd < 0) return NULL;
    serve_http *h = calloc(1, sizeof *h);
    *code = EXIT_FILES;
    if (!h) {
        close(fd);
        return NULL;
    }
    h->s = s;
    s->http = h;
    s->connections = count_connections;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->end, &clock);
    pthread_condattr_destroy(&clock);
    h->daemon = MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, s->limits.connections,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        h, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536, MHD_OPTION_CONNECTION_TIMEOUT,
        s->limits.seconds + 5, MHD_OPTION_END);
    if (h->daemon && !pthread_create(&h->watch, NULL, watch, h)) return h;
    *code = tool_fail_text(s->t, TSR_ERROR_IO, "%s port %u: libmicrohttpd does not start: %s",
                           address, *port, strerror(errno));
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    else
        close(fd);
    free_http(h);
    return NULL;
}

void serve_http_quiesce(serve_http *h, double seconds) {
    const double until = serve_clock() + seconds;
    atomic_store(&h->stopping, true);
    const int fd = MHD_quiesce_daemon(h->daemon);
    if (fd >= 0) close(fd);
    while (atomic_load(&h->exchanges) && serve_clock() < until)
        usleep(5000);
}

void serve_http_close(serve_http **http) {
    if (!*http) return;
    serve_http *h = *http;
    *http = NULL;
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_broadcast(&h->end);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->watch, NULL);
    MHD_stop_daemon(h->daemon);
    free_http(h);
}

#endif
