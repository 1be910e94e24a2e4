// SPDX-License-Identifier: MIT
// attention_scores.comp: scale q k^T for each head; one thread makes one logit.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint count; uint nq; uint nk; uint d; uint heads; float scale;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, float, q);
TENSOR_READ(1, float, k);
TENSOR_WRITE(2, float, y);

void main() {
    uint at = thread_id();
    if (at >= push.count) return;
    uint j = at % push.nk, i = at / push.nk % push.nq, pair = at / push.nk / push.nq;
    uint b = pair / push.heads, head = pair % push.heads, width = push.d / push.heads;
    uint from = OFFSET(0) + (b * push.nq + i) * push.d + head * width;
    uint key = OFFSET(1) + (b * push.nk + j) * push.d + head * width;
    float sum = 0.0;
    for (uint l = 0; l < width; ++l) sum += q[from + l] * k[key + l];
    y[OFFSET(2) + at] = sum * push.scale;
}
