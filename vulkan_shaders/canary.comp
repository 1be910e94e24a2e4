// SPDX-License-Identifier: MIT
// canary.comp: one invocation loops 70,000 times. Some software drivers cut long loops without an
// error; such a device must not be trusted with work it was not told to do.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 1
#define PUSH uint n;
#include "common.glsl"

layout(local_size_x = 1) in;
TENSOR_WRITE(0, uint, y);

void main() {
    uint x = 1u;
    for (uint i = 0; i < push.n; ++i) x = x * 1664525u + 1013904223u;
    y[OFFSET(0)] = x;
}
