// SPDX-License-Identifier: MIT
// beam.comp: one stage of a beam search. PICK: a group for each item finds its best places one
// after the other, each the greatest of those that come after the last one found. LEAVE: a thread
// for each number that a chosen chain leaves.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 7
#define PUSH uint items; uint chains; uint codes; uint dim; uint width;
#include "common.glsl"
#include "rows.glsl"

layout(constant_id = 1) const uint PASS = 0;
const uint PICK = 0, LEAVE = 1; // as in ops/beam.c

TENSOR_READ(0, float, rest);     // [items, chains, dim]
TENSOR_READ(1, float, score);    // [items, chains]
TENSOR_READ(2, float, products); // [items, chains, codes]
TENSOR_READ(3, float, code);     // [codes, dim]
TENSOR_WRITE(4, float, next_rest);
TENSOR_WRITE(5, float, next_score);
TENSOR_WRITE(6, int, choice);

const uint NO_PLACE = 0xFFFFFFFFu;

void pick() {
    uint item = min(row_number(), push.items - 1), places = push.chains * push.codes;
    float last = 0.0;
    uint last_place = NO_PLACE;
    for (uint k = 0; k < push.width; ++k) {
        float best = uintBitsToFloat(0xFF800000u); // -infinity
        uint place = NO_PLACE;
        for (uint i = row_lane(); i < places; i += THREADS) {
            float v = score[OFFSET(1) + item * push.chains + i / push.codes] +
                      products[OFFSET(2) + item * places + i];
            bool left = k == 0 || greater(last, v) || (!greater(v, last) && i > last_place);
            if (left && (place == NO_PLACE || greater(v, best))) {
                best = v;
                place = i;
            }
        }
        row_max(best, place);
        last = best;
        last_place = place;
        if (row_number() < push.items && row_lane() == 0) {
            next_score[OFFSET(5) + item * push.width + k] = best;
            choice[OFFSET(6) + item * push.width + k] = int(place);
        }
    }
}

void leave() {
    uint at = thread_id();
    if (at >= push.items * push.width * push.dim) return;
    uint d = at % push.dim, chain = at / push.dim, item = chain / push.width;
    uint place = uint(choice[OFFSET(6) + chain]);
    next_rest[OFFSET(4) + at] =
        rest[OFFSET(0) + (item * push.chains + place / push.codes) * push.dim + d] -
        code[OFFSET(3) + place % push.codes * push.dim + d];
}

void main() {
    if (PASS == PICK) pick();
    else leave();
}
