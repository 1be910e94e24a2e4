// SPDX-License-Identifier: MIT
// conv2d_matrix2.comp: y = residual + act(conv(x) + bias) of channels-last feature maps with stride
// 1, the body of conv2d for devices with VK_NV_cooperative_matrix2 (matrix2.glsl). The rows of a tile
// are the places of a patch of y, PW across and BM / PW down, in one picture. Under one place of the
// kernel they read a patch of x of the same size, so the padding is what lies outside of the tensor.
// x is f16, c a multiple of 8; the kernel is [kh, kw, n, c] as f16; n is a multiple of 8, and y is
// f32, or f16, rounded once by half_round.
//
// A norm that reads y may have its statistics from here (statistics.glsl), of each 8 x 2 places and
// four channels. How a matrix is spread over invocations is the driver's secret, and a second one of
// its size would not fit beside it: the workgroup reads what it has just written, from a cache.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 6
// patches: of all pictures; across, down: of one.
#define PUSH                                                                                     \
    uint patches; uint across; uint down; uint n; uint c; uint h; uint w; uint oh; uint ow; uint kh; \
    uint kw; uint top; uint left;
#include "common.glsl"
#include "activation.glsl"
#include "wide.glsl"
#include "half.glsl"
#include "matrix2.glsl"

layout(constant_id = 4) const uint PW = 8;
layout(constant_id = 5) const uint ACT = 0;
// 1 bias, 2 residual; 16 y is f16, 64 c is a multiple of BK; from 256 on the places of a piece with
// statistics, 16 of them: ow is then a multiple of PW, which is 8, and oh one of 2
layout(constant_id = 6) const uint PARTS = 0;
const bool Y_HALF = (PARTS & 16) != 0, EVEN = (PARTS & 64) != 0;
const uint PH = BM / PW;

HALF_READ4(0, xh4);
HALF_READ4(1, wh4);
TENSOR_READ(2, float, bias);
TENSOR_READ(3, float, residual);
layout(std430, set = 0, binding = 4) nonprivate buffer TensorQuad4 { vec4 y4[]; };
TENSOR_WRITE(5, vec2, statistics);
#include "statistics.glsl"
const uint STAT_ROWS = PARTS >> 8;

// Of each element of a tile: `place` is that of its first row in a picture whose first element is
// number `image` of y. Past the edges the last is finished again, and not written.
float finish(const in uint i, const in uint j, const in float of, const in uvec2 place, const in uint col0,
             const in uint image) {
    uint row = min(place.y + i / PW, push.oh - 1), across = min(place.x + i % PW, push.ow - 1);
    uint col = min(col0 + j, push.n - 1);
    float sum = of;
    if ((PARTS & 1) != 0) sum += bias[OFFSET(2) + col];
    sum = activate(sum, ACT);
    if ((PARTS & 2) != 0) sum += residual[OFFSET(3) + image + (row * push.ow + across) * push.n + col];
    return Y_HALF ? half_round(vec4(sum)).x : sum;
}

void put_moments(Moments m, uint piece, uint col) {
    statistics[OFFSET(5) / 2 + (piece * push.n + col) / 4] = vec2(m.mean, m.squares);
}

// Of a patch that has been written.
void find_statistics(uint picture, uint image, uvec2 place, uint col0) {
    const uint EACH = Y_HALF ? 8 : 4, ACROSS = BN / EACH; // columns of 16 bytes
    controlBarrier(gl_ScopeWorkgroup, gl_ScopeWorkgroup, gl_StorageSemanticsBuffer,
                   gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible);
    for (uint i = gl_LocalInvocationIndex; i < BM / 16 * ACROSS; i += gl_WorkGroupSize.x) {
        uint row = place.y + i / ACROSS * 2, col = col0 + i % ACROSS * EACH;
        if (row >= push.oh || col >= push.n) continue;
        Moments low = Moments(0.0, 0.0), high = low; // of the word's first four columns, and the others
        for (uint k = 0; k < 16; ++k) {
            uint at = image + ((row + k / 8) * push.ow + place.x + k % 8) * push.n + col;
            vec4 word = y4[OFFSET(4) / 4 + at / EACH];
            uvec4 halves = floatBitsToUint(word);
            if (Y_HALF) {
                moments_add(low, half_unpack(halves.xy), k + 1);
                moments_add(high, half_unpack(halves.zw), k + 1);
            } else
                moments_add(low, word, k + 1);
        }
        uint piece = (picture * (push.oh / 2) + row / 2) * (push.ow / 8) + place.x / 8;
        put_moments(low, piece, col);
        if (Y_HALF) put_moments(high, piece, col + 4);
    }
}

