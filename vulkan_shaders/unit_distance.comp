// SPDX-License-Identifier: MIT
// unit_distance.comp: the weighted squared distance of two unit vectors, a number for each place.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint rows; uint cols; float eps;
#include "common.glsl"
#include "rows.glsl"

TENSOR_READ(0, float, x);
TENSOR_READ(1, float, w);
TENSOR_WRITE(2, float, y);

void main() {
    uint row = row_number(), n = min(row, push.rows - 1), cols = push.cols;
    uint pa = OFFSET(0) + n * cols, pb = pa + push.rows * cols;
    float la = 0.0, lb = 0.0, sum = 0.0;
    for (uint i = row_lane(); i < cols; i += THREADS) {
        la += x[pa + i] * x[pa + i];
        lb += x[pb + i] * x[pb + i];
    }
    float fa = 1.0 / (sqrt(row_sum(la)) + push.eps);
    float fb = 1.0 / (sqrt(row_sum(lb)) + push.eps);
    for (uint i = row_lane(); i < cols; i += THREADS) {
        precise float ua = x[pa + i] * fa, ub = x[pb + i] * fb; // equal vectors have distance 0
        float d = ua - ub;
        sum += w[OFFSET(1) + i] * d * d;
    }
    sum = row_sum(sum);
    if (row < push.rows && row_lane() == 0) y[OFFSET(2) + row] = sum;
}
