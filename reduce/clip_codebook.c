/* SPDX-License-Identifier: MIT */
/* clip_codebook.c: the tokens of a clip as a codebook of its own and an index of each token. */
#include "average.h"
#include "diversity.h"
#include "select.h"
#include "similarity.h"
#include "../quantizer/spherical.h"

#include <string.h>

/* Labels and codebook, from the picks on. The arrays of `result` must be there. */
static void cluster(tsr_operation *o, const int32_t *picks, int64_t k,
                    tsr_spherical_result *result) {
    const int64_t n = o->in->count, d = o->in->channels;
    float *centroids = tsr_operation_take(o, k * d, sizeof *centroids, "centroids");
    const uint32_t passes = (uint32_t)tsr_operation_integer(o, "rounds");
    tsr_device *device = tsr_operation_device(o);
    if (o->status) return;
    for (int64_t i = 0; i < k; ++i)
        memcpy(centroids + i * d, o->in->features + picks[i] * d, (size_t)d * sizeof *centroids);
    tsr_unit_rows(o, centroids, k, d, centroids);
    o->status = tsr_spherical_kmeans(device, o->in->features, n, d, k, passes, centroids, result);
    if (!o->status && tsr_operation_is(o, "labels", "canonical"))
        o->status = tsr_spherical_canonical(o->ctx, n, d, k, result);
}

static void clip_codebook(tsr_operation *o) {
    const int64_t n = o->in->count, d = o->in->channels, k = tsr_select_count(o, n);
    int32_t *picks = tsr_operation_take(o, k, sizeof *picks, "picks");
    float *distance = tsr_operation_take(o, k, sizeof *distance, "distances");
    tsr_spherical_result result = {
        .labels = tsr_operation_take(o, n, sizeof(int32_t), "labels"),
        .counts = tsr_operation_take(o, k, sizeof(int32_t), "counts"),
        .codebook = tsr_operation_take(o, k * d, sizeof(float), "codebook"),
    };
    tsr_maxmin_picks(o, k, picks, distance);
    cluster(o, picks, k, &result);
    if (!o->status && tsr_operation_is(o, "rows", "original"))
        tsr_average(o, o->in->features, n, d, NULL, result.labels, k, result.codebook);
    tsr_operation_trace_i32(o, "initial", picks, k);
    tsr_operation_trace_i32(o, "labels", result.labels, n);
    tsr_operation_trace_i32(o, "counts", result.counts, k);
    tsr_operation_trace_i32(o, "rounds", &(int32_t){(int32_t)result.passes}, 1);
    tsr_operation_merge(o, result.labels, k, result.codebook);
}

const tsr_operator tsr_operator_clip_codebook = {
    .info =
        {.name = "clip-codebook",
         .kind = TSR_OPERATOR_QUANTISE,
         .about =
             "clusters the tokens of a clip by cosine: a codebook of k rows, and which of them "
             "each token is",
         .formula =
             "rows are divided by their length; first centroids are the picks of diverse-maxmin, "
             "in "
             "their order; a token's label is the centroid of largest cosine, a centroid the mean "
             "of "
             "its rows, an empty one stays; until centroids move by less than 1e-4 (Frobenius). "
             "Tokens are the codebook's rows: means of unit rows, zeros where empty",
         .source = "VQToken (Hai-chao-Zhang/VQToken @ 019f89f, KMeansTorch)",
         .differs =
             "first centroids by unseeded k-means++, so that results change from run to "
             "run, and a fixed k stops with a TypeError. Here max-min picks, ties to the lowest "
             "label, and rows=original for means of tokens with their length",
         .cost = "N k D multiply-adds a round, and the picks: at most N^2 D; 3 N D + k D numbers",
         .columns = NULL},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"rounds", TSR_PARAMETER_INTEGER, "100", 1, 1 << 20, NULL,
                    "most rounds of clustering"},
                   {"rows", TSR_PARAMETER_CHOICE, "unit", 0, 0, "unit|original",
                    "what the codebook's rows are means of"},
                   {"labels", TSR_PARAMETER_CHOICE, "picks", 0, 0, "picks|canonical",
                    "how clusters are numbered: by pick, or by their first token"}},
    .apply = clip_codebook,
};
