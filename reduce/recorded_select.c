/* SPDX-License-Identifier: MIT */
/* recorded_select.c: recorded operators that score tokens and keep some of them. */
#include "recorded.h"
#include "select.h"

#include <math.h>

/* Share of a score by which sums of f32 may be off. */
#define ROUNDING 0x1p-20

/* Number of tokens to keep; declines where the parameters name none. */
static int64_t count_kept(tsr_recorded *x) {
    const int64_t k = tsr_select_count(x->o, x->count);
    if (k < 1 || x->o->status) tsr_recorded_decline(x);
    return x->declined ? 1 : k;
}

/* The k highest scores [count] stay. */
static void keep_best(tsr_recorded *x, tsr_tensor *score, int64_t k) {
    tsr_tensor *edge;
    tsr_tensor *index = tsr_top_k(x->run, score, k, TSR_ORDER_ASCENDING, &edge);
    tsr_recorded_falling(x, edge, 0, ROUNDING);
    tsr_recorded_keep(x, index);
}

/* ---- attention of a class token ---- */

/* Means of attention [rows, n] over its rows: [n]. */
static tsr_tensor *mean_over_rows(tsr_recorded *x, tsr_tensor *attention) {
    tsr_tensor *mean =
        tsr_reduce(x->run, tsr_transpose(x->run, attention), TSR_REDUCE_MEAN); /* [n, 1] */
    return tsr_reshape(x->run, mean, 1, (int64_t[]){x->count});
}

void tsr_record_cls_attention_topk(tsr_recorded *x) {
    tsr_tensor *attention = tsr_recorded_find(x, "attention", TSR_TOKEN_AXIS_LAST, 2);
    const int64_t k = count_kept(x);
    if (x->declined) return;
    tsr_tensor *score = mean_over_rows(x, attention);
    tsr_recorded_trace(x, "score", TSR_ARRAY_F32, score);
    keep_best(x, score, k);
}

void tsr_record_cls_sum_topk(tsr_recorded *x) {
    tsr_tensor *attention = tsr_recorded_find(x, "attention", TSR_TOKEN_AXIS_LAST, 3);
    const int64_t k = count_kept(x), start = tsr_operation_integer(x->o, "start");
    if (x->declined) return;
    const int64_t layers = attention->dim[0], heads = attention->dim[1], used = layers - 1 - start;
    if (used < 1) {
        tsr_recorded_decline(x);
        return;
    }
    tsr_tensor *rows = tsr_reshape(x->run, attention, 2, (int64_t[]){layers * heads, x->count});
    tsr_tensor *score =
        mean_over_rows(x, tsr_slice_rows(x->run, rows, start * heads, used * heads));
    score = tsr_scale(x->run, score, (float)used, 0); /* a mean over heads, a sum over layers */
    tsr_recorded_trace(x, "score", TSR_ARRAY_F32, score);
    keep_best(x, score, k);
}

/* ---- scores ---- */

/* a b^T of rows [m, width] and [n, width]: [m, n]. */
static tsr_tensor *products(tsr_recorded *x, tsr_tensor *a, tsr_tensor *b) {
    const int64_t m = tsr_rows(a), n = tsr_rows(b), width = tsr_cols(a);
    tsr_tensor *y =
        tsr_attention_scores(x->run, tsr_reshape(x->run, a, 3, (int64_t[]){1, m, width}),
                             tsr_reshape(x->run, b, 3, (int64_t[]){1, n, width}), 1, 1);
    return tsr_reshape(x->run, y, 2, (int64_t[]){m, n});
}

/* Unit rows of the column "text" [rows, channels]. */
static tsr_tensor *unit_text(tsr_recorded *x) {
    const tsr_token_array text = tsr_recorded_table(x, "text", 2);
    if (!x->declined && text.dim[1] != x->channels) tsr_recorded_decline(x);
    if (x->declined) return NULL;
    return tsr_recorded_unit(x, tsr_constant(x->run, TSR_DTYPE_F32, 2, text.dim, text.data));
}

void tsr_record_query_relevance(tsr_recorded *x) {
    tsr_tensor *text = unit_text(x);
    const bool mean = tsr_operation_is(x->o, "words", "mean");
    if (x->declined) return;
    tsr_tensor *cosine = products(x, tsr_recorded_unit(x, x->features), text); /* [n, rows] */
    tsr_tensor *score = tsr_reduce(x->run, cosine, mean ? TSR_REDUCE_MEAN : TSR_REDUCE_MAX);
    if (tsr_operation_is(x->o, "range", "unit")) score = tsr_scale(x->run, score, 0.5f, 0.5f);
    score = tsr_reshape(x->run, score, 1, &x->count);
    tsr_recorded_keep_all(x);
    tsr_recorded_attach(x, "scores", score);
    tsr_recorded_trace(x, "score", TSR_ARRAY_F32, score);
}

void tsr_record_score_topk(tsr_recorded *x) {
    tsr_tensor *score = tsr_recorded_find(x, "scores", TSR_TOKEN_AXIS_FIRST, 1);
    const int64_t k = count_kept(x);
    if (tsr_operation_integer(x->o, "even")) tsr_recorded_decline(x);
    if (!x->declined) keep_best(x, score, k);
}

/* ---- far from each other ---- */

/* Keeps picks in the order of tokens. */
static void keep_picks(tsr_recorded *x, const tsr_picks *picks, double bound) {
    tsr_recorded_trace(x, "order", TSR_ARRAY_I32, picks->order);
    tsr_recorded_margins(x, picks->margin, bound);
    tsr_recorded_keep(x, tsr_sort_ids(x->run, picks->order));
}

