// SPDX-License-Identifier: MIT
// pointwise.comp: y = f(a), f(a, b) or a * multiply + add. One module; form and kind are
// specialisation constants, so that each pipeline is straight code.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint n; uint bn; float multiply; float add;
#include "common.glsl"
#include "activation.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint FORM = 0; // 0 unary, 1 binary, 2 scale
layout(constant_id = 1) const uint KIND = 0; // tsr_activation or tsr_binary_kind

TENSOR_READ(0, float, a);
TENSOR_READ(1, float, b);
TENSOR_WRITE(2, float, y);

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
    uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < push.n; i += stride) {
        float x = a[OFFSET(0) + i], r;
        if (FORM == 0) r = activate(x, KIND);
        else if (FORM == 1) r = combine(x, b[OFFSET(1) + i % push.bn]);
        else r = x * push.multiply + push.add;
        y[OFFSET(2) + i] = r;
    }
}
