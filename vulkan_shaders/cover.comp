// SPDX-License-Identifier: MIT
// cover.comp: GAINS: what each candidate would add to the best similarities. TAKE: one group takes
// the greatest gain and raises the best similarities by its row.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 6
#define PUSH uint n; uint m; uint pick;
#include "common.glsl"
#include "rows.glsl"
#include "picks.glsl"

layout(constant_id = 1) const uint PASS = 0;
const uint GAINS = 0;

TENSOR_READ(0, float, similar); // [n, m]
TENSOR_WRITE(1, int, order);
TENSOR_WRITE(2, float, gain);
TENSOR_WRITE(3, float, margin);
TENSOR_WRITE(4, float, best);  // [m] greatest of the picks; unknown before the first one
TENSOR_WRITE(5, float, score); // [n]

void gains() {
    uint row = row_number(), j = min(row, push.n - 1), from = OFFSET(0) + j * push.m;
    float sum = 0.0;
    for (uint i = row_lane(); i < push.m; i += THREADS) {
        float now = push.pick == 0 ? 0.0 : best[OFFSET(4) + i];
        sum += max(0.0, similar[from + i] - now);
    }
    sum = row_sum(sum);
    if (row >= push.n || row_lane() != 0) return;
    if (push.pick == 0 || score[OFFSET(5) + j] != NEVER) score[OFFSET(5) + j] = sum;
}

void take() {
    uint lane = row_lane();
    Standing s = Standing(NEVER, NEVER, 0xFFFFFFFFu);
    for (uint i = lane; i < push.n; i += THREADS) see(s, score[OFFSET(5) + i], i);
    settle(s);
    if (lane == 0) {
        order[OFFSET(1) + push.pick] = int(s.place);
        gain[OFFSET(2) + push.pick] = s.best;
        margin[OFFSET(3) + push.pick] = s.best - s.second;
        score[OFFSET(5) + s.place] = NEVER;
    }
    for (uint i = lane; i < push.m; i += THREADS) {
        float own = similar[OFFSET(0) + s.place * push.m + i];
        best[OFFSET(4) + i] = max(push.pick == 0 ? 0.0 : best[OFFSET(4) + i], own);
    }
}

void main() {
    if (PASS == GAINS) gains();
    else take();
}