/* Half the squared distance of unit rows is 1 - cosine, exactly 0 for copies. */
static tsr_picks pick_far(tsr_recorded *x, tsr_farthest_rule rule, int64_t first, int64_t k) {
    if (!tsr_recorded_pairs_fit(x, x->channels) || first >= x->count) tsr_recorded_decline(x);
    if (x->declined) return (tsr_picks){0};
    tsr_tensor *unit = tsr_recorded_unit(x, x->features);
    tsr_tensor *distance = tsr_scale(x->run, tsr_square_distances(x->run, unit, unit), 0.5f, 0);
    return tsr_pick_farthest(x->run, distance, rule, first, k);
}

void tsr_record_diverse_maxmin(tsr_recorded *x) {
    const int64_t k = count_kept(x);
    if (tsr_operation_is(x->o, "variant", "published")) tsr_recorded_decline(x);
    const tsr_picks picks = pick_far(x, TSR_FARTHEST_MAXMIN, -1, k);
    if (x->declined) return;
    tsr_recorded_trace(x, "distance", TSR_ARRAY_F32, picks.at);
    keep_picks(x, &picks, tsr_recorded_cosine_bound(x->channels));
}

/* at [k] with 0 in the first place, which is no distance. */
static tsr_tensor *without_first(tsr_recorded *x, tsr_tensor *at, int64_t k) {
    const float zero = 0;
    tsr_tensor *none = tsr_constant(x->run, TSR_DTYPE_F32, 3, (int64_t[]){1, 1, 1}, &zero);
    if (k == 1) return tsr_reshape(x->run, none, 1, &k);
    tsr_tensor *rest =
        tsr_slice_rows(x->run, tsr_reshape(x->run, at, 3, (int64_t[]){1, k, 1}), 1, k - 1);
    return tsr_reshape(x->run, tsr_concat_rows(x->run, none, rest), 1, &k);
}

void tsr_record_diverse_kcentre(tsr_recorded *x) {
    const int64_t k = count_kept(x), first = tsr_operation_integer(x->o, "first");
    const tsr_picks picks = pick_far(x, TSR_FARTHEST_KCENTRE, first, k);
    if (x->declined) return;
    /* The farthest of what was not picked; nothing is farther than -infinity where all were. */
    tsr_tensor *radius = tsr_reduce(x->run, picks.score, TSR_REDUCE_MAX); /* [1] */
    const float zero = 0;
    radius =
        tsr_binary(x->run, radius, tsr_constant(x->run, TSR_DTYPE_F32, 1, (int64_t[]){1}, &zero),
                   TSR_BINARY_MAX);
    tsr_recorded_trace(x, "distance", TSR_ARRAY_F32, without_first(x, picks.at, k));
    tsr_recorded_trace(x, "radius", TSR_ARRAY_F64, radius);
    keep_picks(x, &picks, tsr_recorded_cosine_bound(x->channels));
}

void tsr_record_diverse_maxsum(tsr_recorded *x) {
    const int64_t k = count_kept(x);
    const tsr_picks picks = pick_far(x, TSR_FARTHEST_MAXSUM, -1, k);
    if (x->declined) return;
    keep_picks(x, &picks, tsr_recorded_cosine_bound(x->channels));
}

/* ---- coverage ---- */

/* Rows of what tokens cover, [n, n + texts]: each column is a token or a text, and a softmax over
 * tokens times its weight. */
static tsr_tensor *covered(tsr_recorded *x, tsr_tensor *encoder, tsr_tensor *text) {
    const double alpha = tsr_operation_number(x->o, "alpha"),
                 vision = tsr_operation_number(x->o, "temperature_vision"),
                 words = tsr_operation_number(x->o, "temperature_text");
    tsr_tensor *unit = tsr_recorded_unit(x, encoder);
    tsr_tensor *rows = tsr_scale(x->run, products(x, unit, unit), (float)(1 / vision), 0);
    rows = tsr_scale(x->run, tsr_softmax(x->run, rows), (float)(alpha / (double)x->count), 0);
    if (text) {
        const int64_t texts = tsr_rows(text);
        tsr_tensor *more = products(x, text, tsr_recorded_unit(x, x->features)); /* [texts, n] */
        more = tsr_softmax(x->run, tsr_scale(x->run, more, (float)(1 / words), 0));
        more = tsr_scale(x->run, more, (float)(1 / (double)texts), 0);
        rows = tsr_concat_rows(x->run,
                               tsr_reshape(x->run, rows, 3, (int64_t[]){1, x->count, x->count}),
                               tsr_reshape(x->run, more, 3, (int64_t[]){1, texts, x->count}));
        rows = tsr_reshape(x->run, rows, 2, (int64_t[]){x->count + texts, x->count});
    }
    return tsr_transpose(x->run, rows);
}

void tsr_record_coverage_greedy(tsr_recorded *x) {
    const int64_t k = count_kept(x);
    tsr_tensor *encoder = tsr_recorded_has(x, "encoder")
                              ? tsr_recorded_find(x, "encoder", TSR_TOKEN_AXIS_FIRST, 2)
                              : x->features;
    tsr_tensor *text = tsr_recorded_has(x, "text") ? unit_text(x) : NULL;
    if (tsr_operation_has(x->o, "exclude")) tsr_recorded_decline(x);
    if (!x->declined && !tsr_recorded_pairs_fit(x, tsr_cols(encoder))) tsr_recorded_decline(x);
    if (x->declined) return;
    const tsr_picks picks = tsr_cover(x->run, covered(x, encoder, text), k);
    /* A gain is a sum of parts of at most 1 + alpha in all. */
    const double bound =
        ROUNDING * 0.25 * (1 + tsr_operation_number(x->o, "alpha")) / (double)x->count;
    keep_picks(x, &picks, bound);
    tsr_recorded_trace(x, "gain", TSR_ARRAY_F32, picks.at);
}
