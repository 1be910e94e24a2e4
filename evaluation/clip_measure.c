/* SPDX-License-Identifier: MIT */
/* clip_measure.c: metrics of clips, fed frame by frame. */
#define TESSERA_EXPERIMENTAL
#include <tessera/measure.h>

#include "../metrics/metric.h"

#include <stdlib.h>

struct tsr_clip_measure {
    tsr_context *ctx;
    int count;
    const tsr_metric **metrics; /* [count] */
    void **sessions;            /* [count] NULL: not open */
    tsr_metric_shares shares;
    uint64_t frames, clip;
};

static tsr_status open_all(tsr_clip_measure *m, const tsr_measure_settings *s) {
    const tsr_metric_settings rest = {.shares = &m->shares, .seed = s->seed ? s->seed : 1};
    tsr_status status = tsr_metrics_choose(m->ctx, s, true, m->metrics);
    for (int k = 0; k < m->count && !status; ++k)
        status = tsr_metric_session_open(m->ctx, s, m->metrics[k], &rest, &m->sessions[k]);
    return status;
}

tsr_status tsr_clip_measure_open(tsr_context *ctx, const tsr_measure_settings *settings,
                                 tsr_clip_measure **measure) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!measure || !settings || settings->metric_count < 1 || !settings->metrics)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "clips: wanted metrics of clips, got none");
    *measure = NULL;
    tsr_clip_measure *m = tsr_alloc(ctx, 1, sizeof *m, "metrics of clips");
    if (!m) return TSR_ERROR_MEMORY;
    m->ctx = ctx;
    m->count = settings->metric_count;
    m->metrics = tsr_alloc(ctx, (size_t)m->count, sizeof *m->metrics, "metrics of clips");
    m->sessions = tsr_alloc(ctx, (size_t)m->count, sizeof *m->sessions, "metrics of clips");
    const tsr_status status = m->metrics && m->sessions ? open_all(m, settings) : TSR_ERROR_MEMORY;
    if (status)
        tsr_clip_measure_close(&m);
    else
        *measure = m;
    return status;
}

void tsr_clip_measure_close(tsr_clip_measure **measure) {
    if (!measure || !*measure) return;
    tsr_clip_measure *m = *measure;
    for (int k = 0; m->sessions && k < m->count; ++k)
        if (m->sessions[k]) m->metrics[k]->close(m->sessions[k]);
    tsr_metric_shares_close(&m->shares);
    free(m->sessions);
    free((void *)m->metrics);
    free(m);
    *measure = NULL;
}

tsr_status tsr_clip_measure_add(tsr_clip_measure *m, const tsr_frame_score *frame) {
    if (!m) return TSR_ERROR_ARGUMENT;
    if (!frame || !frame->original_rgb || !frame->reconstruction_rgb || !frame->width ||
        !frame->height)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "clips: wanted a frame with pixels, got none");
    tsr_metric_pair pair = {.original = frame->original_rgb,
                            .candidate = frame->reconstruction_rgb,
                            .width = (int)frame->width,
                            .height = (int)frame->height,
                            .clip = m->clip};
    double value = 0;
    const char *why = NULL;
    tsr_status status = TSR_OK;
    for (int k = 0; k < m->count && !status; ++k)
        status = m->metrics[k]->add(m->sessions[k], &pair, 1, m->frames, &value, &why);
    if (!status) m->frames++;
    return status;
}

void tsr_clip_measure_end(tsr_clip_measure *m) {
    if (m) m->clip++;
}

tsr_status tsr_clip_measure_score(tsr_clip_measure *m, int index, tsr_set_score *score,
                                  tsr_metric_model *model) {
    if (!m) return TSR_ERROR_ARGUMENT;
    if (index < 0 || index >= m->count || !score)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "clips: metric: wanted 0 to %d, got %d",
                        m->count - 1, index);
    *score = (tsr_set_score){0};
    if (model) *model = (tsr_metric_model){0};
    if (model && m->metrics[index]->model) m->metrics[index]->model(m->sessions[index], model);
    return m->metrics[index]->finish(m->sessions[index], score);
}
