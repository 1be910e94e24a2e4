/* SPDX-License-Identifier: MIT */
/* keep_scores.c: tokens kept by the numbers that stand beside them, the column "scores". */
#include "../compute/threads.h"
#include "give_scores.h"
#include "recorded.h"
#include "select.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- score-topk ---- */

/* Marks `count` tokens spread evenly over the raster order: the middles of equal parts. */
static void mark_even(uint8_t *kept, int64_t n, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
        kept[(2 * i + 1) * n / (2 * count)] = 1;
}

static void score_topk(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n),
                  even = tsr_operation_integer(o, "even");
    const float *score = tsr_read_scores(o);
    if (!o->status && even > k)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "even: wanted at most the %lld tokens that stay, got %lld", (long long)k,
                           (long long)even);
    uint8_t *kept = tsr_operation_take(o, n, 1, "marks");
    float *rest = tsr_operation_take(o, n, sizeof *rest, "scores");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    if (o->status) return;
    mark_even(kept, n, even);
    for (int64_t i = 0; i < n; ++i) /* those that stay anyway come first */
        rest[i] = kept[i] ? INFINITY : score[i];
    tsr_select_top(o, rest, n, k, index);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_score_topk = {
    .info = {.name = "score-topk",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens with the highest scores, and if asked some everywhere",
             .formula = "`even` tokens floor((2i + 1) N / (2 even)) stay whatever their score; the "
                        "highest scores fill up to k, in the order of tokens",
             .source = "BUS, ATP-LLaVA and LVLM_CSP keep tokens so; their code is not public",
             .differs = NULL,
             .cost = "N log N comparisons",
             .columns = "scores"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"even", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "of these k, tokens spread evenly over the picture"}},
    .apply = score_topk,
    .record = tsr_record_score_topk,
};

/* ---- score-rows ---- */

static void score_rows(tsr_operation *o) {
    const float *score = tsr_read_scores(o);
    const int64_t *grid = tsr_operation_grid(o);
    const int64_t rows = grid[0] * grid[1], columns = grid[2],
                  k = o->status ? 0 : tsr_select_count(o, rows);
    float *sum = tsr_operation_take(o, rows, sizeof *sum, "sums of rows");
    int32_t *row = tsr_operation_take(o, rows, sizeof *row, "rows"),
            *index = tsr_operation_take(o, k * columns, sizeof *index, "indices");
    if (o->status) return;
    for (int64_t r = 0; r < rows; ++r) {
        double all = 0;
        for (int64_t c = 0; c < columns; ++c)
            all += (double)score[r * columns + c];
        sum[r] = (float)all;
    }
    tsr_select_top(o, sum, rows, k, row);
    if (o->status) return;
    for (int64_t i = 0; i < k * columns; ++i)
        index[i] = (int32_t)(row[i / columns] * columns + i % columns);
    tsr_operation_keep(o, index, k * columns);
    if (grid[0] == 1) tsr_operation_on_grid(o, 1, k, columns);
    tsr_operation_trace_f32(o, "sum_of_row", sum, rows);
    tsr_operation_trace_i32(o, "rows", row, k);
}

const tsr_operator tsr_operator_score_rows = {
    .info = {.name = "score-rows",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps whole rows of the grid, those with the highest sums of scores",
             .formula = "sum of scores over each row of the grid (rows of all frames compete); the "
                        "k highest rows stay, in their order",
             .source = "in the manner of FoPru (row), whose code is not public; its rank is "
                       "cls-attention-topk or score-topk",
             .differs = NULL,
             .cost = "N additions",
             .columns = "scores"},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = score_rows,
};

/* ---- score-quota ---- */

typedef struct member {
    int32_t cluster, index;
    float score;
} member;
static int best_of_cluster_first(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->cluster != y->cluster) return x->cluster < y->cluster ? -1 : 1;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static void score_quota(tsr_operation *o) {
    const int64_t n = o->in->count, each = tsr_operation_integer(o, "each");
    const float *score = tsr_read_scores(o);
    const int32_t *cluster =
        tsr_operation_column(o, "clusters", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1).data;
    member *list = tsr_operation_take(o, n, sizeof *list, "members");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i)
        list[i] = (member){cluster[i], (int32_t)i, score[i]};
    qsort(list, (size_t)n, sizeof *list, best_of_cluster_first);
    int64_t k = 0, taken = 0;
    for (int64_t i = 0; i < n; ++i) {
        taken = i && list[i].cluster == list[i - 1].cluster ? taken + 1 : 1;
        if (taken <= each && list[i].cluster >= 0) index[k++] = list[i].index;
    }
    tsr_select_sort(index, k);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_score_quota = {
    .info = {.name = "score-quota",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the best tokens of each cluster, as many of one as of another",
             .formula = "of each number in clusters, the `each` highest scores, in the order of "
                        "tokens; tokens with a negative number belong to no cluster and go",
             .source = "in the manner of LVLM_CSP (a quota for each instance), whose code is not "
                       "public",
             .differs = NULL,
             .cost = "N log N comparisons",
             .columns = "scores clusters"},
    .parameters = {{"each", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "most tokens of a cluster"}},
    .apply = score_quota,
};

