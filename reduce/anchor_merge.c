/* SPDX-License-Identifier: MIT */
/* anchor_merge.c: the best tokens take up the others. */
#include "give_scores.h"
#include "select.h"
#include "similarity.h"

static void anchor_merge(tsr_operation *o) {
    const int64_t n = o->in->count, dim = o->in->channels, k = tsr_select_count(o, n);
    const float *score = tsr_read_scores(o);
    int32_t *anchor = tsr_operation_take(o, k, sizeof *anchor, "anchors"),
            *map = tsr_operation_take(o, n, sizeof *map, "map");
    float *rows = tsr_operation_take(o, k * dim, sizeof *rows, "anchors");
    if (o->status) return;
    tsr_select_top(o, score, n, k, anchor);
    for (int64_t a = 0; a < k && !o->status; ++a)
        for (int64_t d = 0; d < dim; ++d)
            rows[a * dim + d] = o->in->features[anchor[a] * dim + d];
    tsr_similarity s = {0};
    tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, rows, k, dim);
    float *cosine = tsr_operation_take(o, s.tile * k, sizeof *cosine, "similarities");
    for (int64_t first = 0; first < n && !o->status; first += s.tile) {
        const int64_t count = n - first < s.tile ? n - first : s.tile;
        tsr_similarity_others(&s, o->in->features + first * dim, count, cosine);
        for (int64_t i = 0; i < count; ++i) {
            int32_t best = 0;
            for (int64_t a = 1; a < k; ++a)
                if (cosine[i * k + a] > cosine[i * k + best]) best = (int32_t)a;
            map[first + i] = best;
        }
    }
    tsr_similarity_close(&s);
    if (o->status) return;
    for (int64_t a = 0; a < k; ++a) /* an anchor stays its own, also beside a copy of it */
        map[anchor[a]] = (int32_t)a;
    tsr_operation_merge(o, map, k, NULL);
    tsr_operation_trace_i32(o, "anchors", anchor, k);
}

const tsr_operator tsr_operator_anchor_merge = {
    .info = {.name = "anchor-merge",
             .kind = TSR_OPERATOR_MERGE,
             .about = "merges every token into the nearest of the tokens with the highest scores",
             .formula = "anchors are the k highest scores, in the order of tokens; every other "
                        "token joins the anchor with the highest cosine; a new token is the mean "
                        "of its members, weighted by size",
             .source = "in the manner of BUS (patch summary), whose code is not public",
             .differs = NULL,
             .cost = "N k D multiply-adds",
             .columns = "scores"},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = anchor_merge,
};
