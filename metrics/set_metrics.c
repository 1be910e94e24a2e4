/* SPDX-License-Identifier: MIT */
/* set_metrics.c: numbers of two sets of pictures by the features of one network, FID's Inception.
 * All metrics of one preparation share its features, which are computed once; those of originals
 * stay for the next candidate. */
#include "judge_metrics.h"
#include "kept_features.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 2048, LOGITS = 1008, ROW = FEATURES + LOGITS };

/* Features of both sides, in the order of the pairs. */
typedef struct features {
    tsr_context *ctx;
    tsr_judge *judge;
    const char *preparation;
    tsr_kept_features *kept;              /* rows [ROW] from candidate to candidate; NULL: none */
    bool keeps_candidates;                /* with a cache; else the originals alone */
    tsr_feature_counts *counts;           /* NULL: nobody asks */
    float *original, *candidate, *logits; /* [rows, FEATURES], likewise, [rows, LOGITS] */
    uint64_t rows, room, seed;
    tsr_precision_recall neighbours; /* what precision and recall share */
    bool searched;                   /* `neighbours` is filled */
} features;

static void features_close(void *object) {
    features *f = object;
    if (f->kept) (void)tsr_kept_features_save(f->kept); /* after an end before its time */
    tsr_judge_close(&f->judge);
    free(f->original);
    free(f->candidate);
    free(f->logits);
    free(f);
}

/* Finds the rows that earlier candidates left, or the place for them, and those of the cache. */
static tsr_status open_kept(features *f, const tsr_metric_settings *s, const char *key) {
    if (!s->kept) return TSR_OK;
    f->kept = tsr_metric_share_find(s->kept, key);
    if (!f->kept) {
        tsr_kept_features *made = tsr_kept_features_open(f->ctx, ROW);
        if (!made) return TSR_ERROR_MEMORY;
        const tsr_status status =
            tsr_metric_share_add(f->ctx, s->kept, key, made, tsr_kept_features_close);
        if (status) return status;
        f->kept = made;
    }
    tsr_kept_features_of(f->kept, f->judge);
    f->keeps_candidates = s->cache != NULL;
    return s->cache ? tsr_kept_features_load(f->kept, s->cache, f->judge, "2048,logits_unbiased",
                                             f->preparation)
                    : TSR_OK;
}

/* The shared features of a preparation, opened by the first metric that wants them. */
static tsr_status features_open(tsr_context *ctx, const tsr_metric_settings *s, const char *key,
                                const char *preparation, void **session) {
    features *f = tsr_metric_share_find(s->shares, key);
    *session = f;
    if (f) return TSR_OK;
    f = tsr_alloc(ctx, 1, sizeof *f, key);
    if (!f) return TSR_ERROR_MEMORY;
    f->ctx = ctx;
    f->preparation = preparation;
    f->seed = s->seed;
    f->counts = s->features;
    tsr_status status =
        tsr_metric_judge_open(ctx, s, "inception", "inception-2015-12-05", "inception", &f->judge);
    if (!status) status = open_kept(f, s, key);
    if (status) {
        features_close(f);
        return status;
    }
    status = tsr_metric_share_add(ctx, s->shares, key, f, features_close);
    *session = status ? NULL : f;
    return status;
}

static bool grow(float **array, uint64_t rows, size_t columns) {
    float *more = realloc(*array, (size_t)rows * columns * sizeof *more);
    if (more) *array = more;
    return more != NULL;
}

static tsr_status make_room(features *f, uint64_t rows) {
    if (rows <= f->room) return TSR_OK;
    const uint64_t room = rows > 2 * f->room ? rows : 2 * f->room;
    if (room > f->ctx->settings.memory_limit / ((2 * FEATURES + LOGITS) * sizeof(float)) ||
        !grow(&f->original, room, FEATURES) || !grow(&f->candidate, room, FEATURES) ||
        !grow(&f->logits, room, LOGITS))
        return tsr_fail(f->ctx, TSR_ERROR_MEMORY, "features: no memory for %llu pictures",
                        (unsigned long long)room);
    f->room = room;
    return TSR_OK;
}

