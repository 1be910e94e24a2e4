// SPDX-License-Identifier: MIT
// peaks.comp: DENSITIES: the smallest squared distances of a row, one after the other, each
// the smallest of those that come after the last one found. DELTAS: the nearest denser row.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 5
#define PUSH uint n; uint neighbours; uint dim;
#include "common.glsl"
#include "activation.glsl"
#include "rows.glsl"

layout(constant_id = 1) const uint PASS = 0;
const uint DENSITIES = 0;

TENSOR_READ(0, float, squares); // [n, n]
TENSOR_WRITE(1, float, density);
TENSOR_WRITE(2, float, delta);
TENSOR_WRITE(3, float, score);
TENSOR_WRITE(4, float, farthest);

#define FAR uintBitsToFloat(0x7F800000u) // infinity

void densities() {
    uint row = row_number(), i = min(row, push.n - 1), from = OFFSET(0) + i * push.n;
    float sum = 0.0, last = -1.0, most = 0.0;
    uint last_place = 0xFFFFFFFFu, ignored = 0;
    for (uint m = 0; m < push.neighbours; ++m) {
        float best = -FAR; // of negative distances the greatest
        uint place = 0xFFFFFFFFu;
        for (uint j = row_lane(); j < push.n; j += THREADS) {
            float d = squares[from + j];
            bool left = d > last || (d == last && j > last_place);
            if (left && (place == 0xFFFFFFFFu || -d > best)) {
                best = -d;
                place = j;
            }
            if (m == 0) most = max(most, d);
        }
        row_max(best, place);
        last = -best;
        last_place = place;
        sum += last;
    }
    row_max(most, ignored);
    if (row >= push.n || row_lane() != 0) return;
    density[OFFSET(1) + i] = fast_exp(-sum / float(push.dim) / float(push.neighbours));
    farthest[OFFSET(4) + i] = most;
}

void deltas() {
    uint row = row_number(), i = min(row, push.n - 1), from = OFFSET(0) + i * push.n, ignored = 0;
    float own = density[OFFSET(1) + i], least = FAR, most = 0.0;
    for (uint j = row_lane(); j < push.n; j += THREADS) {
        float other = density[OFFSET(1) + j];
        if (other > own || (other == own && j < i)) least = min(least, squares[from + j]);
        most = max(most, farthest[OFFSET(4) + j]);
    }
    least = -least;
    row_max(least, ignored);
    row_max(most, ignored);
    if (row >= push.n || row_lane() != 0) return;
    float d = sqrt((-least < FAR ? -least : most) / float(push.dim));
    delta[OFFSET(2) + i] = d;
    score[OFFSET(3) + i] = own * d;
}

void main() {
    if (PASS == DENSITIES) densities();
    else deltas();
}
