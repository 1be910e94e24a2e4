/* SPDX-License-Identifier: MIT */
/* measurement.c: what a measurement holds, and the calls that ask it. */
#include "measurement.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_copy_text(tsr_context *ctx, const char *text, char **copy) {
    *copy = strdup(text);
    return *copy ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "no memory for a text");
}

tsr_measurement *tsr_measurement_new(tsr_context *ctx, uint64_t count, int metric_count) {
    const size_t metrics = metric_count ? (size_t)metric_count : 1;
    const size_t pictures = count ? count : 1;
    tsr_measurement *m = tsr_alloc(ctx, 1, sizeof *m, "measurement");
    if (!m) return NULL;
    m->count = count;
    m->metric_count = metric_count;
    m->metrics = tsr_alloc(ctx, metrics, sizeof *m->metrics, "measurement");
    m->models = tsr_alloc(ctx, metrics, sizeof *m->models, "measurement");
    m->sets = tsr_alloc(ctx, metrics, sizeof *m->sets, "measurement");
    m->summaries = tsr_alloc(ctx, metrics, sizeof *m->summaries, "measurement");
    m->pictures = tsr_alloc(ctx, pictures, sizeof *m->pictures, "measurement");
    m->values = tsr_alloc(ctx, pictures * metrics, sizeof *m->values, "measurement");
    m->whys = tsr_alloc(ctx, pictures * metrics, sizeof *m->whys, "measurement");
    if (!m->metrics || !m->models || !m->sets || !m->summaries || !m->pictures || !m->values ||
        !m->whys) {
        if (!m->pictures) m->count = 0;
        tsr_measurement_close(&m);
        return NULL;
    }
    for (size_t i = 0; i < pictures * metrics; ++i)
        m->values[i] = NAN;
    for (size_t k = 0; k < metrics; ++k) {
        m->summaries[k] =
            (tsr_summary){.mean = NAN, .sd = NAN, .low = NAN, .high = NAN, .worst_value = NAN};
        m->sets[k].value = NAN;
    }
    m->encode_seconds = m->decode_seconds = NAN;
    m->numbers = 1;
    return m;
}

void tsr_measurement_close(tsr_measurement **measurement) {
    if (!measurement || !*measurement) return;
    tsr_measurement *m = *measurement;
    for (uint64_t i = 0; i < m->count; ++i) {
        free(m->pictures[i].name);
        free(m->pictures[i].detail);
        free(m->pictures[i].note);
        free(m->pictures[i].original);
        free(m->pictures[i].file);
    }
    free(m->name);
    free(m->series);
    free(m->kind);
    free(m->model);
    free(m->precision);
    free(m->device);
    free(m->metrics);
    free(m->models);
    free(m->sets);
    free(m->summaries);
    free(m->pictures);
    free(m->values);
    free(m->whys);
    free(m);
    *measurement = NULL;
}

int tsr_measurement_metric(const tsr_measurement *m, const char *name) {
    for (int k = 0; name && k < m->metric_count; ++k)
        if (!strcmp(m->metrics[k]->info.name, name)) return k;
    return -1;
}

static const char *text_of(const char *text) {
    return text ? text : "";
}

void tsr_measurement_about(const tsr_measurement *m, tsr_measured *about) {
    *about = (tsr_measured){.name = text_of(m->name),
                            .series = text_of(m->series),
                            .kind = text_of(m->kind),
                            .model = text_of(m->model),
                            .model_hash = m->model_hash,
                            .precision = text_of(m->precision),
                            .device = text_of(m->device),
                            .at = m->at,
                            .first_tokens = m->first_tokens,
                            .pictures = m->count,
                            .encode_seconds = m->encode_seconds,
                            .decode_seconds = m->decode_seconds};
    double tokens = 0, bytes = 0, pixels = 0;
    bool sized = true;
    for (uint64_t i = 0; i < m->count; ++i) {
        const tsr_picture_score *p = &m->pictures[i];
        about->alone += p->alone;
        about->failed += !p->alone && p->status;
        if (p->status) continue;
        about->compared++;
        about->equal += p->equal;
        about->floored += p->floored;
        sized = sized && p->bytes;
        tokens += (double)p->tokens;
        bytes += (double)p->bytes;
        pixels += (double)p->width * p->height;
    }
    const double n = (double)about->compared;
    about->tokens = n > 0 && tokens > 0 ? tokens / n : NAN;
    about->bytes = n > 0 && sized ? bytes / n : NAN;
    about->bits_per_pixel = n > 0 && sized ? 8 * bytes / pixels : NAN;
}

void tsr_measurement_set_encode(tsr_measurement *m, double seconds) {
    m->encode_seconds = seconds;
}

tsr_status tsr_measurement_set_files(tsr_measurement *m, uint64_t index, const char *original,
                                     const char *candidate) {
    if (index >= m->count) return TSR_ERROR_ARGUMENT;
    tsr_picture_score *p = &m->pictures[index];
    free(p->original);
    free(p->file);
    p->original = original ? strdup(original) : NULL;
    p->file = candidate ? strdup(candidate) : NULL;
    return (original && !p->original) || (candidate && !p->file) ? TSR_ERROR_MEMORY : TSR_OK;
}

tsr_status tsr_measurement_summary(const tsr_measurement *m, const char *metric,
                                   tsr_summary *summary) {
    const int k = tsr_measurement_metric(m, metric);
    if (k < 0) return TSR_ERROR_NOT_FOUND;
    if (m->metrics[k]->info.set) return TSR_ERROR_ARGUMENT;
    *summary = m->summaries[k];
    return TSR_OK;
}

tsr_status tsr_measurement_set(const tsr_measurement *m, const char *metric, tsr_set_score *score) {
    const int k = tsr_measurement_metric(m, metric);
    if (k < 0) return TSR_ERROR_NOT_FOUND;
    if (!m->metrics[k]->info.set) return TSR_ERROR_ARGUMENT;
    *score = m->sets[k];
    return TSR_OK;
}

tsr_status tsr_measurement_picture(const tsr_measurement *m, uint64_t index,
                                   tsr_measured_picture *picture) {
    if (index >= m->count) return TSR_ERROR_ARGUMENT;
    const tsr_picture_score *p = &m->pictures[index];
    *picture =
        (tsr_measured_picture){text_of(p->name), p->status, text_of(p->detail), text_of(p->note),
                               p->width,         p->height, p->tokens,          p->bytes};
    return TSR_OK;
}

double tsr_measurement_value(const tsr_measurement *m, const char *metric, uint64_t index,
                             const char **why) {
    const int k = tsr_measurement_metric(m, metric);
    const bool there = k >= 0 && index < m->count;
    const uint64_t at = there ? index * (uint64_t)m->metric_count + (uint64_t)k : 0;
    const double value = there ? m->values[at] : NAN;
    if (why) *why = there && isnan(value) ? text_of(m->whys[at]) : "";
    return value;
}
