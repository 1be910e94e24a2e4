// SPDX-License-Identifier: MIT
// group_mean.comp: rows are sorted by group (a counting sort: ascending inside a group), then every
// mean is one thread's walk through its group. With lists from a table the last pass is all.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 6
#define PUSH uint rows; uint cols; uint groups; uint list; float temperature;
#include "common.glsl"
#include "activation.glsl"
#include "grid.glsl"

layout(constant_id = 0) const uint PASS = 0;
layout(constant_id = 1) const uint MODE = 0;
const uint COUNT = 0, START = 1, MEMBERS = 2; // and MEAN
const uint EQUAL = 0, PLAIN = 1, SOFTMAX = 2;

TENSOR_READ(0, float, x);
TENSOR_READ(1, float, weight);
TENSOR_READ(2, int, map);
TENSOR_WRITE(3, float, y);
TENSOR_WRITE(4, uint, starts); // [groups + 1]: how many, then where in the list
TENSOR_WRITE(5, uint, list);   // row numbers, from push.list on

shared uint stage[GROUP];

// A group's threads are neighbouring groups of rows; all read every id of the map.
void scan(bool write) {
    uint lane = gl_LocalInvocationID.x, own = thread_id(), found = 0, place = 0;
    bool mine = own < push.groups;
    if (write && mine) place = starts[OFFSET(4) + own];
    for (uint block = 0; block < push.rows; block += GROUP) {
        barrier();
        if (block + lane < push.rows) stage[lane] = uint(map[OFFSET(2) + block + lane]);
        barrier();
        uint n = min(GROUP, push.rows - block);
        for (uint i = 0; i < n; ++i)
            if (mine && stage[i] == own) {
                if (write) list[OFFSET(5) + place + found] = block + i;
                ++found;
            }
    }
    if (!write && mine) starts[OFFSET(4) + own] = found;
}

// One group turns counts into starts: each thread a piece, then the pieces.
void make_starts() {
    uint lane = gl_LocalInvocationID.x, base = OFFSET(4);
    uint piece = (push.groups + GROUP - 1) / GROUP, first = min(lane * piece, push.groups);
    uint end = min(first + piece, push.groups), sum = 0, before = 0;
    for (uint i = first; i < end; ++i) sum += starts[base + i];
    stage[lane] = sum;
    barrier();
    for (uint i = 0; i < lane; ++i) before += stage[i];
    for (uint i = first; i < end; ++i) {
        uint n = starts[base + i];
        starts[base + i] = before;
        before += n;
    }
    if (lane == GROUP - 1) starts[base + push.groups] = before;
}

float weigh(uint row, uint mode, float most) {
    if (mode == EQUAL) return 1.0;
    float w = weight[OFFSET(1) + row];
    return mode == PLAIN ? w : fast_exp((w - most) / push.temperature);
}

void mean() {
    uint at = thread_id();
    if (at >= push.groups * push.cols) return;
    uint own = at / push.cols, col = at % push.cols, mode = MODE;
    uint from = starts[OFFSET(4) + own], to = starts[OFFSET(4) + own + 1];
    uint members = OFFSET(5) + push.list, rows = OFFSET(0) + col;
    float whole = 0.0, sum = 0.0, most = uintBitsToFloat(0xFF800000u); // -infinity
    if (MODE == SOFTMAX)
        for (uint i = from; i < to; ++i) most = max(most, weight[OFFSET(1) + list[members + i]]);
    for (uint i = from; i < to; ++i) whole += weigh(list[members + i], MODE, most);
    if (!(whole > 0.0)) {
        mode = EQUAL;
        whole = float(max(to - from, 1));
    }
    for (uint i = from; i < to; ++i)
        sum += weigh(list[members + i], mode, most) * x[rows + list[members + i] * push.cols];
    if (to - from == 1) {
        sum = x[rows + list[members + from] * push.cols];
        whole = 1.0;
    }
    y[OFFSET(3) + at] = sum / whole;
}

void main() {
    if (PASS == COUNT) scan(false);
    else if (PASS == START) make_starts();
    else if (PASS == MEMBERS) scan(true);
    else mean();
}
