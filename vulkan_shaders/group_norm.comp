// SPDX-License-Identifier: MIT
// group_norm.comp: the norm of groups of channels over all positions, UNIT neighbouring channels at
// a time: 4, or with NARROW 1.
//
// WHOLE: a small group of channels (of one batch item) is read, normalised and written by a group of
// invocations that keeps it in registers. Larger ones take three dispatches. PART: a group of
// invocations takes a chunk of positions and gives, for each group of channels, the mean and the sum
// of squared differences from it; the chunk stays in registers between the two. MERGE: one group for
// each batch item's group of channels puts the chunks together, mean first; where the product that
// made x has given such numbers itself (statistics.glsl), they are put together, and PART is left out.
// Otherwise:
// y = act((x - mean) * deviation * gamma + beta), each lane with the same channels of one position
// after the other.
//
// No integer is divided for an element: UNITS units make a position, SLOTS positions lie beside each
// other, and a lane's unit and slot are found once.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef WHOLE
#define BINDINGS 4
#elif defined(PART) || defined(MERGE)
#define BINDINGS 2
#else
#define BINDINGS 5
#endif
#define PUSH uint items; uint positions; uint chunks; uint groups; float eps;
#include "common.glsl"

layout(constant_id = 1) const uint UNITS = 1;
layout(constant_id = 2) const uint SLOTS = 1;
layout(constant_id = 3) const uint ROUNDS = 1; // lanes that an invocation plays one after the other
layout(constant_id = 4) const uint TURNS = 1;  // units of each
layout(constant_id = 5) const uint WIDTH = 4;  // channels of a group
layout(constant_id = 6) const bool HALF_X = false;
layout(constant_id = 7) const bool HALF_Y = false;
layout(constant_id = 8) const uint ACT = 0;
layout(constant_id = 9) const bool GAMMA = false;
layout(constant_id = 10) const bool BETA = false;

#ifdef NARROW
const uint UNIT = 1;
#define VALUES float
#else
const uint UNIT = 4;
#define VALUES vec4
#include "wide.glsl"
#include "half.glsl"
#include "quad.glsl"
#endif
const uint CHANNELS = UNITS * UNIT;
const uint GROUPS = CHANNELS / WIDTH;
const uint LANES = UNITS * SLOTS;
const uint ROWS = SLOTS * TURNS; // positions of a chunk

