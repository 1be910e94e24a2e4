/* SPDX-License-Identifier: MIT */
/* cmd_serve.c: pictures to tokens and back over HTTP; see serve.h. */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct serve_options {
    common_options common;
    const char *model, *host, *token_file;
    uint32_t port, timeout, connections, concurrency, queue, batch;
    uint64_t max_body, max_pixels;
    double batch_wait;
} serve_options;

#define AT(field) offsetof(serve_options, field)
static const option options[] = {
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "the tokenizer: a file, a folder or a name, as for 'tessera encode'", NULL, 0, 0},
    {"port", 'p', OPTION_UINT, AT(port), "N", "8080",
     "where to listen; 0 takes a free port, which --json and the first line on stderr say", NULL, 0,
     65535},
    {"host", 0, OPTION_TEXT, AT(host), "ADDRESS", "127.0.0.1",
     "the address to listen on, in numbers; others than those of this machine alone let others in: "
     "set a token",
     NULL, 0, 0},
    {"token-file", 0, OPTION_TEXT, AT(token_file), "FILE", "$TESSERA_SERVE_TOKEN",
     "requests need 'Authorization: Bearer TOKEN', with the first line of this file as TOKEN; not "
     "the page and /health",
     NULL, 0, 0},
    {"batch", 0, OPTION_UINT, AT(batch), "N", "16",
     "most pictures of several requests that are encoded together; never changes the ids", NULL, 1,
     256},
    {"batch-wait", 0, OPTION_REAL, AT(batch_wait), "MS", "2",
     "how long a picture waits for others that are on the way, in milliseconds", NULL, 0, 1000},
    {"max-body", 0, OPTION_BYTES, AT(max_body), "SIZE", "32M", "most bytes of a request", NULL, 0,
     0},
    {"max-pixels", 0, OPTION_UINT64, AT(max_pixels), "N", "16777216",
     "most pixels of a picture, looked at before it is decoded", NULL, 0, 0},
    {"timeout", 0, OPTION_UINT, AT(timeout), "S", "30",
     "most seconds from the first byte of a request to its answer, and for the answer to be read",
     NULL, 1, 86400},
    {"connections", 0, OPTION_UINT, AT(connections), "N", "256",
     "most connections at once; beyond, those without a request make room", NULL, 1, 16384},
    {"concurrency", 0, OPTION_UINT, AT(concurrency), "N", "32",
     "most requests in work at once; each may hold a decoded picture", NULL, 1, 1024},
    {"queue", 0, OPTION_UINT, AT(queue), "N", "256",
     "most requests that wait for their turn; more are told to come back", NULL, 1, 65536},
};

#ifdef TESSERA_WITH_SERVE

/* The first line of the token's file, or the environment's, into text[size]. Returns -1, or the
 * exit code after it has told what is wrong. */
static int read_token(tool *t, const serve_options *o, char *text, size_t size) {
    const char *given = getenv("TESSERA_SERVE_TOKEN"), *from = "TESSERA_SERVE_TOKEN";
    *text = 0;
    if (o->token_file) {
        from = o->token_file;
        FILE *file = fopen(from, "r");
        if (!file)
            return tool_fail_text(t, errno == ENOENT ? TSR_ERROR_NOT_FOUND : TSR_ERROR_IO, "%s: %s",
                                  from, strerror(errno));
        if (!fgets(text, (int)size, file)) *text = 0;
        fclose(file);
        text[strcspn(text, "\r\n")] = 0;
    } else if (given)
        snprintf(text, size, "%s", given);
    else
        return -1;
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; ++i)
        if (text[i] <= ' ' || text[i] > '~')
            return tool_fail_text(t, TSR_ERROR_FORMAT,
                                  "%s: token: wanted letters, digits and signs without blanks",
                                  from);
    if (n < 8 || n + 1 >= size)
        return tool_fail_text(t, TSR_ERROR_FORMAT, "%s: token: wanted 8 to %zu characters", from,
                              size - 2);
    return -1;
}

static void say_start(tool *t, const serve_server *s, const serve_options *o, uint16_t port) {
    const tsr_token_header *h = &s->model.header;
    const char *const open = strchr(o->host, ':') ? "[" : "", *const close = *open ? "]" : "";
    char url[128];
    snprintf(url, sizeof url, "http://%s%s%s:%u/", open, o->host, close, port);
    tool_say(t, "%s on %s: listening on %s", h->tokenizer, s->model.device, url);
    if (!s->local && !s->token)
        tool_warn(t, "anybody who reaches %s may use it: --token-file asks for a token", url);
    if (!t->o->json) return;
    json_out j;
    tool_json(t, &j);
    json_text(&j, "url", url);
    json_text(&j, "host", o->host);
    json_uint(&j, "port", port);
    json_bool(&j, "token", s->token != NULL);
    json_text(&j, "tokenizer", h->tokenizer);
    json_hash(&j, "weights_hash", h->weights_hash);
    json_text(&j, "device", s->model.device);
    json_text(&j, "server", serve_http_library());
    json_close(&j);
    fflush(stdout);
}

