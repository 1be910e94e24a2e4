// SPDX-License-Identifier: MIT
// attention.glsl: what the bodies of attention share: its operands, which keys a row sees, and how
// channels are read and written. q, k and v are columns of rows of any length.
#define BINDINGS 5
#define PUSH                                                                                       \
    uint batch; uint nq; uint nk; uint d; uint heads; uint prefix; float scale;                    \
    uint q_first; uint q_row; uint q_item; uint k_first; uint k_row; uint v_first; uint v_row;
#include "common.glsl"
#include "activation.glsl"
#include "wide.glsl"
#include "half.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint TM = 8; // rows, keys, words of 4 channels of a lane
layout(constant_id = 3) const uint TK = 1;
layout(constant_id = 4) const uint TC = 1;
layout(constant_id = 5) const uint WIDE = 0;   // everything is a multiple of 4
layout(constant_id = 6) const uint MASK = 0;   // tsr_mask
layout(constant_id = 7) const uint BIASED = 0; // there is a key bias
layout(constant_id = 8) const uint WIDTH = 64; // channels of a head
layout(constant_id = 9) const uint HALVES = 0; // f16: 1 q, 2 k, 4 v (on matrix units alone), 8 y

TENSOR_READ(0, float, q);
TENSOR_READ(1, float, k);
TENSOR_READ(2, float, v);
TENSOR_READ(3, float, key_bias);
TENSOR_WRITE(4, float, y);
WIDE_READ(0, q4);
WIDE_READ(1, k4);
WIDE_READ(2, v4);
layout(std430, set = 0, binding = 4) writeonly buffer TensorHalf4 { uvec2 yh[]; };

const float LOWEST = -3.402823466e38;

// Four channels from c on; `at` is the element of the head's channel 0 in that row.
#define LOAD4(name, i, at, c)                                                                      \
    if (WIDE != 0) return WIDE_LOAD(name##4, OFFSET(i) + at + c);                                   \
    return vec4(name[OFFSET(i) + at + c],                                                          \
                c + 1 < WIDTH ? name[OFFSET(i) + at + min(c + 1, WIDTH - 1)] : 0.0,                \
                c + 2 < WIDTH ? name[OFFSET(i) + at + min(c + 2, WIDTH - 1)] : 0.0,                \
                c + 3 < WIDTH ? name[OFFSET(i) + at + min(c + 3, WIDTH - 1)] : 0.0);
vec4 load_q(uint at, uint c) { LOAD4(q, 0, at, c) }
vec4 load_k(uint at, uint c) { LOAD4(k, 1, at, c) }
vec4 load_v(uint at, uint c) { LOAD4(v, 2, at, c) }

// Where channel 0 of a head lies in row i, or key j, of batch item b.
uint row_of_q(uint b, uint head, uint i) {
    return push.q_first + b * push.q_item + i * push.q_row + head * WIDTH;
}
uint row_of_k(uint b, uint head, uint j) {
    return push.k_first + (b * push.nk + j) * push.k_row + head * WIDTH;
}
uint row_of_v(uint b, uint head, uint j) {
    return push.v_first + (b * push.nk + j) * push.v_row + head * WIDTH;
}
uint row_of_y(uint b, uint head, uint i) { return (b * push.nq + i) * push.d + head * WIDTH; }

void store_y(uint at, uint c, vec4 r) {
    if ((HALVES & 8) != 0) {
        if (c < WIDTH) yh[(OFFSET(4) + (at + c) / 2) / 2] = half_pack(r);
        return;
    }
    [[unroll]] for (uint i = 0; i < 4; ++i)
        if (c + i < WIDTH) y[OFFSET(4) + at + c + i] = r[i];
}

float dot4(vec4 a, vec4 b, float sum) {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

// How many keys query row i sees: always the first ones.
uint visible(uint i) {
    int n = int(push.nk);
    if (MASK == 1) n = int(i) + 1 + int(push.nk) - int(push.nq);
    if (MASK == 2) n = int(i < push.prefix ? push.prefix : i + 1);
    return uint(clamp(n, 0, int(push.nk)));
}
// How many keys rows first .. last see together: masks only grow with the row, or are the prefix.
uint visible(uint first, uint last) { return max(visible(first), visible(last)); }

float logit(float product, uint b, uint key) {
    float s = product * push.scale;
    if (BIASED != 0) s += key_bias[OFFSET(3) + b * push.nk + key];
    return s;
}

// A key that weighs nothing: dropped by its bias. (NaN is kept, and spreads as it should.)
bool dropped(float s) { return s < LOWEST; }
