// SPDX-License-Identifier: MIT
// half.glsl: products whose operands are f16 and whose sums are f32. Weights come as pairs of f16 in
// words (TSR_BIND_HALF), x is rounded here. Only packHalf2x16 and unpackHalf2x16 are used, which
// every device has; include wide.glsl first.

// Rounded to f16, to nearest and ties to even: the built-in packing may cut instead. Beyond 65504 it
// becomes 65504, so that one large activation does not make infinities; infinity and NaN stay. Below
// 2^-14 f16 is denormal, and Vulkan lets a driver make that zero, here and in a weight: an operand is
// off by at most 2^-14.
vec4 half_round(vec4 v) {
    uvec4 u = floatBitsToUint(v);
    // A number's sign is not reached by the carry; what infinity and NaN become is not used.
    uvec4 rounded = (u + 0xFFFu + (u >> 13 & 1u)) & 0xFFFFE000u;
    rounded = floatBitsToUint(clamp(uintBitsToFloat(rounded), -65504.0, 65504.0));
    return uintBitsToFloat(mix(rounded, u, greaterThanEqual(u & 0x7FFFFFFFu, uvec4(0x7F800000u))));
}

uvec2 half_pack(vec4 v) {
    v = half_round(v);
    return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw));
}

vec4 half_unpack(uvec2 v) { return vec4(unpackHalf2x16(v.x), unpackHalf2x16(v.y)); }

// 4 or 8 f16 at a time; `at` is in words.
#ifdef LONG_WORDS
#define HALF_READ2(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorHalf##i { uint64_t name[]; }
#define HALF_LOAD2(name, at) unpack32(name[(at) / 2])
#define HALF_READ4(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorHalfWide##i { u64vec2 name[]; }
uvec4 half_from_long(u64vec2 v) { return uvec4(unpack32(v.x), unpack32(v.y)); }
#define HALF_LOAD4(name, at) half_from_long(name[(at) / 4])
#else
#define HALF_READ2(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorHalf##i { uvec2 name[]; }
#define HALF_LOAD2(name, at) name[(at) / 2]
#define HALF_READ4(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorHalfWide##i { uvec4 name[]; }
#define HALF_LOAD4(name, at) name[(at) / 4]
#endif

// Results that are kept as f16: 2 or 4 at a time.
#define HALF_WRITE(i, name) \
    layout(std430, set = 0, binding = i) buffer TensorHalfOut##i { uint name[]; }
#define HALF_WRITE2(i, name) \
    layout(std430, set = 0, binding = i) buffer TensorHalfOutWide##i { uvec2 name[]; }