/* Computes the rows of `count` pictures in one call, [count, FEATURES] and [count, LOGITS]. */
static tsr_status compute(features *f, const tsr_picture *pictures, int count, float *made,
                          float *logits) {
    const tsr_embed_request both = {
        .preparation = f->preparation, .outputs = {"2048", "logits_unbiased"}, .output_count = 2};
    if (f->counts) f->counts->computed += (uint64_t)count;
    return tsr_judge_embed(f->judge, pictures, count, &both, (float *[]){made, logits});
}

/* Copies kept rows, and fills `missing` and `place` [count] with the pictures that have none. */
static int take_kept(features *f, const tsr_picture *pictures, int count, float *to, float *logits,
                     tsr_picture *missing, int *place) {
    int n = 0;
    for (int i = 0; i < count; ++i) {
        const float *row = tsr_kept_features_find(f->kept, &pictures[i]);
        if (row) {
            memcpy(to + (size_t)i * FEATURES, row, FEATURES * sizeof *row);
            memcpy(logits + (size_t)i * LOGITS, row + FEATURES, LOGITS * sizeof *row);
        } else {
            place[n] = i;
            missing[n++] = pictures[i];
        }
    }
    if (f->counts) f->counts->reused += (uint64_t)(count - n);
    return n;
}

/* Rows of one side: kept ones are copied, the others are computed in one call and kept. to: [count,
 * FEATURES], logits: [count, LOGITS]. */
static tsr_status embed_kept(features *f, const tsr_picture *pictures, int count, float *to,
                             float *logits) {
    tsr_picture *missing = tsr_alloc(f->ctx, (size_t)count, sizeof *missing, "features");
    int *place = tsr_alloc(f->ctx, (size_t)count, sizeof *place, "features");
    float *made = tsr_alloc(f->ctx, (size_t)count + 1, ROW * sizeof *made, "features");
    tsr_status status = missing && place && made ? TSR_OK : TSR_ERROR_MEMORY;
    const int n = status ? 0 : take_kept(f, pictures, count, to, logits, missing, place);
    float *made_logits = made ? made + (size_t)n * FEATURES : NULL;
    float *row = made ? made + (size_t)count * ROW : NULL; /* one row as it is kept */
    if (n) status = compute(f, missing, n, made, made_logits);
    for (int i = 0; i < n && !status; ++i) {
        const size_t at = (size_t)place[i];
        memcpy(row, made + (size_t)i * FEATURES, FEATURES * sizeof *row);
        memcpy(row + FEATURES, made_logits + (size_t)i * LOGITS, LOGITS * sizeof *row);
        memcpy(to + at * FEATURES, row, FEATURES * sizeof *row);
        memcpy(logits + at * LOGITS, row + FEATURES, LOGITS * sizeof *row);
        status = tsr_kept_features_add(f->kept, &missing[i], row);
    }
    free(missing);
    free(place);
    free(made);
    return status;
}

static tsr_status features_add(void *session, tsr_metric_pair *pairs, int count, uint64_t first,
                               double *values, const char **why) {
    features *f = session;
    (void)values;
    (void)why;
    if (f->rows > first) return TSR_OK; /* another metric has brought them */
    tsr_status status = make_room(f, f->rows + (uint64_t)count);
    tsr_picture *pictures = tsr_alloc(f->ctx, (size_t)count, sizeof *pictures, "features");
    if (!pictures) status = TSR_ERROR_MEMORY;
    for (int side = 0; side < 2 && !status; ++side) {
        float *to = (side ? f->candidate : f->original) + f->rows * FEATURES;
        float *logits = f->logits + f->rows * LOGITS; /* the candidates', which come last, stay */
        for (int i = 0; i < count; ++i)
            pictures[i] = (tsr_picture){.rgb = side ? pairs[i].candidate : pairs[i].original,
                                        .width = pairs[i].width,
                                        .height = pairs[i].height};
        status = f->kept && (!side || f->keeps_candidates)
                     ? embed_kept(f, pictures, count, to, logits)
                     : compute(f, pictures, count, to, logits);
    }
    if (!status) f->rows += (uint64_t)count;
    free(pictures);
    return status;
}

