// SPDX-License-Identifier: MIT
// movement.comp: copies a box of n0 x n1 x n2 words between two strided views.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint n0; uint n1; uint n2; uint from; uint from0; uint from1; uint from2;              \
             uint to; uint to0; uint to1; uint to2;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, uint, x);
TENSOR_WRITE(1, uint, y);

void main() {
    uint at = thread_id();
    if (at >= push.n0 * push.n1 * push.n2) return;
    uint k = at % push.n2, j = at / push.n2 % push.n1, i = at / push.n2 / push.n1;
    y[OFFSET(1) + push.to + i * push.to0 + j * push.to1 + k * push.to2] =
        x[OFFSET(0) + push.from + i * push.from0 + j * push.from1 + k * push.from2];
}
