/* SPDX-License-Identifier: MIT */
/* serve_metrics.c: see serve_metrics.h. */
#include "serve_metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const double second_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                       0.25,  0.5,    1,     2.5,  5,     10,   30};
static const uint32_t batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
enum {
    SECOND_BOUNDS = sizeof second_bounds / sizeof *second_bounds,
    BATCH_BOUNDS = sizeof batch_bounds / sizeof *batch_bounds,
    MOST_ROUTES = 16,
    MOST_STATUSES = 24
};

typedef struct route_counts {
    const char *route;
    int status[MOST_STATUSES];
    uint64_t requests[MOST_STATUSES];
    uint64_t within[SECOND_BOUNDS + 1]; /* not cumulative; the last: above all bounds */
    double seconds;
    uint64_t bytes_in, bytes_out;
} route_counts;

struct serve_metrics {
    pthread_mutex_t lock;
    route_counts routes[MOST_ROUTES];
    uint64_t batches[BATCH_BOUNDS + 1], jobs;
};

serve_metrics *serve_metrics_open(void) {
    serve_metrics *m = calloc(1, sizeof *m);
    if (m) pthread_mutex_init(&m->lock, NULL);
    return m;
}

void serve_metrics_close(serve_metrics **metrics) {
    if (!*metrics) return;
    pthread_mutex_destroy(&(*metrics)->lock);
    free(*metrics);
    *metrics = NULL;
}

void serve_metrics_request(serve_metrics *m, const char *route, int status, double seconds,
                           uint64_t bytes_in, uint64_t bytes_out) {
    int r = 0, s = 0, bound = 0;
    pthread_mutex_lock(&m->lock);
    while (r < MOST_ROUTES - 1 && m->routes[r].route && strcmp(m->routes[r].route, route))
        ++r;
    route_counts *c = &m->routes[r];
    c->route = route;
    while (s < MOST_STATUSES - 1 && c->requests[s] && c->status[s] != status)
        ++s;
    c->status[s] = status;
    c->requests[s]++;
    while (bound < SECOND_BOUNDS && seconds > second_bounds[bound])
        ++bound;
    c->within[bound]++;
    c->seconds += seconds;
    c->bytes_in += bytes_in;
    c->bytes_out += bytes_out;
    pthread_mutex_unlock(&m->lock);
}

void serve_metrics_batch(serve_metrics *m, uint32_t size) {
    int bound = 0;
    while (bound < BATCH_BOUNDS && size > batch_bounds[bound])
        ++bound;
    pthread_mutex_lock(&m->lock);
    m->batches[bound]++;
    m->jobs += size;
    pthread_mutex_unlock(&m->lock);
}

static void head(FILE *f, const char *name, const char *type, const char *help) {
    fprintf(f, "# HELP tessera_%s %s\n# TYPE tessera_%s %s\n", name, help, name, type);
}

static void gauge(FILE *f, const char *name, const char *help, double value) {
    head(f, name, "gauge", help);
    fprintf(f, "tessera_%s %.15g\n", name, value);
}

/* A label's value: backslash, quote and line feed are escaped. */
static void label(FILE *f, const char *name, const char *value) {
    fprintf(f, "%s=\"", name);
    for (; *value; ++value)
        if (*value == '\n')
            fputs("\\n", f);
        else
            fprintf(f, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    fputc('"', f);
}

static void write_routes(const serve_metrics *m, FILE *f) {
    head(f, "requests_total", "counter",
         "Requests by route and status; 0 is a connection that ended before its answer.");
    for (int r = 0; r < MOST_ROUTES && m->routes[r].route; ++r)
        for (int s = 0; s < MOST_STATUSES && m->routes[r].requests[s]; ++s)
            fprintf(f, "tessera_requests_total{route=\"%s\",status=\"%d\"} %" PRIu64 "\n",
                    m->routes[r].route, m->routes[r].status[s], m->routes[r].requests[s]);
    head(f, "request_seconds", "histogram", "Seconds from a request's head to its answer's end.");
    for (int r = 0; r < MOST_ROUTES && m->routes[r].route; ++r) {
        const route_counts *c = &m->routes[r];
        uint64_t sum = 0;
        for (int b = 0; b < SECOND_BOUNDS; ++b) {
            sum += c->within[b];
            fprintf(f, "tessera_request_seconds_bucket{route=\"%s\",le=\"%.15g\"} %" PRIu64 "\n",
                    c->route, second_bounds[b], sum);
        }
        sum += c->within[SECOND_BOUNDS];
        fprintf(f,
                "tessera_request_seconds_bucket{route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                "tessera_request_seconds_sum{route=\"%s\"} %.9g\n"
                "tessera_request_seconds_count{route=\"%s\"} %" PRIu64 "\n",
                c->route, sum, c->route, c->seconds, c->route, sum);
    }
    head(f, "received_bytes_total", "counter", "Bytes of bodies of requests.");
    for (int r = 0; r < MOST_ROUTES && m->routes[r].route; ++r)
        fprintf(f, "tessera_received_bytes_total{route=\"%s\"} %" PRIu64 "\n", m->routes[r].route,
                m->routes[r].bytes_in);
    head(f, "sent_bytes_total", "counter", "Bytes of bodies of answers.");
    for (int r = 0; r < MOST_ROUTES && m->routes[r].route; ++r)
        fprintf(f, "tessera_sent_bytes_total{route=\"%s\"} %" PRIu64 "\n", m->routes[r].route,
                m->routes[r].bytes_out);
}

static void write_batches(const serve_metrics *m, FILE *f) {
    uint64_t sum = 0;
    head(f, "batch_size", "histogram", "Pictures or items that the model worked on together.");
    for (int b = 0; b < BATCH_BOUNDS; ++b) {
        sum += m->batches[b];
        fprintf(f, "tessera_batch_size_bucket{le=\"%u\"} %" PRIu64 "\n", batch_bounds[b], sum);
    }
    sum += m->batches[BATCH_BOUNDS];
    fprintf(f,
            "tessera_batch_size_bucket{le=\"+Inf\"} %" PRIu64 "\ntessera_batch_size_sum %" PRIu64
            "\ntessera_batch_size_count %" PRIu64 "\n",
            sum, m->jobs, sum);
}

void serve_metrics_write(serve_metrics *m, const serve_gauges *g, FILE *f) {
    head(f, "model_info", "gauge", "The model; always 1.");
    fputs("tessera_model_info{", f);
    label(f, "model", g->model);
    fprintf(f, ",weights_hash=\"%016" PRIx64 "\",", g->weights_hash);
    label(f, "device", g->device);
    fputs("} 1\n", f);
    gauge(f, "uptime_seconds", "Seconds since the start.", g->seconds);
    gauge(f, "queue_length", "Pictures and items that wait for the model.", g->queue);
    gauge(f, "requests_running", "Requests in work.", g->running);
    gauge(f, "requests_waiting", "Requests that are whole and wait for a worker.", g->waiting);
    gauge(f, "connections", "Connections that are open.", g->connections);
    pthread_mutex_lock(&m->lock);
    write_routes(m, f);
    write_batches(m, f);
    pthread_mutex_unlock(&m->lock);
}
