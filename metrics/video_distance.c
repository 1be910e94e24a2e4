/* SPDX-License-Identifier: MIT */
/* video_distance.c: the Frechet video distance (Unterthiner et al. 2018) of clips and their
 * reconstructions. Each clip is cut into windows of 16 frames, one after the other; a window is one
 * row of 400 logits of I3D. */
#include "../formats/tokens/token_layout.h"
#include "judge_metrics.h"
#include "kept_features.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 16, LOGITS = 400 };

typedef struct session {
    tsr_context *ctx;
    tsr_judge *judge;
    /* The window that is being filled: RGB [FRAMES, height, width, 3] of either side. */
    uint8_t *original, *candidate;
    size_t original_room, candidate_room;
    int width, height, filled;
    uint64_t clip;
    float *rows[2]; /* [count, LOGITS] */
    size_t room[2];
    uint64_t count, left_out;   /* windows; frames that filled none */
    tsr_kept_features *kept;    /* rows of the cache; NULL: none */
    tsr_feature_counts *counts; /* NULL: nobody asks */
} session;

static void session_close(void *object) {
    session *s = object;
    if (s->kept) (void)tsr_kept_features_save(s->kept); /* after an end before its time */
    tsr_kept_features_close(s->kept);
    tsr_judge_close(&s->judge);
    free(s->original);
    free(s->candidate);
    free(s->rows[0]);
    free(s->rows[1]);
    free(s);
}

static tsr_status session_open(tsr_context *ctx, const tsr_metric_settings *settings,
                               void **object) {
    session *s = tsr_alloc(ctx, 1, sizeof *s, "rfvd");
    *object = NULL;
    if (!s) return TSR_ERROR_MEMORY;
    s->ctx = ctx;
    s->counts = settings->features;
    tsr_status status = tsr_metric_judge_open(ctx, settings, "i3d", "i3d-rgb", "i3d", &s->judge);
    if (!status && settings->cache) {
        s->kept = tsr_kept_features_open(ctx, LOGITS);
        status = s->kept ? tsr_kept_features_load(s->kept, settings->cache, s->judge, "logits",
                                                  "windows of 16")
                         : TSR_ERROR_MEMORY;
    }
    if (status)
        session_close(s);
    else
        *object = s;
    return status;
}

/* Rows of both sides of a window: kept ones are copied, the others are computed in one call. */
static tsr_status embed_pair(session *s, const tsr_picture pair[2], float both[2][LOGITS]) {
    tsr_picture missing[2];
    float made[2][LOGITS], *values[] = {made[0]};
    int place[2], n = 0;
    for (int i = 0; i < 2; ++i) {
        const float *row = s->kept ? tsr_kept_features_find(s->kept, &pair[i]) : NULL;
        if (row)
            memcpy(both[i], row, sizeof both[i]);
        else
            place[n] = i, missing[n++] = pair[i];
    }
    if (s->counts) {
        s->counts->computed += (uint64_t)n;
        s->counts->reused += (uint64_t)(2 - n);
    }
    tsr_status status = n ? tsr_judge_embed(s->judge, missing, n, NULL, values) : TSR_OK;
    for (int i = 0; i < n && !status; ++i) {
        memcpy(both[place[i]], made[i], sizeof made[i]);
        if (s->kept) status = tsr_kept_features_add(s->kept, &missing[i], made[i]);
    }
    return status;
}

/* Embeds both sides of a window that is full. */
static tsr_status take_window(session *s) {
    const tsr_picture pair[2] = {
        {.rgb = s->original, .width = s->width, .height = s->height, .frames = FRAMES},
        {.rgb = s->candidate, .width = s->width, .height = s->height, .frames = FRAMES}};
    float both[2][LOGITS];
    const size_t rows = (size_t)s->count + 1;
    tsr_status status = TSR_OK;
    for (int i = 0; i < 2 && !status; ++i)
        status = tsr_grow(s->ctx, &s->rows[i], &s->room[i], rows, sizeof both[0], "windows");
    if (!status) status = embed_pair(s, pair, both);
    for (int i = 0; i < 2 && !status; ++i)
        memcpy(s->rows[i] + s->count * LOGITS, both[i], sizeof both[i]);
    if (!status) s->count++;
    s->filled = 0;
    return status;
}

