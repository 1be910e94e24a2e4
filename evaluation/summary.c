/* SPDX-License-Identifier: MIT */
/* summary.c: what many values of a metric come to, with a bootstrap interval of their mean. */
#include "measurement.h"

#include <math.h>
#include <stdlib.h>

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
        status = tsr_bootstrap_interval(ctx, values, NULL, s.count, m->seed, m->resamples, &s.low,
                                        &s.high);
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
