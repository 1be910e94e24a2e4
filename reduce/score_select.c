/* SPDX-License-Identifier: MIT */
/* score_select.c: tokens chosen by numbers that stand beside them: outliers among scores, entropy
 * of pixels, logits of a learned mask. */
#include "attention_select.h"
#include "select.h"

#include <math.h>
#include <stdlib.h>

/* ---- local outliers ---- */

typedef struct ranked {
    float value;
    int32_t index;
} ranked;
static int by_value(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Scores on a line, upwards; equal ones in the order of tokens. */
typedef struct line {
    ranked *at;         /* [n] */
    int32_t *neighbour; /* [n, q] places of the q nearest others */
    double *reach;      /* [n] distance of the q-th */
    double *density;    /* [n] */
    int64_t n, q;
} line;

static double gap(const line *l, int64_t a, int64_t b) {
    return fabs((double)l->at[a].value - (double)l->at[b].value);
}

/* The q nearest places of place i. Where several share the q-th distance, the lowest tokens are
 * taken. */
static void find_neighbours(line *l, int64_t i) {
    int64_t low = i, high = i;
    double far = 0;
    for (int64_t c = 0; c < l->q; ++c) {
        const double left = low > 0 ? gap(l, i, low - 1) : INFINITY;
        const double right = high + 1 < l->n ? gap(l, i, high + 1) : INFINITY;
        far = fmin(left, right);
        if (left <= right)
            --low;
        else
            ++high;
    }
    int32_t *to = l->neighbour + i * l->q;
    int64_t count = 0, left = i, right = i;
    while (left > 0 && gap(l, i, left - 1) < far)
        to[count++] = (int32_t)--left;
    while (right + 1 < l->n && gap(l, i, right + 1) < far)
        to[count++] = (int32_t)++right;
    /* On each side a run of equal values lies at the q-th distance; both are in token order. */
    int64_t a = left, b = right + 1;
    while (a > 0 && gap(l, i, a - 1) == far)
        --a;
    while (count < l->q) {
        const bool more = b < l->n && gap(l, i, b) == far;
        const bool from_left = a < left && (!more || l->at[a].index < l->at[b].index);
        to[count++] = (int32_t)(from_left ? a++ : b++);
    }
    l->reach[i] = far;
}

/* Local outlier factors of scores [n], by token. */
static void outlier_factors(tsr_operation *o, const float *score, int64_t n, int64_t q,
                            float *factor) {
    line l = {.n = n, .q = q};
    l.at = tsr_operation_take(o, n, sizeof *l.at, "sorted scores");
    l.neighbour = tsr_operation_take(o, n * q, sizeof *l.neighbour, "neighbours");
    l.reach = tsr_operation_take(o, n, sizeof *l.reach, "distances");
    l.density = tsr_operation_take(o, n, sizeof *l.density, "densities");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i)
        l.at[i] = (ranked){score[i], (int32_t)i};
    qsort(l.at, (size_t)n, sizeof *l.at, by_value);
    for (int64_t i = 0; i < n; ++i)
        find_neighbours(&l, i);
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < q; ++j) {
            const int64_t other = l.neighbour[i * q + j];
            sum += fmax(gap(&l, i, other), l.reach[other]);
        }
        l.density[i] = 1 / (sum / (double)q + 1e-10);
    }
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < q; ++j)
            sum += l.density[l.neighbour[i * q + j]];
        factor[l.at[i].index] = q ? (float)(sum / (double)q / l.density[i]) : 1;
    }
}