/* ---- score-threshold ---- */

static double sigmoid_sum(const float *score, int64_t n, double t, double tau) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += 1 / (1 + exp(-((double)score[i] - t) / tau));
    return sum;
}

/* The threshold at which soft marks add up to rho N, by halving an interval that holds it. */
static double bisect(const float *score, int64_t n, double rho, double tau) {
    enum { STEPS = 100 }; /* more than float64 has bits */
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; ++i) {
        low = fmin(low, (double)score[i]);
        high = fmax(high, (double)score[i]);
    }
    low -= 64 * tau;
    high += 64 * tau;
    for (int i = 0; i < STEPS; ++i) {
        const double middle = low + (high - low) / 2;
        if (sigmoid_sum(score, n, middle, tau) > rho * (double)n)
            low = middle;
        else
            high = middle;
    }
    return low + (high - low) / 2;
}

static void score_threshold(tsr_operation *o) {
    const int64_t n = o->in->count;
    const float *score = tsr_read_scores(o);
    double t = 0, sum = 0;
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    for (int64_t i = 0; i < n && !o->status; ++i)
        sum += (double)score[i];
    if (tsr_operation_is(o, "by", "soft-share")) {
        const double rho = tsr_operation_number(o, "rho"), tau = tsr_operation_number(o, "tau");
        if (!o->status) t = bisect(score, n, rho, tau);
    } else {
        const double times = tsr_operation_number(o, "t");
        t = tsr_operation_is(o, "by", "mean") ? times * sum / (double)n : times;
    }
    if (o->status) return;
    int64_t k = 0;
    for (int64_t i = 0; i < n; ++i)
        if ((double)score[i] > t) index[k++] = (int32_t)i;
    if (!k)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted at least one score above the threshold %g, got none", t);
    tsr_operation_keep(o, index, k);
    tsr_operation_trace_f64(o, "threshold", &t, 1);
}

const tsr_operator tsr_operator_score_threshold = {
    .info = {.name = "score-threshold",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens whose score is above a threshold",
             .formula = "by=value: t; by=mean: t times the mean score; by=soft-share: the t with "
                        "sum_i sigmoid((score_i - t) / tau) = rho N, found by bisection in float64",
             .source = "QTSplus (threshold of a share); in the manner of ATP-LLaVA, whose "
                       "thresholds are learned and are given here",
             .differs = NULL,
             .cost = "100 N exponentials with soft-share",
             .columns = "scores"},
    .parameters = {{"by", TSR_PARAMETER_CHOICE, "value", 0, 0, "value|mean|soft-share",
                    "what t means"},
                   {"t", TSR_PARAMETER_NUMBER, NULL, -1e30, 1e30, NULL,
                    "threshold, or how many times the mean"},
                   {"rho", TSR_PARAMETER_NUMBER, NULL, 1e-9, 1, NULL,
                    "share of the tokens, with by=soft-share"},
                   {"tau", TSR_PARAMETER_NUMBER, "0.01", 1e-9, 1e6, NULL,
                    "softness, with by=soft-share"}},
    .apply = score_threshold,
};

/* ---- score-diverse ---- */

typedef struct nearest_work {
    const float *unit;
    double *nearest; /* [n] distance to the nearest picked token */
    int64_t n, dim;
    int32_t pick;
} nearest_work;
enum { TILE_TOKENS = 256 };

static void nearest_tile(void *arg, int64_t tile, int worker) {
    const nearest_work *w = arg;
    const float *pick = w->unit + w->pick * w->dim;
    (void)worker;
    for (int64_t i = tile * TILE_TOKENS; i < w->n && i < (tile + 1) * TILE_TOKENS; ++i) {
        const double d = 1 - tsr_dot(w->unit + i * w->dim, pick, w->dim);
        w->nearest[i] = fmin(w->nearest[i], d > 0 ? d : 0);
    }
}

