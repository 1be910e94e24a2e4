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
const uint CHUNK = BD > 256 ? 4 : 1024 / BD; // keys of a chunk of v
const uint PITCH = WORDS + 1;               // words of a row of q and k: other banks
const uint SCORES = BN / 4 + 1;             // words of a row of scores
// Lanes that share a row's softmax: of the first 128, so that more of them add up in the same order.
const uint SPLIT = (LANES > 128 ? 128 : LANES) / BM;

const uint CHUNKS = (BM + BN) * PITCH, TILE = BM * SCORES;

// Rows of q, then of k; afterwards the scores.
shared vec4 tile[CHUNKS > TILE ? CHUNKS : TILE];
shared vec4 values[CHUNK * (BD / 4)];
shared float factor[BM];
shared float parts[BM * SPLIT];

// An invocation stages the same word of rows LANES / WORDS apart, first those of q, and the same
// channels of values LANES / (BD / 4) keys apart.
const uint STEP = LANES / WORDS, PASSES = ((BM + BN) * WORDS + LANES - 1) / LANES;
const uint KEYS = LANES / (BD / 4);
#define UNSEEN uintBitsToFloat(0xFF800000u) // -infinity

// Where channel 0 of those rows lies, found once for all chunks; with WIDE in words of four.
uint from[PASSES];

bool is_q(uint n, uint row) { return BM % STEP == 0 ? n * STEP < BM : row < BM; }

void find_q(uint b, uint head, uint row0) {
    [[unroll]] for (uint n = 0; n < PASSES; ++n) {
        uint row = gl_LocalInvocationIndex / WORDS + n * STEP;
        if (!is_q(n, row)) continue;
        uint at = row_of_q(b, head, min(row0 + row, push.nq - 1));
        from[n] = WIDE != 0 ? (OFFSET(0) + at) / 4 + gl_LocalInvocationIndex % WORDS : at;
    }
}

void find_k(uint b, uint head, uint key0) {
    [[unroll]] for (uint n = 0; n < PASSES; ++n) {
        uint row = gl_LocalInvocationIndex / WORDS + n * STEP;
        if (is_q(n, row)) continue;
        uint at = row_of_k(b, head, min(key0 + row - BM, push.nk - 1));
        from[n] = WIDE != 0 ? (OFFSET(1) + at) / 4 + gl_LocalInvocationIndex % WORDS : at;
    }
}

