// SPDX-License-Identifier: MIT
// linear.comp: y = residual + gate * act(x w^T + bias). Three bodies: subgroup broadcast
// (product.glsl); with SHARED_TILE a tile of x and of w in shared memory, which any GPU can run; with
// COOPMAT (and HALF, or PAIRS in f32's place) such a tile on matrix units (coopmat.glsl).
// With HALF the weight is f16 and x is rounded to it, unless it is f16 already; what is shared is
// then pairs of f16. y may be f16, too, rounded once by half_round.
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
// Sums of one invocation, with COOPMAT of one subgroup: rows and columns.
layout(constant_id = 2) const uint TM = 4;
layout(constant_id = 3) const uint TN = 4;
layout(constant_id = 4) const uint WIDE = 0; // k is a multiple of 4
layout(constant_id = 5) const uint ACT = 0;
// 1 bias, 2 gate, 4 residual; 8 x is f16, 16 y is f16, 32 n is a multiple of 4, 64 k is one of BK
layout(constant_id = 6) const uint PARTS = 0;
// 1: a loop finishes the sums, which keeps the code short where it is compiled by a general compiler
// at run time; 0: all are finished one after the other. The loop's end is not a constant, lest the
// compiler unrolls it for the array.
layout(constant_id = 7) const uint ROLLED = 0;
layout(constant_id = 8) const uint BM = 64; // shared tile: rows, columns, depth
layout(constant_id = 9) const uint BN = 64;
layout(constant_id = 10) const uint BK = 16;

const bool X_HALF = (PARTS & 8) != 0, Y_HALF = (PARTS & 16) != 0;
const bool QUADS = (PARTS & 32) != 0, EVEN = (PARTS & 64) != 0;

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

#if defined(SHARED_TILE) || defined(COOPMAT)
WIDE_READ(2, bias4);
WIDE_READ(3, gate4);
WIDE_READ(4, residual4);
TENSOR_WRITE4(5, y4);
#ifdef HALF
HALF_WRITE2(5, yh2);
#endif

// Finishes and writes four columns from col on.
void store4(inout vec4 sum, uint row, uint col) {
    if (row >= push.m || col >= push.n) return;
    uint at = row * push.n + col;
    if (!QUADS) {
        [[unroll]] for (uint i = 0; i < 4; ++i)
            if (col + i < push.n) y[OFFSET(5) + at + i] = finish(sum[i], row, col + i);
        return;
    }
    if ((PARTS & 1) != 0) sum += WIDE_LOAD(bias4, OFFSET(2) + col);
    [[unroll]] for (uint i = 0; i < 4; ++i) sum[i] = activate(sum[i], ACT);
    if ((PARTS & 2) != 0)
        sum *= WIDE_LOAD(gate4, OFFSET(3) + min(row / push.gate_rows, push.gate_last) * push.n + col);
    if ((PARTS & 4) != 0) sum += WIDE_LOAD(residual4, OFFSET(4) + at);
#ifdef HALF
    if (Y_HALF) {
        yh2[(OFFSET(5) + at / 2) / 2] = half_pack(sum);
        return;
    }
#endif
    y4[(OFFSET(5) + at) / 4] = sum;
}
#endif

#ifdef HALF
HALF_READ4(0, xh4);
HALF_READ4(1, wh4);
// Eight f16 along k; beyond the end zeros.
uvec4 words_x(uint row, uint k) {
    uvec2 a = uvec2(0), b = uvec2(0);
    if (k < push.k) a = load_x_words(row, k);
    if (k + 4 < push.k) b = load_x_words(row, k + 4);
    return uvec4(a, b);
}
#endif

#ifdef COOPMAT

#ifdef PAIRS
WORDS_READ4(1, w_pairs);
#endif

const bool ALL_KEPT = EVEN;
const uint STAT_ROWS = 0;
#include "statistics.glsl"
void put_moments(Moments m, uint row, uint col) {}
void fetch(uint step);
#include "coopmat.glsl"

// Where the words of the first step lie, in 16 bytes; of f32 x that has to be cut the row.
uint x_at[XL], w_at[WL];

