/* SPDX-License-Identifier: MIT */
/* size_bias.c: attention among merged tokens in which a token counts as often as it has sources. */
#include "operator.h"
#include "../ops/ops.h"

#include <math.h>

typedef struct biased {
    int heads;
    bool bias;
} biased;

/* in queries, keys, values [1, N, heads * width], log sizes [1, N] -> [1, N, heads * width]. */
static void attend(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const biased *b = model;
    const tsr_attention_spec spec = {.heads = b->heads, .key_bias = b->bias ? in[3] : NULL};
    out[0] = tsr_attention(r, in[0], in[1], in[2], &spec);
}

static const float *read_rows(tsr_operation *o, const char *name, int64_t *width) {
    const tsr_token_array a = tsr_operation_column(o, name, TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
    if (!o->status && *width && a.dim[1] != *width)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column %s: wanted rows of %lld, as wide as queries, got %lld", name,
                           (long long)*width, (long long)a.dim[1]);
    *width = a.dim[1];
    return a.data;
}

/* Keys averaged over heads: the metric of bipartite-merge. */
static void trace_metric(tsr_operation *o, const float *keys, int64_t n, int64_t width, int heads) {
    const int64_t each = width / heads;
    float *metric = tsr_operation_take(o, n * each, sizeof *metric, "metric");
    for (int64_t i = 0; i < n * each && !o->status; ++i) {
        double sum = 0;
        for (int h = 0; h < heads; ++h)
            sum += (double)keys[i / each * width + h * each + i % each];
        metric[i] = (float)(sum / heads);
    }
    tsr_operation_trace(o, "metric", TSR_ARRAY_F32, 2, (int64_t[]){n, each}, metric);
}

static void size_bias_attention(tsr_operation *o) {
    const int64_t n = o->in->count;
    int64_t width = 0;
    const float *q = read_rows(o, "queries", &width), *k = read_rows(o, "keys", &width),
                *v = read_rows(o, "values", &width);
    const biased b = {(int)tsr_operation_integer(o, "heads"), tsr_operation_is(o, "bias", "key")};
    if (!o->status && width % b.heads)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "heads: wanted a divisor of the %lld channels of queries, got %d",
                           (long long)width, b.heads);
    float *logs = tsr_operation_take(o, n, sizeof *logs, "log sizes");
    float *y = tsr_operation_take(o, n * width, sizeof *y, "features");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    tsr_device *device = tsr_operation_device(o);
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        logs[i] = o->in->sizes[i] > 0 ? logf(o->in->sizes[i]) : 0;
        map[i] = (int32_t)i;
    }
    const int64_t rows[3] = {1, n, width};
    const tsr_tensor in[4] = {tsr_host_tensor(TSR_DTYPE_F32, (void *)q, 3, rows),
                              tsr_host_tensor(TSR_DTYPE_F32, (void *)k, 3, rows),
                              tsr_host_tensor(TSR_DTYPE_F32, (void *)v, 3, rows),
                              tsr_host_tensor(TSR_DTYPE_F32, logs, 2, rows)};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, rows);
    const tsr_program program = {
        .fn = attend, .model = &b, .variant = 2 * b.heads + b.bias, .name = "size-bias-attention"};
    o->status = tsr_execute(device, &program, in, 4, &out, 1);
    tsr_device_forget(device, &b);
    trace_metric(o, k, n, width, b.heads);
    tsr_operation_replace(o, map, n, width, y, o->in->grid[0] ? o->in->grid : NULL);
}

const tsr_operator tsr_operator_size_bias_attention = {
    .info = {.name = "size-bias-attention",
             .kind = TSR_OPERATOR_MERGE,
             .about = "attends among merged tokens, each weighing as many as it has sources",
             .formula =
                 "each head: out_i = softmax_j(q_i k_j / sqrt(width) + log s_j) v_j, s the sizes; "
                 "the new features are out, heads side by side. The trace has the keys' mean over "
                 "heads, the metric of the next merge",
             .source = "ToMe (facebookresearch/ToMe @ af95e4b, ToMeAttention); TinyChart",
             .differs =
                 "AuroraCap (rese1f/aurora @ 2bf68d5) adds log s along the queries, which a "
                 "softmax takes out again: bias=query, the same as none. A token without sources "
                 "weighs as one",
             .cost = "2 N^2 D multiply-adds",
             .columns = "queries keys values"},
    .parameters = {{"heads", TSR_PARAMETER_INTEGER, NULL, 1, 4096, NULL,
                    "heads that queries, keys and values are made of"},
                   {"bias", TSR_PARAMETER_CHOICE, "key", 0, 0, "key|query|none",
                    "along which axis log sizes are added"}},
    .apply = size_bias_attention,
};