void main() {
    uint col0 = gl_WorkGroupID.x * BN, depth = push.c & ~7u; // a compiler sees that rows are aligned
    tensorLayoutNV<3, EDGES> x_edges =
        setTensorLayoutDimensionNV(createTensorLayoutNV(3, EDGES), push.h, push.w, depth);
    tensorLayoutNV<2, EDGES> w_edges = setTensorLayoutDimensionNV(createTensorLayoutNV(2, EDGES), push.n, depth);
    tensorLayoutNV<3> x_inside = setTensorLayoutDimensionNV(createTensorLayoutNV(3), push.h, push.w, depth);
    tensorLayoutNV<2> w_inside = setTensorLayoutDimensionNV(createTensorLayoutNV(2), push.n, depth);
    tensorLayoutNV<3, EDGES> y_edges =
        setTensorLayoutDimensionNV(createTensorLayoutNV(3, EDGES), push.oh, push.ow, push.n & ~7u);
    for (uint patch_at = gl_WorkGroupID.y; patch_at < push.patches; patch_at += gl_NumWorkGroups.y) {
        uint picture = patch_at / (push.across * push.down);
        uvec2 place = uvec2(patch_at % push.across * PW, patch_at / push.across % push.down * PH);
        uint x_at = OFFSET(0) / 4 + picture * push.h * push.w * (push.c / 8);
        int row = int(place.y) - int(push.top), col = int(place.x) - int(push.left);
        // The patch of y, with what its kernel reaches of x, lies inside.
        bool inside = EVEN && row >= 0 && col >= 0 && col0 + BN <= push.n && row + PH + push.kh - 1 <= push.h &&
                      col + PW + push.kw - 1 <= push.w;
        MATRIX_SUMS sum = MATRIX_SUMS(0.0);
        MATRIX_X x;
        MATRIX_W w;
        for (uint tap = 0; tap < push.kh * push.kw; ++tap) {
            int from_row = row + int(tap / push.kw), from_col = col + int(tap % push.kw);
            uint w_at = OFFSET(1) / 4 + tap * push.n * (push.c / 8);
            if (inside)
                for (uint c = 0; c < depth; c += BK) {
                    coopMatLoadTensorNV(x, xh4, x_at,
                                        sliceTensorLayoutNV(x_inside, from_row, PH, from_col, PW, int(c), BK));
                    coopMatLoadTensorNV(w, wh4, w_at, sliceTensorLayoutNV(w_inside, int(col0), BN, int(c), BK),
                                        TURNED);
                    sum = coopMatMulAdd(x, w, sum);
                }
            else
                for (uint c = 0; c < depth; c += BK) {
                    coopMatLoadTensorNV(x, xh4, x_at,
                                        sliceTensorLayoutNV(x_edges, from_row, PH, from_col, PW, int(c), BK));
                    coopMatLoadTensorNV(w, wh4, w_at, sliceTensorLayoutNV(w_edges, int(col0), BN, int(c), BK), TURNED);
                    sum = coopMatMulAdd(x, w, sum);
                }
        }
        uint image = picture * push.oh * push.ow * push.n;
        if ((ACT | PARTS & 3) != 0 || Y_HALF) coopMatPerElementNV(sum, sum, finish, place, col0, image);
        if (Y_HALF)
            coopMatStoreTensorNV(MATRIX_HALVES(sum), y4, OFFSET(4) / 4 + image / 8,
                                 sliceTensorLayoutNV(y_edges, int(place.y), PH, int(place.x), PW, int(col0), BN));
        else
            coopMatStoreTensorNV(sum, y4, OFFSET(4) / 4 + image / 4,
                                 sliceTensorLayoutNV(y_edges, int(place.y), PH, int(place.x), PW, int(col0), BN));
        if (STAT_ROWS != 0) find_statistics(picture, image, place, col0);
    }
}
