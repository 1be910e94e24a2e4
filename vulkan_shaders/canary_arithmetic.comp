// SPDX-License-Identifier: MIT
// canary_arithmetic.comp: exponentials, f16 and NaN as the other shaders compute them; see
// compute/vulkan/vulkan_canary.c for what must come out.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint exponentials; uint rounded; uint n;
#include "common.glsl"
#include "wide.glsl"
#include "half.glsl"
#include "activation.glsl"

layout(local_size_x = 1) in;
TENSOR_READ(0, float, x);
TENSOR_WRITE(1, uint, y);

void main() {
    for (uint i = 0; i < push.n; ++i) {
        float v = x[OFFSET(0) + i];
        y[OFFSET(1) + i] = i < push.exponentials ? floatBitsToUint(fast_exp(v))
                         : i < push.rounded ? floatBitsToUint(half_round(vec4(v)).x)
                                            : is_nan(v) ? 1u : 0u;
    }
}
