/* SPDX-License-Identifier: MIT */
/* serve_metrics.h: what `tessera serve` counts, as text in Prometheus' exposition format 0.0.4. May
 * be used by several threads at once. */
#ifndef TOOLS_SERVE_METRICS_H
#define TOOLS_SERVE_METRICS_H

#include <stdint.h>
#include <stdio.h>

typedef struct serve_metrics serve_metrics;

/* What is measured when somebody asks. */
typedef struct serve_gauges {
    const char *model, *device;
    uint64_t weights_hash;
    uint32_t queue, running, waiting, connections;
    double seconds; /* since the start */
} serve_gauges;

serve_metrics *serve_metrics_open(void); /* NULL: no memory */
void serve_metrics_close(serve_metrics **metrics);
/* A request that was answered. `route` has static storage and is one of a few; a status of 0 is
 * that of a connection that ended before its answer. */
void serve_metrics_request(serve_metrics *metrics, const char *route, int status, double seconds,
                           uint64_t bytes_in, uint64_t bytes_out);
/* A batch of the model. */
void serve_metrics_batch(serve_metrics *metrics, uint32_t size);
/* Writes everything. */
void serve_metrics_write(serve_metrics *metrics, const serve_gauges *gauges, FILE *file);

#endif
