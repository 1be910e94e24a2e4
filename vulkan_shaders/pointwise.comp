// SPDX-License-Identifier: MIT
// pointwise.comp: y = f(a), f(a, b) or a * multiply + add, four elements an invocation. One module;
// form and kind are specialisation constants, so that each pipeline is straight code.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define BINDINGS 3
#define PUSH uint n; uint bn; float multiply; float add; uint magic; uint shift;
#include "common.glsl"
#include "activation.glsl"
#include "divide.glsl"
#include "wide.glsl"
#include "half.glsl"
#include "quad.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint FORM = 0; // 0 unary, 1 binary, 2 scale
layout(constant_id = 1) const uint KIND = 0; // tsr_activation or tsr_binary_kind
// How b repeats: 0 every bn elements; 1 not at all; 2 one number; 3 every bn / 4 words (magic, shift)
layout(constant_id = 2) const uint REPEAT = 0;
layout(constant_id = 3) const bool HALF_A = false; // n, and bn unless it is 1, are multiples of 4 then
layout(constant_id = 4) const bool HALF_B = false;
layout(constant_id = 5) const bool HALF_Y = false;

QUAD_READ(0, a, HALF_A)
QUAD_READ(1, b, HALF_B)
QUAD_WRITE(2, y, HALF_Y)
TENSOR_READ(1, float, b1);
TENSOR_WRITE(2, float, y1);

vec4 second(uint at) {
    if (REPEAT == 1) return b_at(at);
    if (REPEAT == 2) return vec4(HALF_B ? b_at(0).x : b1[OFFSET(1)]);
    uint word = at / 4;
    if (REPEAT == 3) return b_at((word - divided(word, push.magic, push.shift) * (push.bn / 4)) * 4);
    vec4 v;
    [[unroll]] for (uint j = 0; j < 4; ++j) v[j] = b1[OFFSET(1) + (at + j) % push.bn];
    return v;
}

float combine(float p, float q) {
    switch (KIND) {
    case 0: return p + q;
    case 1: return p - q;
    case 2: return p * q;
    case 3: return p / q;
    case 4: return q < p || is_nan(q) ? q : p;
    case 5: return q > p || is_nan(q) ? q : p;
    case 6: return p > 0 ? p : p * q;
    }
    return p;
}

void main() {
    uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x * 4;
    // Words reach past the last element as bindings do; only whole ones are written as words.
    for (uint at = gl_GlobalInvocationID.x * 4; at < push.n; at += stride) {
        vec4 x = a_at(at), r;
        if (FORM == 0) {
            r = vec4(activate(x.x, KIND), activate(x.y, KIND), activate(x.z, KIND),
                     activate(x.w, KIND));
        } else if (FORM == 1) {
            vec4 q = second(at);
            r = vec4(combine(x.x, q.x), combine(x.y, q.y), combine(x.z, q.z), combine(x.w, q.w));
        } else {
            r = x * push.multiply + push.add;
        }
        if (at + 4 <= push.n) {
            y_put(at, r);
        } else {
            for (uint j = 0; at + j < push.n; ++j) y1[OFFSET(2) + at + j] = r[j];
        }
    }
}
