/* SPDX-License-Identifier: MIT */
/* vq_attention.c: the layer of VQToken's released code, which differs from its paper: rows of the
 * index map (plain numbers) ask, the codebook answers; one post-norm decoder layer with ReLU. */
#include "vq_attention.h"

#include "../compute/arena.h"
#include "load_weights.h"

#include <stdlib.h>
#include <string.h>

enum { HEADS = 8, HIDDEN = 2048, NORMS = 3, MOST_ROWS = 65536 };

typedef struct attention_weights {
    tsr_weight *in, *in_bias, *out, *out_bias;
} attention_weights;

struct tsr_vq_attention {
    tsr_device *device;
    tsr_weight *query, *query_bias;
    attention_weights self, cross;
    tsr_weight *fc1, *fc1_bias, *fc2, *fc2_bias;
    tsr_weight *gamma[NORMS], *beta[NORMS];
};

static void load_attention(tsr_weight_loader *l, const char *prefix, attention_weights *a) {
    const int64_t d = TSR_VQ_WIDTH, in[2] = {3 * d, d}, out[2] = {d, d};
    tsr_load_weight(l, prefix, ".in_proj_weight", 2, in, &a->in);
    tsr_load_weight(l, prefix, ".in_proj_bias", 1, in, &a->in_bias);
    tsr_load_layer(l, prefix, ".out_proj", 2, out, &a->out, &a->out_bias);
}

#define PREFIX "model.cross_attention."
#define LAYER  PREFIX "transformer_decoder.layers.0."

static void load_tensors(tsr_weight_loader *l, tsr_vq_attention *a) {
    static const char *const norms[NORMS] = {"norm1", "norm2", "norm3"};
    const int64_t d = TSR_VQ_WIDTH, query[2] = {d, TSR_VQ_CELLS}, up[2] = {HIDDEN, d},
                  down[2] = {d, HIDDEN};
    tsr_load_layer(l, PREFIX, "to_q_proj", 2, query, &a->query, &a->query_bias);
    load_attention(l, LAYER "self_attn", &a->self);
    load_attention(l, LAYER "multihead_attn", &a->cross);
    tsr_load_layer(l, LAYER, "linear1", 2, up, &a->fc1, &a->fc1_bias);
    tsr_load_layer(l, LAYER, "linear2", 2, down, &a->fc2, &a->fc2_bias);
    for (int i = 0; i < NORMS; ++i)
        tsr_load_layer(l, LAYER, norms[i], 1, &d, &a->gamma[i], &a->beta[i]);
}

tsr_status tsr_vq_attention_open(tsr_device *device, tsr_weights *weights, const char *path,
                                 tsr_vq_attention **attention) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_weight_loader loader = {.ctx = ctx, .weights = weights, .path = path};
    *attention = tsr_alloc(ctx, 1, sizeof **attention, "VQ-attention");
    if (!*attention) return TSR_ERROR_MEMORY;
    (*attention)->device = device;
    load_tensors(&loader, *attention);
    if (loader.status) tsr_vq_attention_close(attention);
    return loader.status;
}

void tsr_vq_attention_close(tsr_vq_attention **attention) {
    if (!attention || !*attention) return;
    tsr_device_forget((*attention)->device, *attention);
    free(*attention);
    *attention = NULL;
}

/* x + attention of x's rows over those of `memory`, both [1, R, D]. The three projections are one
 * weight; with as few rows as there are, making more of them than needed costs less than parts. */
static tsr_tensor *attend(tsr_run *r, const attention_weights *w, tsr_tensor *x,
                          tsr_tensor *memory) {
    const int64_t d = TSR_VQ_WIDTH;
    const tsr_epilogue bias = {.bias = w->in_bias};
    tsr_tensor *mine = tsr_linear(r, x, w->in, &bias);
    tsr_tensor *other = memory == x ? mine : tsr_linear(r, memory, w->in, &bias);
    tsr_tensor *y = tsr_attention(
        r, mine, other, other,
        &(tsr_attention_spec){.heads = HEADS, .channels = d, .k_at = d, .v_at = 2 * d});
    return tsr_linear(r, y, w->out, &(tsr_epilogue){.bias = w->out_bias, .residual = x});
}

static tsr_tensor *norm(tsr_run *r, const tsr_vq_attention *a, int i, tsr_tensor *x) {
    return tsr_layer_norm(r, x,
                          &(tsr_norm_spec){.gamma = a->gamma[i], .beta = a->beta[i], .eps = 1e-5f});
}

/* in: index rows [1, R, 729], codebook rows [1, R, 896]. out: [1, R, 896]. */
static void program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_vq_attention *a = model;
    tsr_tensor *x = tsr_linear(r, in[0], a->query, &(tsr_epilogue){.bias = a->query_bias});
    x = norm(r, a, 0, attend(r, &a->self, x, x));
    x = norm(r, a, 1, attend(r, &a->cross, x, in[1]));
    tsr_tensor *y =
        tsr_linear(r, x, a->fc1, &(tsr_epilogue){.bias = a->fc1_bias, .act = TSR_ACT_RELU});
    y = tsr_linear(r, y, a->fc2, &(tsr_epilogue){.bias = a->fc2_bias, .residual = x});
    out[0] = norm(r, a, 2, y);
}

tsr_status tsr_vq_attention_run(tsr_vq_attention *attention, const int32_t *labels, int64_t frames,
                                const float *codebook, int64_t clusters, float *tokens) {
    tsr_context *ctx = tsr_device_context(attention->device);
    const int64_t rows = frames > clusters ? frames : clusters;
    if (frames < 1 || clusters < 1 || rows > MOST_ROWS)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "VQ-attention: frames and clusters: wanted 1 to %d, got %lld and %lld",
                        MOST_ROWS, (long long)frames, (long long)clusters);
    for (int64_t i = 0; i < frames * TSR_VQ_CELLS; ++i)
        if (labels[i] < 0 || labels[i] >= clusters)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "VQ-attention: label %lld: wanted one below %lld, got %d", (long long)i,
                            (long long)clusters, labels[i]);
    tsr_scratch s = {.ctx = ctx};
    float *query = tsr_scratch_take(&s, (size_t)(rows * TSR_VQ_CELLS), sizeof *query, "index rows");
    float *memory =
        tsr_scratch_take(&s, (size_t)(rows * TSR_VQ_WIDTH), sizeof *memory, "codebook rows");
    tsr_status status = s.status;
    for (int64_t i = 0; i < rows && !status; ++i) {
        for (int64_t j = 0; j < TSR_VQ_CELLS; ++j)
            query[i * TSR_VQ_CELLS + j] = (float)labels[i % frames * TSR_VQ_CELLS + j];
        memcpy(memory + i * TSR_VQ_WIDTH, codebook + i % clusters * TSR_VQ_WIDTH,
               sizeof *memory * TSR_VQ_WIDTH);
    }
    const tsr_tensor in[2] = {
        tsr_host_tensor(TSR_DTYPE_F32, query, 3, (int64_t[]){1, rows, TSR_VQ_CELLS}),
        tsr_host_tensor(TSR_DTYPE_F32, memory, 3, (int64_t[]){1, rows, TSR_VQ_WIDTH}),
    };
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, tokens, 3, (int64_t[]){1, rows, TSR_VQ_WIDTH});
    const tsr_program run = {.fn = program, .model = attention, .name = "VQ-attention"};
    if (!status) status = tsr_execute(attention->device, &run, in, 2, &out, 1);
    tsr_scratch_free(&s);
    return status;
}
