/* SPDX-License-Identifier: MIT */
/* transition.c: how much the layers of a language model change each token. */
#include "../compute/threads.h"
#include "attention_select.h"
#include "select.h"
#include "similarity.h"

#include <math.h>

typedef struct transition_work {
    const float *before, *after; /* [rows, dim] */
    double *ratio, *turn;        /* [rows] */
    int64_t dim;
} transition_work;

static void transition_row(void *arg, int64_t i, int worker) {
    const transition_work *w = arg;
    const float *a = w->before + i * w->dim, *b = w->after + i * w->dim;
    (void)worker;
    const double aa = sqrt(tsr_dot(a, a, w->dim)), bb = sqrt(tsr_dot(b, b, w->dim));
    const double cosine = aa > 0 && bb > 0 ? tsr_dot(a, b, w->dim) / (aa * bb) : 0;
    w->ratio[i] = aa > 0 ? bb / aa : 0;
    w->turn[i] = exp(1 - cosine);
}

/* Adds the weights of every sub-layer to weight [n] of the tokens behind `prefix` others. */
static void add_transitions(tsr_operation *o, const tsr_token_array *before,
                            const tsr_token_array *after, int64_t prefix, double *weight) {
    const int64_t rows = before->dim[1], dim = before->dim[2];
    double *ratio = tsr_operation_take(o, rows, sizeof *ratio, "length ratios");
    double *turn = tsr_operation_take(o, rows, sizeof *turn, "turns");
    if (o->status) return;
    for (int64_t s = 0; s < before->dim[0]; ++s) {
        const transition_work w = {(const float *)before->data + s * rows * dim,
                                   (const float *)after->data + s * rows * dim, ratio, turn, dim};
        double sum = 0;
        tsr_parallel(o->ctx, rows, transition_row, (void *)&w);
        for (int64_t i = 0; i < rows; ++i)
            sum += turn[i];
        for (int64_t i = 0; i < o->in->count; ++i)
            weight[i] += ratio[prefix + i] * (turn[prefix + i] / sum);
    }
}

/* Adds x / (sum x + 1e-8). */
static void add_share(const double *x, int64_t n, double *score) {
    double sum = 1e-8;
    for (int64_t i = 0; i < n; ++i)
        sum += x[i];
    for (int64_t i = 0; i < n; ++i)
        score[i] += x[i] / sum;
}

static void check_shapes(tsr_operation *o, const tsr_token_array *before,
                         const tsr_token_array *after, int64_t prefix, int64_t texts) {
    const int64_t wanted = prefix + o->in->count + texts;
    if (o->status) return;
    if (before->dim[1] != wanted)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "transition_before: wanted %lld rows (prefix %lld, tokens %lld, "
                           "instruction %lld), got %lld",
                           (long long)wanted, (long long)prefix, (long long)o->in->count,
                           (long long)texts, (long long)before->dim[1]);
    for (int i = 0; i < 3; ++i)
        if (before->dim[i] != after->dim[i])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "transition_after: wanted the shape of transition_before, got %lld "
                               "instead of %lld in dimension %d",
                               (long long)after->dim[i], (long long)before->dim[i], i);
}

/* TransPrune. */
static void token_transition(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    const int64_t prefix = tsr_operation_integer(o, "prefix");
    const tsr_token_array before = tsr_operation_table(o, "transition_before", 3);
    const tsr_token_array after = tsr_operation_table(o, "transition_after", 3);
    const tsr_token_array attention =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 3);
    tsr_token_array earlier = {0};
    if (tsr_operation_has_column(o, "transition"))
        earlier = tsr_operation_column(o, "transition", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    check_shapes(o, &before, &after, prefix, attention.dim[1]);
    double *weight = tsr_operation_take(o, n, sizeof *weight, "transitions");
    double *mean = tsr_operation_take(o, n, sizeof *mean, "attention");
    double *score = tsr_operation_take(o, n, sizeof *score, "scores");
    float *single = tsr_operation_take(o, n, sizeof *single, "scores");
    float *kept = tsr_operation_take(o, k, sizeof *kept, "transitions");
    int32_t *index = tsr_operation_take(o, k, sizeof *index, "indices");
    if (o->status) return;
    for (int64_t i = 0; earlier.data && i < n; ++i)
        weight[i] = (double)((const float *)earlier.data)[i];
    add_transitions(o, &before, &after, prefix, weight);
    tsr_mean_over_rows(o, attention.data, attention.dim[0] * attention.dim[1], n, mean);
    add_share(weight, n, score);
    add_share(mean, n, score);
    for (int64_t i = 0; i < n; ++i)
        single[i] = (float)score[i];
    tsr_select_top(o, single, n, k, index);
    tsr_operation_trace_f32(o, "score", single, n);
    tsr_operation_keep(o, index, k);
    for (int64_t i = 0; i < k; ++i)
        kept[i] = (float)weight[index[i]];
    tsr_operation_attach(o, "transition", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &k, kept);
}

const tsr_operator tsr_operator_token_transition = {
    .info = {.name = "token-transition",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens that layers of a language model change most and the "
                      "instruction looks at",
             .formula = "for each sub-layer w_i = |after_i| / |before_i| e_i / sum e, "
                        "e = exp(1 - cos(before, after)), the sum over all tokens of the "
                        "sequence; S = sum of w over sub-layers, and over earlier cuts; A = mean "
                        "attention of the instruction; score = S / (sum S + 1e-8) + "
                        "A / (sum A + 1e-8); the k highest stay, in their order",
             .source = "TransPrune (liaolea/TransPrune @ c9e8284)",
             .differs = NULL,
             .cost = "3 L S D multiply-adds for L sub-layers of S rows, N log N comparisons",
             .columns = "transition_before transition_after attention transition"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"prefix", TSR_PARAMETER_INTEGER, "35", 0, 1000000, NULL,
                    "rows of the sequence before the tokens"}},
    .apply = token_transition,
};
