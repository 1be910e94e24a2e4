/* SPDX-License-Identifier: MIT */
/* bipartite.c: bipartite soft matching, one step of it and steps down to a number of tokens. */
#include "bipartite.h"
#include "average.h"
#include "best_match.h"
#include "halving.h"
#include "recorded.h"
#include "select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An even token and its best odd one. */
typedef struct edge {
    float cosine;
    int32_t even, odd; /* tokens */
} edge;

static int closest_first(const void *a, const void *b) {
    const edge *x = a, *y = b;
    if (x->cosine != y->cosine) return x->cosine < y->cosine ? 1 : -1;
    return x->even > y->even ? 1 : -1;
}

/* Fills in edges [ceil(t / 2)]: `first_odd` odd tokens at the start are no targets. */
static void find_edges(tsr_operation *o, const float *metric, int64_t t, int64_t dim,
                       int64_t first_odd, edge *edges) {
    const tsr_row_view even = {metric, 2 * dim, (t + 1) / 2, dim};
    const tsr_row_view odd = {metric + dim, 2 * dim, t / 2, dim};
    int32_t *match = tsr_operation_take_raw(o, even.n, sizeof *match, "odd tokens");
    float *cosine = tsr_operation_take_raw(o, even.n, sizeof *cosine, "cosines");
    tsr_best_matches(o, &even, &odd, first_odd, false, match, cosine);
    for (int64_t i = 0; i < even.n && !o->status; ++i)
        edges[i] = (edge){cosine[i], (int32_t)(2 * i), 2 * match[i] + 1};
}

/* ---- one step ---- */

static void identity(tsr_match *m, int64_t t) {
    m->rows = t;
    for (int64_t i = 0; i < t; ++i)
        m->map[i] = (int32_t)i;
}

/* Gives the tokens that stay their places: the even ones in the order of m->kept, then the odd
 * ones; a distillation token comes second. */
static void number_rows(tsr_match *m, int64_t t, bool distill_token) {
    const int64_t odd = t / 2, second = distill_token && m->unmerged > 0;
    for (int64_t i = 0; i < m->unmerged; ++i)
        m->map[m->kept[i]] = (int32_t)(i + (second && i > 0));
    for (int64_t j = 0; j < odd; ++j)
        m->map[2 * j + 1] = (int32_t)(second && j == 0 ? 1 : m->unmerged + j);
    for (int64_t i = 0; i < m->merged; ++i)
        m->map[m->from[i]] = m->map[m->into[i]];
    m->rows = m->unmerged + odd;
}

/* Runs with arrays of its own, which are given back before it returns: matchings are made in
 * loops. */
static void match(tsr_operation *o, const float *metric, int64_t t, int64_t dim,
                  tsr_matching wanted, tsr_match *m) {
    const int64_t even = (t + 1) / 2;
    tsr_operation inner = *o;
    inner.scratch = (tsr_scratch){.ctx = o->ctx, .reuse = true};
    edge *edges = tsr_operation_take(&inner, even, sizeof *edges, "pairs");
    find_edges(&inner, metric, t, dim, wanted.distill_token, edges);
    if (!inner.status) {
        if (wanted.class_token) edges[0].cosine = -INFINITY;
        qsort(edges, (size_t)even, sizeof *edges, closest_first);
        for (int64_t i = 0; i < m->merged; ++i) {
            m->from[i] = edges[i].even;
            m->into[i] = edges[i].odd;
        }
        for (int64_t i = 0; i < m->unmerged; ++i)
            m->kept[i] = edges[m->merged + i].even;
        if (wanted.class_token) tsr_select_sort(m->kept, m->unmerged);
        number_rows(m, t, wanted.distill_token);
    }
    tsr_scratch_free(&inner.scratch);
    o->status = inner.status;
}

tsr_match tsr_bipartite_match(tsr_operation *o, const float *metric, int64_t t, int64_t dim,
                              tsr_matching wanted) {
    const int64_t kept = wanted.class_token + (int64_t)wanted.distill_token, even = (t + 1) / 2;
    const bool targets = t / 2 > (int64_t)wanted.distill_token; /* odd tokens to merge into */
    const int64_t most = !targets ? 0 : wanted.whole_half ? even : (t - kept) / 2;
    tsr_match m = {.merged = wanted.r < most ? wanted.r : most};
    m.unmerged = m.merged ? even - m.merged : 0;
    m.map = tsr_operation_take(o, t, sizeof *m.map, "map");
    m.from = tsr_operation_take(o, m.merged, sizeof *m.from, "pairs");
    m.into = tsr_operation_take(o, m.merged, sizeof *m.into, "pairs");
    m.kept = tsr_operation_take(o, m.unmerged, sizeof *m.kept, "unmerged tokens");
    if (o->status) return (tsr_match){0};
    if (!m.merged)
        identity(&m, t);
    else
        match(o, metric, t, dim, wanted, &m);
    return o->status ? (tsr_match){0} : m;
}

/* ---- steps ---- */

/* Sizes of the groups: to [rows]. */
static void add_sizes(const float *sizes, int64_t t, const int32_t *map, float *to) {
    for (int64_t i = 0; i < t; ++i)
        to[map[i]] += sizes[i];
}