static void score_diverse(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    const float *score = tsr_read_scores(o);
    float *unit = tsr_operation_take(o, n * o->in->channels, sizeof *unit, "unit rows");
    uint8_t *picked = tsr_operation_take(o, n, 1, "marks");
    int32_t *order = tsr_operation_take(o, k, sizeof *order, "order"),
            *index = tsr_operation_take(o, k, sizeof *index, "indices");
    nearest_work w = {.unit = unit, .n = n, .dim = o->in->channels};
    w.nearest = tsr_operation_take(o, n, sizeof *w.nearest, "distances");
    for (int64_t i = 0; i < n && !o->status; ++i) {
        if (score[i] < 0)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "column scores: token %lld: wanted a number not below 0, got %g",
                               (long long)i, (double)score[i]);
        else
            w.nearest[i] = 1; /* the first pick is the highest score */
    }
    tsr_unit_rows(o, o->in->features, n, w.dim, unit);
    for (int64_t p = 0; p < k && !o->status; ++p) {
        double best = -1;
        for (int64_t i = 0; i < n; ++i) {
            const double value = (double)score[i] * w.nearest[i];
            if (picked[i] || !(value > best)) continue;
            best = value;
            w.pick = (int32_t)i;
        }
        if (p == 0)
            for (int64_t i = 0; i < n; ++i)
                w.nearest[i] = INFINITY;
        picked[w.pick] = 1;
        order[p] = w.pick;
        tsr_parallel(o->ctx, (n + TILE_TOKENS - 1) / TILE_TOKENS, nearest_tile, &w);
    }
    if (o->status) return;
    memcpy(index, order, (size_t)k * sizeof *index);
    tsr_select_sort(index, k);
    tsr_operation_keep(o, index, k);
    tsr_operation_trace_i32(o, "order", order, k);
}

const tsr_operator tsr_operator_score_diverse = {
    .info = {.name = "score-diverse",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps tokens with high scores that are far from each other",
             .formula = "first the highest score, then argmax score_i min over picked j of (1 - "
                        "cos(x_i, x_j)); kept in the order of tokens",
             .source = "in the manner of ZOO-Prune (with sensitivity), F2C and CATP (with "
                       "query-relevance), whose code is not public",
             .differs = NULL,
             .cost = "k N D multiply-adds; no N x N matrix",
             .columns = "scores"},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = score_diverse,
};

/* ---- clip-topk ---- */

/* Clips of `tokens` tokens each; the last may have fewer. */
typedef struct clips {
    int64_t count, tokens;
} clips;
static int64_t begin_of(const clips *c, int64_t clip) {
    return clip * c->tokens;
}
static int64_t end_of(const tsr_operation *o, const clips *c, int64_t clip) {
    const int64_t end = (clip + 1) * c->tokens;
    return end < o->in->count ? end : o->in->count;
}

/* Cosine of the mean feature of each clip with the nearest row of text. */
static void score_by_features(tsr_operation *o, const clips *c, float *score) {
    const int64_t dim = o->in->channels;
    int64_t rows = 0, width = dim;
    const float *text = tsr_read_matrix(o, "text", &rows, &width);
    double *mean = tsr_operation_take(o, dim, sizeof *mean, "descriptors");
    float *unit = tsr_operation_take(o, (c->count + rows) * dim, sizeof *unit, "descriptors");
    if (o->status) return;
    for (int64_t clip = 0; clip < c->count; ++clip) {
        const int64_t from = begin_of(c, clip), to = end_of(o, c, clip);
        memset(mean, 0, (size_t)dim * sizeof *mean);
        for (int64_t i = from; i < to; ++i)
            for (int64_t d = 0; d < dim; ++d)
                mean[d] += (double)o->in->features[i * dim + d];
        for (int64_t d = 0; d < dim; ++d)
            unit[clip * dim + d] = (float)(mean[d] / (double)(to - from));
    }
    memcpy(unit + c->count * dim, text, (size_t)(rows * dim) * sizeof *unit);
    tsr_unit_rows(o, unit, c->count + rows, dim, unit);
    for (int64_t clip = 0; clip < c->count && !o->status; ++clip) {
        double best = -2;
        for (int64_t r = 0; r < rows; ++r)
            best = fmax(best, tsr_dot(unit + clip * dim, unit + (c->count + r) * dim, dim));
        score[clip] = (float)best;
    }
}

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}
static int32_t *sorted_copy(tsr_operation *o, const int32_t *id, int64_t n, int32_t *to) {
    if (o->status) return NULL;
    memcpy(to, id, (size_t)n * sizeof *to);
    qsort(to, (size_t)n, sizeof *to, ascending);
    return to;
}
/* How many of the ids from place i on are equal to the one there. */
static int64_t run_at(const int32_t *id, int64_t n, int64_t i) {
    int64_t end = i;
    while (end < n && id[end] == id[i])
        ++end;
    return end - i;
}

