// SPDX-License-Identifier: MIT
// from_bytes.comp: bytes to f32 by a table of 256 numbers; an invocation for each element of y.
// plane > 0: y has planes [C, plane] where x has pixels [plane, C].
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint n; uint channels; uint plane;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, uint, x);
TENSOR_WRITE(1, float, y);
TENSOR_READ(2, float, table);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint from = at;
    if (push.plane != 0) {
        uint picture = at / (push.plane * push.channels), inside = at % (push.plane * push.channels);
        from = (picture * push.plane + inside % push.plane) * push.channels + inside / push.plane;
    }
    uint value = bitfieldExtract(x[OFFSET(0) + from / 4], int(from % 4) * 8, 8);
    y[OFFSET(1) + at] = table[OFFSET(2) + value];
}
