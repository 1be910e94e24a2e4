// SPDX-License-Identifier: MIT
// nearest_code.comp: for each row of x the code w[j] with the greatest x.c - |c|^2/2, the argmax
// taken while the scores are in registers. Ties go to the lowest index; NaN never wins. The codes are
// cut into parts, one for each y of the grid; where there are several, best, second best and id of
// each go to `state`, and MERGE puts them together: which is best and which second does not depend on
// the cut. Three bodies: subgroup broadcast (product.glsl); with SHARED_TILE 64 rows and 128 codes at a
// time in shared memory, for long codes; with PLAIN one invocation for each row.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef LONG_WORDS
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#if !defined(PLAIN) && !defined(MERGE) && !defined(SHARED_TILE)
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

// Adds another part's best, second and winner to what a thread has.
void add(inout float best, inout float second, inout int id, float b, float s, int i) {
    second = max(min(best, b), max(second, s));
    if (b > best || (b == best && i < id)) id = i;
    best = max(best, b);
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

#if !defined(PLAIN) && !defined(SHARED_TILE)
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

#ifdef SHARED_TILE

// 128 invocations, 8 x 16, of 8 rows and twice 4 codes each.
const uint BM = 64, BN = 128, BK = 16, PAD = 4, COLUMNS = 16;
shared float x_tile[BK * (BM + PAD)]; // k by k, so that a lane's rows are neighbours
shared float w_tile[BK * (BN + PAD)];
shared float bests[128], seconds[128];
shared int winners[128];

// Four k of rows and codes from k0 on, zeros past the end of k.
void stage(uint row0, uint col0, uint k0) {
    [[unroll]] for (uint i = 0; i < (BM + BN) * BK / 4 / 128; ++i) {
        uint at = gl_LocalInvocationID.x + i * 128, k = at % (BK / 4) * 4, line = at / (BK / 4);
        bool inside = k0 + k < push.k, is_x = i * (128 / (BK / 4)) < BM; // all lanes alike
        vec4 v = vec4(0.0);
        if (inside && is_x) v = load_x(min(row0 + line, push.m - 1), k0 + k);
        if (inside && !is_x) v = load_w(min(col0 + line - BM, push.n - 1), k0 + k);
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            if (is_x) x_tile[(k + j) * (BM + PAD) + line] = v[j];
            else w_tile[(k + j) * (BN + PAD) + line - BM] = v[j];
        }
    }
}

vec4 four_x(uint at) { return vec4(x_tile[at], x_tile[at + 1], x_tile[at + 2], x_tile[at + 3]); }
vec4 four_w(uint at) { return vec4(w_tile[at], w_tile[at + 1], w_tile[at + 2], w_tile[at + 3]); }

void main() {
    uint t = gl_LocalInvocationID.x, down = t / COLUMNS, across = t % COLUMNS;
    uint begin = gl_WorkGroupID.y * push.codes, behind = min(push.n, begin + push.codes);
    for (uint row0 = gl_WorkGroupID.x * BM; row0 < push.m; row0 += gl_NumWorkGroups.x * BM) {
        float best[8], second[8];
        int id[8];
        [[unroll]] for (uint r = 0; r < 8; ++r) {
            best[r] = LOWEST;
            second[r] = LOWEST;
            id[r] = 0x7fffffff;
        }
        for (uint col0 = begin; col0 < behind; col0 += BN) {
            vec4 sum[8][2], ww[2];
            float xx[8];
            [[unroll]] for (uint j = 0; j < 2; ++j) {
                ww[j] = vec4(0.0);
                [[unroll]] for (uint r = 0; r < 8; ++r) sum[r][j] = vec4(0.0);
            }
            [[unroll]] for (uint r = 0; r < 8; ++r) xx[r] = 0.0;
            for (uint k0 = 0; k0 < push.k; k0 += BK) {
                barrier(); // what was staged before has been read
                stage(row0, col0, k0);
                barrier();
                for (uint k = 0; k < BK; ++k) {
                    uint x_at = k * (BM + PAD) + down * 8, w_at = k * (BN + PAD) + across * 4;
                    vec4 xv[2] = {four_x(x_at), four_x(x_at + 4)};
                    vec4 wv[2] = {four_w(w_at), four_w(w_at + COLUMNS * 4)};
                    [[unroll]] for (uint j = 0; j < 2; ++j) {
                        if (!KNOWN) ww[j] = fma(wv[j], wv[j], ww[j]);
                        [[unroll]] for (uint r = 0; r < 8; ++r)
                            sum[r][j] = fma(vec4(xv[r / 4][r % 4]), wv[j], sum[r][j]);
                    }
                    if (COSINE != 0)
                        [[unroll]] for (uint r = 0; r < 8; ++r)
                            xx[r] = fma(xv[r / 4][r % 4], xv[r / 4][r % 4], xx[r]);
                }
            }
            [[unroll]] for (uint j = 0; j < 8; ++j) { // in the order of the codes
                uint col = col0 + j / 4 * (COLUMNS * 4) + across * 4 + j % 4;
                float cc = ww[j / 4][j % 4];
                if (KNOWN) cc = squares[OFFSET(2) + min(col, push.n - 1)];
                [[unroll]] for (uint r = 0; r < 8; ++r) {
                    float s = score(sum[r][j / 4][j % 4], inverse_norm(xx[r]), cc);
                    bool wins = s > best[r] && col < behind;
                    if (MARGIN != 0)
                        second[r] = wins ? best[r] : s > second[r] && col < behind ? s : second[r];
                    best[r] = wins ? s : best[r];
                    id[r] = wins ? int(col) : id[r];
                }
            }
        }
        [[unroll]] for (uint r = 0; r < 8; ++r) {
            for (uint width = COLUMNS / 2; width > 0; width /= 2) {
                barrier();
                bests[t] = best[r];
                seconds[t] = second[r];
                winners[t] = id[r];
                barrier();
                if (across < width)
                    add(best[r], second[r], id[r], bests[t + width], seconds[t + width],
                        winners[t + width]);
            }
            uint row = row0 + down * 8 + r;
            if (across == 0 && row < push.m)
                end(row, best[r], second[r], best[r] > LOWEST ? id[r] : 0);
        }
    }
}

#elif !defined(PLAIN)

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