#ifndef MERGE
// Names of tensors: units are read by x_at and written by y_put, one number of x by x_one.
TENSOR_READ(0, float, x1);
#ifdef NARROW
float x_at(uint at) { return x1[OFFSET(0) + at]; }
float x_one(uint at) { return x1[OFFSET(0) + at]; }
#else
QUAD_READ(0, x, HALF_X)
float x_one(uint at) {
    if (HALF_X) return x_at(at / 4 * 4)[at % 4];
    return x1[OFFSET(0) + at];
}
#endif
float total(float v) { return v; }
float total(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
#endif

#if defined(PART)

#include "grid.glsl"
TENSOR_WRITE(1, float, parts); // [items, groups, chunks, 2]
// With ALIKE all channels of a unit are of one group, and one sum stands for a unit.
const bool ALIKE = WIDTH % UNIT == 0;
const uint EACH = ALIKE ? 1 : UNIT;
const uint GROUP_SUMS = ALIKE ? WIDTH / UNIT : WIDTH;
shared float sums[LANES * EACH];
shared float means[GROUPS];

void put_sum(uint lane, float v) { sums[lane] = v; }
void put_sum(uint lane, vec4 v) {
    if (ALIKE) sums[lane] = total(v);
    else [[unroll]] for (uint j = 0; j < 4; ++j) sums[lane * 4 + j] = v[j];
}

float group_sum(uint group) {
    float sum = 0.0;
    for (uint slot = 0; slot < SLOTS; ++slot)
        for (uint c = 0; c < GROUP_SUMS; ++c) sum += sums[slot * UNITS * EACH + group * GROUP_SUMS + c];
    return sum;
}

// A value of the chunk for each channel of a unit: sums of differences from it keep more digits.
// `means` take its place once they are known.
float anchor(bool known, uint from, uint channel) {
    uint group = channel / WIDTH;
    if (known) return means[group];
    return x_one(from + group * WIDTH);
}
VALUES anchors(bool known, uint from, uint unit) {
    VALUES v = VALUES(anchor(known, from, unit * UNIT));
#ifndef NARROW
    if (!ALIKE)
        [[unroll]] for (uint j = 1; j < 4; ++j) v[j] = anchor(known, from, unit * UNIT + j);
#endif
    return v;
}

void main() {
    uint t = gl_LocalInvocationID.x, chunk = group_id() % push.chunks, item = group_id() / push.chunks;
    bool mine = item < push.items;
    item = min(item, push.items - 1);
    uint first = chunk * ROWS, rows = min(ROWS, push.positions - first);
    uint from = (item * push.positions + first) * CHANNELS;
    float count = float(rows * WIDTH);
    VALUES held[ROUNDS * TURNS];
    [[unroll]] for (uint round = 0; round < ROUNDS; ++round) {
        uint lane = t + round * GROUP, unit = lane % UNITS, slot = lane / UNITS;
        if (lane >= LANES) break;
        uint at = from + slot * CHANNELS + unit * UNIT;
        VALUES near = anchors(false, from, unit), sum = VALUES(0.0);
        [[unroll]] for (uint i = 0; i < TURNS; ++i) {
            if (slot + i * SLOTS < rows) {
                held[round * TURNS + i] = x_at(at + i * SLOTS * CHANNELS);
                sum += held[round * TURNS + i] - near;
            }
        }
        put_sum(lane, sum);
    }
    barrier();
    for (uint g = t; g < GROUPS; g += GROUP)
        means[g] = x_one(from + g * WIDTH) + group_sum(g) / count;
    barrier();
    [[unroll]] for (uint round = 0; round < ROUNDS; ++round) {
        uint lane = t + round * GROUP, unit = lane % UNITS, slot = lane / UNITS;
        if (lane >= LANES) break;
        VALUES mean = anchors(true, from, unit), sum = VALUES(0.0);
        [[unroll]] for (uint i = 0; i < TURNS; ++i) {
            VALUES d = held[round * TURNS + i] - mean;
            if (slot + i * SLOTS < rows) sum += d * d;
        }
        put_sum(lane, sum);
    }
    barrier();
    for (uint g = t; g < GROUPS; g += GROUP) {
        uint at = OFFSET(1) + ((item * GROUPS + g) * push.chunks + chunk) * 2;
        float squares = group_sum(g);
        if (mine) {
            parts[at] = means[g];
            parts[at + 1] = squares;
        }
    }
}

#elif defined(MERGE)

#include "rows.glsl"
// Channels of a piece of x whose numbers the product that made x has put down, SLOTS positions each:
// [items, chunks, pieces of a position, 2]. 0: of a whole group, [items, groups, chunks, 2].
layout(constant_id = 11) const uint PIECE = 0;
const uint SPAN = PIECE == 0 ? 1 : WIDTH / (PIECE + uint(PIECE == 0)); // pieces of a group
TENSOR_READ(0, float, parts);
TENSOR_WRITE(1, float, totals);

float rows_of(uint chunk) { return float(min(ROWS, push.positions - chunk * ROWS)); }

void main() {
    uint row = row_number(), n = min(row, push.items * push.groups - 1);
    uint from = OFFSET(0) + n * push.chunks * 2, count = push.chunks * SPAN;
    if (PIECE != 0)
        from = OFFSET(0) + (n / push.groups * push.chunks * push.groups + n % push.groups) * SPAN * 2;
    float sum = 0.0, squares = 0.0;
    float near = parts[from];
#define PART_AT(i) (PIECE == 0 ? from + 2 * i : from + (i / SPAN * push.groups * SPAN + i % SPAN) * 2)
    for (uint i = row_lane(); i < count; i += THREADS)
        sum += (parts[PART_AT(i)] - near) * rows_of(i / SPAN);
    float mean = near + row_sum(sum) / (float(push.positions) * float(SPAN));
    for (uint i = row_lane(); i < count; i += THREADS) {
        uint at = PART_AT(i);
        float d = parts[at] - mean;
        squares += parts[at + 1] + d * d * (rows_of(i / SPAN) * float(WIDTH / SPAN));
    }
    float variance = row_sum(squares) / (float(push.positions) * float(WIDTH));
    if (row >= push.items * push.groups || row_lane() != 0) return;
    totals[OFFSET(1) + 2 * n] = mean;
    totals[OFFSET(1) + 2 * n + 1] = 1.0 / sqrt(variance + push.eps);
}

#else // WHOLE, or the last of three

#include "activation.glsl"
float activated(float v) { return activate(v, ACT); }
vec4 activated(vec4 v) {
    return vec4(activate(v.x, ACT), activate(v.y, ACT), activate(v.z, ACT), activate(v.w, ACT));
}
#ifdef NARROW
TENSOR_READ(1, float, gamma1);
TENSOR_READ(2, float, beta1);
TENSOR_READ(3, float, totals);
TENSOR_WRITE(4, float, y1);
float gamma_at(uint at) { return gamma1[OFFSET(1) + at]; }
float beta_at(uint at) { return beta1[OFFSET(2) + at]; }
void y_put(uint at, float v) { y1[OFFSET(4) + at] = v; }
#else
QUAD_READ(1, gamma, false)
QUAD_READ(2, beta, false)
#ifdef WHOLE
QUAD_WRITE(3, y, HALF_Y)
#else
TENSOR_READ(3, float, totals);
QUAD_WRITE(4, y, HALF_Y)
#endif
#endif

#ifdef WHOLE

#include "rows.glsl" // a row is a batch item's group of channels
const uint SPAN = WIDTH / UNIT; // units of a group in a position

void main() {
    uint t = gl_LocalInvocationID.x, n = min(group_id(), push.items * GROUPS - 1);
    bool mine = group_id() < push.items * GROUPS;
    uint group = n % GROUPS, from = n / GROUPS * (push.positions * CHANNELS) + group * WIDTH;
    uint units = push.positions * SPAN;
    float near = x_one(from), count = float(push.positions * WIDTH);
    vec4 held[TURNS], sum = vec4(0.0), squares = vec4(0.0);
    [[unroll]] for (uint i = 0; i < TURNS; ++i) {
        uint k = t + i * GROUP;
        if (k < units) {
            held[i] = x_at(from + k / SPAN * CHANNELS + k % SPAN * UNIT);
            sum += held[i] - near;
        }
    }
    float mean = near + row_sum(total(sum)) / count;
    [[unroll]] for (uint i = 0; i < TURNS; ++i) {
        vec4 d = held[i] - mean;
        if (t + i * GROUP < units) squares += d * d;
    }
    float deviation = 1.0 / sqrt(row_sum(total(squares)) / count + push.eps);
    if (!mine) return;
    [[unroll]] for (uint i = 0; i < TURNS; ++i) {
        uint k = t + i * GROUP, channel = group * WIDTH + k % SPAN * UNIT;
        if (k < units) {
            vec4 factor = vec4(deviation);
            if (GAMMA) factor *= gamma_at(channel);
            vec4 v = (held[i] - mean) * factor;
            if (BETA) v += beta_at(channel);
            y_put(from + k / SPAN * CHANNELS + k % SPAN * UNIT, activated(v));
        }
    }
}

#else

#include "grid.glsl"

// Mean and deviation of each channel of a unit.
void load_totals(uint item, uint unit, out VALUES mean, out VALUES deviation) {
    uint at = OFFSET(3) + 2 * (item * GROUPS + unit * UNIT / WIDTH);
    mean = VALUES(totals[at]);
    deviation = VALUES(totals[at + 1]);
#ifndef NARROW
    if (WIDTH % UNIT != 0)
        [[unroll]] for (uint j = 1; j < 4; ++j) {
            at = OFFSET(3) + 2 * (item * GROUPS + (unit * UNIT + j) / WIDTH);
            mean[j] = totals[at];
            deviation[j] = totals[at + 1];
        }
#endif
}

void main() {
    uint chunk = group_id() % push.chunks, item = group_id() / push.chunks;
    if (item >= push.items) return;
    uint first = chunk * ROWS, rows = min(ROWS, push.positions - first);
    uint from = (item * push.positions + first) * CHANNELS;
    for (uint lane = gl_LocalInvocationID.x; lane < LANES; lane += GROUP) {
        uint unit = lane % UNITS;
        VALUES mean, factor, shift = VALUES(0.0);
        load_totals(item, unit, mean, factor);
        if (GAMMA) factor *= gamma_at(unit * UNIT);
        if (BETA) shift = beta_at(unit * UNIT);
        uint at = from + lane / UNITS * CHANNELS + unit * UNIT;
        for (uint p = lane / UNITS; p < rows; p += SLOTS, at += SLOTS * CHANNELS) {
            VALUES v = (x_at(at) - mean) * factor;
            if (BETA) v += shift;
            y_put(at, activated(v));
        }
    }
}

#endif
#endif