static void features_model(const void *session, tsr_metric_model *model) {
    tsr_metric_judge_model(((const features *)session)->judge, model);
}

/* The features belong to the shares. */
static void session_end(void *session) {
    (void)session;
}

/* Begins a number of all pictures: what was computed is saved, and too few pictures have none. */
static tsr_status begin_score(const features *f, uint64_t least, tsr_set_score *score,
                              bool *enough) {
    score->count = f->rows;
    score->value = NAN;
    *enough = f->rows >= least;
    if (!*enough)
        snprintf(score->warning, sizeof score->warning, "wanted at least %llu pictures, got %llu",
                 (unsigned long long)least, (unsigned long long)f->rows);
    return f->kept ? tsr_kept_features_save(f->kept) : TSR_OK;
}

/* ---- Frechet distance ---- */

static tsr_status finish_frechet(void *session, tsr_set_score *score) {
    const features *f = session;
    bool enough;
    tsr_status status = begin_score(f, 2, score, &enough);
    if (status || !enough) return status;
    tsr_frechet d;
    status =
        tsr_frechet_distance(f->ctx, f->original, f->rows, f->candidate, f->rows, FEATURES, &d);
    if (status) return status;
    score->value = d.distance;
    if (d.biased)
        snprintf(score->warning, sizeof score->warning,
                 "%llu pictures are fewer than 2,048 dimensions: biased upwards by about 1 / "
                 "pictures, comparable with equally many of the same pictures alone",
                 (unsigned long long)f->rows);
    return TSR_OK;
}

static tsr_status open_tf1(tsr_context *ctx, const tsr_metric_settings *s, void **session) {
    return features_open(ctx, s, "inception tf1", "tf1", session);
}
static tsr_status open_torch(tsr_context *ctx, const tsr_metric_settings *s, void **session) {
    return features_open(ctx, s, "inception torch", "torch", session);
}

/* What all metrics below have in common, of their `info` and of themselves. */
#define SET_OF_FEATURES  .set = 1, .weights = "inception"
#define FEATURES_SESSION .add = features_add, .model = features_model, .close = session_end

#define FRECHET                                                                                    \
    "Frechet distance of 2,048 pooled features of FID's Inception, originals against candidates "  \
    "as compared, covariances over n - 1, float64; "
const tsr_metric tsr_metric_rfid = {
    .info = {.name = "rfid",
             .label = "rFID",
             .unit = "",
             .protocol = FRECHET "resized to 299x299 as TensorFlow 1 does (torch-fidelity)",
             .source = "Heusel et al. 2017; torch-fidelity",
             SET_OF_FEATURES},
    .open = open_tf1,
    FEATURES_SESSION,
    .finish = finish_frechet,
};
const tsr_metric tsr_metric_rfid_pytorch = {
    .info = {.name = "rfid_pytorch",
             .label = "rFID (pytorch-fid)",
             .unit = "",
             .protocol = FRECHET "resized to 299x299 by PyTorch's bilinear (pytorch-fid)",
             .source = "Heusel et al. 2017; pytorch-fid",
             SET_OF_FEATURES},
    .open = open_torch,
    FEATURES_SESSION,
    .finish = finish_frechet,
};

/* ---- KID, Inception Score, precision and recall ---- */

