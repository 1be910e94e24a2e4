// SPDX-License-Identifier: MIT
// attention_matrix.comp: attention on matrix units, q, k, v and the weights in f16, scores, softmax
// and sums in f32.
//
// A workgroup owns 64 query rows of one head, each of its four subgroups 16 of them, and goes through
// the keys in blocks of BN. q waits in matrices. k and v come through shared memory as words of 8 f16,
// the next block's being loaded while this one is computed with; k's tile is read column-major, v's
// row-major, so neither is transposed. The scores of a subgroup go to its own floats, where a few
// lanes share each row's maximum and weights; the weights come back as f16 where q was staged. Sums
// are rescaled by a matrix loaded with stride 0, every column the same, since the order of elements in
// a matrix is the driver's secret. Subgroups wait for each other only around the staging.
//
// Compiled by scripts/coopmat.sh: the compiler of Debian 12 does not know the extension.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "attention.glsl"

layout(constant_id = 10) const uint CM = 16;
layout(constant_id = 11) const uint CN = 16;
layout(constant_id = 12) const uint CK = 16;
layout(constant_id = 13) const uint BN = 32;   // keys of a block
layout(constant_id = 14) const uint DEPTH = 64; // WIDTH rounded up to the matrices

const uint ROWS = 16, WAVES = 4, LANES = WAVES * SUBGROUP;
const uint FM = ROWS / CM;                // matrices of a subgroup's rows,
const uint FD = DEPTH / CN, FK = DEPTH / CK; // of its channels as columns and as depth
const uint WORDS = DEPTH / 8;             // words of a row; one more keeps rows in different banks
const uint PITCH = WORDS + 1;
const uint WEIGHTS = BN / 8 + 1;          // words of a row of weights
const uint SCORES = BN / 4 + 1;           // vec4 of a row of scores
const uint AREA = PITCH > WEIGHTS ? ROWS * PITCH * 2 : ROWS * WEIGHTS * 2;
const uint SHARE = SUBGROUP > ROWS ? SUBGROUP / ROWS : 1; // lanes that share a row
const uint OWN = SUBGROUP > ROWS ? 1 : ROWS / SUBGROUP;   // rows of a lane
const uint EACH = (BN * WORDS + LANES - 1) / LANES;       // words of k, and of v, that a lane loads

shared uvec4 ks[BN * PITCH];
shared uvec4 vs[BN * PITCH];
shared uvec2 area[WAVES * AREA]; // of each subgroup: q, then weights, in half words
shared vec4 scores[WAVES * ROWS * SCORES];
shared float factor[WAVES * ROWS];

void subgroup_sync() {
    controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                   gl_SemanticsAcquireRelease);
}

HALF_READ2(0, qh);
HALF_READ2(1, kh);
HALF_READ2(2, vh);

