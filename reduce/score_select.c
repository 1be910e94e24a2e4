/* SPDX-License-Identifier: MIT */
/* score_select.c: tokens chosen by numbers that stand beside them: outliers among scores, entropy
 * of pixels, logits of a learned mask. */
#include "attention_select.h"
#include "lof.h"
#include "select.h"

#include <math.h>

/* ---- local outliers ---- */

/* Recoverable Compression. */
static void lof_budget(tsr_operation *o) {
    const tsr_token_array scores =
        tsr_operation_column(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    const int64_t n = o->in->count, least = tsr_operation_integer(o, "least");
    const int64_t q = tsr_operation_integer(o, "neighbours");
    const bool published = tsr_operation_is(o, "variant", "published");
    double *factor = tsr_operation_take(o, n, sizeof *factor, "outlier factors");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices");
    tsr_lof(o, scores.data, n, q, factor);
    if (o->status) return;
    const int32_t outliers = (int32_t)tsr_lof_outliers(factor, n);
    const double ratio = (double)outliers / (double)n;
    const int32_t budget = published ? (int32_t)((double)n * ratio) : outliers;
    const int64_t k = budget < least ? (least < n ? least : n) : budget;
    tsr_operation_trace_f64(o, "lof", factor, n);
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
                   {"least", TSR_PARAMETER_INTEGER, "1", 0, 2147483647, NULL,
                    "fewest tokens to keep; with 0 a set without outliers is refused, since no set "
                    "is empty"},
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
    .parameters = {{"least", TSR_PARAMETER_INTEGER, "1", 0, 2147483647, NULL,
                    "fewest tokens to keep; with 0 a mask that keeps none is refused, since no set "
                    "is empty"}},
    .apply = keep_mask,
};