#ifdef PAIRS
// Past the end of k a row's last word of w is read again, and that of x, the first, dropped.
void fetch(uint step) {
    uint words = (push.k + 7) / 8;
    [[unroll]] for (uint i = 0; i < 2 * XL; ++i) {
        uint k = (step * WORDS + word_of(i / 2)) * 8 + i % 2 * 4;
        kept_x[i] = EVEN || k < push.k;
        if (WIDE != 0)
            next_x[i] = x4[kept_x[i] ? x_at[i / 2] + k / 4 : 0];
        else
            next_x[i] = kept_x[i] ? load_x_exact(x_at[i / 2], k) : vec4(0.0);
    }
    [[unroll]] for (uint i = 0; i < 2 * WL; ++i) {
        uint word = step * WORDS + word_of(i / 2);
        next_w[i] = w_pairs[w_at[i / 2] + 2 * (EVEN ? word : min(word, words - 1)) + i % 2];
    }
}

void main() {
    uint tile_col = gl_WorkGroupID.x * BN, words = (push.k + 7) / 8;
    [[unroll]] for (uint n = 0; n < WL; ++n)
        w_at[n] = OFFSET(1) / 4 + min(tile_col + row_of(n), push.n - 1) * words * 2;
    for (uint tile_row = gl_WorkGroupID.y * BM; tile_row < push.m; tile_row += gl_NumWorkGroups.y * BM) {
        [[unroll]] for (uint n = 0; n < XL; ++n) {
            uint row = min(tile_row + row_of(n), push.m - 1);
            x_at[n] = WIDE != 0 ? (OFFSET(0) + row * push.k) / 4 : row;
        }
        coopmat_tile((words + WORDS - 1) / WORDS, tile_row, tile_col);
    }
}
#else
// Past the end of k a row's last word is read again, and that of x dropped.
void fetch(uint step) {
    uint words = (push.k + 7) / 8;
    [[unroll]] for (uint n = 0; n < XL; ++n) {
        uint word = step * WORDS + word_of(n);
        kept_x[n] = EVEN || word < words;
        if (X_HALF)
            next_x[n] = xh4[x_at[n] + (EVEN ? step * WORDS : min(word, words - 1) - word_of(n))];
        else if (EVEN) {
            uint at = (x_at[n] + step * WORDS) * 8; // of eight f32
            next_x[n] = uvec4(half_pack(WIDE_LOAD(x4, OFFSET(0) + at)),
                              half_pack(WIDE_LOAD(x4, OFFSET(0) + at + 4)));
        } else
            next_x[n] = words_x(x_at[n], word * 8);
    }
    [[unroll]] for (uint n = 0; n < WL; ++n) {
        uint word = step * WORDS + word_of(n);
        next_w[n] = wh4[w_at[n] + (EVEN ? step * WORDS : min(word, words - 1) - word_of(n))];
    }
}

void main() {
    uint tile_col = gl_WorkGroupID.x * BN, words = (push.k + 7) / 8;
    [[unroll]] for (uint n = 0; n < WL; ++n)
        w_at[n] = OFFSET(1) / 4 + min(tile_col + row_of(n), push.n - 1) * words + word_of(n);
    for (uint tile_row = gl_WorkGroupID.y * BM; tile_row < push.m; tile_row += gl_NumWorkGroups.y * BM) {
        [[unroll]] for (uint n = 0; n < XL; ++n) {
            uint row = min(tile_row + row_of(n), push.m - 1);
            x_at[n] = X_HALF || EVEN ? row * words + word_of(n) + (X_HALF ? OFFSET(0) / 4 : 0) : row;
        }
        coopmat_tile((words + WORDS - 1) / WORDS, tile_row, tile_col);
    }
}
#endif

#elif !defined(SHARED_TILE)

#ifdef HALF
HALF_WRITE(5, yh);
void store2(float first, float second, uint row, uint col) { // n is even
    if (row >= push.m || col >= push.n) return;
    vec4 v = vec4(finish(first, row, col), finish(second, row, col + 1), 0.0, 0.0);
    yh[OFFSET(5) + (row * push.n + col) / 2] = half_pack(v).x;
}

