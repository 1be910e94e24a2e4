// SPDX-License-Identifier: MIT
// wide.glsl: tensors read 16 bytes at a time. With LONG_WORDS the words are fetched as two 64-bit
// integers: a software driver that fetches component by component (Mesa 22.3) then has half as many
// to fetch. LONG_WORDS needs shaderInt64 and
// the extension GL_EXT_shader_explicit_arithmetic_types_int64.
#ifdef LONG_WORDS
#define WIDE_READ(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorWide##i { u64vec2 name[]; }
vec4 from_long(u64vec2 v) {
    return vec4(uintBitsToFloat(unpack32(v.x)), uintBitsToFloat(unpack32(v.y)));
}
#define WIDE_LOAD(name, at) from_long(name[(at) / 4])
#else
#define WIDE_READ(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorWide##i { vec4 name[]; }
#define WIDE_LOAD(name, at) name[(at) / 4]
#endif
// The same as words of any meaning.
#define WORDS_READ4(i, name) \
    layout(std430, set = 0, binding = i) readonly buffer TensorWords##i { uvec4 name[]; }
