/* SPDX-License-Identifier: MIT */
/* attention_select.c: tokens that a tower's own attention points at. */
#include "attention_select.h"
#include "recorded.h"
#include "../compute/threads.h"
#include "select.h"

#include <math.h>
#include <string.h>

/* ---- means over attention ---- */

enum { KEYS = 1024 };

typedef struct mean_work {
    const float *data;
    double *score;
    int64_t rows, keys;
} mean_work;

/* One range of keys, all rows in order: the same sums for every thread count. */
static void mean_tile(void *arg, int64_t tile, int worker) {
    const mean_work *w = arg;
    (void)worker;
    const int64_t from = tile * KEYS, n = w->keys - from < KEYS ? w->keys - from : KEYS;
    double *sum = w->score + from;
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t r = 0; r < w->rows; ++r) {
        const float *row = w->data + r * w->keys + from;
        for (int64_t i = 0; i < n; ++i)
            sum[i] += (double)row[i];
    }
    for (int64_t i = 0; i < n; ++i)
        sum[i] /= (double)w->rows;
}

void tsr_mean_over_rows(tsr_operation *o, const float *data, int64_t rows, int64_t keys,
                        double *score) {
    if (!o->status)
        tsr_parallel(o->ctx, (keys + KEYS - 1) / KEYS, mean_tile,
                     &(mean_work){data, score, rows, keys});
}

const double *tsr_attention_received(tsr_operation *o, const char *column) {
    const int64_t n = o->in->count;
    const tsr_token_axis axis = tsr_token_set_column(o->in, column).axis;
    const bool square = axis == TSR_TOKEN_AXIS_SQUARE;
    const tsr_token_array a = tsr_operation_column(
        o, column, TSR_ARRAY_F32,
        square || axis == TSR_TOKEN_AXIS_LAST ? axis : TSR_TOKEN_AXIS_FIRST, square ? 0 : 1);
    const int64_t keys = o->status ? 0 : a.dim[a.rank - 1];
    double *score = tsr_operation_take(o, keys, sizeof *score, column);
    if (o->status) return NULL;
    tsr_mean_over_rows(o, a.data, tsr_token_array_elements(&a) / keys, keys, score);
    return score + (keys - n); /* a class token is key 0 */
}

static void to_f32(const double *from, int64_t n, float *to) {
    for (int64_t i = 0; i < n; ++i)
        to[i] = (float)from[i];
}

/* The tail that these operators share: score into the trace, the k best stay. */
static void keep_best(tsr_operation *o, const double *score, int64_t k) {
    const int64_t n = o->in->count;
    float *single = tsr_operation_take(o, n, sizeof *single, "scores");
    int32_t *index = tsr_operation_take(o, k, sizeof *index, "indices");
    if (o->status) return;
    to_f32(score, n, single);
    tsr_select_top(o, single, n, k, index);
    tsr_operation_trace_f32(o, "score", single, n);
    tsr_operation_keep(o, index, k);
}

/* ---- class attention ---- */

/* FasterVLM. */
static void cls_attention_topk(tsr_operation *o) {
    const tsr_token_array attention =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 2);
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    double *score = tsr_operation_take(o, n, sizeof *score, "scores");
    tsr_mean_over_rows(o, attention.data, attention.dim[0], n, score);
    keep_best(o, score, k);
}

const tsr_operator tsr_operator_cls_attention_topk = {
    .info = {.name = "cls-attention-topk",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens that the class token attends to most",
             .formula =
                 "score_i = mean over heads of attention[h, class, i]; the k highest stay, in "
                 "their order",
             .source = "FasterVLM (Theia-4869/FasterVLM @ f5d5f12)",
             .differs = NULL,
             .cost = "H N additions, N log N comparisons",
             .columns = "attention"},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = cls_attention_topk,
    .record = tsr_record_cls_attention_topk,
};

/* VTC-CLS: layers start .. L-2; the last one is never used. */
static void cls_sum_topk(tsr_operation *o) {
    const tsr_token_array attention =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 3);
    const int64_t n = o->in->count, k = tsr_select_count(o, n), heads = attention.dim[1];
    const int64_t start = tsr_operation_integer(o, "start"), used = attention.dim[0] - 1 - start;
    if (!o->status && used < 1)
        tsr_operation_fail(
            o, TSR_ERROR_ARGUMENT,
            "start: wanted a layer before the last of %lld, which is not used, got %lld",
            (long long)attention.dim[0], (long long)start);
    double *score = tsr_operation_take(o, n, sizeof *score, "scores");
    if (o->status) return;
    tsr_mean_over_rows(o, (const float *)attention.data + start * heads * n, used * heads, n,
                       score);
    for (int64_t i = 0; i < n; ++i)
        score[i] *= (double)used; /* a mean over heads, a sum over layers */
    keep_best(o, score, k);
}

