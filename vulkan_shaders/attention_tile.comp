// SPDX-License-Identifier: MIT
// attention_tile.comp: attention as two products of tiles in shared memory with the softmax between
// them; any GPU can run it.
//
// A workgroup owns BM query rows of one head and BD of its channels (wider heads are cut, and their
// scores made again for each part). Lanes lie in a grid of ACROSS columns. Keys come in blocks of BN:
// each lane makes TM x TK scores, from chunks of DEPTH channels of q and k; the scores go to shared
// memory, where each row gets its maximum and its weights from a few lanes; then each lane adds up
// TM rows x TC words of channels over chunks of values. Every sum has an order of its own, the same
// whatever the batch. What lanes own is spread (row + DOWN * r), so that neighbours read neighbours.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "attention.glsl"

layout(constant_id = 10) const uint ACROSS = 8;
layout(constant_id = 11) const uint DOWN = 16; // ACROSS * DOWN lanes
const uint LANES = ACROSS * DOWN;
const uint BM = DOWN * TM, BN = ACROSS * TK, BD = ACROSS * TC * 4;
const uint DEPTH = 16, WORDS = DEPTH / 4;   // channels of a chunk of q and k
const uint CHUNK = 1024 / BD;               // keys of a chunk of v
const uint PITCH = WORDS + 1;               // words of a row of q and k: other banks
const uint SCORES = BN / 4 + 1;             // words of a row of scores
const uint SPLIT = LANES / BM;              // lanes that share a row's softmax

const uint CHUNKS = (BM + BN) * PITCH, TILE = BM * SCORES;

// Rows of q, then of k; afterwards the scores.
shared vec4 tile[CHUNKS > TILE ? CHUNKS : TILE];
shared vec4 values[CHUNK * (BD / 4)];
shared float factor[BM];
shared float parts[LANES];

// Scores of one block of keys into `tile`.
void score(uint b, uint head, uint row0, uint key0) {
    uint t = gl_LocalInvocationIndex, tx = t % ACROSS, ty = t / ACROSS;
    float s[TM][TK];
    [[unroll]] for (uint r = 0; r < TM; ++r)
        [[unroll]] for (uint j = 0; j < TK; ++j) s[r][j] = 0.0;
    for (uint c0 = 0; c0 < WIDTH; c0 += DEPTH) {
        barrier();
        for (uint i = t; i < (BM + BN) * WORDS; i += LANES) {
            uint c = c0 + i % WORDS * 4, row = i / WORDS;
            vec4 w = vec4(0.0);
            if (c < WIDTH) {
                if (row < BM)
                    w = load_q(row_of_q(b, head, min(row0 + row, push.nq - 1)), c);
                else
                    w = load_k(row_of_k(b, head, min(key0 + row - BM, push.nk - 1)), c);
            }
            tile[row * PITCH + i % WORDS] = w;
        }
        barrier();
        for (uint c = 0; c < WORDS; ++c) {
            vec4 kv[TK];
            [[unroll]] for (uint j = 0; j < TK; ++j)
                kv[j] = tile[(BM + tx + j * ACROSS) * PITCH + c];
            [[unroll]] for (uint r = 0; r < TM; ++r) {
                vec4 qv = tile[(ty + r * DOWN) * PITCH + c];
                [[unroll]] for (uint j = 0; j < TK; ++j) s[r][j] = dot4(qv, kv[j], s[r][j]);
            }
        }
    }
    barrier();
    [[unroll]] for (uint r = 0; r < TM; ++r)
        [[unroll]] for (uint j = 0; j < TK; ++j) {
            uint at = tx + j * ACROSS;
            tile[(ty + r * DOWN) * SCORES + at / 4][at % 4] =
                logit(s[r][j], b, min(key0 + at, push.nk - 1));
        }
    barrier();
}

