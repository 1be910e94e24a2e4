// SPDX-License-Identifier: MIT
// half_double.comp: feature maps doubled (each pixel four times) or halved (the mean of four); an
// invocation for each element of y.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint n; uint h; uint w; uint c; uint oh; uint ow; uint halve;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, float, x);
TENSOR_WRITE(1, float, y);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint c = at % push.c, ox = at / push.c % push.ow, oy = at / push.c / push.ow % push.oh;
    uint image = OFFSET(0) + at / push.c / push.ow / push.oh * (push.h * push.w * push.c) + c;
    if (push.halve == 0) {
        y[OFFSET(1) + at] = x[image + (oy / 2 * push.w + ox / 2) * push.c];
        return;
    }
    uint a = image + (oy * 2 * push.w + ox * 2) * push.c, below = a + push.w * push.c;
    y[OFFSET(1) + at] = ((x[a] + x[a + push.c]) + (x[below] + x[below + push.c])) * 0.25;
}
