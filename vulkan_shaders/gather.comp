// SPDX-License-Identifier: MIT
// gather.comp: rows of a table (ids are held inside it) or columns of x (ids outside give 0). With
// QUADS the columns of a table's rows are counted in words of four elements.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint n; uint out_cols; uint end; uint columns; uint magic; uint shift; // of out_cols
#include "common.glsl"
#include "grid.glsl"
#include "divide.glsl"
#include "wide.glsl"
#include "half.glsl"

layout(constant_id = 0) const bool QUADS = false;
layout(constant_id = 1) const bool HALF_Y = false; // with QUADS alone

TENSOR_READ(0, uint, x);
layout(std430, set = 0, binding = 0) readonly buffer Rows { uvec4 x4[]; };
TENSOR_READ(1, int, ids);
TENSOR_WRITE(2, uint, y);
layout(std430, set = 0, binding = 2) buffer ToF32 { uvec4 y_f32[]; };
layout(std430, set = 0, binding = 2) buffer ToF16 { uvec2 y_f16[]; };

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint row = divided(at, push.magic, push.shift), col = at - row * push.out_cols;
    if (QUADS) {
        uint id = uint(clamp(ids[OFFSET(1) + row], 0, int(push.end) - 1));
        uvec4 v = x4[OFFSET(0) / 4 + id * push.out_cols + col];
        if (HALF_Y) y_f16[OFFSET(2) / 2 + at] = half_pack(uintBitsToFloat(v));
        else y_f32[OFFSET(2) / 4 + at] = v;
    } else if (push.columns != 0) {
        int id = ids[OFFSET(1) + col];
        bool inside = id >= 0 && id < int(push.end);
        uint value = x[OFFSET(0) + row * push.end + (inside ? uint(id) : 0)];
        y[OFFSET(2) + at] = inside ? value : 0;
    } else {
        uint id = uint(clamp(ids[OFFSET(1) + row], 0, int(push.end) - 1));
        y[OFFSET(2) + at] = x[OFFSET(0) + id * push.out_cols + col];
    }
}
