/* SPDX-License-Identifier: MIT */
/* recorded_merge.c: recorded operators that merge tokens. */
#include "halving.h"
#include "recorded.h"
#include "select.h"

#include <math.h>

/* ---- bipartite soft matching ---- */

/* What tokens are compared by: [count, any]. */
static tsr_tensor *find_metric(tsr_recorded *x) {
    if (tsr_operation_is(x->o, "metric", "features") ||
        (tsr_operation_is(x->o, "metric", "auto") && !tsr_recorded_has(x, "keys")))
        return x->features;
    return tsr_recorded_find(x, "keys", TSR_TOKEN_AXIS_FIRST, 2);
}

/* Every second row of x [n, width], beginning with `first`. */
static tsr_tensor *every_second(tsr_recorded *x, tsr_tensor *rows, int64_t first, int64_t n) {
    int32_t *list = tsr_operation_take(x->o, n, sizeof *list, "tokens");
    for (int64_t i = 0; i < n && list; ++i)
        list[i] = (int32_t)(first + 2 * i);
    if (!list) {
        tsr_recorded_decline(x);
        return NULL;
    }
    return tsr_gather_rows(x->run, rows, tsr_constant(x->run, TSR_DTYPE_I32, 1, &n, list));
}

/* Numbers of even tokens, or of odd ones, as numbers of tokens: 2 i + odd. */
static tsr_tensor *as_tokens(tsr_recorded *x, tsr_tensor *numbers, int64_t count, int odd) {
    int32_t *list = tsr_operation_take(x->o, count, sizeof *list, "tokens");
    for (int64_t i = 0; i < count && list; ++i)
        list[i] = (int32_t)(2 * i + odd);
    if (!list) {
        tsr_recorded_decline(x);
        return numbers;
    }
    tsr_tensor *table = tsr_constant(x->run, TSR_DTYPE_I32, 2, (int64_t[]){count, 1}, list);
    return tsr_reshape(x->run, tsr_gather_rows(x->run, table, numbers), 1,
                       (int64_t[]){tsr_elements(numbers)});
}

/* Traces of the matching, as `apply` tells them. */
static void trace_pairs(tsr_recorded *x, tsr_tensor *order, tsr_tensor *odd, int64_t even,
                        int64_t merged) {
    tsr_tensor *list = tsr_reshape(x->run, order, 3, (int64_t[]){1, even, 1});
    tsr_tensor *from = tsr_reshape(x->run, tsr_slice_rows(x->run, list, 0, merged), 1, &merged);
    if (even > merged) {
        const int64_t rest = even - merged;
        tsr_tensor *stay = tsr_slice_rows(x->run, list, merged, rest);
        tsr_recorded_trace(x, "unmerged", TSR_ARRAY_I32,
                           as_tokens(x, tsr_reshape(x->run, stay, 1, &rest), even, 0));
    } else if (x->tells)
        tsr_operation_trace_i32(x->o, "unmerged", NULL, 0);
    tsr_tensor *into = tsr_gather_rows(x->run, tsr_reshape(x->run, odd, 2, (int64_t[]){even, 1}),
                                       from); /* [merged, 1] */
    tsr_recorded_trace(x, "merged", TSR_ARRAY_I32, as_tokens(x, from, even, 0));
    tsr_recorded_trace(x, "merged_into", TSR_ARRAY_I32,
                       as_tokens(x, tsr_reshape(x->run, into, 1, &merged), x->count / 2, 1));
}

/* A matching of t tokens. */
typedef struct matching {
    tsr_tensor *order; /* I32 [even] even tokens, those with the most similar odd one first */
    tsr_tensor *odd;   /* I32 [even] the odd one of each */
    tsr_tensor *map;   /* I32 [t] */
} matching;

/* Matches even rows of metric [t, any] with odd ones; the `merged` most similar pairs merge. */
static matching match(tsr_recorded *x, tsr_tensor *metric, int64_t t, int64_t merged) {
    const int64_t even = (t + 1) / 2;
    matching m = {0};
    tsr_tensor *rows = tsr_recorded_unit(x, metric), *margin;
    tsr_tensor *a = every_second(x, rows, 0, even), *b = every_second(x, rows, 1, t / 2);
    if (x->declined) return m;
    /* Of unit rows the nearest is the one of largest cosine. */
    m.odd = tsr_nearest_code(x->run, a, b, NULL, TSR_METRIC_EUCLID, &margin);
    tsr_tensor *pairs = tsr_binary(x->run, a, tsr_gather_rows(x->run, b, m.odd), TSR_BINARY_MUL);
    tsr_tensor *cosine = tsr_reduce(x->run, pairs, TSR_REDUCE_SUM); /* [even, 1] */
    m.order = tsr_top_k(x->run, cosine, even, TSR_ORDER_FALLING, NULL);
    m.map = tsr_match_map(x->run, m.order, m.odd, t, merged);
    const double bound = tsr_recorded_cosine_bound(tsr_cols(metric));
    if (t / 2 > 1) tsr_recorded_margins(x, margin, 2 * bound); /* of squared distances */
    tsr_recorded_falling(x, tsr_gather_rows(x->run, cosine, m.order), bound, 0);
    return m;
}

