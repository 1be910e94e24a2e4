/* SPDX-License-Identifier: MIT */
/* gemm_bytes.c: products of bytes with AVX-512 VNNI. One operand of the instruction is unsigned:
 * columns are stored with 128 added, and 128 times the sum of a row's bytes is taken away again. */
#include "gemm_bytes.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { ROWS = 12, COLS = 32, DEEP = 4, OFFSET = 128 };
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))
/* Sums are in registers only where loops over them are unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* sum += products of four unsigned and four signed bytes. Not the intrinsic, for which gcc 12 keeps
 * half of the sums in memory. */
#define ADD_FOURS(sum, columns, row)                                                               \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(columns), "v"(row))

static size_t panel_bytes(int64_t depth, int64_t n) {
    return (size_t)((n + COLS - 1) / COLS * COLS) * (size_t)depth;
}

/* A panel is depth / 4 lines of COLS columns with 4 bytes each. */
static void pack(uint8_t *panels, const int8_t *b, int64_t depth, int64_t n) {
    for (int64_t n0 = 0; n0 < n; n0 += COLS, panels += COLS * depth)
        for (int64_t j = 0; j < COLS; ++j)
            for (int64_t i = 0; i < depth; i += DEEP) {
                uint8_t *to = panels + i * COLS + j * DEEP;
                uint32_t four = 0;
                if (n0 + j < n) memcpy(&four, b + (n0 + j) * depth + i, DEEP);
                four ^= 0x80808080u; /* adds 128 to each byte */
                memcpy(to, &four, DEEP);
            }
}

TARGET static inline __attribute__((always_inline)) void
tile(int rows, const int8_t *a, const int32_t *sum, int64_t depth, const uint8_t *panel,
     const float *scale, float *y, int64_t ld) {
    __m512i s[ROWS][2];
    UNROLL
    for (int r = 0; r < rows; ++r) {
        s[r][0] = _mm512_set1_epi32(-OFFSET * sum[r]);
        s[r][1] = s[r][0];
    }
    for (int64_t i = 0; i < depth; i += DEEP, panel += COLS * DEEP) {
        const __m512i b0 = _mm512_loadu_si512(panel), b1 = _mm512_loadu_si512(panel + 64);
        UNROLL
        for (int r = 0; r < rows; ++r) {
            int32_t four;
            memcpy(&four, a + r * depth + i, sizeof four);
            const __m512i x = _mm512_set1_epi32(four);
            ADD_FOURS(s[r][0], b0, x);
            ADD_FOURS(s[r][1], b1, x);
        }
    }
    const __m512 scale0 = _mm512_loadu_ps(scale), scale1 = _mm512_loadu_ps(scale + 16);
    UNROLL
    for (int r = 0; r < rows; ++r) {
        _mm512_storeu_ps(y + r * ld, _mm512_mul_ps(_mm512_cvtepi32_ps(s[r][0]), scale0));
        _mm512_storeu_ps(y + r * ld + 16, _mm512_mul_ps(_mm512_cvtepi32_ps(s[r][1]), scale1));
    }
}

TARGET static void tile_full(const int8_t *a, const int32_t *sum, int64_t depth,
                             const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    tile(ROWS, a, sum, depth, panel, scale, y, ld);
}
TARGET static void tile_one(const int8_t *a, const int32_t *sum, int64_t depth,
                            const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    tile(1, a, sum, depth, panel, scale, y, ld);
}

static void product(const int8_t *a, const int32_t *sum, int64_t rows, int64_t depth,
                    const uint8_t *panels, const float *scale, int64_t n0, int64_t n1, float *y,
                    int64_t ld) {
    for (int64_t n = n0; n < n1; n += COLS) {
        const uint8_t *panel = panels + n * depth;
        int64_t r = 0;
        for (; r + ROWS <= rows; r += ROWS)
            tile_full(a + r * depth, sum + r, depth, panel, scale + n, y + r * ld + n - n0, ld);
        for (; r < rows; ++r)
            tile_one(a + r * depth, sum + r, depth, panel, scale + n, y + r * ld + n - n0, ld);
    }
}

static const tsr_byte_kernels vnni = {COLS, panel_bytes, pack, product};
#endif

const tsr_byte_kernels *tsr_byte_select(const tsr_device *device) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vnni") && !(device && tsr_device_masked(device, "avx512")))
        return &vnni;
#endif
    (void)device;
    return NULL;
}
