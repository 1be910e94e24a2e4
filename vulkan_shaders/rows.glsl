// SPDX-License-Identifier: MIT
// rows.glsl: THREADS threads share a row, GROUP / THREADS rows share a group. Every thread of the
// group must reach each row_* call; rows beyond the last one work on it again and do not write.
#include "grid.glsl"
layout(constant_id = 0) const uint THREADS = 128; // a power of two that depends on the row's length

shared float row_lanes[GROUP];
shared uint row_places[GROUP];

uint row_number() { return group_id() * (GROUP / THREADS) + gl_LocalInvocationID.x / THREADS; }
uint row_lane() { return gl_LocalInvocationID.x % THREADS; }

float row_sum(float value) {
    uint at = gl_LocalInvocationID.x, lane = row_lane();
    barrier(); // the last call's result has been read
    row_lanes[at] = value;
    barrier();
    for (uint width = THREADS / 2; width > 0; width /= 2) {
        if (lane < width) row_lanes[at] += row_lanes[at + width];
        barrier();
    }
    return row_lanes[at - lane];
}

bool greater(float a, float b) { return a > b || (is_nan(a) && !is_nan(b)); }

// The greatest value (NaN above all) and the lowest of its places.
void row_max(inout float value, inout uint place) {
    uint at = gl_LocalInvocationID.x, lane = row_lane();
    barrier();
    row_lanes[at] = value;
    row_places[at] = place;
    barrier();
    for (uint width = THREADS / 2; width > 0; width /= 2) {
        if (lane < width) {
            float a = row_lanes[at], b = row_lanes[at + width];
            uint i = row_places[at], j = row_places[at + width];
            if (greater(b, a) || (!greater(a, b) && j < i)) {
                row_lanes[at] = b;
                row_places[at] = j;
            }
        }
        barrier();
    }
    value = row_lanes[at - lane];
    place = row_places[at - lane];
}
