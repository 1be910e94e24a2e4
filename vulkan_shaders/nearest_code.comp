// SPDX-License-Identifier: MIT
// nearest_code.comp: for each row of x the code w[j] with the greatest x.c - |c|^2/2, the argmax
// taken while the scores are in registers. One dispatch searches codes from .. to; when there are
// several, best and second best travel through `state`. Ties go to the lowest index; NaN never wins.
// Two bodies: subgroup broadcast (product.glsl), and with PLAIN one invocation for each row.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef LONG_WORDS
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#ifndef PLAIN
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#define BINDINGS 5
#define PUSH uint m; uint n; uint k; uint from; uint to;
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint TM = 8;
layout(constant_id = 3) const uint TN = 4;
layout(constant_id = 4) const uint WIDE = 0;
layout(constant_id = 5) const uint COSINE = 0;
layout(constant_id = 6) const uint MARGIN = 0;
layout(constant_id = 7) const uint SPLIT = 0; // 1: state is read unless from = 0, and written

#ifndef PLAIN
#define SUBGROUP_PRODUCT
#define SQUARES
#endif
#include "product.glsl"
TENSOR_WRITE(2, int, ids);
TENSOR_WRITE(3, float, margin);
TENSOR_WRITE(4, float, state); // best, second

const float LOWEST = -3.402823466e38; // below every score

float score(float dot_product, float xs, float cc) {
    // A code of zeros scores 0, a NaN on either side stays one.
    if (COSINE != 0) return cc == 0.0 ? dot_product * xs : dot_product * xs / sqrt(cc) - 0.5;
    return dot_product - 0.5 * cc;
}
float inverse_norm(float squares) { return squares > 0.0 ? 1.0 / sqrt(squares) : squares; }

void begin(uint row, out float best, out float second, out int id) {
    best = LOWEST;
    second = LOWEST;
    id = 0;
    if (SPLIT != 0 && push.from != 0) {
        best = state[OFFSET(4) + 2 * row];
        second = state[OFFSET(4) + 2 * row + 1];
        id = ids[OFFSET(2) + row];
    }
}

void end(uint row, float best, float second, int id) {
    ids[OFFSET(2) + row] = id;
    if (SPLIT != 0) {
        state[OFFSET(4) + 2 * row] = best;
        state[OFFSET(4) + 2 * row + 1] = second;
    }
    if (MARGIN != 0) {
        float d = 2.0 * (best - second);
        if (push.n == 1) d = 0.0;
        else if (best == LOWEST) d = uintBitsToFloat(0x7fc00000u); // a row without a number
        else if (second == LOWEST) d = uintBitsToFloat(0x7f800000u);
        margin[OFFSET(3) + row] = d;
    }
}

#ifndef PLAIN

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint step = gl_NumWorkGroups.x * waves * TM;
    for (uint row0 = (gl_WorkGroupID.x * waves + gl_SubgroupID) * TM; row0 < push.m; row0 += step) {
        float best[TM], second[TM];
        int id[TM];
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            best[r] = LOWEST;
            second[r] = LOWEST;
            id[r] = 0x7fffffff;
        }
        for (uint col0 = push.from; col0 < push.to; col0 += SUBGROUP * TN) {
            float sum[TM][TN], xx[XW], ww[TN];
            [[unroll]] for (uint r = 0; r < TM; ++r)
                [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = 0.0;
            [[unroll]] for (uint i = 0; i < XW; ++i) xx[i] = 0.0;
            [[unroll]] for (uint j = 0; j < TN; ++j) ww[j] = 0.0;
            subgroup_product(row0, col0, sum, xx, ww);
            [[unroll]] for (uint r = 0; r < TM; ++r) {
                float xs = 1.0;
                if (COSINE != 0)
                    xs = inverse_norm(subgroupBroadcast(xx[r / SUBGROUP], r % SUBGROUP));
                [[unroll]] for (uint j = 0; j < TN; ++j) {
                    uint col = col0 + j * SUBGROUP + lane;
                    float s = score(sum[r][j], xs, ww[j]);
                    bool wins = s > best[r] && col < push.to;
                    if (MARGIN != 0)
                        second[r] = wins ? best[r] : s > second[r] && col < push.to ? s : second[r];
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
                float b, s;
                int i;
                begin(row, b, s, i);
                if (top > b) { // earlier codes keep a tie
                    s = max(b, other);
                    b = top;
                    i = winner;
                } else {
                    s = max(s, top);
                }
                end(row, b, s, i);
            }
        }
    }
}

#else

void main() {
    uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint row = gl_GlobalInvocationID.x; row < push.m; row += step) {
        float best, second, xs = 1.0;
        int id;
        begin(row, best, second, id);
        if (COSINE != 0) {
            float xx = 0.0;
            for (uint k = 0; k < push.k; k += 4) {
                vec4 v = load_x(row, k);
                xx = fma4(v, v, xx);
            }
            xs = inverse_norm(xx);
        }
        for (uint col = push.from; col < push.to; ++col) {
            float sum = 0.0, cc = 0.0;
            for (uint k = 0; k < push.k; k += 4) {
                vec4 c = load_w(col, k);
                sum = fma4(load_x(row, k), c, sum);
                cc = fma4(c, c, cc);
            }
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
