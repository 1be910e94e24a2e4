// SPDX-License-Identifier: MIT
// softmax.comp: exp(x - max) / sum; a row of -infinity throughout gives zeros.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint rows; uint cols;
#include "common.glsl"
#include "activation.glsl"
#include "rows.glsl"

TENSOR_READ(0, float, x);
TENSOR_WRITE(1, float, y);

void main() {
    uint row = row_number(), n = min(row, push.rows - 1), cols = push.cols;
    uint from = OFFSET(0) + n * cols, to = OFFSET(1) + n * cols, place = 0;
    const float least = uintBitsToFloat(0xff800000u); // -infinity
    float most = least, sum = 0.0;
    for (uint i = row_lane(); i < cols; i += THREADS) {
        float v = x[from + i];
        if (greater(v, most)) most = v;
    }
    row_max(most, place);
    for (uint i = row_lane(); i < cols; i += THREADS) sum += fast_exp(x[from + i] - most);
    sum = row_sum(sum);
    if (row >= push.rows) return;
    bool masked = most == least, spoilt = (floatBitsToUint(most) & 0x7F800000u) == 0x7F800000u; // infinite or NaN
    for (uint i = row_lane(); i < cols; i += THREADS) {
        float v = fast_exp(x[from + i] - most) / sum;
        if (masked) v = 0.0;
        else if (spoilt) v = uintBitsToFloat(0x7fc00000u); // NaN or +infinity was there
        y[to + i] = v;
    }
}