const float *tsr_bipartite_halve(tsr_operation *o, const float *x, const float *sizes, int64_t t,
                                 int64_t dim, int64_t target, bool forget, int32_t *map,
                                 int32_t *levels, int *level_count) {
    const int64_t n = t;
    int count = 0;
    if (o->status) return NULL;
    for (int64_t i = 0; i < n; ++i)
        map[i] = (int32_t)i;
    for (;;) {
        if (levels) levels[count++] = (int32_t)t;
        const int64_t r =
            forget && t > target && t / 2 <= target ? t - target : tsr_halving_step(t, target);
        if (!r) break;
        const tsr_match m =
            tsr_bipartite_match(o, x, t, dim, (tsr_matching){.r = r, .whole_half = forget});
        float *y = tsr_operation_take(o, m.rows * dim, sizeof *y, "features");
        float *size = tsr_operation_take(o, m.rows, sizeof *size, "sizes");
        tsr_average(o, x, t, dim, forget ? NULL : sizes, m.map, m.rows, y);
        if (o->status) return NULL;
        add_sizes(sizes, t, m.map, size);
        for (int64_t i = 0; i < n; ++i)
            map[i] = m.map[map[i]];
        x = y;
        sizes = size;
        t = m.rows;
    }
    if (level_count) *level_count = count;
    return o->status ? NULL : x;
}

/* ---- bipartite-merge ---- */

/* What tokens are compared by: [k, *dim]. */
static const float *read_metric(tsr_operation *o, int64_t *dim) {
    *dim = o->in->channels;
    if (tsr_operation_is(o, "metric", "features") ||
        (tsr_operation_is(o, "metric", "auto") && !tsr_operation_has_column(o, "keys")))
        return o->in->features;
    const tsr_token_array keys =
        tsr_operation_column(o, "keys", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
    *dim = keys.dim[1];
    return keys.data;
}

#define METRIC                                                                                     \
    {                                                                                              \
        "metric", TSR_PARAMETER_CHOICE, "auto", 0, 0, "auto|keys|features",                        \
            "what cosines are of; auto: the column keys where there is one"                        \
    }

static void bipartite_merge(tsr_operation *o) {
    int64_t dim = 0;
    const float *metric = read_metric(o, &dim);
    const tsr_matching wanted = {.r = tsr_operation_integer(o, "r"),
                                 .class_token = tsr_operation_is(o, "class_token", "yes"),
                                 .distill_token = tsr_operation_is(o, "distill_token", "yes")};
    const tsr_match m = tsr_bipartite_match(o, metric, o->in->count, dim, wanted);
    if (o->status) return;
    tsr_operation_trace_i32(o, "unmerged", m.kept, m.unmerged);
    tsr_operation_trace_i32(o, "merged", m.from, m.merged);
    tsr_operation_trace_i32(o, "merged_into", m.into, m.merged);
    tsr_operation_merge(o, m.map, m.rows, NULL);
}

const tsr_operator tsr_operator_bipartite_merge = {
    .info =
        {.name = "bipartite-merge",
         .kind = TSR_OPERATOR_MERGE,
         .about = "merges the r even tokens that are most similar to an odd one into it",
         .formula =
             "each even token takes the odd one with the largest cosine; the r pairs of largest "
             "cosine merge, at most floor((N - protected) / 2): x = sum s x / sum s, s = sum s. "
             "Order: even tokens that remain by falling cosine (ascending with a class token), "
             "then "
             "odd ones",
         .source = "ToMe (facebookresearch/ToMe @ af95e4b), as in TinyChart, AuroraCap, B-VLLM and "
                   "QuoTA",
         .differs = "the order of equal cosines is not defined; here the lowest odd token "
                    "and the lowest even token come first. Published unmerge does not undo the "
                    "reordering made for a distillation token; here unmerging follows the map of "
                    "source tokens",
         .cost = "N^2 D / 4 multiply-adds; a tile of cosines at a time, no N x N matrix",
         .columns = "keys"},
    .parameters = {{"r", TSR_PARAMETER_INTEGER, NULL, 0, 2147483647, NULL, "pairs to merge"},
                   METRIC,
                   {"class_token", TSR_PARAMETER_CHOICE, "no", 0, 0, "no|yes",
                    "token 0 never merges"},
                   {"distill_token", TSR_PARAMETER_CHOICE, "no", 0, 0, "no|yes",
                    "token 1 is never merged into, and stays second"}},
    .apply = bipartite_merge,
    .record = tsr_record_bipartite_merge,
};

/* ---- halving-merge ---- */

static void halving_merge(tsr_operation *o) {
    const int64_t n = o->in->count, target = tsr_operation_integer(o, "target");
    const bool forget = tsr_operation_is(o, "variant", "published");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map"), levels[64];
    int count = 0;
    if (!o->status && target > n)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "target: wanted 1..%lld tokens, got %lld",
                           (long long)n, (long long)target);
    const float *features = tsr_bipartite_halve(
        o, o->in->features, o->in->sizes, n, o->in->channels, target, forget, map, levels, &count);
    tsr_operation_trace_i32(o, "levels", levels, count);
    tsr_operation_merge(o, map, target, features);
}

const tsr_operator tsr_operator_halving_merge = {
    .info = {.name = "halving-merge",
             .kind = TSR_OPERATOR_MERGE,
             .about = "merges tokens in halves down to a number of them",
             .formula =
                 "while floor(t / 2) > target: bipartite-merge of floor(t / 2) pairs; then of "
                 "t - target pairs; features are the metric",
             .source =
                 "B-VLLM (zhuqiangLu/B-VLLM @ 51ccbf0, multi_layer_merge); QuoTA's reducer v4",
             .differs =
                 "every level averages as if all tokens had size 1, so that the "
                 "result is not the mean of the sources, and an odd t may merge all its even "
                 "tokens. Here sizes are carried through, and a step merges at most "
                 "floor(t / 2) pairs",
             .cost = "about N^2 D / 3 multiply-adds; no N x N matrix",
             .columns = NULL},
    .parameters = {{"target", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "tokens to reach"},
                   {"variant", TSR_PARAMETER_CHOICE, "sizes", 0, 0, "sizes|published",
                    "whether sizes weigh in every level"}},
    .apply = halving_merge,
    .record = tsr_record_halving_merge,
};
