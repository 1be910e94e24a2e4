// SPDX-License-Identifier: MIT
// linear.comp: y = residual + gate * act(x w^T + bias). Three bodies: subgroup broadcast
// (product.glsl); with SHARED_TILE a tile of x and of w in shared memory, which any GPU can run; with
// COOPMAT (and HALF) such a tile on matrix units (coopmat.glsl).
// With HALF the weight is f16 and x is rounded to it; what is shared is then pairs of f16.
// Each sum goes through k in order, so a row's result does not depend on how many rows there are.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef LONG_WORDS
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#if !defined(SHARED_TILE) || defined(COOPMAT)
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#define BINDINGS 6
#define PUSH uint m; uint n; uint k; uint gate_rows; uint gate_last;
#include "common.glsl"
#include "activation.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint TM = 4; // sums of one invocation: rows and columns
layout(constant_id = 3) const uint TN = 4;
layout(constant_id = 4) const uint WIDE = 0; // k is a multiple of 4
layout(constant_id = 5) const uint ACT = 0;
layout(constant_id = 6) const uint PARTS = 0; // 1 bias, 2 gate, 4 residual
// 1: sums go through y and a loop finishes them, which keeps the code short where it is compiled
// by a general compiler at run time; 0: finished in registers.
layout(constant_id = 7) const uint ROLLED = 0;
layout(constant_id = 8) const uint BM = 64; // shared tile: rows, columns, depth
layout(constant_id = 9) const uint BN = 64;
layout(constant_id = 10) const uint BK = 16;

#if !defined(SHARED_TILE) && !defined(COOPMAT)
#define SUBGROUP_PRODUCT
#endif
#include "product.glsl"
TENSOR_READ(2, float, bias);
TENSOR_READ(3, float, gate);
TENSOR_READ(4, float, residual);
TENSOR_WRITE(5, float, y);

float finish(float sum, uint row, uint col) {
    if ((PARTS & 1) != 0) sum += bias[OFFSET(2) + col];
    sum = activate(sum, ACT);
    if ((PARTS & 2) != 0) sum *= gate[OFFSET(3) + min(row / push.gate_rows, push.gate_last) * push.n + col];
    if ((PARTS & 4) != 0) sum += residual[OFFSET(4) + row * push.n + col];
    return sum;
}

#ifdef COOPMAT

uint tile_row, tile_col;
void stage(uint step);
#include "coopmat.glsl"

void stage(uint step) {
    uint k0 = step * BK;
    for (uint i = gl_LocalInvocationIndex; i < BM * BK / 4; i += gl_WorkGroupSize.x) {
        uint k = i % (BK / 4) * 4, row = i / (BK / 4);
        vec4 v = vec4(0.0);
        if (k0 + k < push.k) v = load_x(min(tile_row + row, push.m - 1), k0 + k);
        stage_x(row * PITCH + k, v);
    }
    for (uint i = gl_LocalInvocationIndex; i < BN * BK / 4; i += gl_WorkGroupSize.x) {
        uint k = i % (BK / 4) * 4, col = i / (BK / 4);
        vec4 v = vec4(0.0);
        if (k0 + k < push.k) v = load_w(min(tile_col + col, push.n - 1), k0 + k);
        [[unroll]] for (uint e = 0; e < 4; ++e) ws[col * PITCH + k + e] = float16_t(v[e]);
    }
}

void main() {
    tile_col = gl_WorkGroupID.x * BN;
    for (tile_row = gl_WorkGroupID.y * BM; tile_row < push.m; tile_row += gl_NumWorkGroups.y * BM) {
        coopmat_tile((push.k + BK - 1) / BK);
        for (uint i = gl_LocalInvocationIndex; i < BM * BN; i += gl_WorkGroupSize.x) {
            uint row = tile_row + i / BN, col = tile_col + i % BN;
            if (row < push.m && col < push.n)
                y[OFFSET(5) + row * push.n + col] = finish(done[i], row, col);
        }
        barrier();
    }
}

