/* SPDX-License-Identifier: MIT */
/* changes.c: what is new in a frame, and which codes another reading of a picture changes. */
#include "../compute/threads.h"
#include "give_scores.h"
#include "select.h"
#include "similarity.h"

#include <math.h>

/* Changes of the tokens of a frame against those at the same places of another frame. */
typedef struct change_work {
    const float *features; /* NULL: ids */
    const int32_t *ids;
    int64_t place_count, dim;
    int64_t frame, other;
    float *change; /* [place_count] */
} change_work;

static void change_of(void *arg, int64_t place, int worker) {
    const change_work *w = arg;
    const int64_t i = w->frame * w->place_count + place, j = w->other * w->place_count + place;
    (void)worker;
    if (!w->features) {
        w->change[place] = (float)(w->ids[i] != w->ids[j]);
        return;
    }
    const float *a = w->features + i * w->dim, *b = w->features + j * w->dim;
    const double aa = tsr_dot(a, a, w->dim), bb = tsr_dot(b, b, w->dim), ab = tsr_dot(a, b, w->dim);
    const double d = aa > 0 && bb > 0 ? 1 - ab / sqrt(aa * bb) : aa > 0 || bb > 0;
    w->change[place] = (float)(d > 0 ? d : 0);
}

static double mean_of(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += (double)x[i];
    return sum / (double)n;
}

static change_work begin_changes(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o);
    change_work w = {.place_count = grid[1] * grid[2], .dim = o->in->channels};
    if (tsr_operation_is(o, "of", "ids"))
        w.ids = tsr_read_ids(o);
    else
        w.features = o->in->features;
    return w;
}

#define OF                                                                                         \
    {                                                                                              \
        "of", TSR_PARAMETER_CHOICE, "features", 0, 0, "features|ids",                              \
            "features: 1 - cosine; ids: 1 where the id is another one"                             \
    }

/* ---- novelty ---- */

static void novelty(tsr_operation *o) {
    change_work w = begin_changes(o);
    const int64_t n = o->in->count, frames = o->in->grid[0];
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    double *share = tsr_operation_take(o, frames, sizeof *share, "means");
    if (o->status) return;
    for (int64_t t = 0; t < frames; ++t) {
        w.frame = t;
        w.other = t - 1;
        w.change = score + t * w.place_count;
        if (t) tsr_parallel(o->ctx, w.place_count, change_of, &w);
        for (int64_t i = 0; !t && i < w.place_count; ++i)
            w.change[i] = 1;
        share[t] = mean_of(w.change, w.place_count);
    }
    tsr_give_scores(o, score);
    tsr_operation_trace_f64(o, "mean_of_frame", share, frames);
}

const tsr_operator tsr_operator_novelty = {
    .info = {.name = "novelty",
             .kind = TSR_OPERATOR_SCORE,
             .about = "scores tokens by what changed since the frame before",
             .formula = "score_i = 1 - cos(x_i, the token at its place in the frame before), or 1 "
                        "where their ids differ, else 0; tokens of the first frame get 1",
             .source = "ours; it stands in for relevance where no query is there (F2C, QuoTA)",
             .differs = NULL,
             .cost = "3 N D multiply-adds",
             .columns = "ids, with of=ids"},
    .parameters = {OF},
    .apply = novelty,
};

/* ---- frame-changes ---- */

static void frame_changes(tsr_operation *o) {
    change_work w = begin_changes(o);
    const int64_t n = o->in->count, frames = o->in->grid[0];
    const double threshold = tsr_operation_number(o, "threshold");
    const bool kept = tsr_operation_is(o, "against", "kept");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices"),
            *taken = tsr_operation_take(o, frames, sizeof *taken, "frames");
    double *share = tsr_operation_take(o, frames, sizeof *share, "means");
    w.change = tsr_operation_take(o, w.place_count, sizeof *w.change, "changes");
    if (o->status) return;
    int64_t count = 0;
    for (int64_t t = 0; t < frames; ++t) {
        w.frame = t;
        w.other = kept && count ? taken[count - 1] : t - 1;
        if (t) tsr_parallel(o->ctx, w.place_count, change_of, &w);
        share[t] = t ? mean_of(w.change, w.place_count) : 1;
        if (t && !(share[t] > threshold)) continue;
        for (int64_t i = 0; i < w.place_count; ++i)
            index[count * w.place_count + i] = (int32_t)(t * w.place_count + i);
        taken[count++] = (int32_t)t;
    }
    tsr_operation_keep(o, index, count * w.place_count);
    tsr_operation_on_grid(o, count, o->in->grid[1], o->in->grid[2]);
    tsr_operation_trace_i32(o, "frames", taken, count);
    tsr_operation_trace_f64(o, "mean_of_frame", share, frames);
}

const tsr_operator tsr_operator_frame_changes = {
    .info = {.name = "frame-changes",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the frames in which enough changed",
             .formula = "the first frame, and each whose mean change (see novelty) against the "
                        "frame before, or the last one kept, is above the threshold",
             .source = "ours; in the manner of PVC a still clip costs one frame",
             .differs = NULL,
             .cost = "3 N D multiply-adds",
             .columns = "ids, with of=ids"},
    .parameters = {OF,
                   {"threshold", TSR_PARAMETER_NUMBER, "0.1", 0, 2, NULL,
                    "mean change above which a frame is kept"},
                   {"against", TSR_PARAMETER_CHOICE, "kept", 0, 0, "kept|previous",
                    "which frame a frame is compared with"}},
    .apply = frame_changes,
};

/* ---- id-flips ---- */

static void id_flips(tsr_operation *o) {
    const int64_t n = o->in->count;
    const int32_t *id = tsr_read_ids(o);
    const tsr_token_array other =
        tsr_operation_column(o, "ids_other", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1);
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i)
        score[i] = (float)(id[i] != ((const int32_t *)other.data)[i]);
    const double share = mean_of(score, n);
    tsr_give_scores(o, score);
    tsr_operation_trace_f64(o, "share", &share, 1);
}

const tsr_operator tsr_operator_id_flips = {
    .info = {.name = "id-flips",
             .kind = TSR_OPERATOR_SCORE,
             .about = "says which codes another reading of the same picture changed",
             .formula = "score_i = 1 where ids_i differs from ids_other_i, else 0; share is their "
                        "mean",
             .source = "ours: what bounded noise, a shift or a second encoding does to the codes, "
                       "as Verbose Images does it to a model's answer",
             .differs = NULL,
             .cost = "N comparisons",
             .columns = "ids ids_other"},
    .apply = id_flips,
};