// The sums as f16.
void store_halves(float sum[TM][TN], uint row0, uint col0) {
    const uint PAIRS = TM * TN / 2;
    float kept[2 * PAIRS];
    [[unroll]] for (uint i = 0; i < 2 * PAIRS; ++i) kept[i] = sum[i / TN][i % TN];
    if (ROLLED != 0)
        for (uint i = 0; i < 2 * PAIRS && row0 + i / TN < push.m; i += 2)
            store2(kept[i], kept[i + 1], row0 + i / TN, col0 + lane_column(i % TN));
    else
        [[unroll]] for (uint i = 0; i < 2 * PAIRS; i += 2)
            store2(kept[i], kept[i + 1], row0 + i / TN, col0 + lane_column(i % TN));
}
#endif

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint col0 = gl_WorkGroupID.x * SUBGROUP * TN;
    uint step = gl_NumWorkGroups.y * waves * TM;
    for (uint row0 = (gl_WorkGroupID.y * waves + gl_SubgroupID) * TM; row0 < push.m; row0 += step) {
        float sum[TM][TN];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = 0.0;
        subgroup_product(row0, col0, sum);
#ifdef HALF
        if (Y_HALF) {
            store_halves(sum, row0, col0);
            continue;
        }
#endif
        // With ROLLED the sums go through y.
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) {
                uint row = row0 + r, col = col0 + j * SUBGROUP + lane;
                if (row < push.m && col < push.n)
                    y[OFFSET(5) + row * push.n + col] =
                        ROLLED != 0 ? sum[r][j] : finish(sum[r][j], row, col);
            }
        if (ROLLED != 0 && (ACT | PARTS & 7) != 0)
            for (uint i = 0; i < TM * TN; ++i) {
                uint row = row0 + i / TN, col = col0 + i % TN * SUBGROUP + lane;
                uint at = OFFSET(5) + row * push.n + col;
                if (row < push.m && col < push.n) y[at] = finish(y[at], row, col);
            }
    }
}

#else

// A shared word holds EACH values along k, and four of them are staged at a time.
#ifdef HALF
#define WORDS uvec4
const uint EACH = 2;
#else
#define WORDS vec4
const uint EACH = 1;
#endif

// Where the first word of a row lies that an invocation stages: in 16 bytes, or the row where they do
// not lie on 16 bytes. A step then adds as much for all.
uint x_place(uint row, uint unit) {
#ifdef HALF
    return X_HALF ? (OFFSET(0) + row * (push.k / 2) + unit) / 4 : row;
#else
    return WIDE != 0 ? (OFFSET(0) + row * push.k + unit) / 4 : row;
#endif
}
uint w_place(uint row, uint unit) {
#ifdef HALF
    return (OFFSET(1) + row * ((push.k + 7) / 8 * 4) + unit) / 4; // its rows are padded to 8
#else
    return WIDE != 0 ? (OFFSET(1) + row * push.k + unit) / 4 : row;
#endif
}
// The words of the step from k0 on, which are k and those behind it.
WORDS stage_x(uint place, uint k0, uint k) {
#ifdef HALF
    return X_HALF ? xh4[place + k0 / 8] : words_x(place, k);
#else
    return WIDE != 0 ? x4[place + k0 / 4] : load_x(place, k);
#endif
}
WORDS stage_w(uint place, uint k0, uint k) {
#ifdef HALF
    return wh4[place + k0 / 8];
#else
    return WIDE != 0 ? w4[place + k0 / 4] : load_w(place, k);
#endif
}

// Stored k-major, so that neighbours read neighbours, four rows or columns at a time. Four words of
// padding keep them whole and neighbouring k in other banks.
const uint XS = BM + 4, WS = BN + 4;
shared WORDS xs[BK / EACH * (BM + 4) / 4];
shared WORDS ws[BK / EACH * (BN + 4) / 4];
const uint THREADS = BN / TN * (BM / TM), UNITS = BK / (4 * EACH);
const uint XL = BM * UNITS / THREADS, WL = BN * UNITS / THREADS; // units an invocation stages
const uint NEXT = THREADS / UNITS; // rows between two of them, a multiple of 4