/* Serves until one of the signals. Returns the exit code. */
static int serve(tool *t, const serve_options *o, serve_server *s, const sigset_t *signals) {
    uint16_t port = (uint16_t)o->port;
    int code = EXIT_FILES, number = 0;
    tsr_status status = TSR_OK;
    s->workers = serve_workers_open(s, &status);
    if (!s->workers) return tool_fail_text(t, status, "threads: wanted %u", o->concurrency);
    serve_http *http = serve_http_open(s, o->host, &port, &code);
    if (http) {
        say_start(t, s, o, port);
        sigwait(signals, &number);
        tool_say(t, "stopping: requests that are running are finished; again to stop at once");
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        pthread_sigmask(SIG_UNBLOCK, signals, NULL);
        serve_http_quiesce(http, s->limits.seconds);
        code = EXIT_DONE;
    }
    serve_workers_close(&s->workers); /* while connections can still be resumed */
    serve_http_close(&http);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    serve_options o = {.host = "127.0.0.1",
                       .port = 8080,
                       .timeout = 30,
                       .connections = 256,
                       .concurrency = 32,
                       .queue = 256,
                       .batch = 16,
                       .batch_wait = 2,
                       .max_body = 32u << 20,
                       .max_pixels = 1u << 24};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    /* Signals go to this thread alone, which waits for them; threads that begin now inherit that.
     */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    tool t;
    char token[258];
    code = tool_open(&t, v, &o.common);
    if (code >= 0) return code;
    serve_server s = {.t = &t,
                      .limits = {.body = o.max_body,
                                 .pixels = o.max_pixels,
                                 .seconds = o.timeout,
                                 .connections = o.connections,
                                 .running = o.concurrency,
                                 .waiting = o.queue},
                      .metrics = serve_metrics_open(),
                      .started = serve_clock()};
    const tsr_model_settings model = {.model = o.model,
                                      .device = o.common.device,
                                      .mask = o.common.mask,
                                      .precision = (tsr_precision)o.common.precision};
    s.model_settings = model;
    code = read_token(&t, &o, token, sizeof token);
    s.token = *token ? token : NULL;
    if (code < 0 && !s.metrics) code = tool_fail_text(&t, TSR_ERROR_MEMORY, "no memory");
    if (code < 0) {
        const tsr_status status = serve_model_open(&s.model, t.ctx, &model, o.batch, o.concurrency,
                                                   1e-3 * o.batch_wait, s.metrics);
        code = status ? tool_fail(&t, status) : serve(&t, &o, &s, &signals);
    }
    serve_model_close(&s.model);
    serve_metrics_close(&s.metrics);
    tool_close(&t);
    return code;
}

#else

static int run(const verb *v, int argc, char **argv) {
    serve_options o = {0};
    int operands;
    tool t;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code < 0) code = tool_open(&t, v, &o.common);
    if (code >= 0) return code;
    code = tool_fail_text(&t, TSR_ERROR_UNSUPPORTED,
                          "this build was made without libmicrohttpd; -DTESSERA_SERVE=ON with "
                          "libmicrohttpd-dev brings it");
    tool_close(&t);
    return code;
}

#endif

const verb verb_serve = {
    .name = "serve",
    .summary = "pictures to tokens and back over HTTP, for other programs and a browser",
    .usage = "tessera serve [-t MODEL] [--port N] [--host ADDRESS] [--token-file FILE]\n"
             "              [--batch N] [--batch-wait MS] [--max-body SIZE] [--max-pixels N]\n"
             "              [--timeout S] [--connections N] [--concurrency N] [--queue N]\n"
             "              [--device cpu|vulkan[:N]] [--precision f32|fast] [--json]",
    .about =
        "Loads one tokenizer and answers POST /v1/encode (a picture in, ids as JSON or a token "
        "file out), POST /v1/decode (either of them in, a picture out), GET /health and GET "
        "/metrics (for Prometheus); at / is a page where a picture is dropped and looked at with "
        "few or many tokens. Options of requests are called as those of 'tessera encode' and "
        "'tessera decode'. Pictures that arrive together are encoded together, with the same ids. "
        "docs/SERVE.md has every route with examples.\n\n"
        "Only this machine is listened to unless --host says otherwise, and pages of other places "
        "are refused. Nothing in a request is ever opened as a file or fetched. Ctrl-C or SIGTERM "
        "ends it when the requests that are running are answered; a second one at once.",
    .exits = "0 when it was stopped by a signal, after it had answered what was running\n"
             "3 when the port is in use",
    .examples = "# on http://127.0.0.1:8080/\n"
                "tessera serve\n"
                "curl -s -F image=@photo.jpg -F tokens=64 http://127.0.0.1:8080/v1/encode\n"
                "# with a token, for a whole network\n"
                "tessera serve --host 0.0.0.0 --token-file secret.txt\n"
                "# on a free port, which the document on stdout names\n"
                "tessera serve --port 0 --json",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .least_operands = 0,
    .most_operands = 0,
    .run = run,
};