#elif !defined(SHARED_TILE)

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint col0 = gl_WorkGroupID.x * SUBGROUP * TN + lane;
    uint step = gl_NumWorkGroups.y * waves * TM;
    for (uint row0 = (gl_WorkGroupID.y * waves + gl_SubgroupID) * TM; row0 < push.m; row0 += step) {
        float sum[TM][TN];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = 0.0;
        subgroup_product(row0, gl_WorkGroupID.x * SUBGROUP * TN, sum);
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) {
                uint row = row0 + r, col = col0 + j * SUBGROUP;
                if (row < push.m && col < push.n)
                    y[OFFSET(5) + row * push.n + col] =
                        ROLLED != 0 ? sum[r][j] : finish(sum[r][j], row, col);
            }
        if (ROLLED != 0 && (ACT | PARTS) != 0)
            for (uint i = 0; i < TM * TN; ++i) {
                uint row = row0 + i / TN, col = col0 + i % TN * SUBGROUP;
                uint at = OFFSET(5) + row * push.n + col;
                if (row < push.m && col < push.n) y[at] = finish(y[at], row, col);
            }
    }
}

#else

// A shared word holds EACH values along k.
#ifdef HALF
#define WORD uint
#define VALUE vec2
#define OPEN(word) unpackHalf2x16(word)
const uint EACH = 2;
uvec2 words_x(uint row, uint k) { return half_pack(load_x_exact(row, k)); }
uvec2 words_w(uint row, uint k) { return load_w_words(row, k); }
float add_product(vec2 a, vec2 b, float sum) { return fma(a.y, b.y, fma(a.x, b.x, sum)); }
#define WORDS uvec2
#else
#define WORD float
#define VALUE float
#define OPEN(word) word
const uint EACH = 1;
vec4 words_x(uint row, uint k) { return load_x(row, k); }
vec4 words_w(uint row, uint k) { return load_w(row, k); }
float add_product(float a, float b, float sum) { return fma(a, b, sum); }
#define WORDS vec4
#endif

// Stored k-major, so that neighbours read neighbours; one word of padding against bank conflicts.
shared WORD xs[BK / EACH * (BM + 1)];
shared WORD ws[BK / EACH * (BN + 1)];

void main() {
    const uint across = BN / TN, down = BM / TM;
    uint t = gl_LocalInvocationIndex, tx = t % across, ty = t / across;
    uint col0 = gl_WorkGroupID.x * BN, step = gl_NumWorkGroups.y * BM;
    for (uint row0 = gl_WorkGroupID.y * BM; row0 < push.m; row0 += step) {
        float sum[TM][TN];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = 0.0;
        for (uint k0 = 0; k0 < push.k; k0 += BK) {
            for (uint i = t; i < BM * BK / 4; i += across * down) {
                uint k = i % (BK / 4) * 4, row = i / (BK / 4);
                WORDS v = WORDS(0);
                if (k0 + k < push.k) v = words_x(min(row0 + row, push.m - 1), k0 + k);
                [[unroll]] for (uint c = 0; c < 4 / EACH; ++c)
                    xs[(k / EACH + c) * (BM + 1) + row] = v[c];
            }
            for (uint i = t; i < BN * BK / 4; i += across * down) {
                uint k = i % (BK / 4) * 4, row = i / (BK / 4);
                WORDS v = WORDS(0);
                if (k0 + k < push.k) v = words_w(min(col0 + row, push.n - 1), k0 + k);
                [[unroll]] for (uint c = 0; c < 4 / EACH; ++c)
                    ws[(k / EACH + c) * (BN + 1) + row] = v[c];
            }
            barrier();
            for (uint k = 0; k < BK / EACH; ++k) {
                VALUE b[TN];
                [[unroll]] for (uint j = 0; j < TN; ++j)
                    b[j] = OPEN(ws[k * (BN + 1) + tx + j * across]);
                [[unroll]] for (uint r = 0; r < TM; ++r) {
                    VALUE a = OPEN(xs[k * (BM + 1) + ty + r * down]);
                    [[unroll]] for (uint j = 0; j < TN; ++j)
                        sum[r][j] = add_product(a, b[j], sum[r][j]);
                }
            }
            barrier();
        }
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) {
                uint row = row0 + ty + r * down, col = col0 + tx + j * across;
                if (row < push.m && col < push.n)
                    y[OFFSET(5) + row * push.n + col] =
                        ROLLED != 0 ? sum[r][j] : finish(sum[r][j], row, col);
            }
        if (ROLLED != 0 && (ACT | PARTS) != 0)
            for (uint i = 0; i < TM * TN; ++i) {
                uint row = row0 + ty + i / TN * down, col = col0 + tx + i % TN * across;
                uint at = OFFSET(5) + row * push.n + col;
                if (row < push.m && col < push.n) y[at] = finish(y[at], row, col);
            }
    }
}

#endif