void main() {
    uint t = gl_LocalInvocationIndex, tx = t % ACROSS, ty = t / ACROSS;
    uint blocks = (push.nq + BM - 1) / BM, cuts = (WIDTH + BD - 1) / BD;
    uint tiles = push.batch * push.heads * cuts * blocks;
    for (uint number = gl_WorkGroupID.x; number < tiles; number += gl_NumWorkGroups.x) {
        uint row0 = number % blocks * BM, channel0 = number / blocks % cuts * BD;
        uint head = number / blocks / cuts % push.heads, b = number / blocks / cuts / push.heads;
        uint last = min(row0 + BM, push.nq) - 1, end = visible(row0, last);
        // Of the row whose softmax this lane shares.
        uint own = t % BM, share = t / BM, n = visible(min(row0 + own, last));
        float high = LOWEST, total = 0.0;
        vec4 sum[TM][TC];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint c = 0; c < TC; ++c) sum[r][c] = vec4(0.0);
        for (uint key0 = 0; key0 < end; key0 += BN) {
            score(b, head, row0, key0);
            float top = LOWEST;
            for (uint i = share; i < BN / 4; i += SPLIT) {
                vec4 s = tile[own * SCORES + i];
                [[unroll]] for (uint e = 0; e < 4; ++e)
                    if (key0 + i * 4 + e < n && s[e] > top) top = s[e];
            }
            parts[t] = top;
            barrier();
            top = high;
            [[unroll]] for (uint i = 0; i < SPLIT; ++i) top = max(top, parts[i * BM + own]);
            float rescale = fast_exp(high - top);
            high = top;
            total *= rescale;
            for (uint i = share; i < BN / 4; i += SPLIT) {
                vec4 s = tile[own * SCORES + i];
                [[unroll]] for (uint e = 0; e < 4; ++e) {
                    bool seen = key0 + i * 4 + e < n && !dropped(s[e]);
                    s[e] = seen ? fast_exp(s[e] - top) : 0.0;
                    total += s[e];
                }
                tile[own * SCORES + i] = s;
            }
            if (share == 0) factor[own] = rescale;
            barrier();
            [[unroll]] for (uint r = 0; r < TM; ++r) {
                float f = factor[ty + r * DOWN];
                [[unroll]] for (uint c = 0; c < TC; ++c) sum[r][c] *= f;
            }
            for (uint i0 = 0; i0 < min(BN, end - key0); i0 += CHUNK) {
                for (uint i = t; i < CHUNK * (BD / 4); i += LANES) {
                    uint c = channel0 + i % (BD / 4) * 4, key = key0 + i0 + i / (BD / 4);
                    vec4 w = vec4(0.0);
                    if (c < WIDTH && key < push.nk) w = load_v(row_of_v(b, head, key), c);
                    values[i] = w;
                }
                barrier();
                for (uint i = 0; i < CHUNK; i += 4) {
                    vec4 p[TM];
                    [[unroll]] for (uint r = 0; r < TM; ++r)
                        p[r] = tile[(ty + r * DOWN) * SCORES + (i0 + i) / 4];
                    [[unroll]] for (uint e = 0; e < 4; ++e)
                        [[unroll]] for (uint c = 0; c < TC; ++c) {
                            vec4 w = values[(i + e) * (BD / 4) + tx + c * ACROSS];
                            [[unroll]] for (uint r = 0; r < TM; ++r)
                                sum[r][c] = fma(vec4(p[r][e]), w, sum[r][c]);
                        }
                }
                barrier();
            }
        }
        parts[t] = total;
        barrier();
        if (share == 0) {
            total = 0.0;
            [[unroll]] for (uint i = 0; i < SPLIT; ++i) total += parts[i * BM + own];
            factor[own] = total == 0.0 ? 0.0 : 1.0 / total;
        }
        barrier();
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            uint row = row0 + ty + r * DOWN;
            [[unroll]] for (uint c = 0; c < TC; ++c)
                if (row <= last)
                    store_y(row_of_y(b, head, row), channel0 + (tx + c * ACROSS) * 4,
                            sum[r][c] * factor[ty + r * DOWN]);
        }
        barrier();
    }
}
