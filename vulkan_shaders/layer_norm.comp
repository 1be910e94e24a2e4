// SPDX-License-Identifier: MIT
// layer_norm.comp: mean, then variance from the differences, then gamma, beta and modulation.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 6
#define PUSH uint rows; uint cols; uint group; uint last; uint scale_step; uint shift_step; float eps;
#include "common.glsl"
#include "rows.glsl"

layout(constant_id = 1) const bool GAMMA = false;
layout(constant_id = 2) const bool BETA = false;
layout(constant_id = 3) const bool SCALE = false;
layout(constant_id = 4) const bool SHIFT = false;
layout(constant_id = 5) const bool RMS = false; // the mean is taken for 0

TENSOR_READ(0, float, x);
TENSOR_READ(1, float, gamma);
TENSOR_READ(2, float, beta);
TENSOR_READ(3, float, scale);
TENSOR_READ(4, float, shift);
TENSOR_WRITE(5, float, y);

void main() {
    uint row = row_number(), n = min(row, push.rows - 1), cols = push.cols;
    uint from = OFFSET(0) + n * cols, to = OFFSET(5) + n * cols;
    float sum = 0.0, squares = 0.0;
    for (uint i = row_lane(); i < cols; i += THREADS) sum += x[from + i];
    float mean = row_sum(sum) / float(cols);
    if (RMS) mean = 0.0;
    for (uint i = row_lane(); i < cols; i += THREADS) {
        float d = x[from + i] - mean;
        squares += d * d;
    }
    float factor = 1.0 / sqrt(row_sum(squares) / float(cols) + push.eps);
    if (row >= push.rows) return;
    uint scale_row = OFFSET(3) + min(n / push.group, push.last) * push.scale_step;
    uint shift_row = OFFSET(4) + min(n / push.group, push.last) * push.shift_step;
    for (uint i = row_lane(); i < cols; i += THREADS) {
        float v = (x[from + i] - mean) * factor;
        if (GAMMA) v *= gamma[OFFSET(1) + i];
        if (BETA) v += beta[OFFSET(2) + i];
        if (SCALE) v *= 1.0 + scale[scale_row + i];
        if (SHIFT) v += shift[shift_row + i];
        y[to + i] = v;
    }
}
