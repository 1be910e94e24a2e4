// SPDX-License-Identifier: MIT
// segment_sum.comp: sums and counts of the rows of each segment, in the order ops/
// segment_sum.c fixes. Rows are cut into chunks; each chunk's rows are sorted by segment (a counting
// sort: ascending inside a segment), then every sum is one thread's walk through its list.
// Nothing is added in an order that chance decides, and no loop is longer than a chunk.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 7
#define PUSH uint rows; uint cols; uint k; uint chunks;
#include "common.glsl"
#include "grid.glsl"

layout(constant_id = 0) const uint PASS = 0;
const uint COUNT = 0, START = 1, LIST = 2, ADD = 3, TOTAL = 4;
const uint CHUNK = 16384; // as in segment_sum.c

TENSOR_READ(0, float, x);
TENSOR_READ(1, int, ids);
TENSOR_WRITE(2, float, sums);
TENSOR_WRITE(3, int, counts);
TENSOR_WRITE(4, float, partial); // [chunks, k, cols]
TENSOR_WRITE(5, uint, starts);   // [chunks, k + 1]: how many, then where in the chunk's list
TENSOR_WRITE(6, uint, list);     // [chunks, CHUNK] row numbers

shared uint stage[GROUP];

// A group's threads are neighbouring segments; all read every id of the chunk z.
void scan(bool write) {
    uint lane = gl_LocalInvocationID.x, chunk = gl_WorkGroupID.z, segment = thread_id();
    uint slot = chunk * (push.k + 1) + segment, found = 0, place = 0;
    bool mine = segment < push.k;
    if (write && mine) place = chunk * CHUNK + starts[OFFSET(5) + slot];
    uint first = chunk * CHUNK, end = min(first + CHUNK, push.rows);
    for (uint block = first; block < end; block += GROUP) {
        barrier();
        if (block + lane < end) stage[lane] = uint(ids[OFFSET(1) + block + lane]);
        barrier();
        uint n = min(GROUP, end - block);
        for (uint i = 0; i < n; ++i)
            if (mine && stage[i] == segment) {
                if (write) list[OFFSET(6) + place + found] = block + i;
                ++found;
            }
    }
    if (!write && mine) starts[OFFSET(5) + slot] = found;
}

// A group turns one chunk's counts into starts: each thread a piece, then the pieces.
void make_starts() {
    uint lane = gl_LocalInvocationID.x, base = OFFSET(5) + group_id() * (push.k + 1);
    uint piece = (push.k + GROUP - 1) / GROUP, first = min(lane * piece, push.k);
    uint end = min(first + piece, push.k), sum = 0, before = 0;
    for (uint i = first; i < end; ++i) sum += starts[base + i];
    stage[lane] = sum;
    barrier();
    for (uint i = 0; i < lane; ++i) before += stage[i];
    for (uint i = first; i < end; ++i) {
        uint n = starts[base + i];
        starts[base + i] = before;
        before += n;
    }
    if (lane == GROUP - 1) starts[base + push.k] = before;
}

void add_rows() {
    uint at = thread_id(), chunk = gl_WorkGroupID.z;
    if (at >= push.k * push.cols) return;
    uint segment = at / push.cols, col = at % push.cols, slot = chunk * (push.k + 1) + segment;
    uint first = starts[OFFSET(5) + slot], end = starts[OFFSET(5) + slot + 1];
    float sum = 0.0;
    for (uint i = first; i < end; ++i)
        sum += x[OFFSET(0) + list[OFFSET(6) + chunk * CHUNK + i] * push.cols + col];
    partial[OFFSET(4) + chunk * push.k * push.cols + at] = sum;
}

void add_chunks() {
    uint at = thread_id();
    if (at >= push.k * push.cols) return;
    float sum = 0.0;
    int count = 0;
    bool counting = at % push.cols == 0;
    for (uint chunk = 0; chunk < push.chunks; ++chunk) {
        sum += partial[OFFSET(4) + chunk * push.k * push.cols + at];
        uint slot = OFFSET(5) + chunk * (push.k + 1) + at / push.cols;
        if (counting) count += int(starts[slot + 1] - starts[slot]);
    }
    sums[OFFSET(2) + at] = sum;
    if (counting) counts[OFFSET(3) + at / push.cols] = count;
}

void main() {
    if (PASS == COUNT) scan(false);
    else if (PASS == START) make_starts();
    else if (PASS == LIST) scan(true);
    else if (PASS == ADD) add_rows();
    else add_chunks();
}
