// SPDX-License-Identifier: MIT
// pool2d.comp: windows of feature maps become their maximum, mean or binomial root mean square; an
// invocation for each element of y.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH \
    uint n; uint h; uint w; uint c; uint oh; uint ow; uint size; uint stride; uint top; uint left;
#include "common.glsl"
#include "grid.glsl"

layout(constant_id = 0) const uint KIND = 0; // tsr_pool_kind
const uint MOST = 0, MEAN = 1, BINOMIAL = 2;

TENSOR_READ(0, float, x);
TENSOR_WRITE(1, float, y);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint c = at % push.c, ox = at / push.c % push.ow, oy = at / push.c / push.ow % push.oh;
    uint image = OFFSET(0) + at / push.c / push.ow / push.oh * (push.h * push.w * push.c) + c;
    int top = int(oy * push.stride) - int(push.top), left = int(ox * push.stride) - int(push.left);
    float result = 0.0;
    uint count = 0;
    for (uint ky = 0; ky < push.size; ++ky) {
        int iy = top + int(ky);
        if (iy < 0 || iy >= int(push.h)) continue;
        for (uint kx = 0; kx < push.size; ++kx) {
            int ix = left + int(kx);
            if (ix < 0 || ix >= int(push.w)) continue;
            float v = x[image + (uint(iy) * push.w + uint(ix)) * push.c];
            if (KIND == BINOMIAL)
                result += float((ky == 1 ? 2 : 1) * (kx == 1 ? 2 : 1)) / 16.0 * v * v;
            else if (KIND == MEAN)
                result += v;
            else if (count == 0 || v > result || is_nan(v))
                result = v;
            ++count;
        }
    }
    if (KIND == MEAN) result /= float(count);
    if (KIND == BINOMIAL) result = sqrt(result + 1e-12);
    y[OFFSET(1) + at] = result;
}
