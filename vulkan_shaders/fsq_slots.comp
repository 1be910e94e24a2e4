// SPDX-License-Identifier: MIT
// fsq_slots.comp: residual FSQ. A thread walks a chain of slots from its head. ROUND: digits and
// margins of each row's own class. ERRORS: a group for each row and class adds what rounding changes
// up to each end, in an order that the slots decide.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 5
#define PUSH uint rows; uint cols; uint classes; uint slots; uint levels; uint width; uint ends;
#include "common.glsl"
#include "activation.glsl"
#include "rows.glsl"

layout(constant_id = 1) const uint MODE = 0;
const uint ROUND = 0, ERRORS = 1; // as in ops/fsq_slots.c
const int HEAD = 1 << 24;
const uint MAX_ENDS = 16; // TSR_FSQ_MAX_ENDS

TENSOR_READ(0, float, x);     // [rows, cols]
TENSOR_READ(1, uint, beside); // ROUND: [rows] classes. ERRORS: [rows] energies
TENSOR_WRITE(2, uint, made);  // ROUND: [rows, slots] digits. ERRORS: [rows, classes, ends]
TENSOR_WRITE(3, float, margins);
TENSOR_READ(4, int, table); // levels, ends, sources, next slots, scales, values of digits

// Of each thread what its chains change up to each end: shared, for an array that a number indexes
// would lie in memory otherwise.
shared float change[MAX_ENDS * GROUP];

int word(uint at) { return table[OFFSET(4) + at]; }
float real(uint at) { return intBitsToFloat(word(at)); }

// Where the class's sources begin; the other arrays follow at distances of `all`.
uint class_base(uint class_) { return push.levels + push.ends + class_ * push.slots; }

int round_slot(uint slot, float scale, float left, out float margin) {
    int level = word(slot % push.levels), middle = level / 2;
    float half_range = float(level - 1) * 1.001 / 2.0;
    float z = left * scale, bounded = fast_tanh(z) * half_range - (level % 2 == 0 ? 0.5 : 0.0);
    if (is_nan(z)) bounded = z;
    float q = roundEven(bounded), low = float(-middle), high = float(level - 1 - middle);
    margin = 0.5 - abs(bounded - q);
    return int(q >= low ? q < high ? q : high : low) + middle; // NaN: the lowest
}

void main() {
    uint all = push.classes * push.slots;
    uint own = gl_LocalInvocationID.x; // + GROUP * end
    uint row, class_, first, last, step;
    if (MODE == ERRORS) {
        uint n = min(group_id(), push.rows * push.classes - 1);
        row = n / push.classes;
        class_ = n % push.classes;
        first = row_lane();
        last = push.slots;
        step = THREADS;
        for (uint e = 0; e < push.ends; ++e) change[own + GROUP * e] = 0.0;
    } else {
        uint n = thread_id();
        if (n >= push.rows * push.slots) return;
        row = n / push.slots;
        class_ = uint(clamp(int(beside[OFFSET(1) + row]), 0, int(push.classes) - 1));
        first = n % push.slots;
        last = first + 1;
        step = 1;
    }
    uint sources = class_base(class_), nexts = sources + all, scales = nexts + all;
    uint values = push.levels + push.ends + 3 * all + class_ * push.slots * push.width;
    for (uint head = first; head < last; head += step) {
        int source = word(sources + head), next = word(nexts + head);
        if (source < 0) {
            if (MODE == ROUND) {
                made[OFFSET(2) + row * push.slots + head] = 0;
                margins[OFFSET(3) + row * push.slots + head] = 0.5;
            }
            continue;
        }
        if (next < HEAD - 1) continue; // another thread comes by
        next -= HEAD;
        float left = x[OFFSET(0) + row * push.cols + uint(source)];
        for (int j = int(head); j >= 0;) {
            float margin;
            int digit = round_slot(uint(j), real(scales + uint(j)), left, margin);
            float after = left - real(values + uint(j) * push.width + uint(digit));
            if (MODE == ROUND) {
                made[OFFSET(2) + row * push.slots + uint(j)] = uint(digit);
                margins[OFFSET(3) + row * push.slots + uint(j)] = margin;
            } else {
                uint e = 0;
                while (e < push.ends && j >= word(push.levels + e)) ++e;
                if (e < push.ends) change[own + GROUP * e] += after * after - left * left;
            }
            left = after;
            j = next;
            if (j >= 0) next = word(nexts + uint(j));
        }
    }
    if (MODE == ROUND) return;
    float sum = uintBitsToFloat(beside[OFFSET(1) + row]);
    for (uint e = 0; e < push.ends; ++e) {
        sum += row_sum(change[own + GROUP * e]);
        if (row_lane() == 0 && group_id() < push.rows * push.classes)
            made[OFFSET(2) + group_id() * push.ends + e] = floatBitsToUint(sum);
    }
}
