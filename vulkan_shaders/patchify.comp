// SPDX-License-Identifier: MIT
// patchify.comp: picture to patches or back; a thread for each element of the picture.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint n; uint channels; uint height; uint width; uint patch_size; uint back;
#include "common.glsl"
#include "grid.glsl"

TENSOR_READ(0, uint, from);
TENSOR_WRITE(1, uint, to);

void main() {
    uint pixel = thread_id(), p = push.patch_size;
    if (pixel >= push.n) return;
    uint x = pixel % push.width, y = pixel / push.width % push.height;
    uint plane = pixel / push.width / push.height;
    uint c = plane % push.channels, b = plane / push.channels;
    uint place = (b * (push.height / p) + y / p) * (push.width / p) + x / p;
    uint element = ((place * push.channels + c) * p + y % p) * p + x % p;
    if (push.back != 0) to[OFFSET(1) + pixel] = from[OFFSET(0) + element];
    else to[OFFSET(1) + element] = from[OFFSET(0) + pixel];
}
