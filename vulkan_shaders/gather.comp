// SPDX-License-Identifier: MIT
// gather.comp: rows of a table (ids are held inside it) or columns of x (ids outside give 0).
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint n; uint out_cols; uint end; uint columns;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, uint, x);
TENSOR_READ(1, int, ids);
TENSOR_WRITE(2, uint, y);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint row = at / push.out_cols, col = at % push.out_cols, value;
    if (push.columns != 0) {
        int id = ids[OFFSET(1) + col];
        bool inside = id >= 0 && id < int(push.end);
        value = x[OFFSET(0) + row * push.end + (inside ? uint(id) : 0)];
        if (!inside) value = 0;
    } else {
        int id = clamp(ids[OFFSET(1) + row], 0, int(push.end) - 1);
        value = x[OFFSET(0) + uint(id) * push.out_cols + col];
    }
    y[OFFSET(2) + at] = value;
}