/* Cosine of two histograms, from sorted ids. */
static double histogram_cosine(const int32_t *a, int64_t n, const int32_t *b, int64_t m) {
    double aa = 0, bb = 0, ab = 0;
    int64_t i = 0, j = 0;
    while (i < n || j < m) {
        const bool from_a = i < n && (j == m || a[i] <= b[j]),
                   from_b = j < m && (i == n || b[j] <= a[i]);
        const int64_t x = from_a ? run_at(a, n, i) : 0, y = from_b ? run_at(b, m, j) : 0;
        aa += (double)x * (double)x;
        bb += (double)y * (double)y;
        ab += (double)x * (double)y;
        i += x;
        j += y;
    }
    return ab / sqrt(aa * bb);
}

/* Cosine of the histogram of ids of each clip with that of the query's ids. */
static void score_by_ids(tsr_operation *o, const clips *c, float *score) {
    const int32_t *id = tsr_read_ids(o);
    const tsr_token_array query = tsr_token_set_column(o->in, "query_ids");
    if (!o->status && (!query.name || query.type != TSR_ARRAY_I32 || query.rank != 1))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column query_ids: wanted integers of one dimension, got %s",
                           query.name ? "others" : "none");
    int32_t *sorted = tsr_operation_take(o, c->tokens, sizeof *sorted, "ids"),
            *asked = tsr_operation_take(o, o->status ? 0 : query.dim[0], sizeof *asked, "ids");
    sorted_copy(o, query.data, query.dim[0], asked);
    for (int64_t clip = 0; clip < c->count && !o->status; ++clip) {
        const int64_t from = begin_of(c, clip), n = end_of(o, c, clip) - from;
        sorted_copy(o, id + from, n, sorted);
        score[clip] = (float)histogram_cosine(sorted, n, asked, query.dim[0]);
    }
}

static void clip_topk(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o);
    const int64_t length = tsr_operation_integer(o, "length"), places = grid[1] * grid[2];
    if (o->status) return;
    const int64_t frames = length < grid[0] ? length : grid[0];
    const clips c = {(grid[0] + frames - 1) / frames, frames * places};
    const int64_t k = tsr_select_count(o, c.count);
    float *score = tsr_operation_take(o, c.count, sizeof *score, "scores");
    int32_t *clip = tsr_operation_take(o, k, sizeof *clip, "clips"),
            *index = tsr_operation_take(o, o->in->count, sizeof *index, "indices");
    if (tsr_operation_is(o, "by", "ids"))
        score_by_ids(o, &c, score);
    else
        score_by_features(o, &c, score);
    tsr_select_top(o, score, c.count, k, clip);
    if (o->status) return;
    int64_t count = 0;
    for (int64_t i = 0; i < k; ++i)
        for (int64_t t = begin_of(&c, clip[i]); t < end_of(o, &c, clip[i]); ++t)
            index[count++] = (int32_t)t;
    tsr_operation_keep(o, index, count);
    tsr_operation_on_grid(o, count / places, grid[1], grid[2]);
    tsr_operation_trace_f32(o, "score_of_clip", score, c.count);
    tsr_operation_trace_i32(o, "clips", clip, k);
}

const tsr_operator tsr_operator_clip_topk = {
    .info = {.name = "clip-topk",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the clips of a video that are nearest to a query",
             .formula =
                 "by=features: cosine of a clip's mean feature with the nearest row of text; "
                 "by=ids: cosine of the histogram of its ids with that of query_ids; the k "
                 "highest clips of `length` frames stay, in order",
             .source = "in the manner of Goldfish, which describes clips in words first",
             .differs = NULL,
             .cost = "N D additions, or N log N comparisons",
             .columns = "text ids query_ids"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"length", TSR_PARAMETER_INTEGER, "8", 1, 2147483647, NULL,
                    "frames of a clip; the last may be shorter"},
                   {"by", TSR_PARAMETER_CHOICE, "features", 0, 0, "features|ids",
                    "what describes a clip"}},
    .apply = clip_topk,
};