/* Recoverable Compression. */
static void lof_budget(tsr_operation *o) {
    const tsr_token_array scores =
        tsr_operation_column(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    const int64_t n = o->in->count, least = tsr_operation_integer(o, "least");
    int64_t q = tsr_operation_integer(o, "neighbours");
    const bool published = tsr_operation_is(o, "variant", "published");
    if (q > n - 1) q = n - 1;
    float *factor = tsr_operation_take(o, n, sizeof *factor, "outlier factors");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    outlier_factors(o, scores.data, n, q, factor);
    if (o->status) return;
    int32_t outliers = 0;
    for (int64_t i = 0; i < n; ++i)
        outliers += factor[i] > 1.5f;
    const double ratio = (double)outliers / (double)n;
    const int32_t budget = published ? (int32_t)((double)n * ratio) : outliers;
    const int64_t k = budget < least ? (least < n ? least : n) : budget;
    tsr_operation_trace_f32(o, "lof", factor, n);
    tsr_operation_trace_i32(o, "outliers", &outliers, 1);
    tsr_operation_trace_f64(o, "ratio", &ratio, 1);
    tsr_operation_trace_i32(o, "k", &budget, 1);
    tsr_select_top(o, scores.data, n, k, index);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_lof_budget = {
    .info = {.name = "lof-budget",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps as many of the highest scores as there are local outliers among them",
             .formula = "for the q nearest other scores of score i: reach(i, j) = max(|s_i - s_j|, "
                        "distance of j to its q-th); density_i = 1 / (mean reach + 1e-10); "
                        "lof_i = mean density of the neighbours / density_i; k = number of "
                        "lof_i > 1.5; the k highest scores stay, in their order",
             .source = "Recoverable Compression (banjiuyufen/Recoverable-Compression @ d927594), "
                       "with scikit-learn's LocalOutlierFactor",
             .differs = "the published k = int(N (count / N)) loses one for some counts through "
                        "rounding; variant=published does that. As published, outliers among low "
                        "scores count, too, although the highest scores stay",
             .cost = "q N distances, N log N comparisons, q N integers",
             .columns = "scores"},
    .parameters = {{"neighbours", TSR_PARAMETER_INTEGER, "20", 1, 1000000, NULL,
                    "q; of fewer tokens all others"},
                   {"least", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "fewest tokens to keep; with 0 a set without outliers is refused"},
                   {"variant", TSR_PARAMETER_CHOICE, "count", 0, 0, "count|published",
                    "how k follows from the count"}},
    .apply = lof_budget,
};

/* ---- entropy ---- */

enum { GREYS = 256 };

/* Bits of the histogram of grey values of one patch, channels [3, pixels]. */
static double patch_entropy(const int32_t *pixels, int64_t count, double epsilon) {
    int64_t histogram[GREYS] = {0};
    for (int64_t i = 0; i < count; ++i) {
        const double sum =
            (double)pixels[i] + (double)pixels[count + i] + (double)pixels[2 * count + i];
        histogram[(int)nearbyint(0.3333 * sum)]++;
    }
    double bits = 0;
    for (int g = 0; g < GREYS; ++g) {
        const double p = (double)histogram[g] / (double)count;
        if (histogram[g]) bits -= p * log2(p + epsilon);
    }
    return bits;
}

/* Entropy of each token, [n]: of the column "pixels", or the column "entropy" as it is. */
static const float *entropies(tsr_operation *o) {
    const int64_t n = o->in->count;
    if (!tsr_operation_has_column(o, "pixels"))
        return tsr_operation_column(o, "entropy", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1).data;
    const tsr_token_array pixels =
        tsr_operation_column(o, "pixels", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 4);
    const double epsilon = tsr_operation_is(o, "variant", "published") ? 1e-10 : 0;
    float *entropy = tsr_operation_take(o, n, sizeof *entropy, "entropies");
    if (o->status) return NULL;
    const int64_t count = pixels.dim[2] * pixels.dim[3];
    const int32_t *x = pixels.data;
    if (pixels.dim[1] != 3)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "pixels: wanted 3 channels, got %lld",
                           (long long)pixels.dim[1]);
    for (int64_t i = 0; i < tsr_token_array_elements(&pixels) && !o->status; ++i)
        if (x[i] < 0 || x[i] > 255)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "pixels: token %lld: wanted values in 0..255, got %d",
                               (long long)(i / (3 * count)), x[i]);
    for (int64_t i = 0; i < n && !o->status; ++i)
        entropy[i] = (float)patch_entropy(x + i * 3 * count, count, epsilon);
    return o->status ? NULL : entropy;
}

/* Adds to score [n] the mean attention of global rows: those that receive more than t times the
 * mean. */
static void add_global_attention(tsr_operation *o, double *score) {
    const int64_t n = o->in->count;
    const tsr_token_array a =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_SQUARE, 0);
    const double *received = tsr_attention_received(o, "attention");
    const double t = tsr_operation_number(o, "t");
    int32_t *global = tsr_operation_take(o, n, sizeof *global, "global rows");
    if (o->status) return;
    const int64_t keys = a.dim[a.rank - 1], first = keys - n;
    const int64_t planes = tsr_token_array_elements(&a) / (keys * keys);
    double mean = 0;
    int32_t count = 0;
    for (int64_t i = 0; i < n; ++i)
        mean += received[i] / (double)n;
    for (int64_t i = 0; i < n; ++i)
        if (received[i] > t * mean) global[count++] = (int32_t)i;
    tsr_operation_trace_i32(o, "global_rows", global, count);
    for (int64_t g = 0; g < count; ++g)
        for (int64_t p = 0; p < planes; ++p) {
            const float *row =
                (const float *)a.data + (p * keys + global[g] + first) * keys + first;
            for (int64_t i = 0; i < n; ++i)
                score[i] += (double)row[i] / (double)(planes * count);
        }
}

