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

enum { FEATURES = 2048, LOGITS = 1008 };

/* Features of both sides, in the order of the pairs. */
typedef struct features {
    tsr_context *ctx;
    tsr_judge *judge;
    const char *preparation;
    tsr_kept_features *kept; /* rows of originals from candidate to candidate; NULL: none */
    float *original, *candidate, *logits; /* [rows, FEATURES], likewise, [rows, LOGITS] */
    uint64_t rows, room, seed;
    tsr_precision_recall neighbours; /* what precision and recall share */
    bool searched;                   /* `neighbours` is filled */
} features;

static void features_close(void *object) {
    features *f = object;
    tsr_judge_close(&f->judge);
    free(f->original);
    free(f->candidate);
    free(f->logits);
    free(f);
}

/* Finds the rows of originals that earlier candidates left, or the place for them. */
static tsr_status open_kept(features *f, tsr_metric_shares *kept, const char *key) {
    if (!kept) return TSR_OK;
    f->kept = tsr_metric_share_find(kept, key);
    if (!f->kept) {
        tsr_kept_features *made = tsr_kept_features_open(f->ctx, FEATURES);
        if (!made) return TSR_ERROR_MEMORY;
        const tsr_status status =
            tsr_metric_share_add(f->ctx, kept, key, made, tsr_kept_features_close);
        if (status) return status;
        f->kept = made;
    }
    tsr_kept_features_of(f->kept, f->judge);
    return TSR_OK;
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
    tsr_status status =
        tsr_metric_judge_open(ctx, s, "inception", "inception-2015-12-05", "inception", &f->judge);
    if (!status) status = open_kept(f, s->kept, key);
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

/* Rows of originals: kept ones are copied, the others are computed in one call and kept. `missing`
 * and `place` have room for `count`. */
static tsr_status embed_originals(features *f, const tsr_picture *pictures, int count,
                                  tsr_picture *missing, int *place) {
    const tsr_embed_request one = {
        .preparation = f->preparation, .outputs = {"2048"}, .output_count = 1};
    float *to = f->original + f->rows * FEATURES;
    int n = 0;
    for (int i = 0; i < count; ++i) {
        const float *row = f->kept ? tsr_kept_features_find(f->kept, &pictures[i]) : NULL;
        if (row) {
            memcpy(to + (size_t)i * FEATURES, row, FEATURES * sizeof *row);
        } else {
            place[n] = i;
            missing[n++] = pictures[i];
        }
    }
    if (!n) return TSR_OK;
    float *made = tsr_alloc(f->ctx, (size_t)n * FEATURES, sizeof *made, "features");
    if (!made) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_judge_embed(f->judge, missing, n, &one, &made);
    for (int i = 0; i < n && !status; ++i) {
        const float *row = made + (size_t)i * FEATURES;
        memcpy(to + (size_t)place[i] * FEATURES, row, FEATURES * sizeof *row);
        if (f->kept) status = tsr_kept_features_add(f->kept, &missing[i], row);
    }
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
    tsr_picture *pictures = tsr_alloc(f->ctx, 2 * (size_t)count, sizeof *pictures, "features");
    int *place = tsr_alloc(f->ctx, (size_t)count, sizeof *place, "features");
    if (!pictures || !place) status = TSR_ERROR_MEMORY;
    for (int i = 0; i < count && !status; ++i)
        pictures[i] = (tsr_picture){
            .rgb = pairs[i].original, .width = pairs[i].width, .height = pairs[i].height};
    const tsr_embed_request both = {
        .preparation = f->preparation, .outputs = {"2048", "logits_unbiased"}, .output_count = 2};
    if (!status) status = embed_originals(f, pictures, count, pictures + count, place);
    for (int i = 0; i < count && !status; ++i)
        pictures[i].rgb = pairs[i].candidate;
    if (!status) {
        float *candidate[] = {f->candidate + f->rows * FEATURES, f->logits + f->rows * LOGITS};
        status = tsr_judge_embed(f->judge, pictures, count, &both, candidate);
    }
    if (!status) f->rows += (uint64_t)count;
    free(pictures);
    free(place);
    return status;
}

static void features_model(const void *session, tsr_metric_model *model) {
    tsr_metric_judge_model(((const features *)session)->judge, model);
}

/* The features belong to the shares. */
static void session_end(void *session) {
    (void)session;
}

static bool too_few(const features *f, uint64_t least, tsr_set_score *score) {
    score->count = f->rows;
    score->value = NAN;
    if (f->rows >= least) return false;
    snprintf(score->warning, sizeof score->warning, "wanted at least %llu pictures, got %llu",
             (unsigned long long)least, (unsigned long long)f->rows);
    return true;
}

/* ---- Frechet distance ---- */

static tsr_status finish_frechet(void *session, tsr_set_score *score) {
    const features *f = session;
    if (too_few(f, 2, score)) return TSR_OK;
    tsr_frechet d;
    const tsr_status status =
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
    if (too_few(f, 2, score)) return TSR_OK;
    tsr_spread kid;
    const tsr_status status = tsr_kid(f->ctx, f->original, f->rows, f->candidate, f->rows, FEATURES,
                                      0, 0, 2020, &kid, NULL, NULL);
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
    if (too_few(f, 10, score)) return TSR_OK;
    tsr_spread is;
    const tsr_status status =
        tsr_inception_score(f->ctx, f->logits, f->rows, LOGITS, 0, 2020, &is, NULL, NULL);
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
    if (too_few(f, 4, score)) return TSR_OK;
    const tsr_status status = search_neighbours(f);
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
    if (too_few(f, 4, score)) return TSR_OK;
    const tsr_status status = search_neighbours(f);
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
