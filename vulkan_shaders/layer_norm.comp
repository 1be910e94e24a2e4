// SPDX-License-Identifier: MIT
// layer_norm.comp: mean, then variance from the differences, then gamma, beta and modulation. A row
// is read once, 16 bytes a lane: its first HELD words of a lane stay in registers; only what is
// longer is read again. Two bodies: the lanes of a subgroup share a row, or with PLAIN those of a group.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define BINDINGS 6
#define PUSH                                                                                       \
    uint rows; uint magic; uint shift; uint last; uint scale_step; uint shift_step; float eps;
#include "common.glsl"
#ifdef PLAIN
#include "rows.glsl"
#else
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "subgroup_rows.glsl"
#endif
#include "divide.glsl"
#include "wide.glsl"
#include "half.glsl"
#include "quad.glsl"

layout(constant_id = 1) const bool GAMMA = false;
layout(constant_id = 2) const bool BETA = false;
layout(constant_id = 3) const bool SCALE = false;
layout(constant_id = 4) const bool SHIFT = false;
layout(constant_id = 5) const bool RMS = false; // the mean is taken for 0
layout(constant_id = 6) const uint COLS = 4;
layout(constant_id = 7) const uint HELD = 1;      // words of four that a lane keeps, at least 1
layout(constant_id = 8) const bool HALF_Y = false; // COLS is a multiple of 4 then

const bool WIDE = COLS % 4 == 0;
const uint STEP = 4 * THREADS; // elements that the lanes of a row read at a time
const bool LONG = COLS > HELD * STEP; // than what is kept
const uint INSIDE = COLS / STEP; // words of a lane that all lie inside the row

QUAD_READ(0, x, false)
QUAD_READ(1, gamma, false)
QUAD_READ(2, beta, false)
QUAD_READ(3, scale, false)
QUAD_READ(4, shift, false)
QUAD_WRITE(5, y, HALF_Y)
TENSOR_READ(0, float, x1);
TENSOR_READ(1, float, gamma1);
TENSOR_READ(2, float, beta1);
TENSOR_READ(3, float, scale1);
TENSOR_READ(4, float, shift1);
TENSOR_WRITE(5, float, y1);

// Four numbers of a row that begins at `from`, those past its end 0.
#define LOADS(i, name)                                                                             \
    vec4 name##_of(uint from, uint at) {                                                           \
        if (WIDE) return name##_at(from + at);                                                     \
        vec4 v = vec4(0.0);                                                                        \
        [[unroll]] for (uint j = 0; j < 4; ++j)                                                    \
            if (at + j < COLS) v[j] = name##1[OFFSET(i) + from + at + j];                          \
        return v;                                                                                  \
    }
LOADS(0, x)
LOADS(1, gamma)
LOADS(2, beta)
LOADS(3, scale)
LOADS(4, shift)

// Differences from the mean; places past the end of the row give 0.
vec4 differences(vec4 v, uint at, float mean) {
    vec4 d = v - mean;
    if (!WIDE) d = mix(vec4(0.0), d, lessThan(at + uvec4(0, 1, 2, 3), uvec4(COLS)));
    return d;
}

float total(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// The rest of the norm for four numbers of row n, and into y with them.
void finish(uint n, uint at, vec4 v, float mean, float factor, uint scale_row, uint shift_row) {
    v = (v - mean) * factor;
    if (GAMMA) v *= gamma_of(0, at);
    if (BETA) v += beta_of(0, at);
    if (SCALE) v *= 1.0 + scale_of(scale_row, at);
    if (SHIFT) v += shift_of(shift_row, at);
    if (WIDE) {
        y_put(n * COLS + at, v);
        return;
    }
    [[unroll]] for (uint j = 0; j < 4; ++j)
        if (at + j < COLS) y1[OFFSET(5) + n * COLS + at + j] = v[j];
}

void main() {
    uint row = row_number(), n = min(row, push.rows - 1), from = n * COLS, first = 4 * row_lane();
    uint behind = first + HELD * STEP; // the first place that is not kept
    vec4 held[HELD], sums = vec4(0.0), squares = vec4(0.0);
    [[unroll]] for (uint i = 0; i < HELD; ++i) {
        uint at = first + i * STEP;
        held[i] = vec4(0.0);
        if (i < INSIDE || at < COLS) held[i] = x_of(from, at);
        sums += held[i];
    }
    float mean = 0.0;
    if (!RMS) {
        for (uint at = behind; LONG && at < COLS; at += STEP) sums += x_of(from, at);
        mean = row_sum(total(sums)) / float(COLS);
    }
    [[unroll]] for (uint i = 0; i < HELD; ++i) {
        uint at = first + i * STEP;
        vec4 d = vec4(0.0);
        if (i < INSIDE || at < COLS) d = differences(held[i], at, mean);
        squares += d * d;
    }
    for (uint at = behind; LONG && at < COLS; at += STEP) {
        vec4 d = differences(x_of(from, at), at, mean);
        squares += d * d;
    }
    float factor = 1.0 / sqrt(row_sum(total(squares)) / float(COLS) + push.eps);
    if (row >= push.rows) return;
    uint scale_row = 0, shift_row = 0;
    if (SCALE || SHIFT) {
        uint group = min(divided(n, push.magic, push.shift), push.last);
        scale_row = group * push.scale_step;
        shift_row = group * push.shift_step;
    }
    [[unroll]] for (uint i = 0; i < HELD; ++i) {
        uint at = first + i * STEP;
        if (i < INSIDE || at < COLS) finish(n, at, held[i], mean, factor, scale_row, shift_row);
    }
    for (uint at = behind; LONG && at < COLS; at += STEP)
        finish(n, at, x_of(from, at), mean, factor, scale_row, shift_row);
}
