// SPDX-License-Identifier: MIT
// pick_farthest.comp: START: the score of each token before anything is picked. PICK: one group makes
// picks from .. to - 1; a thread keeps the scores of the same tokens throughout.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 6
#define PUSH uint n; uint from; uint to; int first;
#include "common.glsl"
#include "rows.glsl"
#include "picks.glsl"

layout(constant_id = 1) const uint PASS = 0;
layout(constant_id = 2) const uint RULE = 0; // tsr_farthest_rule
const uint BEGIN = 0, MAXMIN = 0, KCENTRE = 1, MAXSUM = 2;

TENSOR_READ(0, float, distance_of); // [n, n]
TENSOR_WRITE(1, int, order);
TENSOR_WRITE(2, float, at);
TENSOR_WRITE(3, float, margin);
TENSOR_WRITE(4, float, score); // [n]
TENSOR_WRITE(5, float, start); // [n]

void begin() {
    uint row = row_number(), i = min(row, push.n - 1), from = OFFSET(0) + i * push.n;
    float sum = 0.0, least = uintBitsToFloat(0x7F800000u); // infinity
    uint place = 0;
    for (uint j = row_lane(); j < push.n; j += THREADS) {
        float d = distance_of[from + j];
        sum += d;
        if (j != i) least = min(least, d);
    }
    sum = row_sum(sum);
    least = -least;
    row_max(least, place);
    if (row >= push.n || row_lane() != 0) return;
    float value = RULE == MAXMIN ? (push.n > 1 ? -least : 0.0) : RULE == KCENTRE ? -sum : sum;
    if (push.first >= 0) value = push.first == int(i) ? 0.0 : NEVER;
    start[OFFSET(5) + i] = value;
}

void pick() {
    uint lane = row_lane();
    for (uint p = push.from; p < push.to; ++p) {
        Standing s = Standing(NEVER, NEVER, 0xFFFFFFFFu);
        for (uint i = lane; i < push.n; i += THREADS)
            see(s, p == 0 ? start[OFFSET(5) + i] : score[OFFSET(4) + i], i);
        settle(s);
        if (lane == 0) {
            order[OFFSET(1) + p] = int(s.place);
            at[OFFSET(2) + p] = s.best;
            margin[OFFSET(3) + p] = s.best - s.second;
        }
        uint row = OFFSET(0) + s.place * push.n;
        for (uint i = lane; i < push.n; i += THREADS) {
            float d = distance_of[row + i], before = p == 0 ? d : score[OFFSET(4) + i];
            float now = p == 0 ? d : RULE == MAXSUM ? before + d : min(before, d);
            score[OFFSET(4) + i] = i == s.place || (p > 0 && before == NEVER) ? NEVER : now;
        }
    }
}

void main() {
    if (PASS == BEGIN) begin();
    else pick();
}
