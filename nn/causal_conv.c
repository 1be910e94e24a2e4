/* SPDX-License-Identifier: MIT */
/* causal_conv.c: convolutions, attention and means over time, of ops on frames. */
#include "causal_conv.h"

#include <stdio.h>

int64_t tsr_causal_frames(const tsr_causal_spec *s, int taps) {
    return ((s->frames << s->twice) + s->front - taps) / (s->stride ? s->stride : 1) + 1;
}

tsr_tensor *tsr_causal_conv(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer,
                            const tsr_causal_spec *s) {
    const int64_t channels = x->rank == 4 ? x->dim[3] : 1; /* of a failed tensor: none */
    const int taps = (int)(layer->weight->tensor.dim[1] / channels);
    tsr_conv_spec conv = s->conv;
    conv.bias = layer->bias;
    if (taps > 1 || s->stride > 1 || s->front || s->twice)
        x = tsr_unfold_frames(r, x,
                              &(tsr_frames_spec){.frames = s->frames,
                                                 .made = tsr_causal_frames(s, taps),
                                                 .taps = taps,
                                                 .stride = s->stride,
                                                 .front = s->front,
                                                 .twice = s->twice,
                                                 .zeros = s->zeros}); /* [B*T', H, W, C*kt] */
    return tsr_conv2d(r, x, layer->weight, &conv);
}

void tsr_load_kernel_over_frames(tsr_weight_loader *l, const char *prefix, const char *part,
                                 int64_t out, int64_t in, const int kernel[3],
                                 tsr_weight **weight) {
    const int64_t area = (int64_t)kernel[1] * kernel[2]; /* tsr_file_weight joins the two */
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    tsr_load_weight(l, name, ".weight", 4, (int64_t[]){out, in, kernel[0], area}, weight);
    if (l->status || !*weight) return;
    int64_t *dim = (*weight)->tensor.dim;
    dim[1] = in * kernel[0];
    dim[2] = kernel[1];
    dim[3] = kernel[2];
}

void tsr_load_causal(tsr_weight_loader *l, const char *prefix, const char *part, int64_t out,
                     int64_t in, const int kernel[3], tsr_conv_layer *layer) {
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    tsr_load_kernel_over_frames(l, prefix, part, out, in, kernel, &layer->weight);
    tsr_load_weight(l, name, ".bias", 1, &out, &layer->bias);
}

/* Exchanges the middle dimensions: [B, N, M, C] -> [B*M, N, C]. */
static tsr_tensor *exchange(tsr_run *r, const tsr_tensor *x, int64_t n, int64_t m) {
    const int64_t c = tsr_cols(x);
    if (!c) return tsr_transpose(r, x); /* it failed */
    const int64_t b = tsr_elements(x) / (n * m * c);
    tsr_tensor *y = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){b, n, m * c}));
    return tsr_transpose(r, tsr_reshape(r, y, 3, (int64_t[]){b * m, c, n}));
}

tsr_tensor *tsr_causal_attention(tsr_run *r, const tsr_tensor *q, const tsr_tensor *k,
                                 const tsr_tensor *v, int64_t frames) {
    const int64_t places = q->rank == 3 ? q->dim[1] : 1; /* of a failed tensor: none */
    const tsr_tensor whole = *q;
    tsr_tensor *y = tsr_attention(r, exchange(r, q, frames, places), exchange(r, k, frames, places),
                                  exchange(r, v, frames, places),
                                  &(tsr_attention_spec){.heads = 1, .mask = TSR_MASK_CAUSAL});
    return tsr_reshape(r, exchange(r, y, places, frames), whole.rank, whole.dim);
}

tsr_tensor *tsr_causal_halve(tsr_run *r, const tsr_tensor *x, int64_t frames) {
    tsr_frames_spec s = {.frames = frames, .made = (frames + 1) / 2, .stride = 2, .front = 1};
    const tsr_tensor *a = tsr_unfold_frames(r, x, &s);
    s.front = 0;
    return tsr_scale(r, tsr_binary(r, a, tsr_unfold_frames(r, x, &s), TSR_BINARY_ADD), 0.5f, 0);
}
