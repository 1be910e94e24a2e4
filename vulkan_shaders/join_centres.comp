// SPDX-License-Identifier: MIT
// join_centres.comp: the nearest centre of a row, the first of equal ones; a centre its own.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint n; uint centres;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, float, distance_of); // [n, n]
TENSOR_READ(1, uint, centre);
TENSOR_WRITE(2, uint, y);

void main() {
    uint at = thread_id(), best = 0;
    if (at >= push.n) return;
    float least = uintBitsToFloat(0x7F800000u); // infinity
    for (uint c = 0; c < push.centres; ++c) {
        uint token = min(centre[OFFSET(1) + c], push.n - 1);
        float d = token == at ? -1.0 : distance_of[OFFSET(0) + at * push.n + token];
        if (d < least) {
            least = d;
            best = c;
        }
    }
    y[OFFSET(2) + at] = best;
}
