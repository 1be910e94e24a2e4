/* SPDX-License-Identifier: MIT */
/* tensor.c: shapes as text, sizes of dtypes, and the two 16-bit float formats. */
#include "tensor.h"
#include "cpu/simd.h"

#include <stdio.h>
#include <string.h>

size_t tsr_dtype_bytes(tsr_dtype dtype) {
    switch (dtype) {
    case TSR_DTYPE_F32:
    case TSR_DTYPE_I32:
        return 4;
    case TSR_DTYPE_F16:
    case TSR_DTYPE_BF16:
        return 2;
    case TSR_DTYPE_U8:
    case TSR_DTYPE_OTHER:
        return 1;
    case TSR_DTYPE_I64:
        return 8;
    }
    return 0;
}

const char *tsr_dtype_name(tsr_dtype dtype) {
    switch (dtype) {
    case TSR_DTYPE_F32:
        return "F32";
    case TSR_DTYPE_F16:
        return "F16";
    case TSR_DTYPE_BF16:
        return "BF16";
    case TSR_DTYPE_I32:
        return "I32";
    case TSR_DTYPE_U8:
        return "U8";
    case TSR_DTYPE_I64:
        return "I64";
    case TSR_DTYPE_OTHER:
        return "another type";
    }
    return "unknown dtype";
}

tsr_tensor tsr_host_tensor(tsr_dtype dtype, void *data, int rank, const int64_t *dim) {
    tsr_tensor t = {.dtype = dtype, .rank = rank, .data = data, .node = -1};
    for (int i = 0; i < TSR_MAX_RANK; ++i)
        t.dim[i] = i < rank ? dim[i] : 1;
    return t;
}

char *tsr_shape_text(const tsr_tensor *t, char *text, size_t bytes) {
    size_t at = 0;
    if (bytes < 3) {
        if (bytes) *text = 0;
        return text;
    }
    text[at++] = '[';
    for (int i = 0; i < t->rank; ++i) {
        int n = snprintf(text + at, bytes - at, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
        if (n < 0 || (size_t)n + 1 >= bytes - at) break; /* keep room for the bracket */
        at += (size_t)n;
    }
    text[at++] = ']';
    text[at] = 0;
    return text;
}

static uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float tsr_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31) return bits_float(sign | 0x7f800000u | mantissa << 13);
    if (exponent) return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float magnitude = (float)mantissa * 0x1p-24f; /* subnormal: exact in f32 */
    return bits_float(sign | float_bits(magnitude));
}

uint16_t tsr_f32_to_f16(float f) {
    uint32_t u = float_bits(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) /* NaN: keep the top of its payload, stay a NaN */
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* rounds beyond 65504 */
    if (magnitude >= 0x38800000u) {                                 /* normal half */
        uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
        return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
    }
    if (magnitude < 0x33000000u) return (uint16_t)sign; /* below half of the smallest subnormal */
    uint32_t exponent = magnitude >> 23, shift = 126 - exponent;
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1),
             half = 1u << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1));
    return (uint16_t)(sign | kept);
}

float tsr_bf16_to_f32(uint16_t h) {
    return bits_float((uint32_t)h << 16);
}

uint16_t tsr_f32_to_bf16(float f) {
    uint32_t u = float_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

TSR_CLONES void tsr_floats_to_bf16(uint16_t *restrict to, const float *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) { /* without branches, for vectors */
        uint32_t u;
        memcpy(&u, from + i, sizeof u);
        uint32_t nan = u >> 16 | 0x40, near = (u + 0x7fff + (u >> 16 & 1)) >> 16;
        to[i] = (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : near);
    }
}
