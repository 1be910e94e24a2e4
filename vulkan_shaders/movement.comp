// SPDX-License-Identifier: MIT
// movement.comp: copies a box of n0 x n1 x n2 elements between two strided views; with QUADS the box,
// its starts and steps count words of four elements, neighbours in both views.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint n0; uint n1; uint n2; uint from; uint from0; uint from1; uint from2;              \
             uint to; uint to0; uint to1; uint to2;                                                 \
             uint magic1; uint shift1; uint magic2; uint shift2; // of n1 and n2
#include "common.glsl"
#include "grid.glsl"
#include "divide.glsl"
#include "wide.glsl"
#include "half.glsl"

layout(constant_id = 0) const bool QUADS = false;
layout(constant_id = 1) const bool HALF_X = false; // with QUADS alone
layout(constant_id = 2) const bool HALF_Y = false;

// Bits that nobody looks at, but where f32 becomes f16 or back.
TENSOR_READ(0, uint, x);
layout(std430, set = 0, binding = 0) readonly buffer FromF32 { uvec4 x_f32[]; };
layout(std430, set = 0, binding = 0) readonly buffer FromF16 { uvec2 x_f16[]; };
TENSOR_WRITE(1, uint, y);
layout(std430, set = 0, binding = 1) buffer ToF32 { uvec4 y_f32[]; };
layout(std430, set = 0, binding = 1) buffer ToF16 { uvec2 y_f16[]; };

void main() {
    uint at = thread_id();
    if (at >= push.n0 * push.n1 * push.n2) return;
    uint row = divided(at, push.magic2, push.shift2), k = at - row * push.n2;
    uint i = divided(row, push.magic1, push.shift1), j = row - i * push.n1;
    uint from = push.from + i * push.from0 + j * push.from1 + k * push.from2;
    uint to = push.to + i * push.to0 + j * push.to1 + k * push.to2;
    if (!QUADS) {
        y[OFFSET(1) + to] = x[OFFSET(0) + from];
    } else if (!HALF_X && !HALF_Y) {
        y_f32[OFFSET(1) / 4 + to] = x_f32[OFFSET(0) / 4 + from];
    } else {
        uvec2 v;
        if (HALF_X) v = x_f16[OFFSET(0) / 2 + from];
        else v = half_pack(uintBitsToFloat(x_f32[OFFSET(0) / 4 + from]));
        if (HALF_Y) y_f16[OFFSET(1) / 2 + to] = v;
        else y_f32[OFFSET(1) / 4 + to] = floatBitsToUint(half_unpack(v));
    }
}
