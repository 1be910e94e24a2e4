// SPDX-License-Identifier: MIT
// resize.comp: one pass of 8-bit resampling with fixed-point weights; a thread makes four bytes. All
// integer, so every device gives the same picture.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 3
#define PUSH uint bytes; uint width; uint channels; uint len; uint size; uint taps; uint table_start;
#include "common.glsl"
#include "grid.glsl"

layout(constant_id = 0) const bool VERTICAL = false;

TENSOR_READ(0, uint, x); // bytes, four in a word
TENSOR_WRITE(1, uint, y);
TENSOR_READ(2, int, table); // of this pass from table_start: (first, count) by position, weights

void main() {
    uint word = thread_id(), packed = 0;
    if (word * 4 >= push.bytes) return;
    uint out_len = push.width * push.channels, start = OFFSET(2) + push.table_start;
    for (uint b = 0; b < 4; ++b) {
        uint i = word * 4 + b, row = i / out_len, col = i % out_len;
        uint position = VERTICAL ? row : col / push.channels;
        if (i >= push.bytes) break;
        uint first = uint(table[start + 2 * position]), count = uint(table[start + 2 * position + 1]);
        uint weight = start + 2 * push.size + position * push.taps;
        uint from, step;
        if (VERTICAL) {
            from = first * push.len + col;
            step = push.len;
        } else {
            from = row * push.len + first * push.channels + col % push.channels;
            step = push.channels;
        }
        int sum = 1 << 21;
        for (uint j = 0; j < count; ++j, from += step)
            sum += int(bitfieldExtract(x[OFFSET(0) + (from >> 2)], int(from & 3) * 8, 8)) *
                   table[weight + j];
        packed |= uint(clamp(sum >> 22, 0, 255)) << (8 * b);
    }
    y[OFFSET(1) + word] = packed;
}
