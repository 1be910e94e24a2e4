// SPDX-License-Identifier: MIT
// attention.comp: softmax(scale q k^T + key bias) v under a mask, one pass over the keys with a
// running maximum, so that scores are never stored.
//
// Subgroup body: a subgroup owns TM query rows of one head. Keys come in blocks of SUBGROUP * TK.
// First each lane scores its TK keys for all rows (the rows' words travel by broadcast), then each
// lane adds up its own channels, the keys' weights travelling by broadcast. All loops are rolled:
// unrolled, software drivers compile for seconds. PLAIN: an invocation owns one row and 16 channels
// and scores the keys for itself.
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
#define PUSH uint batch; uint nq; uint nk; uint d; uint heads; uint prefix; float scale;
#include "common.glsl"
#include "activation.glsl"
#include "wide.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint TM = 8;
layout(constant_id = 3) const uint TK = 1;
layout(constant_id = 4) const uint TC = 1;    // words of 4 channels in a lane
layout(constant_id = 5) const uint WIDE = 0;  // channels of a head are a multiple of 4
layout(constant_id = 6) const uint MASK = 0;  // tsr_mask
layout(constant_id = 7) const uint BIASED = 0;
layout(constant_id = 8) const uint WIDTH = 64; // channels of a head

TENSOR_READ(0, float, q);
TENSOR_READ(1, float, k);
TENSOR_READ(2, float, v);
TENSOR_READ(3, float, key_bias);
TENSOR_WRITE(4, float, y);
WIDE_READ(0, q4);
WIDE_READ(1, k4);
WIDE_READ(2, v4);

const float LOWEST = -3.402823466e38;

// Four channels from c on; `at` is the address of the head's channel 0 in that row.
#define LOAD4(name, i, at, c)                                                                      \
    (WIDE != 0 ? WIDE_LOAD(name##4, OFFSET(i) + (at) + (c))                                             \
               : vec4(name[OFFSET(i) + (at) + (c)],                                                \
                      (c) + 1 < WIDTH ? name[OFFSET(i) + (at) + min((c) + 1, WIDTH - 1)] : 0.0,    \
                      (c) + 2 < WIDTH ? name[OFFSET(i) + (at) + min((c) + 2, WIDTH - 1)] : 0.0,    \
                      (c) + 3 < WIDTH ? name[OFFSET(i) + (at) + min((c) + 3, WIDTH - 1)] : 0.0))

float dot4(vec4 a, vec4 b, float sum) {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

// How many keys query row i sees: always the first ones.
uint visible(uint i) {
    int n = int(push.nk);
    if (MASK == 1) n = int(i) + 1 + int(push.nk) - int(push.nq);
    if (MASK == 2) n = int(i < push.prefix ? push.prefix : i + 1);
    return uint(clamp(n, 0, int(push.nk)));
}

float logit(float product, uint b, uint key) {
    float s = product * push.scale;
    if (BIASED != 0) s += key_bias[OFFSET(3) + b * push.nk + key];
    return s;
}

// A key that weighs nothing: dropped by its bias. (NaN is kept, and spreads as it should.)
bool dropped(float s) { return s < LOWEST; }

void store(uint at, uint c, vec4 r) {
    [[unroll]] for (uint i = 0; i < 4; ++i)
        if (c + i < WIDTH) y[OFFSET(4) + at + c + i] = r[i];
}

#ifndef PLAIN

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint blocks = (push.nq + TM - 1) / TM, tiles = push.batch * push.heads * blocks;
    for (uint tile = gl_WorkGroupID.x * waves + gl_SubgroupID; tile < tiles;
         tile += gl_NumWorkGroups.x * waves) {
        uint row0 = tile % blocks * TM, head = tile / blocks % push.heads;
        uint b = tile / blocks / push.heads;
        uint q0 = b * push.nq * push.d + head * WIDTH, k0 = b * push.nk * push.d + head * WIDTH;
        uint last = min(row0 + TM, push.nq) - 1;
        uint end = max(visible(row0), visible(last));
        vec4 sum[TM][TC];
        float high[TM], total[TM];
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            high[r] = LOWEST;
            total[r] = 0.0;
            [[unroll]] for (uint c = 0; c < TC; ++c) sum[r][c] = vec4(0.0);
        }
        for (uint key0 = 0; key0 < end; key0 += SUBGROUP * TK) {
            float s[TM][TK];
            [[unroll]] for (uint r = 0; r < TM; ++r)
                [[unroll]] for (uint t = 0; t < TK; ++t) s[r][t] = 0.0;
            for (uint c = 0; c < WIDTH; c += 4) {
                // Lane l holds row l; rows beyond the subgroup's lanes come in a second word.
                vec4 kv[TK], qv[(TM + SUBGROUP - 1) / SUBGROUP];
                [[unroll]] for (uint i = 0; i < (TM + SUBGROUP - 1) / SUBGROUP; ++i) {
                    uint at = q0 + min(row0 + min(i * SUBGROUP + lane, TM - 1), last) * push.d;
                    qv[i] = LOAD4(q, 0, at, c);
                }
                [[unroll]] for (uint t = 0; t < TK; ++t) {
                    uint at = k0 + min(key0 + t * SUBGROUP + lane, push.nk - 1) * push.d;
                    kv[t] = LOAD4(k, 1, at, c);
                }
                [[unroll]] for (uint r = 0; r < TM; ++r) {
                    vec4 row = subgroupBroadcast(qv[r / SUBGROUP], r % SUBGROUP);
                    [[unroll]] for (uint t = 0; t < TK; ++t) s[r][t] = dot4(row, kv[t], s[r][t]);
                }
            }
            [[unroll]] for (uint r = 0; r < TM; ++r) {
                uint n = visible(min(row0 + r, last));
                float top = LOWEST;
                bool seen[TK];
                [[unroll]] for (uint t = 0; t < TK; ++t) {
                    uint key = key0 + t * SUBGROUP + lane;
                    s[r][t] = logit(s[r][t], b, min(key, push.nk - 1));
                    seen[t] = key < n && !dropped(s[r][t]);
                    if (seen[t] && s[r][t] > top) top = s[r][t];
                }
                top = max(high[r], subgroupMax(top));
                float rescale = fast_exp(high[r] - top), part = 0.0;
                high[r] = top;
                [[unroll]] for (uint t = 0; t < TK; ++t) {
                    s[r][t] = seen[t] ? fast_exp(s[r][t] - top) : 0.0;
                    part += s[r][t];
                }
                total[r] = total[r] * rescale + subgroupAdd(part);
                [[unroll]] for (uint c = 0; c < TC; ++c) sum[r][c] *= rescale;
            }
            [[unroll]] for (uint t = 0; t < TK; ++t) {
                uint first = key0 + t * SUBGROUP;
                uint count = first < end ? min(SUBGROUP, end - first) : 0;
                for (uint i = 0; i < count; ++i) {
                    uint at = k0 + (first + i) * push.d;
                    vec4 vv[TC];
                    [[unroll]] for (uint c = 0; c < TC; ++c) {
                        uint channel = min((c * SUBGROUP + lane) * 4, (WIDTH - 1) / 4 * 4);
                        vv[c] = LOAD4(v, 2, at, channel);
                    }
                    [[unroll]] for (uint r = 0; r < TM; ++r) {
                        float p = subgroupBroadcast(s[r][t], i);
                        [[unroll]] for (uint c = 0; c < TC; ++c)
                            sum[r][c] = fma(vec4(p), vv[c], sum[r][c]);
                    }
                }
            }
        }
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            float weight = total[r] == 0.0 ? 0.0 : 1.0 / total[r];
            [[unroll]] for (uint c = 0; c < TC; ++c)
                if (row0 + r <= last)
                    store(q0 + (row0 + r) * push.d, (c * SUBGROUP + lane) * 4, sum[r][c] * weight);
        }
    }
}