const tsr_operator tsr_operator_cls_sum_topk = {
    .info = {.name = "cls-sum-topk",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens that the class token attends to most over several layers",
             .formula = "score_i = sum over layers l = start .. L-2 of the mean over heads of "
                        "attention[l, h, class, i]; the k highest stay, in their order",
             .source = "VTC-CLS (THU-MIG/VTC-CLS @ e41ac9b)",
             .differs = "the published code fails at k = 1; here k = 1 keeps one token. As "
                        "published, the last layer is never used",
             .cost = "L H N additions, N log N comparisons",
             .columns = "attention"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"start", TSR_PARAMETER_INTEGER, "0", 0, 1000000, NULL,
                    "first layer that counts, from 0"}},
    .apply = cls_sum_topk,
    .record = tsr_record_cls_sum_topk,
};

/* ---- anchors, buffers, registers ---- */

/* Marks token i if it is one. */
static void mark(uint8_t *chosen, int64_t n, int64_t i, bool clamp) {
    if (clamp) i = i < 0 ? 0 : i >= n ? n - 1 : i;
    if (i >= 0 && i < n) chosen[i] = 1;
}

static void mark_neighbours(const int64_t *grid, int64_t n, int64_t i, bool published,
                            uint8_t *chosen) {
    const int64_t width = grid[2], x = i % width, y = i / width % grid[1];
    chosen[i] = 1;
    if (published || x > 0) mark(chosen, n, i - 1, published);
    if (published || x + 1 < width) mark(chosen, n, i + 1, published);
    if (published || y > 0) mark(chosen, n, i - width, published);
    if (published || y + 1 < grid[1]) mark(chosen, n, i + width, published);
}

/* Indices of the marked ones, ascending; returns how many. */
static int64_t list_marked(const uint8_t *chosen, int64_t n, int32_t *index) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i)
        if (chosen[i]) index[count++] = (int32_t)i;
    return count;
}

/* HiPrune. */
static void anchor_buffer_register(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count, k = tsr_select_count(o, n);
    const bool published = tsr_operation_is(o, "variant", "published");
    const int64_t a = (int64_t)nearbyint((double)k * tsr_operation_number(o, "alpha") / 5);
    const double *shallow = tsr_attention_received(o, "attention_shallow");
    const double *deep = tsr_attention_received(o, "attention_deep");
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    uint8_t *chosen = tsr_operation_take(o, n, sizeof *chosen, "marks");
    if (o->status) return;
    to_f32(shallow, n, score);
    tsr_select_top(o, score, n, a, index);
    tsr_operation_trace_i32(o, "anchors", index, a);
    for (int64_t i = 0; i < a; ++i)
        mark_neighbours(grid, n, index[i], published, chosen);
    const int64_t first = list_marked(chosen, n, index);
    tsr_operation_trace_i32(o, "first", index, first);
    if (first > k) {
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "k: wanted room for %lld anchors and neighbours, got %lld",
                           (long long)first, (long long)k);
        return;
    }
    for (int64_t i = 0; i < n; ++i)
        score[i] = chosen[i] ? -INFINITY : (float)deep[i];
    tsr_select_top(o, score, n, k - first, index);
    for (int64_t i = 0; i < k - first; ++i)
        chosen[index[i]] = 1;
    tsr_operation_keep(o, index, list_marked(chosen, n, index));
}

const tsr_operator tsr_operator_anchor_buffer_register = {
    .info = {.name = "anchor-buffer-register",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps anchors of a shallow layer, their grid neighbours, and the best of "
                      "a deep layer",
             .formula =
                 "a = round(k alpha / 5), half to even; anchors = the a tokens that receive "
                 "most attention in attention_shallow; buffers = their neighbours left, right, "
                 "above and below; registers = those that receive most in attention_deep among "
                 "the rest, until k tokens are kept, in their order",
             .source = "HiPrune (Danielement321/HiPrune @ 6e83a12)",
             .differs = "the published code finds neighbours by index arithmetic: they wrap at "
                        "the ends of rows and are clamped to the first and last token. "
                        "variant=published does that; the default takes neighbours of the grid. "
                        "Both average attention over all rows",
             .cost = "2 H N^2 additions for attention among tokens, N log N comparisons",
             .columns = "attention_shallow attention_deep"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"alpha", TSR_PARAMETER_NUMBER, "0.1", 0, 5, NULL,
                    "share of the kept tokens that come from anchors with 4 neighbours each"},
                   {"variant", TSR_PARAMETER_CHOICE, "grid", 0, 0, "grid|published",
                    "which neighbours an anchor has"}},
    .apply = anchor_buffer_register,
};

