// SPDX-License-Identifier: MIT
// linear_matrix2.comp: y = residual + gate * act(x w^T + bias), the body of linear for devices with
// VK_NV_cooperative_matrix2 (matrix2.glsl). x is f16, k a multiple of 8; y is f32, or f16 with n a
// multiple of 8, rounded once by half_round.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 6
#define PUSH uint m; uint n; uint k; uint gate_rows; uint gate_last;
#include "common.glsl"
#include "activation.glsl"
#include "wide.glsl"
#include "half.glsl"
#include "matrix2.glsl"

layout(constant_id = 5) const uint ACT = 0;
// 1 bias, 2 gate, 4 residual; 16 y is f16, 64 k is a multiple of BK
layout(constant_id = 6) const uint PARTS = 0;
const bool Y_HALF = (PARTS & 16) != 0, EVEN = (PARTS & 64) != 0;

HALF_READ4(0, xh4);
HALF_READ4(1, wh4);
TENSOR_READ(2, float, bias);
TENSOR_READ(3, float, gate);
TENSOR_READ(4, float, residual);
TENSOR_WRITE4(5, y4);

// Of each element of a tile that begins at (row0, col0). Past the edges the last is finished again,
// and not written.
float finish(const in uint i, const in uint j, const in float of, const in uint row0, const in uint col0) {
    uint row = min(row0 + i, push.m - 1), col = min(col0 + j, push.n - 1);
    float sum = of;
    if ((PARTS & 1) != 0) sum += bias[OFFSET(2) + col];
    sum = activate(sum, ACT);
    if ((PARTS & 2) != 0) sum *= gate[OFFSET(3) + min(row / push.gate_rows, push.gate_last) * push.n + col];
    if ((PARTS & 4) != 0) sum += residual[OFFSET(4) + row * push.n + col];
    return Y_HALF ? half_round(vec4(sum)).x : sum;
}

void main() {
    uint col0 = gl_WorkGroupID.x * BN, depth = push.k & ~7u; // a compiler sees that rows are aligned
    tensorLayoutNV<2, EDGES> x_edges = setTensorLayoutDimensionNV(createTensorLayoutNV(2, EDGES), push.m, depth);
    tensorLayoutNV<2, EDGES> w_edges = setTensorLayoutDimensionNV(createTensorLayoutNV(2, EDGES), push.n, depth);
    tensorLayoutNV<2> x_inside = setTensorLayoutDimensionNV(createTensorLayoutNV(2), push.m, depth);
    tensorLayoutNV<2> w_inside = setTensorLayoutDimensionNV(createTensorLayoutNV(2), push.n, depth);
    tensorLayoutNV<2, EDGES> y_edges = setTensorLayoutDimensionNV(createTensorLayoutNV(2, EDGES), push.m, push.n);
    for (uint row0 = gl_WorkGroupID.y * BM; row0 < push.m; row0 += gl_NumWorkGroups.y * BM) {
        MATRIX_SUMS sum = MATRIX_SUMS(0.0);
        MATRIX_X x;
        MATRIX_W w;
        if (EVEN && row0 + BM <= push.m && col0 + BN <= push.n)
            for (uint k = 0; k < depth; k += BK) {
                coopMatLoadTensorNV(x, xh4, OFFSET(0) / 4, sliceTensorLayoutNV(x_inside, int(row0), BM, int(k), BK));
                coopMatLoadTensorNV(w, wh4, OFFSET(1) / 4, sliceTensorLayoutNV(w_inside, int(col0), BN, int(k), BK), TURNED);
                sum = coopMatMulAdd(x, w, sum);
            }
        else
            for (uint k = 0; k < depth; k += BK) {
                coopMatLoadTensorNV(x, xh4, OFFSET(0) / 4, sliceTensorLayoutNV(x_edges, int(row0), BM, int(k), BK));
                coopMatLoadTensorNV(w, wh4, OFFSET(1) / 4, sliceTensorLayoutNV(w_edges, int(col0), BN, int(k), BK), TURNED);
                sum = coopMatMulAdd(x, w, sum);
            }
        if ((ACT | PARTS & 7) != 0 || Y_HALF) coopMatPerElementNV(sum, sum, finish, row0, col0);
        if (Y_HALF)
            coopMatStoreTensorNV(MATRIX_HALVES(sum), y4, OFFSET(5) / 4, sliceTensorLayoutNV(y_edges, int(row0), BM, int(col0), BN));
        else
            coopMatStoreTensorNV(sum, y4, OFFSET(5) / 4, sliceTensorLayoutNV(y_edges, int(row0), BM, int(col0), BN));
    }
}
