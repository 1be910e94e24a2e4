// SPDX-License-Identifier: MIT
// sort_ids.comp: a thread counts the ids that come before its own, which is its place.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint n;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, int, ids);
TENSOR_WRITE(1, int, y);

shared int some[GROUP];

void main() {
    uint lane = gl_LocalInvocationID.x, at = thread_id(), before = 0;
    int own = ids[OFFSET(0) + min(at, push.n - 1)];
    for (uint block = 0; block < push.n; block += GROUP) {
        barrier();
        some[lane] = ids[OFFSET(0) + min(block + lane, push.n - 1)];
        barrier();
        uint count = min(GROUP, push.n - block);
        for (uint i = 0; i < count; ++i)
            before += some[i] < own || (some[i] == own && block + i < at) ? 1 : 0;
    }
    if (at < push.n) y[OFFSET(1) + before] = own;
}