static tsr_status finish_kid(void *session, tsr_set_score *score) {
    const features *f = session;
    bool enough;
    tsr_status status = begin_score(f, 2, score, &enough);
    if (status || !enough) return status;
    tsr_spread kid;
    status = tsr_kid(f->ctx, f->original, f->rows, f->candidate, f->rows, FEATURES, 0, 0, 2020,
                     &kid, NULL, NULL);
    if (status) return status;
    score->value = kid.mean;
    snprintf(score->warning, sizeof score->warning, "deviation of %llu subsets: %.6g",
             (unsigned long long)kid.parts, kid.deviation);
    return TSR_OK;
}
const tsr_metric tsr_metric_kid = {
    .info = {.name = "kid",
             .label = "KID",
             .unit = "",
             .protocol = "unbiased MMD^2 under (x.y / 2048 + 1)^3 of the features of rfid, mean of "
                         "100 subsets of 1,000 pictures (of all, where fewer), NumPy's "
                         "RandomState(2020)",
             .source = "Binkowski et al. 2018; torch-fidelity",
             SET_OF_FEATURES},
    .open = open_tf1,
    FEATURES_SESSION,
    .finish = finish_kid,
};

static tsr_status finish_score(void *session, tsr_set_score *score) {
    const features *f = session;
    bool enough;
    tsr_status status = begin_score(f, 10, score, &enough);
    if (status || !enough) return status;
    tsr_spread is;
    status = tsr_inception_score(f->ctx, f->logits, f->rows, LOGITS, 0, 2020, &is, NULL, NULL);
    if (status) return status;
    score->value = is.mean;
    snprintf(score->warning, sizeof score->warning, "deviation of %llu parts: %.6g",
             (unsigned long long)is.parts, is.deviation);
    return TSR_OK;
}
const tsr_metric tsr_metric_is = {
    .info = {.name = "is",
             .label = "Inception Score",
             .unit = "",
             .protocol = "of the candidates, FID's Inception, logits without bias, 10 parts in the "
                         "order of NumPy's RandomState(2020)",
             .source = "Salimans et al. 2016; torch-fidelity",
             .higher = 1,
             SET_OF_FEATURES},
    .open = open_tf1,
    FEATURES_SESSION,
    .finish = finish_score,
};

/* One search among all rows gives both numbers. */
static tsr_status search_neighbours(features *f) {
    if (f->searched) return TSR_OK;
    const tsr_status status =
        tsr_precision_recall_measure(f->ctx, f->candidate, f->rows, f->original, f->rows, FEATURES,
                                     0, &f->neighbours, NULL, NULL);
    f->searched = status == TSR_OK;
    return status;
}

static tsr_status finish_precision(void *session, tsr_set_score *score) {
    features *f = session;
    bool enough;
    tsr_status status = begin_score(f, 4, score, &enough);
    if (status || !enough) return status;
    status = search_neighbours(f);
    if (!status) score->value = f->neighbours.precision;
    return status;
}
const tsr_metric tsr_metric_precision = {
    .info = {.name = "precision",
             .label = "Precision",
             .unit = "",
             .protocol = "share of candidates within the distance of an original to its third "
                         "neighbour, features of rfid, float64",
             .source = "Kynkaanniemi et al. 2019",
             .higher = 1,
             SET_OF_FEATURES},
    .open = open_tf1,
    FEATURES_SESSION,
    .finish = finish_precision,
};

static tsr_status finish_recall(void *session, tsr_set_score *score) {
    features *f = session;
    bool enough;
    tsr_status status = begin_score(f, 4, score, &enough);
    if (status || !enough) return status;
    status = search_neighbours(f);
    if (!status) score->value = f->neighbours.recall;
    return status;
}
const tsr_metric tsr_metric_recall = {
    .info = {.name = "recall",
             .label = "Recall",
             .unit = "",
             .protocol = "share of originals within the distance of a candidate to its third "
                         "neighbour, features of rfid, float64",
             .source = "Kynkaanniemi et al. 2019",
             .higher = 1,
             SET_OF_FEATURES},
    .open = open_tf1,
    FEATURES_SESSION,
    .finish = finish_recall,
};