// Eight channels from c on as a word.
#define WORD(load, i, at, c)                                                                       \
    if ((HALVES & (1u << i)) != 0) {                                                               \
        uint from = OFFSET(i) + (at + c) / 2;                                                      \
        return uvec4(HALF_LOAD2(HALF_OF_##i, from), HALF_LOAD2(HALF_OF_##i, from + 2));            \
    }                                                                                              \
    return uvec4(half_pack(load(at, c)), half_pack(load(at, c + 4)));
#define HALF_OF_0 qh
#define HALF_OF_1 kh
#define HALF_OF_2 vh
uvec4 word_q(uint at, uint c) { WORD(load_q, 0, at, c) }
uvec4 word_k(uint at, uint c) { WORD(load_k, 1, at, c) }
uvec4 word_v(uint at, uint c) { WORD(load_v, 2, at, c) }

void main() {
    uint t = gl_LocalInvocationIndex, wave = gl_SubgroupID, lane = gl_SubgroupInvocationID;
    uint blocks = (push.nq + WAVES * ROWS - 1) / (WAVES * ROWS);
    uint tiles = push.batch * push.heads * blocks;
    uint mine = wave * ROWS;       // the subgroup's first row
    uint area0 = wave * AREA, scores0 = mine * SCORES;
    uint share = lane % SHARE;
    for (uint number = gl_WorkGroupID.x; number < tiles; number += gl_NumWorkGroups.x) {
        uint row0 = number % blocks * (WAVES * ROWS), head = number / blocks % push.heads;
        uint b = number / blocks / push.heads;
        uint last = min(row0 + WAVES * ROWS, push.nq) - 1, end = visible(row0, last);

        // q, by each subgroup for itself.
        for (uint i = lane; i < ROWS * WORDS; i += SUBGROUP) {
            uint c = i % WORDS * 8, row = i / WORDS;
            uvec4 w = uvec4(0);
            if (c < WIDTH) w = word_q(row_of_q(b, head, min(row0 + mine + row, last)), c);
            area[area0 + (row * PITCH + i % WORDS) * 2] = w.xy;
            area[area0 + (row * PITCH + i % WORDS) * 2 + 1] = w.zw;
        }
        subgroup_sync();
        coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA> q_part[FM][FK];
        [[unroll]] for (uint i = 0; i < FM; ++i)
            [[unroll]] for (uint k = 0; k < FK; ++k)
                coopMatLoad(q_part[i][k], area, area0 + (i * CM * PITCH + k * CK / 8) * 2, PITCH * 2,
                            gl_CooperativeMatrixLayoutRowMajor);
        coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator> sum[FM][FD];
        [[unroll]] for (uint i = 0; i < FM; ++i)
            [[unroll]] for (uint j = 0; j < FD; ++j)
                sum[i][j] = coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>(0.0);
        float high[OWN], total[OWN];
        [[unroll]] for (uint r = 0; r < OWN; ++r) {
            high[r] = LOWEST;
            total[r] = 0.0;
        }

        uvec4 next_k[EACH], next_v[EACH];
        for (uint key0 = 0; key0 < end + BN; key0 += BN) {
            // Words loaded in the round before are stored, the next ones fetched.
            barrier();
            if (key0 > 0) {
                [[unroll]] for (uint i = 0; i < EACH; ++i) {
                    uint at = t + i * LANES;
                    bool inside = at % WORDS * 8 < WIDTH && key0 - BN + at / WORDS < end;
                    if (at < BN * WORDS) {
                        ks[at / WORDS * PITCH + at % WORDS] = inside ? next_k[i] : uvec4(0);
                        vs[at / WORDS * PITCH + at % WORDS] = inside ? next_v[i] : uvec4(0);
                    }
                }
            }
            barrier();
            [[unroll]] for (uint i = 0; i < EACH; ++i) {
                // Always a load, of any word there is: a word that is chosen here is waited for here.
                uint at = t + i * LANES, key = min(key0 + at / WORDS, max(end, 1) - 1);
                uint c = min(at % WORDS * 8, WIDTH - 8);
                next_k[i] = word_k(row_of_k(b, head, key), c);
                next_v[i] = word_v(row_of_v(b, head, key), c);
            }
            if (key0 == 0) continue;
            uint first = key0 - BN; // of the block in shared memory

            [[unroll]] for (uint j = 0; j < BN / CN; ++j) {
                coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator> s[FM];
                [[unroll]] for (uint i = 0; i < FM; ++i)
                    s[i] = coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>(0.0);
                [[unroll]] for (uint k = 0; k < FK; ++k) {
                    coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB> k_part;
                    coopMatLoad(k_part, ks, j * CN * PITCH + k * CK / 8, PITCH,
                                gl_CooperativeMatrixLayoutColumnMajor);
                    [[unroll]] for (uint i = 0; i < FM; ++i)
                        s[i] = coopMatMulAdd(q_part[i][k], k_part, s[i]);
                }
                [[unroll]] for (uint i = 0; i < FM; ++i)
                    coopMatStore(s[i], scores, scores0 + i * CM * SCORES + j * CN / 4, SCORES,
                                 gl_CooperativeMatrixLayoutRowMajor);
            }
            subgroup_sync();
            [[unroll]] for (uint r = 0; r < OWN; ++r) {
                // In powers of two: the weights are rounded to f16, so a built-in exp2 will do.
                uint row = lane / SHARE + r * (SUBGROUP / SHARE);
                uint n = visible(min(row0 + mine + row, last));
                vec4 s[BN / 4 / SHARE];
                float top = high[r];
                [[unroll]] for (uint i = 0; i < BN / 4 / SHARE; ++i) {
                    vec4 products = scores[scores0 + row * SCORES + i * SHARE + share];
                    [[unroll]] for (uint e = 0; e < 4; ++e) {
                        uint key = first + (i * SHARE + share) * 4 + e;
                        float x = logit(products[e], b, min(key, push.nk - 1));
                        x = key < n ? x * 1.44269504 : uintBitsToFloat(0xFF800000u);
                        s[i][e] = x;
                        if (x > top) top = x;
                    }
                }
                [[unroll]] for (uint m = 1; m < SHARE; m *= 2)
                    top = max(top, subgroupShuffleXor(top, m));
                float rescale = exp2(high[r] - top), part = 0.0;
                high[r] = top;
                [[unroll]] for (uint i = 0; i < BN / 4 / SHARE; ++i) {
                    // The sum is of what is multiplied, however the driver rounds it: so an average
                    // stays one.
                    vec4 p = exp2(s[i] - top);
                    uvec2 words = uvec2(packHalf2x16(p.xy), packHalf2x16(p.zw));
                    p = half_unpack(words);
                    part += p.x + p.y + (p.z + p.w);
                    area[area0 + row * WEIGHTS * 2 + i * SHARE + share] = words;
                }
                total[r] = total[r] * rescale + part;
                if (share == 0) factor[mine + row] = rescale;
            }
            subgroup_sync();
            [[unroll]] for (uint i = 0; i < FM; ++i) {
                coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator> f;
                coopMatLoad(f, factor, mine + i * CM, 0, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint j = 0; j < FD; ++j) sum[i][j] = sum[i][j] * f;
            }
            [[unroll]] for (uint k = 0; k < BN / CK; ++k) {
                coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA> p[FM];
                [[unroll]] for (uint i = 0; i < FM; ++i)
                    coopMatLoad(p[i], area, area0 + (i * CM * WEIGHTS + k * CK / 8) * 2, WEIGHTS * 2,
                                gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (uint j = 0; j < FD; ++j) {
                    coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB> v_part;
                    coopMatLoad(v_part, vs, k * CK * PITCH + j * CN / 8, PITCH,
                                gl_CooperativeMatrixLayoutRowMajor);
                    [[unroll]] for (uint i = 0; i < FM; ++i)
                        sum[i][j] = coopMatMulAdd(p[i], v_part, sum[i][j]);
                }
            }
        }

        subgroup_sync();
        [[unroll]] for (uint r = 0; r < OWN; ++r) {
            [[unroll]] for (uint m = 1; m < SHARE; m *= 2)
                total[r] += subgroupShuffleXor(total[r], m);
            if (share == 0)
                factor[mine + lane / SHARE + r * (SUBGROUP / SHARE)] =
                    total[r] == 0.0 ? 0.0 : 1.0 / total[r];
        }
        subgroup_sync();
        // Through the floats of the scores, as many columns at a time as they have.
        [[unroll]] for (uint c0 = 0; c0 < DEPTH; c0 += BN) {
            [[unroll]] for (uint i = 0; i < FM; ++i) {
                coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator> f;
                coopMatLoad(f, factor, mine + i * CM, 0, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint j = 0; j < BN / CN; ++j)
                    if (c0 / CN + j < FD) {
                        sum[i][c0 / CN + j] = sum[i][c0 / CN + j] * f;
                        coopMatStore(sum[i][c0 / CN + j], scores,
                                     scores0 + i * CM * SCORES + j * CN / 4, SCORES,
                                     gl_CooperativeMatrixLayoutRowMajor);
                    }
            }
            subgroup_sync();
            for (uint i = lane; i < ROWS * BN / 4; i += SUBGROUP) {
                uint c = i % (BN / 4), row = i / (BN / 4);
                if (row0 + mine + row <= last && c0 + c * 4 < WIDTH)
                    store_y(row_of_y(b, head, row0 + mine + row), c0 + c * 4,
                            scores[scores0 + row * SCORES + c]);
            }
            subgroup_sync();
        }
        barrier();
    }
}