#else

void main() {
    uint parts = (WIDTH + 15) / 16, all = push.batch * push.heads * push.nq * parts;
    uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint item = gl_GlobalInvocationID.x; item < all; item += step) {
        uint part = item % parts, row = item / parts % push.nq;
        uint head = item / parts / push.nq % push.heads, b = item / parts / push.nq / push.heads;
        uint q0 = (b * push.nq + row) * push.d + head * WIDTH;
        uint k0 = b * push.nk * push.d + head * WIDTH, n = visible(row);
        vec4 sum[4];
        float high = LOWEST, total = 0.0;
        [[unroll]] for (uint c = 0; c < 4; ++c) sum[c] = vec4(0.0);
        for (uint key = 0; key < n; ++key) {
            uint at = k0 + key * push.d;
            float s = 0.0;
            for (uint c = 0; c < WIDTH; c += 4) s = dot4(LOAD4(q, 0, q0, c), LOAD4(k, 1, at, c), s);
            s = logit(s, b, key);
            if (dropped(s)) continue;
            float top = max(high, s), rescale = fast_exp(high - top), p = fast_exp(s - top);
            high = top;
            total = total * rescale + p;
            [[unroll]] for (uint c = 0; c < 4; ++c) {
                uint channel = min(part * 16 + c * 4, (WIDTH - 1) / 4 * 4);
                sum[c] = fma(vec4(p), LOAD4(v, 2, at, channel), sum[c] * rescale);
            }
        }
        float weight = total == 0.0 ? 0.0 : 1.0 / total;
        [[unroll]] for (uint c = 0; c < 4; ++c)
            store(q0, part * 16 + c * 4, sum[c] * weight);
    }
}

#endif
