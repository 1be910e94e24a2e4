// SPDX-License-Identifier: MIT
// nearest_code.comp: for each row of x the code w[j] with the greatest x.c - |c|^2/2, the argmax
// taken while the scores are in registers. Ties go to the lowest index; NaN never wins. The codes are
// cut into parts, one for each y of the grid; where there are several, best, second best and id of
// each go to `state`, and MERGE puts them together: which is best and which second does not depend on
// the cut. Two bodies: subgroup broadcast (product.glsl), and with PLAIN one invocation for each row.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef LONG_WORDS
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#if !defined(PLAIN) && !defined(MERGE)
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

const float LOWEST = -3.402823466e38; // below every score

// Twice the distance of two scores is the distance of squared distances.
float margin_of(float best, float second, uint codes) {
    if (codes == 1) return 0.0;
    if (best == LOWEST) return uintBitsToFloat(0x7fc00000u);   // a row without a number
    if (second == LOWEST) return uintBitsToFloat(0x7f800000u);
    return 2.0 * (best - second);
}

#ifdef MERGE

#define BINDINGS 3
#define PUSH uint m; uint n; uint parts;
#include "common.glsl"
#include "rows.glsl"
layout(constant_id = 1) const bool MARGIN = false;
TENSOR_READ(0, uint, state); // [m, parts, 3]
TENSOR_WRITE(1, int, ids);
TENSOR_WRITE(2, float, margin);
shared float bests[GROUP], seconds[GROUP];
shared int winners[GROUP];

// Adds a part's best, second and winner to what a thread has.
void add(inout float best, inout float second, inout int id, float b, float s, int i) {
    second = max(min(best, b), max(second, s));
    if (b > best || (b == best && i < id)) id = i;
    best = max(best, b);
}

void main() {
    uint row = row_number(), t = gl_LocalInvocationID.x, lane = row_lane();
    uint from = OFFSET(0) + min(row, push.m - 1) * push.parts * 3;
    float best = LOWEST, second = LOWEST;
    int id = 0x7fffffff;
    for (uint part = lane; part < push.parts; part += THREADS) {
        uint at = from + part * 3;
        add(best, second, id, uintBitsToFloat(state[at]), uintBitsToFloat(state[at + 1]),
            int(state[at + 2]));
    }
    for (uint width = THREADS / 2; width > 0; width /= 2) {
        bests[t] = best;
        seconds[t] = second;
        winners[t] = id;
        barrier();
        uint other = lane < width ? t + width : t;
        float b = bests[other], s = seconds[other];
        int i = winners[other];
        if (lane < width) add(best, second, id, b, s, i);
        barrier();
    }
    if (row >= push.m || lane != 0) return;
    ids[OFFSET(1) + row] = id;
    if (MARGIN) margin[OFFSET(2) + row] = margin_of(best, second, push.n);
}

#else

#define BINDINGS 6
#define PUSH uint m; uint n; uint k; uint codes; // codes of a part
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint TM = 8;
layout(constant_id = 3) const uint TN = 4;
layout(constant_id = 4) const uint WIDE = 0;
layout(constant_id = 5) const uint COSINE = 0;
layout(constant_id = 6) const uint MARGIN = 0;
layout(constant_id = 7) const uint SPLIT = 0; // 1: there are several parts
layout(constant_id = 8) const bool KNOWN = false; // |c|^2 comes as a tensor

#ifndef PLAIN
#define SUBGROUP_PRODUCT
#define SQUARES
#endif
#include "product.glsl"
TENSOR_READ(2, float, squares);
TENSOR_WRITE(3, int, ids);
TENSOR_WRITE(4, float, margin);
TENSOR_WRITE(5, uint, state); // [m, parts, 3]: best, second, id

float score(float dot_product, float xs, float cc) {
    // A code of zeros scores 0, a NaN on either side stays one.
    if (COSINE != 0) return cc == 0.0 ? dot_product * xs : dot_product * xs / sqrt(cc) - 0.5;
    return dot_product - 0.5 * cc;
}
float inverse_norm(float squares) { return squares > 0.0 ? 1.0 / sqrt(squares) : squares; }

