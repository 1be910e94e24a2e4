// SPDX-License-Identifier: MIT
// half_double.comp: feature maps doubled (each pixel four times) or halved (the mean of four); an
// invocation for each element of y, or with QUADS for four neighbouring channels.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
// n, c: units of one element or four; divisors of c, ow and oh
#define PUSH                                                                                       \
    uint n; uint h; uint w; uint c; uint oh; uint ow; uint halve;                                  \
    uint magic_c; uint shift_c; uint magic_w; uint shift_w; uint magic_h; uint shift_h;
#include "common.glsl"
#include "grid.glsl"
#include "divide.glsl"
#include "wide.glsl"
#include "half.glsl"
#include "quad.glsl"

layout(constant_id = 0) const bool QUADS = false;
layout(constant_id = 1) const bool HALF_X = false; // with QUADS alone
layout(constant_id = 2) const bool HALF_Y = false;

QUAD_READ(0, x, HALF_X)
QUAD_WRITE(1, y, HALF_Y)
TENSOR_READ(0, float, x1);
TENSOR_WRITE(1, float, y1);

vec4 load(uint unit) { return QUADS ? x_at(unit * 4) : vec4(x1[OFFSET(0) + unit]); }

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint pixel = divided(at, push.magic_c, push.shift_c), c = at - pixel * push.c;
    uint row = divided(pixel, push.magic_w, push.shift_w), ox = pixel - row * push.ow;
    uint picture = divided(row, push.magic_h, push.shift_h), oy = row - picture * push.oh;
    uint image = picture * (push.h * push.w * push.c) + c;
    vec4 v;
    if (push.halve == 0) {
        v = load(image + (oy / 2 * push.w + ox / 2) * push.c);
    } else {
        uint a = image + (oy * 2 * push.w + ox * 2) * push.c, below = a + push.w * push.c;
        v = ((load(a) + load(a + push.c)) + (load(below) + load(below + push.c))) * 0.25;
    }
    if (QUADS) y_put(at * 4, v);
    else y1[OFFSET(1) + at] = v.x;
}
