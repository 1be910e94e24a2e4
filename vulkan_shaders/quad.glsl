// SPDX-License-Identifier: MIT
// quad.glsl: four neighbouring elements of an activation, 16 bytes where it is kept as f32 and 8
// where it is kept as f16 (tsr_op.halves). QUAD_READ(i, name, half) binds tensor i and gives
// name_at(e), QUAD_WRITE gives name_put(e, v) too; e counts elements from the tensor's start and is a
// multiple of 4; `half` is a specialisation constant. Include half.glsl first.
#define QUAD_BLOCKS(i, name, access)                                                               \
    layout(std430, set = 0, binding = i) access buffer Quad##i { vec4 name##_f32[]; };             \
    layout(std430, set = 0, binding = i) access buffer QuadHalf##i { uvec2 name##_f16[]; };

#define QUAD_LOADS(i, name, half)                                                                  \
    vec4 name##_at(uint e) {                                                                       \
        if (half) return half_unpack(name##_f16[OFFSET(i) / 2 + e / 4]);                           \
        return name##_f32[OFFSET(i) / 4 + e / 4];                                                  \
    }

#define QUAD_READ(i, name, half) QUAD_BLOCKS(i, name, readonly) QUAD_LOADS(i, name, half)

#define QUAD_WRITE(i, name, half)                                                                  \
    QUAD_BLOCKS(i, name, )                                                                         \
    void name##_put(uint e, vec4 v) {                                                              \
        if (half) name##_f16[OFFSET(i) / 2 + e / 4] = half_pack(v);                                \
        else name##_f32[OFFSET(i) / 4 + e / 4] = v;                                                \
    }
