// SPDX-License-Identifier: MIT
// distances.comp: a group makes a tile of TILE x TILE squared distances, a thread one column of
// every fourth row of it; rows of both sides pass through shared memory TILE numbers at a time.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint m; uint n; uint cols;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, float, a);
TENSOR_READ(1, float, b);
TENSOR_WRITE(2, float, y);

const uint TILE = 32, STEP = GROUP / TILE, EACH = TILE / STEP;
shared float rows[TILE * (TILE + 1)], others[TILE * (TILE + 1)];

void main() {
    uint lane = gl_LocalInvocationID.x, across = (push.n + TILE - 1) / TILE;
    uint row = group_id() / across * TILE, col = group_id() % across * TILE;
    uint x = lane % TILE, first = lane / TILE;
    float sum[EACH];
    for (uint i = 0; i < EACH; ++i) sum[i] = 0.0;
    for (uint from = 0; from < push.cols; from += TILE) {
        uint depth = min(TILE, push.cols - from);
        barrier();
        for (uint i = 0; i < EACH; ++i) {
            uint at = first + i * STEP, k = from + min(x, depth - 1);
            rows[at * (TILE + 1) + x] = a[OFFSET(0) + min(row + at, push.m - 1) * push.cols + k];
            others[at * (TILE + 1) + x] = b[OFFSET(1) + min(col + at, push.n - 1) * push.cols + k];
        }
        barrier();
        for (uint k = 0; k < depth; ++k) {
            float other = others[x * (TILE + 1) + k];
            for (uint i = 0; i < EACH; ++i) {
                float d = rows[(first + i * STEP) * (TILE + 1) + k] - other;
                sum[i] += d * d;
            }
        }
    }
    for (uint i = 0; i < EACH; ++i) {
        uint at = row + first + i * STEP;
        if (at < push.m && col + x < push.n) y[OFFSET(2) + at * push.n + col + x] = sum[i];
    }
}
