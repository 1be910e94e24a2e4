// SPDX-License-Identifier: MIT
// common.glsl: what every shader shares: how tensors and numbers reach it. README.md explains.
// Define BINDINGS and PUSH before including it.

// Where each bound tensor starts, in 4-byte words; always a multiple of 4, so that a shader which
// declares its buffer as vec4 or uvec4 may use OFFSET(i) / 4.
layout(push_constant) uniform Push {
    uint offset[BINDINGS];
    PUSH
} push;
#define OFFSET(i) push.offset[i]

#define TENSOR_READ(i, type, name) \
    layout(std430, set = 0, binding = i) readonly buffer Tensor##i { type name[]; }
#define TENSOR_WRITE(i, type, name) \
    layout(std430, set = 0, binding = i) buffer Tensor##i { type name[]; }

// By its bits: where arithmetic is fast, comparisons of NaN are taken for false and folded away.
bool is_nan(float v) { return (floatBitsToUint(v) & 0x7FFFFFFFu) > 0x7F800000u; }