/* Frames of another clip, or of another size, begin a window. */
static tsr_status take_frame(session *s, const tsr_metric_pair *p) {
    if (p->clip != s->clip || p->width != s->width || p->height != s->height) {
        s->left_out += (uint64_t)s->filled;
        s->filled = 0;
    }
    s->clip = p->clip;
    s->width = p->width;
    s->height = p->height;
    const size_t frame = (size_t)p->width * (size_t)p->height * 3;
    tsr_status status =
        tsr_grow(s->ctx, &s->original, &s->original_room, frame * FRAMES, 1, "frames of a window");
    if (!status)
        status = tsr_grow(s->ctx, &s->candidate, &s->candidate_room, frame * FRAMES, 1,
                          "frames of a window");
    if (status) return status;
    memcpy(s->original + (size_t)s->filled * frame, p->original, frame);
    memcpy(s->candidate + (size_t)s->filled * frame, p->candidate, frame);
    return ++s->filled == FRAMES ? take_window(s) : TSR_OK;
}

static tsr_status session_add(void *object, tsr_metric_pair *pairs, int count, uint64_t first,
                              double *values, const char **why) {
    tsr_status status = TSR_OK;
    (void)first, (void)values, (void)why;
    for (int i = 0; i < count && !status; ++i)
        status = take_frame(object, &pairs[i]);
    return status;
}

static tsr_status session_finish(void *object, tsr_set_score *score) {
    const session *s = object;
    const unsigned long long windows = s->count, left = s->left_out + (uint64_t)s->filled;
    tsr_frechet d;
    tsr_status status = s->kept ? tsr_kept_features_save(s->kept) : TSR_OK;
    score->count = s->count;
    score->value = NAN;
    if (!status && windows < 2) {
        snprintf(score->warning, sizeof score->warning,
                 "wanted at least 2 windows of %d frames, got %llu", FRAMES, windows);
        return TSR_OK;
    }
    if (!status)
        status =
            tsr_frechet_distance(s->ctx, s->rows[0], s->count, s->rows[1], s->count, LOGITS, &d);
    if (status) return status;
    score->value = d.distance;
    char *to = score->warning;
    const size_t room = sizeof score->warning;
    if (d.biased)
        snprintf(to, room,
                 "%llu windows are fewer than 2,048: biased upwards by about 1 / windows, "
                 "comparable with equally many of the same clips alone",
                 windows);
    if (left)
        snprintf(to + strlen(to), room - strlen(to), "%s%llu frames filled no window",
                 *to ? "; " : "", left);
    return TSR_OK;
}

static void session_model(const void *object, tsr_metric_model *model) {
    tsr_metric_judge_model(((const session *)object)->judge, model);
}

const tsr_metric tsr_metric_rfvd = {
    .info = {.name = "rfvd",
             .label = "rFVD",
             .unit = "",
             .protocol =
                 "Frechet distance of 400 logits of I3D (Kinetics-400, RGB, the PyTorch port), "
                 "originals against candidates as compared, windows of 16 frames in a row without "
                 "overlap at the clip's own rate, whole frames to 224x224 by PyTorch's bilinear "
                 "without antialias, covariances over n - 1, float64; TF-hub's graph differs a "
                 "little",
             .source = "Unterthiner et al. 2018; pytorch-i3d",
             .set = 1,
             .clips = 1,
             .weights = "i3d"},
    .open = session_open,
    .add = session_add,
    .finish = session_finish,
    .model = session_model,
    .close = session_close,
};