void tsr_record_bipartite_merge(tsr_recorded *x) {
    const int64_t t = x->count, r = tsr_operation_integer(x->o, "r");
    const int64_t merged = r < t / 2 ? r : t / 2;
    tsr_tensor *metric = find_metric(x);
    if (merged < 1 || !tsr_operation_is(x->o, "class_token", "no") ||
        !tsr_operation_is(x->o, "distill_token", "no"))
        tsr_recorded_decline(x);
    if (x->declined) return;
    const matching m = match(x, metric, t, merged);
    if (x->declined) return;
    trace_pairs(x, m.order, m.odd, (t + 1) / 2, merged);
    tsr_recorded_merge(x, m.map, t - merged);
}

void tsr_record_halving_merge(tsr_recorded *x) {
    const int64_t n = x->count, target = tsr_operation_integer(x->o, "target");
    tsr_tensor *rows = x->features, *sizes = x->sizes, *map = NULL;
    int32_t levels[64];
    int count = 0;
    int64_t t = n;
    if (x->o->status || target >= n || !tsr_operation_is(x->o, "variant", "sizes"))
        tsr_recorded_decline(x);
    for (int64_t r; !x->declined && (levels[count++] = (int32_t)t, r = tsr_halving_step(t, target));
         t -= r) {
        const matching m = match(x, rows, t, r);
        if (x->declined) return;
        rows = tsr_group_mean(x->run, rows, sizes, m.map, t - r);
        sizes = tsr_segment_sum(x->run, tsr_reshape(x->run, sizes, 2, (int64_t[]){t, 1}), m.map,
                                t - r, NULL);
        sizes = tsr_reshape(x->run, sizes, 1, (int64_t[]){t - r});
        map = map ? tsr_reshape(x->run,
                                tsr_gather_rows(
                                    x->run, tsr_reshape(x->run, m.map, 2, (int64_t[]){t, 1}), map),
                                1, &n)
                  : m.map;
    }
    if (x->declined) return;
    if (x->tells) tsr_operation_trace_i32(x->o, "levels", levels, count);
    tsr_recorded_merge(x, map, target);
}

/* ---- density peaks ---- */

/* Number of clusters, as `apply` counts it; declines where the parameters name none. */
static int64_t count_centres(tsr_recorded *x) {
    if (tsr_operation_has(x->o, "k") || !tsr_operation_has(x->o, "ratio")) {
        const int64_t k = tsr_select_count(x->o, x->count);
        if (k < 1 || x->o->status) tsr_recorded_decline(x);
        return k;
    }
    const int64_t k = (int64_t)ceil((double)x->count * tsr_operation_number(x->o, "ratio"));
    return k < 1 ? 1 : k;
}

void tsr_record_dpc_knn(tsr_recorded *x) {
    const int64_t n = x->count, count = count_centres(x);
    int64_t k = tsr_operation_integer(x->o, "neighbours");
    if (k > count) k = count / 2 > 3 ? 3 : count / 2 > 1 ? count / 2 : 1;
    if (k > n) k = n;
    if (!tsr_recorded_pairs_fit(x, x->channels)) tsr_recorded_decline(x);
    if (x->declined) return;
    tsr_tensor *squares = tsr_square_distances(x->run, x->features, x->features);
    const tsr_peaks peaks = tsr_density_peaks(x->run, squares, x->channels, k);
    tsr_tensor *centres = tsr_top_k(x->run, peaks.score, count, TSR_ORDER_FALLING, NULL);
    tsr_tensor *list =
        tsr_gather_rows(x->run, tsr_reshape(x->run, peaks.score, 2, (int64_t[]){n, 1}), centres);
    tsr_recorded_falling(x, list, 0, (double)(x->channels + 4) * 0x1p-24);
    tsr_recorded_trace(x, "centres", TSR_ARRAY_I32, centres);
    tsr_recorded_trace(x, "density", TSR_ARRAY_F32, peaks.density);
    tsr_recorded_trace(x, "delta", TSR_ARRAY_F32, peaks.delta);
    tsr_recorded_merge(x, tsr_join_centres(x->run, squares, centres), count);
}
