/* SPDX-License-Identifier: MIT */
/* metric.c: the table of metrics, and what they share. */
#include "metric.h"

#include <string.h>

#define METRIC(name) extern const tsr_metric tsr_metric_##name;
#include "metrics.def"
#undef METRIC
#define METRIC(name) &tsr_metric_##name,
static const tsr_metric *const metrics[] = {
#include "metrics.def"
};
#undef METRIC
enum { METRICS = sizeof metrics / sizeof *metrics };

int tsr_metric_count(void) {
    return METRICS;
}

void tsr_metric_at(int index, tsr_metric_info *info) {
    *info = index < 0 || index >= METRICS ? (tsr_metric_info){"", "", "", "", "", 0, 0, 0, NULL}
                                          : metrics[index]->info;
}

int tsr_metric_find(const char *name) {
    for (int i = 0; name && i < METRICS; ++i)
        if (!strcmp(metrics[i]->info.name, name)) return i;
    return -1;
}

const tsr_metric *tsr_metric_named(const char *name) {
    const int index = tsr_metric_find(name);
    return index < 0 ? NULL : metrics[index];
}

tsr_status tsr_metrics_choose(tsr_context *ctx, const tsr_measure_settings *s, bool clips,
                              const tsr_metric **list) {
    for (int k = 0; k < s->metric_count; ++k) {
        const char *name = s->metrics[k];
        list[k] = tsr_metric_named(name);
        if (!list[k])
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "metrics: wanted the name of a metric, got %s ('help' lists them)",
                            name);
        if ((list[k]->info.clips != 0) != clips)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "metrics: wanted metrics of %s, got %s",
                            clips ? "clips" : "pictures", name);
        for (int i = 0; i < k; ++i)
            if (list[i] == list[k])
                return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "metrics: got %s twice", name);
    }
    return TSR_OK;
}

/* "METRIC=PATH": the path, or NULL. A name that ends in "*" is for all that begin so. */
static const char *weights_of(const tsr_measure_settings *s, const char *metric) {
    for (int i = s->weight_count - 1; metric && i >= 0; --i) {
        const char *equal = strchr(s->weights[i], '=');
        const size_t n = equal ? (size_t)(equal - s->weights[i]) : 0;
        const bool whole = n && strlen(metric) == n && !strncmp(s->weights[i], metric, n);
        const bool begins = n && equal[-1] == '*' && !strncmp(s->weights[i], metric, n - 1);
        if (whole || begins) return equal + 1;
    }
    return NULL;
}

tsr_status tsr_metric_session_open(tsr_context *ctx, const tsr_measure_settings *s,
                                   const tsr_metric *metric, const tsr_metric_settings *rest,
                                   void **session) {
    for (int i = 0; i < s->weight_count; ++i) {
        const char *equal = strchr(s->weights[i], '=');
        if (!equal || equal == s->weights[i] || !equal[1])
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "weights: wanted METRIC=PATH, got %s",
                            s->weights[i]);
    }
    tsr_metric_settings settings = *rest;
    settings.model = &s->model;
    settings.cache = s->cache;
    settings.features = s->features;
    settings.weights = weights_of(s, metric->info.name);
    if (!settings.weights) settings.weights = weights_of(s, metric->info.weights);
    return metric->open(ctx, &settings, session);
}

tsr_status tsr_metric_pixels(tsr_context *ctx, tsr_metric_pair *p, const tsr_pixel_error **error) {
    tsr_status status = TSR_OK;
    if (!p->known)
        status = tsr_psnr(ctx, p->original, p->candidate, p->width, p->height, &p->pixels);
    p->known = !status;
    *error = &p->pixels;
    return status;
}

tsr_status tsr_metric_structure(tsr_context *ctx, tsr_metric_pair *p,
                                const tsr_structure **structure) {
    tsr_status status = TSR_OK;
    if (!p->structured)
        status = tsr_structure_measure(ctx, p->original, p->candidate, p->width, p->height,
                                       &p->structure);
    p->structured = !status;
    *structure = &p->structure;
    return status;
}

void *tsr_metric_share_find(const tsr_metric_shares *s, const char *key) {
    for (int i = 0; i < s->count; ++i)
        if (!strcmp(s->at[i].key, key)) return s->at[i].object;
    return NULL;
}

tsr_status tsr_metric_share_add(tsr_context *ctx, tsr_metric_shares *s, const char *key,
                                void *object, void (*close)(void *object)) {
    if (s->count == TSR_METRIC_SHARES) {
        close(object);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "metrics: wanted at most %d shared objects, got %s",
                        TSR_METRIC_SHARES, key);
    }
    s->at[s->count].key = key;
    s->at[s->count].object = object;
    s->at[s->count++].close = close;
    return TSR_OK;
}

void tsr_metric_shares_close(tsr_metric_shares *s) {
    while (s->count > 0) {
        s->count--;
        s->at[s->count].close(s->at[s->count].object);
    }
}