void main() {
    const uint across = BN / TN, down = BM / TM;
    uint t = gl_LocalInvocationIndex, tx = t % across, ty = t / across;
    uint unit = t % UNITS * 4, staged_row = t / UNITS; // unit in words
    uint quartet = unit * (XS / 4) + staged_row / 4, quartet_w = unit * (WS / 4) + staged_row / 4;
    uint col0 = gl_WorkGroupID.x * BN, step = gl_NumWorkGroups.y * BM;
    uint x_at[XL], w_at[WL];
    [[unroll]] for (uint n = 0; n < WL; ++n)
        w_at[n] = w_place(min(col0 + staged_row + n * NEXT, push.n - 1), unit);
    for (uint row0 = gl_WorkGroupID.y * BM; row0 < push.m; row0 += step) {
        vec4 sum[TM][TN / 4];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN / 4; ++j) sum[r][j] = vec4(0.0);
        [[unroll]] for (uint n = 0; n < XL; ++n)
            x_at[n] = x_place(min(row0 + staged_row + n * NEXT, push.m - 1), unit);
        for (uint k0 = 0; k0 < push.k; k0 += BK) {
            WORDS x_unit[XL], w_unit[WL];
            uint from = k0 + unit * EACH;
            [[unroll]] for (uint n = 0; n < XL; ++n) {
                x_unit[n] = WORDS(0);
                if (EVEN || from < push.k) x_unit[n] = stage_x(x_at[n], k0, from);
            }
            [[unroll]] for (uint n = 0; n < WL; ++n) {
                w_unit[n] = WORDS(0);
                if (EVEN || from < push.k) w_unit[n] = stage_w(w_at[n], k0, from);
            }
            [[unroll]] for (uint n = 0; n < XL; ++n)
                [[unroll]] for (uint c = 0; c < 4; ++c)
                    xs[quartet + c * (XS / 4) + n * (NEXT / 4)][staged_row % 4] = x_unit[n][c];
            [[unroll]] for (uint n = 0; n < WL; ++n)
                [[unroll]] for (uint c = 0; c < 4; ++c)
                    ws[quartet_w + c * (WS / 4) + n * (NEXT / 4)][staged_row % 4] = w_unit[n][c];
            barrier();
            for (uint k = 0; k < BK / EACH; ++k) {
#ifdef HALF
                vec4 even[TN / 4], odd[TN / 4];
                [[unroll]] for (uint j = 0; j < TN / 4; ++j) {
                    uvec4 words = ws[k * (WS / 4) + tx + j * across];
                    [[unroll]] for (uint i = 0; i < 4; ++i) {
                        vec2 pair = unpackHalf2x16(words[i]);
                        even[j][i] = pair.x;
                        odd[j][i] = pair.y;
                    }
                }
                [[unroll]] for (uint r = 0; r < TM; r += 4) {
                    uvec4 words = xs[k * (XS / 4) + ty * (TM / 4) + r / 4];
                    [[unroll]] for (uint e = 0; e < 4; ++e) {
                        vec2 a = unpackHalf2x16(words[e]);
                        [[unroll]] for (uint j = 0; j < TN / 4; ++j)
                            sum[r + e][j] = fma(vec4(a.y), odd[j], fma(vec4(a.x), even[j], sum[r + e][j]));
                    }
                }
#else
                vec4 b[TN / 4];
                [[unroll]] for (uint j = 0; j < TN / 4; ++j) b[j] = ws[k * (WS / 4) + tx + j * across];
                [[unroll]] for (uint r = 0; r < TM; r += 4) {
                    vec4 a = xs[k * (XS / 4) + ty * (TM / 4) + r / 4];
                    [[unroll]] for (uint e = 0; e < 4; ++e)
                        [[unroll]] for (uint j = 0; j < TN / 4; ++j)
                            sum[r + e][j] = fma(vec4(a[e]), b[j], sum[r + e][j]);
                }
#endif
            }
            barrier();
        }
        const uint QUARTETS = TM * TN / 4, EACH_ROW = TN / 4;
        if (ROLLED != 0) {
            vec4 kept[QUARTETS];
            [[unroll]] for (uint i = 0; i < QUARTETS; ++i) kept[i] = sum[i / EACH_ROW][i % EACH_ROW];
            for (uint i = 0; i < QUARTETS && row0 + ty * TM + i / EACH_ROW < push.m; ++i)
                store4(kept[i], row0 + ty * TM + i / EACH_ROW,
                       col0 + (tx + i % EACH_ROW * across) * 4);
        } else
            [[unroll]] for (uint r = 0; r < TM; ++r)
                [[unroll]] for (uint j = 0; j < TN / 4; ++j)
                    store4(sum[r][j], row0 + ty * TM + r, col0 + (tx + j * across) * 4);
    }
}

#endif
