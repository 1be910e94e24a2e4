// SPDX-License-Identifier: MIT
// depthwise.comp: a convolution of each channel by itself; an invocation for each element of y.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 4
#define PUSH uint n; int h; int w; uint c; uint oh; uint ow; int kh; int kw; int top; int left; int stride;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, float, x);
TENSOR_READ(1, float, kernel);
TENSOR_READ(2, float, bias);
TENSOR_WRITE(3, float, y);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint c = at % push.c, image = at / push.c / push.ow / push.oh;
    int ix = int(at / push.c % push.ow) * push.stride - push.left;
    int iy = int(at / push.c / push.ow % push.oh) * push.stride - push.top;
    float sum = bias[OFFSET(2) + c];
    for (int ky = 0; ky < push.kh; ++ky) {
        if (iy + ky < 0 || iy + ky >= push.h) continue;
        uint line = OFFSET(0) + (image * uint(push.h) + uint(iy + ky)) * uint(push.w) * push.c + c;
        for (int kx = 0; kx < push.kw; ++kx)
            if (ix + kx >= 0 && ix + kx < push.w)
                sum += x[line + uint(ix + kx) * push.c] *
                       kernel[OFFSET(1) + uint(ky * push.kw + kx) * push.c + c];
    }
    y[OFFSET(3) + at] = sum;
}
