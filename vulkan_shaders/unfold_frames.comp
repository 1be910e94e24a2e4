// SPDX-License-Identifier: MIT
// unfold_frames.comp: frames of a clip beside each other. One thread for each element of y.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH int n; int frame; int frames; int made; int taps; int stride; int front; int twice; int zeros;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, float, x);
TENSOR_WRITE(1, float, y);

void main() {
    int at = int(thread_id());
    if (at >= push.n) return;
    int k = at % push.taps, value = at / push.taps % push.frame, t = at / push.taps / push.frame;
    int i = t % push.made * push.stride + k - push.front;
    bool zero = push.zeros != 0 && (i < 0 || i >> push.twice >= push.frames);
    i = clamp(i >> push.twice, 0, push.frames - 1);
    int from = (t / push.made * push.frames + i) * push.frame + value;
    y[OFFSET(1) + at] = zero ? 0.0 : x[OFFSET(0) + from];
}
