// SPDX-License-Identifier: MIT
// reduce.comp: one number for each row.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint rows; uint cols;
#include "common.glsl"
#include "rows.glsl"

layout(constant_id = 1) const uint KIND = 0; // tsr_reduction
const uint SUM = 0, MEAN = 1, MAX = 2, ARGMAX = 3, SUMSQ = 4;

TENSOR_READ(0, float, x);
TENSOR_WRITE(1, uint, y); // floats or integers

void main() {
    uint row = row_number(), n = min(row, push.rows - 1), cols = push.cols;
    uint from = OFFSET(0) + n * cols, result;
    if (KIND == MAX || KIND == ARGMAX) {
        uint place = row_lane() < cols ? row_lane() : 0;
        float most = x[from + place];
        for (uint i = row_lane() + THREADS; i < cols; i += THREADS) {
            float v = x[from + i];
            if (greater(v, most)) {
                most = v;
                place = i;
            }
        }
        row_max(most, place);
        result = KIND == ARGMAX ? place : floatBitsToUint(most);
    } else {
        float sum = 0.0;
        for (uint i = row_lane(); i < cols; i += THREADS) {
            float v = x[from + i];
            sum += KIND == SUMSQ ? v * v : v;
        }
        sum = row_sum(sum);
        result = floatBitsToUint(KIND == MEAN ? sum / float(cols) : sum);
    }
    if (row < push.rows && row_lane() == 0) y[OFFSET(1) + row] = result;
}
