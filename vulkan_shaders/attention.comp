// SPDX-License-Identifier: MIT
// attention.comp: softmax(scale q k^T + key bias) v under a mask, one pass over the keys with a
// running maximum, so that scores are never stored. The body of software drivers: no shared memory.
//
// A subgroup owns TM query rows of one head. Keys come in blocks of SUBGROUP * TK. First each lane
// scores its TK keys for all rows (the rows' words travel by broadcast), then each lane adds up its
// own channels, the keys' weights travelling by broadcast. All loops are rolled: unrolled, software
// drivers compile for seconds.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef LONG_WORDS
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "attention.glsl"

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint blocks = (push.nq + TM - 1) / TM, tiles = push.batch * push.heads * blocks;
    for (uint tile = gl_WorkGroupID.x * waves + gl_SubgroupID; tile < tiles;
         tile += gl_NumWorkGroups.x * waves) {
        uint row0 = tile % blocks * TM, head = tile / blocks % push.heads;
        uint b = tile / blocks / push.heads;
        uint last = min(row0 + TM, push.nq) - 1;
        uint end = visible(row0, last);
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
                [[unroll]] for (uint i = 0; i < (TM + SUBGROUP - 1) / SUBGROUP; ++i)
                    qv[i] = load_q(
                        row_of_q(b, head, min(row0 + min(i * SUBGROUP + lane, TM - 1), last)), c);
                [[unroll]] for (uint t = 0; t < TK; ++t)
                    kv[t] = load_k(
                        row_of_k(b, head, min(key0 + t * SUBGROUP + lane, push.nk - 1)), c);
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
                    uint at = row_of_v(b, head, first + i);
                    vec4 vv[TC];
                    [[unroll]] for (uint c = 0; c < TC; ++c)
                        vv[c] = load_v(at, min((c * SUBGROUP + lane) * 4, (WIDTH - 1) / 4 * 4));
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
                    store_y(row_of_y(b, head, row0 + r), (c * SUBGROUP + lane) * 4,
                            sum[r][c] * weight);
        }
    }
}
