// SPDX-License-Identifier: MIT
// top_k.comp: RANK: a thread counts the numbers that come before its own. PLACE: the first k ranks
// become the list, by rank or by place.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 4
#define PUSH uint n; uint k;
#include "common.glsl"
#include "grid.glsl"

layout(constant_id = 0) const uint PASS = 0;
layout(constant_id = 1) const uint ORDER = 0; // tsr_order
const uint RANK = 0, FALLING = 0;

TENSOR_READ(0, float, x);
TENSOR_WRITE(1, int, index);
TENSOR_WRITE(2, float, edge); // the last one taken and the first one left
TENSOR_WRITE(3, uint, rank);

shared float numbers[GROUP];
shared uint ranks[GROUP];

bool greater(float a, float b) { return a > b || (is_nan(a) && !is_nan(b)); }

void find_rank() {
    uint lane = gl_LocalInvocationID.x, at = thread_id(), before = 0;
    float own = x[OFFSET(0) + min(at, push.n - 1)];
    for (uint block = 0; block < push.n; block += GROUP) {
        barrier();
        numbers[lane] = x[OFFSET(0) + min(block + lane, push.n - 1)];
        barrier();
        uint count = min(GROUP, push.n - block);
        for (uint i = 0; i < count; ++i) {
            float other = numbers[i];
            bool first = greater(other, own) || (!greater(own, other) && block + i < at);
            before += first ? 1 : 0;
        }
    }
    if (at < push.n) rank[OFFSET(3) + at] = before;
}

void place() {
    uint lane = gl_LocalInvocationID.x, at = thread_id(), taken = 0;
    uint own = rank[OFFSET(3) + min(at, push.n - 1)];
    if (ORDER != FALLING)
        for (uint block = 0; block < push.n; block += GROUP) {
            barrier();
            ranks[lane] = rank[OFFSET(3) + min(block + lane, push.n - 1)];
            barrier();
            uint count = min(GROUP, push.n - block);
            for (uint i = 0; i < count; ++i) taken += ranks[i] < push.k && block + i < at ? 1 : 0;
        }
    if (at >= push.n) return;
    if (own < push.k) index[OFFSET(1) + (ORDER == FALLING ? own : taken)] = int(at);
    if (own + 1 == push.k) edge[OFFSET(2)] = x[OFFSET(0) + at];
    if (own == push.k) edge[OFFSET(2) + 1] = x[OFFSET(0) + at];
    if (at == 0 && push.k == push.n) edge[OFFSET(2) + 1] = uintBitsToFloat(0xFF800000u); // -infinity
}

void main() {
    if (PASS == RANK) find_rank();
    else place();
}