// Scores of one block of keys into `tile`; UNSEEN where a row does not see the key.
void score(uint b, uint row0, uint last, uint key0) {
    uint t = gl_LocalInvocationIndex, tx = t % ACROSS, ty = t / ACROSS, word = t % WORDS;
    float s[TM][TK];
    [[unroll]] for (uint r = 0; r < TM; ++r)
        [[unroll]] for (uint j = 0; j < TK; ++j) s[r][j] = 0.0;
    for (uint c0 = 0; c0 < WIDTH; c0 += DEPTH) {
        barrier();
        [[unroll]] for (uint n = 0; n < PASSES; ++n) {
            uint c = c0 + word * 4, row = t / WORDS + n * STEP;
            vec4 w = vec4(0.0);
            if (WIDTH % DEPTH == 0 || c < WIDTH) {
                if (is_q(n, row)) w = WIDE != 0 ? q4[from[n] + c0 / 4] : load_q(from[n], c);
                else w = WIDE != 0 ? k4[from[n] + c0 / 4] : load_k(from[n], c);
            }
            if ((BM + BN) % STEP == 0 || row < BM + BN) tile[row * PITCH + word] = w;
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
    [[unroll]] for (uint r = 0; r < TM; ++r) {
        uint n = MASK != 0 ? visible(min(row0 + ty + r * DOWN, last)) : push.nk;
        [[unroll]] for (uint j = 0; j < TK; ++j) {
            uint key = key0 + tx + j * ACROSS;
            tile[(ty + r * DOWN) * SCORES + tx / 4 + j * (ACROSS / 4)][tx % 4] =
                key < n ? logit(s[r][j], b, min(key, push.nk - 1)) : UNSEEN;
        }
    }
    barrier();
}

// fast_exp (activation.glsl) of what is not above 0, bit for bit: nothing has to be cut there.
float weight(float x) {
    float n = roundEven(x * 1.44269504);
    precise float r = (x - n * 0.693145752) - n * 1.42860677e-6;
    float p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    float y = p * intBitsToFloat((int(n) + 127) << 23);
    return x < -87.0 ? 0.0 : y;
}

// Four channels of key `key` of v; past the last key it is repeated, and weighs nothing.
vec4 stage_v(uint at, uint c, uint key) {
    key = min(key, push.nk - 1);
    if (WIDTH % BD != 0 && c >= WIDTH) return vec4(0.0);
    if (WIDE != 0) return v4[(OFFSET(2) + at + c) / 4 + key * (push.v_row / 4)];
    return load_v(at + key * push.v_row, c);
}

void main() {
    uint t = gl_LocalInvocationIndex, tx = t % ACROSS, ty = t / ACROSS;
    uint blocks = (push.nq + BM - 1) / BM, cuts = (WIDTH + BD - 1) / BD;
    uint tiles = push.batch * push.heads * cuts * blocks;
    for (uint number = gl_WorkGroupID.x; number < tiles; number += gl_NumWorkGroups.x) {
        uint row0 = number % blocks * BM, channel0 = number / blocks % cuts * BD;
        uint head = number / blocks / cuts % push.heads, b = number / blocks / cuts / push.heads;
        uint last = min(row0 + BM, push.nq) - 1, end = visible(row0, last);
        uint own = t % BM, share = t / BM; // the row whose softmax this lane shares
        bool shares = LANES <= 128 || share < SPLIT;
        uint value_at = row_of_v(b, head, 0), channel = channel0 + t % (BD / 4) * 4;
        find_q(b, head, row0);
        float high = LOWEST, total = 0.0;
        vec4 sum[TM][TC];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint c = 0; c < TC; ++c) sum[r][c] = vec4(0.0);
        for (uint key0 = 0; key0 < end; key0 += BN) {
            find_k(b, head, key0);
            score(b, row0, last, key0);
            float top = LOWEST;
            if (shares) {
                [[unroll]] for (uint i = 0; i < BN / 4 / SPLIT; ++i) {
                    vec4 s = tile[own * SCORES + share + i * SPLIT];
                    [[unroll]] for (uint e = 0; e < 4; ++e)
                        if (s[e] > top) top = s[e];
                }
                parts[t] = top;
            }
            barrier();
            float rescale = 1.0;
            if (shares) {
                top = high;
                [[unroll]] for (uint i = 0; i < SPLIT; ++i) top = max(top, parts[i * BM + own]);
                rescale = weight(high - top);
                high = top;
                total *= rescale;
                [[unroll]] for (uint i = 0; i < BN / 4 / SPLIT; ++i) {
                    vec4 s = tile[own * SCORES + share + i * SPLIT];
                    [[unroll]] for (uint e = 0; e < 4; ++e) {
                        s[e] = weight(s[e] - top);
                        total += s[e];
                    }
                    tile[own * SCORES + share + i * SPLIT] = s;
                }
            }
            if (share == 0) factor[own] = rescale;
            barrier();
            [[unroll]] for (uint r = 0; r < TM; ++r) {
                float f = factor[ty + r * DOWN];
                [[unroll]] for (uint c = 0; c < TC; ++c) sum[r][c] *= f;
            }
            for (uint i0 = 0; i0 < min(BN, end - key0); i0 += CHUNK) {
                [[unroll]] for (uint n = 0; n < CHUNK / KEYS; ++n)
                    values[t + n * LANES] =
                        stage_v(value_at, channel, key0 + i0 + t / (BD / 4) + n * KEYS);
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
        if (shares) parts[t] = total;
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