/* ---- attention of texts ---- */

/* Threshold t at which the soft counts sigmoid((r - t) / tau) add up to `target`, by bisection. */
static double soft_threshold(const float *r, int64_t n, double target, double tau, int64_t steps) {
    double least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < n; ++i) {
        least = fmin(least, (double)r[i]);
        most = fmax(most, (double)r[i]);
    }
    double low = least - 6 * tau, high = most + 6 * tau;
    for (int64_t s = 0; s < steps; ++s) {
        const double t = (low + high) / 2;
        double sum = 0;
        for (int64_t i = 0; i < n; ++i)
            sum += 1 / (1 + exp(-((double)r[i] - t) / tau));
        if (sum > target)
            low = t;
        else
            high = t;
    }
    return (low + high) / 2;
}

/* QTSplus. */
static void query_budget(tsr_operation *o) {
    const tsr_token_array attention =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 0);
    const int64_t n = o->in->count, cap = tsr_operation_integer(o, "cap");
    const double tau = tsr_operation_number(o, "tau");
    const int64_t steps = tsr_operation_integer(o, "iterations");
    float *r = tsr_operation_take(o, n, sizeof *r, "relevance");
    if (o->status) return;
    const float *row = attention.data;
    memcpy(r, row, (size_t)n * sizeof *r);
    for (int64_t p = 1; p < tsr_token_array_elements(&attention) / n; ++p)
        for (int64_t i = 0; i < n; ++i)
            r[i] = fmaxf(r[i], row[p * n + i]);
    double sum = 1e-8, entropy = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += (double)r[i];
    for (int64_t i = 0; i < n; ++i)
        entropy -= (double)r[i] / sum * log((double)r[i] / sum + 1e-8);
    if (!(entropy > 0)) entropy = 0;
    /* Our own rule: the more evenly the query looks at the tokens, the more of them it needs. */
    double rho = 0.05 + 0.45 * (n > 1 ? fmin(entropy / log((double)n), 1) : 1);
    if (tsr_operation_has(o, "rho")) rho = tsr_operation_number(o, "rho");
    const float share = (float)rho * (float)n;
    int64_t k = (int64_t)ceilf(share);
    k = k < 1 ? 1 : k > cap ? cap : k;
    if (k > n) k = n;
    const double threshold = soft_threshold(r, n, (double)share, tau, steps);
    int32_t *index = tsr_operation_take(o, k, sizeof *index, "indices");
    const int32_t count = (int32_t)k;
    if (o->status) return;
    tsr_select_top(o, r, n, k, index);
    tsr_operation_trace_f32(o, "relevance", r, n);
    tsr_operation_trace_f64(o, "entropy", &entropy, 1);
    tsr_operation_trace_f64(o, "rho", &rho, 1);
    tsr_operation_trace_i32(o, "n", &count, 1);
    tsr_operation_trace_f64(o, "threshold", &threshold, 1);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_query_budget = {
    .info = {.name = "query-budget",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens that matter most to a text, as many as a share says",
             .formula = "r_i = max over heads and text tokens of attention; p = r / sum r; "
                        "H = -sum p log p; k = min(max(ceil(rho N), 1), cap), rho N rounded to "
                        "f32; the k highest r stay, in their order. Without rho: "
                        "rho = 0.05 + 0.45 H / log N. The trace has the threshold t with "
                        "sum sigmoid((r - t) / tau) = rho N",
             .source = "QTSplus (Siyou-Li/QTSplus @ 5cc24bc)",
             .differs = "the published rho comes from a learned head; here it is given, or follows "
                        "from the entropy. Training's random mask is not offered",
             .cost = "H M N comparisons for M text tokens, N log N for the choice",
             .columns = "attention"},
    .parameters = {{"rho", TSR_PARAMETER_NUMBER, NULL, 0, 1, NULL,
                    "share of the tokens to keep; without it the entropy decides"},
                   {"cap", TSR_PARAMETER_INTEGER, "2560", 1, 2147483647, NULL,
                    "most tokens to keep"},
                   {"tau", TSR_PARAMETER_NUMBER, "0.1", 1e-6, 1e6, NULL,
                    "softness of the threshold in the trace"},
                   {"iterations", TSR_PARAMETER_INTEGER, "40", 1, 200, NULL,
                    "halvings until the threshold is given"}},
    .apply = query_budget,
};
