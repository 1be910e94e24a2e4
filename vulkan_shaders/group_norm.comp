// SPDX-License-Identifier: MIT
// group_norm.comp: three dispatches. PART: a group of invocations takes a chunk of positions and
// gives, for each group of channels, the mean and the sum of squared differences from it. MERGE:
// one group for each batch item's group of channels puts the chunks together, mean first. Otherwise:
// y = act((x - mean) * deviation * gamma + beta).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef PART
#define BINDINGS 2
#elif defined(MERGE)
#define BINDINGS 2
#else
#define BINDINGS 5
#endif
#define PUSH                                                                                       \
    uint items; uint positions; uint channels; uint groups; uint width; uint step; uint chunks;    \
    float eps;
#include "common.glsl"

#ifdef PART

#include "grid.glsl"
layout(constant_id = 0) const uint LANES = 128; // sums of channels: a multiple of the channels
layout(constant_id = 1) const uint GROUPS = 32;
TENSOR_READ(0, float, x);
TENSOR_WRITE(1, float, parts);
shared float lanes[LANES];
shared float means[GROUPS];

// The sum of lane[] over the slots and channels of a group.
float group_sum(uint group) {
    float sum = 0.0;
    for (uint at = 0; at < LANES; at += push.channels)
        for (uint c = 0; c < push.width; ++c) sum += lanes[at + group * push.width + c];
    return sum;
}

void main() {
    uint t = gl_LocalInvocationID.x, chunk = group_id() % push.chunks, item = group_id() / push.chunks;
    bool mine = item < push.items;
    item = min(item, push.items - 1);
    uint first = chunk * push.step, rows = min(push.step, push.positions - first);
    uint from = OFFSET(0) + (item * push.positions + first) * push.channels;
    uint slots = LANES / push.channels;
    float count = float(rows * push.width);
    for (uint l = t; l < LANES; l += GROUP) {
        // Sums of differences from one value of the group keep more digits.
        uint channel = l % push.channels;
        float near = x[from + channel / push.width * push.width], sum = 0.0;
        for (uint p = l / push.channels; p < rows; p += slots)
            sum += x[from + p * push.channels + channel] - near;
        lanes[l] = sum;
    }
    barrier();
    for (uint g = t; g < push.groups; g += GROUP)
        means[g] = x[from + g * push.width] + group_sum(g) / count;
    barrier();
    for (uint l = t; l < LANES; l += GROUP) {
        uint channel = l % push.channels;
        float mean = means[channel / push.width], sum = 0.0;
        for (uint p = l / push.channels; p < rows; p += slots) {
            float d = x[from + p * push.channels + channel] - mean;
            sum += d * d;
        }
        lanes[l] = sum;
    }
    barrier();
    for (uint g = t; g < push.groups; g += GROUP) {
        uint at = OFFSET(1) + ((item * push.groups + g) * push.chunks + chunk) * 2;
        float squares = group_sum(g);
        if (mine) {
            parts[at] = means[g];
            parts[at + 1] = squares;
        }
    }
}

#elif defined(MERGE)

#include "rows.glsl"
TENSOR_READ(0, float, parts);
TENSOR_WRITE(1, float, totals);

float rows_of(uint chunk) { return float(min(push.step, push.positions - chunk * push.step)); }

void main() {
    uint row = row_number(), n = min(row, push.items * push.groups - 1);
    uint from = OFFSET(0) + n * push.chunks * 2;
    float sum = 0.0, squares = 0.0;
    float near = parts[from];
    for (uint i = row_lane(); i < push.chunks; i += THREADS)
        sum += (parts[from + 2 * i] - near) * rows_of(i);
    float mean = near + row_sum(sum) / float(push.positions);
    for (uint i = row_lane(); i < push.chunks; i += THREADS) {
        float d = parts[from + 2 * i] - mean;
        squares += parts[from + 2 * i + 1] + d * d * (rows_of(i) * float(push.width));
    }
    float variance = row_sum(squares) / (float(push.positions) * float(push.width));
    if (row >= push.items * push.groups || row_lane() != 0) return;
    totals[OFFSET(1) + 2 * n] = mean;
    totals[OFFSET(1) + 2 * n + 1] = 1.0 / sqrt(variance + push.eps);
}

#else

#include "grid.glsl"
#include "activation.glsl"
layout(constant_id = 0) const uint ACT = 0;
layout(constant_id = 1) const bool GAMMA = false;
layout(constant_id = 2) const bool BETA = false;
TENSOR_READ(0, float, x);
TENSOR_READ(1, float, gamma);
TENSOR_READ(2, float, beta);
TENSOR_READ(3, float, totals);
TENSOR_WRITE(4, float, y);

void main() {
    uint at = thread_id();
    if (at >= push.items * push.positions * push.channels) return;
    uint channel = at % push.channels, item = at / push.channels / push.positions;
    uint total = OFFSET(3) + (item * push.groups + channel / push.width) * 2;
    float factor = totals[total + 1];
    if (GAMMA) factor *= gamma[OFFSET(1) + channel];
    float v = (x[OFFSET(0) + at] - totals[total]) * factor;
    if (BETA) v += beta[OFFSET(2) + channel];
    y[OFFSET(4) + at] = activate(v, ACT);
}

#endif
