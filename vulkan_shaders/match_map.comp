// SPDX-License-Identifier: MIT
// match_map.comp: where even and odd tokens go; a thread is a place of the list and an odd token.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint even; uint odds; uint merged;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, uint, order);
TENSOR_READ(1, uint, odd);
TENSOR_WRITE(2, uint, map);

void main() {
    uint at = thread_id(), stay = push.even - push.merged;
    if (at >= push.even) return;
    uint token = min(order[OFFSET(0) + at], push.even - 1);
    map[OFFSET(2) + 2 * token] =
        at < push.merged ? stay + odd[OFFSET(1) + token] : at - push.merged;
    if (at < push.odds) map[OFFSET(2) + 2 * at + 1] = stay + at;
}