// What a part of the codes found for a row.
void end(uint row, float best, float second, int id) {
    if (SPLIT != 0) {
        uint at = OFFSET(5) + (row * gl_NumWorkGroups.y + gl_WorkGroupID.y) * 3;
        state[at] = floatBitsToUint(best);
        state[at + 1] = floatBitsToUint(second);
        state[at + 2] = uint(id);
        return;
    }
    ids[OFFSET(3) + row] = id;
    if (MARGIN != 0) margin[OFFSET(4) + row] = margin_of(best, second, push.n);
}

#ifndef PLAIN

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint step = gl_NumWorkGroups.x * waves * TM;
    uint begin = gl_WorkGroupID.y * push.codes, behind = min(push.n, begin + push.codes);
    for (uint row0 = (gl_WorkGroupID.x * waves + gl_SubgroupID) * TM; row0 < push.m; row0 += step) {
        float best[TM], second[TM];
        int id[TM];
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            best[r] = LOWEST;
            second[r] = LOWEST;
            id[r] = 0x7fffffff;
        }
        for (uint col0 = begin; col0 < behind; col0 += SUBGROUP * TN) {
            float sum[TM][TN], xx[XW], ww[TN];
            [[unroll]] for (uint r = 0; r < TM; ++r)
                [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = 0.0;
            [[unroll]] for (uint i = 0; i < XW; ++i) xx[i] = 0.0;
            [[unroll]] for (uint j = 0; j < TN; ++j) ww[j] = 0.0;
            subgroup_product(row0, col0, sum, xx, ww);
            if (KNOWN) // what the product added up is then never used, and not compiled
                [[unroll]] for (uint j = 0; j < TN; ++j)
                    ww[j] = squares[OFFSET(2) + min(col0 + j * SUBGROUP + lane, push.n - 1)];
            [[unroll]] for (uint r = 0; r < TM; ++r) {
                float xs = 1.0;
                if (COSINE != 0)
                    xs = inverse_norm(subgroupBroadcast(xx[r / SUBGROUP], r % SUBGROUP));
                [[unroll]] for (uint j = 0; j < TN; ++j) {
                    uint col = col0 + j * SUBGROUP + lane;
                    float s = score(sum[r][j], xs, ww[j]);
                    bool wins = s > best[r] && col < behind;
                    if (MARGIN != 0)
                        second[r] = wins ? best[r] : s > second[r] && col < behind ? s : second[r];
                    best[r] = wins ? s : best[r];
                    id[r] = wins ? int(col) : id[r];
                }
            }
        }
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            float top = subgroupMax(best[r]);
            int winner = subgroupMin(best[r] == top ? id[r] : 0x7fffffff);
            // The winner's lane offers its second best, every other lane its best.
            float other = subgroupMax(id[r] == winner ? second[r] : best[r]);
            uint row = row0 + r;
            if (row < push.m && subgroupElect()) {
                if (top > LOWEST) end(row, top, other, winner);
                else end(row, LOWEST, LOWEST, 0);
            }
        }
    }
}

#else

void main() {
    uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    uint begin = gl_WorkGroupID.y * push.codes, behind = min(push.n, begin + push.codes);
    for (uint row = gl_GlobalInvocationID.x; row < push.m; row += step) {
        float best = LOWEST, second = LOWEST, xs = 1.0;
        int id = 0;
        if (COSINE != 0) {
            float xx = 0.0;
            for (uint k = 0; k < push.k; k += 4) {
                vec4 v = load_x(row, k);
                xx = fma4(v, v, xx);
            }
            xs = inverse_norm(xx);
        }
        for (uint col = begin; col < behind; ++col) {
            float sum = 0.0, cc = 0.0;
            for (uint k = 0; k < push.k; k += 4) {
                vec4 c = load_w(col, k);
                sum = fma4(load_x(row, k), c, sum);
                if (!KNOWN) cc = fma4(c, c, cc);
            }
            if (KNOWN) cc = squares[OFFSET(2) + col];
            float s = score(sum, xs, cc);
            if (s > best) {
                second = best;
                best = s;
                id = int(col);
            } else if (s > second) {
                second = s;
            }
        }
        end(row, best, second, id);
    }
}

#endif
#endif