/* VFlowOpt. */
static void entropy_score(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    const float *entropy = entropies(o);
    const double alpha = tsr_operation_number(o, "alpha");
    double *score = tsr_operation_take(o, n, sizeof *score, "scores");
    float *single = tsr_operation_take(o, n, sizeof *single, "scores");
    int32_t *index = tsr_operation_take(o, k, sizeof *index, "indices");
    if (o->status) return;
    if (tsr_operation_has_column(o, "attention")) add_global_attention(o, score);
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; ++i)
        most = fmax(most, (double)entropy[i]);
    for (int64_t i = 0; i < n; ++i)
        sum += exp((double)entropy[i] - most);
    for (int64_t i = 0; i < n; ++i)
        single[i] = (float)(score[i] + alpha * exp((double)entropy[i] - most) / sum);
    tsr_select_top(o, single, n, k, index);
    tsr_operation_trace_f32(o, "entropy", entropy, n);
    tsr_operation_trace_f32(o, "score", single, n);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_entropy_score = {
    .info = {.name = "entropy-score",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens whose patches hold most information and that global "
                      "tokens look at",
             .formula = "grey = round(0.3333 (R + G + B)), half to even; entropy_i = bits of the "
                        "histogram of 256 greys of patch i; score_i = mean over global rows of "
                        "the head-mean attention to i + alpha softmax(entropy)_i; a row is global "
                        "when it receives more than t times the mean attention. Without attention "
                        "the entropy alone decides",
             .source = "VFlowOpt, from a third party's port (ssoree912/VFlowOpt_llava1.5 @ "
                       "d5f3cd4)",
             .differs = "the port adds 1e-10 inside the logarithm, which variant=published does, "
                        "and feeds pixels that were normalised and wrapped to 8 bits; here pixels "
                        "are those of the picture",
             .cost = "one pass over pixels, 2 H N^2 additions for attention, N log N comparisons",
             .columns = "pixels entropy attention"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"t", TSR_PARAMETER_NUMBER, "1", 0, 1e6, NULL,
                    "how much more than the mean a global row receives"},
                   {"alpha", TSR_PARAMETER_NUMBER, "0.1", 0, 1e6, NULL, "weight of the entropy"},
                   {"variant", TSR_PARAMETER_CHOICE, "exact", 0, 0, "exact|published",
                    "how the entropy is computed"}},
    .apply = entropy_score,
};

/* ---- learned mask ---- */

/* LaVIT. */
static void keep_mask(tsr_operation *o) {
    const tsr_token_array logits =
        tsr_operation_column(o, "logits", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
    const int64_t n = o->in->count;
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    if (o->status) return;
    const float *x = logits.data;
    int64_t k = 0;
    double expected = 0;
    if (logits.dim[1] != 2)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "logits: wanted 2 for each token, keep and drop, got %lld",
                           (long long)logits.dim[1]);
    for (int64_t i = 0; i < n && !o->status; ++i) {
        expected += 1 / (1 + exp((double)x[2 * i + 1] - (double)x[2 * i]));
        if (x[2 * i] >= x[2 * i + 1]) index[k++] = (int32_t)i;
    }
    const int64_t least = tsr_operation_integer(o, "least");
    if (k < least) { /* the tokens nearest to being kept fill up */
        float *margin = tsr_operation_take(o, n, sizeof *margin, "margins");
        for (int64_t i = 0; i < n && margin; ++i)
            margin[i] = x[2 * i] - x[2 * i + 1];
        k = least < n ? least : n;
        tsr_select_top(o, margin, n, k, index);
    }
    tsr_operation_trace_f64(o, "expected_kept", &expected, 1);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_keep_mask = {
    .info = {.name = "keep-mask",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens that a learned predictor keeps",
             .formula = "token i stays when logit_i[0] >= logit_i[1]; the trace has the number "
                        "that sampling would keep on average, sum of sigmoid(logit_i[0] - "
                        "logit_i[1])",
             .source = "LaVIT (jy0205/LaVIT @ 8cde9b4)",
             .differs = "the published code draws Gumbel noise at inference, too, so that the "
                        "number of tokens changes from run to run; here the greater logit "
                        "decides, and equal ones keep the token",
             .cost = "N comparisons",
             .columns = "logits"},
    .parameters = {{"least", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "fewest tokens to keep; with 0 a mask that keeps none is refused"}},
    .apply = keep_mask,
};
