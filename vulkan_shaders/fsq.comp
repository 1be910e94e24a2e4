// SPDX-License-Identifier: MIT
// fsq.comp: z or bounded values to codes and ids, or ids to codes; a thread for each row. Constants
// and code values come from the host's table, so that codes are exact on every device.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 5
#define PUSH uint rows; uint levels; uint codebook;
#include "common.glsl"
#include "activation.glsl"
#include "grid.glsl"

layout(constant_id = 0) const uint MODE = 0; // as in ops/fsq.c
const uint ENCODE = 0, ROUND = 1, DECODE = 2;

TENSOR_READ(0, uint, x); // floats, or ids for DECODE
TENSOR_WRITE(1, float, codes);
TENSOR_WRITE(2, int, ids);
TENSOR_WRITE(3, float, bounded);
TENSOR_READ(4, uint, table); // for each channel: half, offset, shift, level, basis, start of codes

float table_float(uint at) { return uintBitsToFloat(table[OFFSET(4) + at]); }
int table_int(uint at) { return int(table[OFFSET(4) + at]); }

void main() {
    uint n = thread_id();
    if (n >= push.rows) return;
    int id = 0;
    if (MODE == DECODE) id = clamp(int(x[OFFSET(0) + n]), 0, int(push.codebook) - 1);
    for (uint i = 0; i < push.levels; ++i) {
        uint at = n * push.levels + i;
        int level = table_int(6 * i + 3), basis = table_int(6 * i + 4), digit;
        if (MODE == DECODE) {
            digit = id / basis % level;
        } else {
            float b = uintBitsToFloat(x[OFFSET(0) + at]);
            if (MODE == ENCODE) {
                float z = b + table_float(6 * i + 2);
                b = fast_tanh(z) * table_float(6 * i) - table_float(6 * i + 1);
                if (is_nan(z)) b = z;
                bounded[OFFSET(3) + at] = b;
            }
            int middle = level / 2;
            float q = roundEven(b), low = float(-middle), high = float(level - 1 - middle);
            digit = int(q >= low ? q < high ? q : high : low) + middle; // NaN: the lowest
            id += digit * basis;
        }
        codes[OFFSET(1) + at] = table_float(uint(table_int(6 * i + 5) + digit));
    }
    if (MODE != DECODE) ids[OFFSET(2) + n] = id;
}
