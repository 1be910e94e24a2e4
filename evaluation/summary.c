/* SPDX-License-Identifier: MIT */
/* summary.c: what many values of a metric come to, with a bootstrap interval of their mean
 * (Efron 1979, percentile method). */
#include "measurement.h"
#include "../compute/threads.h"
#include "../quantizer/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct resampling {
    const double *values;
    uint64_t count, seed;
    double *means; /* [resamples] */
} resampling;

/* Draw i of a resample is word i % 4 of block i / 4 of its stream, scaled to the count. */
static void resample(void *arg, int64_t tile, int worker) {
    (void)worker;
    const resampling *r = arg;
    const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    const uint64_t stream = (uint64_t)tile;
    double sum = 0;
    for (uint64_t i = 0; i < r->count; i += 4) {
        const uint64_t block = i / 4;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                     (uint32_t)(stream >> 32)};
        uint32_t word[4];
        tsr_philox(counter, key, word);
        for (uint64_t k = 0; k < 4 && i + k < r->count; ++k)
            sum += r->values[word[k] * r->count >> 32];
    }
    r->means[tile] = sum / (double)r->count;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *sorted, uint32_t count, double share) {
    const double place = share * (count - 1);
    const uint32_t at = (uint32_t)place;
    if (at + 1 >= count) return sorted[count - 1];
    return sorted[at] + (place - at) * (sorted[at + 1] - sorted[at]);
}

static tsr_status interval(tsr_context *ctx, const tsr_measurement *m, const double *values,
                           tsr_summary *s) {
    double *means = tsr_alloc(ctx, m->resamples, sizeof *means, "bootstrap");
    if (!means) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, m->resamples, resample, &(resampling){values, s->count, m->seed, means});
    qsort(means, m->resamples, sizeof *means, by_value);
    s->low = percentile(means, m->resamples, 0.025);
    s->high = percentile(means, m->resamples, 0.975);
    free(means);
    return TSR_OK;
}

/* Infinity is as good as a metric gets, so it is never the worst unless all are. */
static bool is_worse(const tsr_metric_info *info, double value, double than) {
    return isnan(than) || (info->higher ? value < than : value > than);
}

static tsr_status summarise(tsr_context *ctx, tsr_measurement *m, int k, double *values) {
    tsr_summary s = {.mean = NAN, .sd = NAN, .low = NAN, .high = NAN, .worst_value = NAN};
    for (uint64_t i = 0; i < m->count; ++i) {
        const double value = m->values[i * (uint64_t)m->metric_count + (uint64_t)k];
        if (m->pictures[i].status) continue;
        s.missing += isnan(value);
        s.infinite += isinf(value) != 0;
        if (isfinite(value)) values[s.count++] = value;
        if (!isnan(value) && is_worse(&m->metrics[k]->info, value, s.worst_value)) {
            s.worst = i;
            s.worst_value = value;
        }
    }
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < s.count; ++i)
        sum += values[i];
    if (s.count)
        s.mean = sum / (double)s.count;
    else if (s.infinite)
        s.mean = INFINITY;
    for (uint64_t i = 0; i < s.count; ++i)
        squares += (values[i] - s.mean) * (values[i] - s.mean);
    tsr_status status = TSR_OK;
    if (s.count > 1) {
        s.sd = sqrt(squares / (double)(s.count - 1));
        status = interval(ctx, m, values, &s);
    }
    m->summaries[k] = s;
    return status;
}

tsr_status tsr_measurement_summarise(tsr_context *ctx, tsr_measurement *m) {
    double *values = tsr_alloc(ctx, m->count ? m->count : 1, sizeof *values, "summary");
    tsr_status status = values ? TSR_OK : TSR_ERROR_MEMORY;
    for (int k = 0; k < m->metric_count && !status; ++k)
        if (!m->metrics[k]->info.set) status = summarise(ctx, m, k, values);
    free(values);
    return status;
}
