/* SPDX-License-Identifier: MIT */
/* gemm_bytes.c: products of bytes. One operand of the instructions is unsigned: columns are stored
 * with `most + 1` added, and so many times the sum of a row's bytes is taken away again. */
#include "gemm_bytes.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { DEEP = 4 };
/* Sums are in registers only where loops over them are unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE size_t panels_of(int64_t cols, int64_t depth, int64_t n) {
    return (size_t)((n + cols - 1) / cols * cols) * (size_t)depth;
}

/* A panel is depth / 4 lines of `cols` columns with 4 bytes each; `added` is added to each byte. */
INLINE void pack_columns(int64_t cols, uint32_t added, uint8_t *panels, const int8_t *b,
                         int64_t depth, int64_t n) {
    for (int64_t n0 = 0; n0 < n; n0 += cols, panels += cols * depth)
        for (int64_t j = 0; j < cols; ++j)
            for (int64_t i = 0; i < depth; i += DEEP) {
                uint8_t *to = panels + i * cols + j * DEEP;
                uint8_t four[DEEP] = {0};
                if (n0 + j < n) memcpy(four, b + (n0 + j) * depth + i, DEEP);
                for (int l = 0; l < DEEP; ++l)
                    to[l] = (uint8_t)(four[l] + added);
            }
}

INLINE int32_t four_of(const int8_t *a) {
    int32_t four;
    memcpy(&four, a, sizeof four);
    return four;
}

/* ---- AVX-512 VNNI ---- */

enum { VNNI_ROWS = 12, VNNI_COLS = 32, VNNI_MOST = 127 };
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

/* sum += products of four unsigned and four signed bytes. Not the intrinsic, for which gcc 12 keeps
 * half of the sums in memory. */
#define ADD_FOURS(sum, columns, row)                                                               \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(columns), "v"(row))

static size_t panel_bytes_vnni(int64_t depth, int64_t n) {
    return panels_of(VNNI_COLS, depth, n);
}

static void pack_vnni(uint8_t *panels, const int8_t *b, int64_t depth, int64_t n) {
    pack_columns(VNNI_COLS, VNNI_MOST + 1, panels, b, depth, n);
}

VNNI INLINE void tile_vnni(int rows, const int8_t *a, const int32_t *sum, int64_t depth,
                           const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    __m512i s[VNNI_ROWS][2];
    UNROLL
    for (int r = 0; r < rows; ++r) {
        s[r][0] = _mm512_set1_epi32(-(VNNI_MOST + 1) * sum[r]);
        s[r][1] = s[r][0];
    }
    for (int64_t i = 0; i < depth; i += DEEP, panel += VNNI_COLS * DEEP) {
        const __m512i b0 = _mm512_loadu_si512(panel), b1 = _mm512_loadu_si512(panel + 64);
        UNROLL
        for (int r = 0; r < rows; ++r) {
            const __m512i x = _mm512_set1_epi32(four_of(a + r * depth + i));
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

VNNI static void tile_full_vnni(const int8_t *a, const int32_t *sum, int64_t depth,
                                const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    tile_vnni(VNNI_ROWS, a, sum, depth, panel, scale, y, ld);
}
VNNI static void tile_one_vnni(const int8_t *a, const int32_t *sum, int64_t depth,
                               const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    tile_vnni(1, a, sum, depth, panel, scale, y, ld);
}

static void product_vnni(const int8_t *a, const int32_t *sum, int64_t rows, int64_t depth,
                         const uint8_t *panels, const float *scale, int64_t n0, int64_t n1,
                         float *y, int64_t ld) {
    for (int64_t n = n0; n < n1; n += VNNI_COLS) {
        const uint8_t *panel = panels + n * depth;
        float *to = y + n - n0;
        int64_t r = 0;
        for (; r + VNNI_ROWS <= rows; r += VNNI_ROWS)
            tile_full_vnni(a + r * depth, sum + r, depth, panel, scale + n, to + r * ld, ld);
        for (; r < rows; ++r)
            tile_one_vnni(a + r * depth, sum + r, depth, panel, scale + n, to + r * ld, ld);
    }
}

static const tsr_byte_kernels vnni = {"avx512",         VNNI_COLS, VNNI_MOST,
                                      panel_bytes_vnni, pack_vnni, product_vnni};

/* ---- AVX2 ----
 * Products are added in pairs to 16 bits, with saturation: 4 * 127 * 63 is just below it. */

enum { AVX2_ROWS = 4, AVX2_COLS = 16, AVX2_MOST = 63 };
#define AVX2 __attribute__((target("avx2,fma")))

static size_t panel_bytes_avx2(int64_t depth, int64_t n) {
    return panels_of(AVX2_COLS, depth, n);
}

static void pack_avx2(uint8_t *panels, const int8_t *b, int64_t depth, int64_t n) {
    pack_columns(AVX2_COLS, AVX2_MOST + 1, panels, b, depth, n);
}

AVX2 INLINE __m256i load(const uint8_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* sum + the products of eight columns and one row, four bytes of each, twice. */
AVX2 INLINE __m256i add_eights(__m256i sum, __m256i b0, __m256i x0, __m256i b1, __m256i x1) {
    const __m256i pairs =
        _mm256_add_epi16(_mm256_maddubs_epi16(b0, x0), _mm256_maddubs_epi16(b1, x1));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

AVX2 INLINE void tile_avx2(int rows, const int8_t *a, const int32_t *sum, int64_t depth,
                           const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    enum { LINE = AVX2_COLS * DEEP, HALF = LINE / 2 };
    const __m256i zero = _mm256_setzero_si256();
    __m256i s[AVX2_ROWS][2];
    int64_t i = 0;
    UNROLL
    for (int r = 0; r < rows; ++r) {
        s[r][0] = _mm256_set1_epi32(-(AVX2_MOST + 1) * sum[r]);
        s[r][1] = s[r][0];
    }
    for (; i + 2 * DEEP <= depth; i += 2 * DEEP, panel += 2 * LINE) {
        const __m256i b0 = load(panel), b1 = load(panel + HALF), c0 = load(panel + LINE),
                      c1 = load(panel + LINE + HALF);
        UNROLL
        for (int r = 0; r < rows; ++r) {
            const __m256i x = _mm256_set1_epi32(four_of(a + r * depth + i));
            const __m256i z = _mm256_set1_epi32(four_of(a + r * depth + i + DEEP));
            s[r][0] = add_eights(s[r][0], b0, x, c0, z);
            s[r][1] = add_eights(s[r][1], b1, x, c1, z);
        }
    }
    if (i < depth) {
        UNROLL
        for (int r = 0; r < rows; ++r) {
            const __m256i x = _mm256_set1_epi32(four_of(a + r * depth + i));
            s[r][0] = add_eights(s[r][0], load(panel), x, zero, zero);
            s[r][1] = add_eights(s[r][1], load(panel + HALF), x, zero, zero);
        }
    }
    const __m256 scale0 = _mm256_loadu_ps(scale), scale1 = _mm256_loadu_ps(scale + 8);
    UNROLL
    for (int r = 0; r < rows; ++r) {
        _mm256_storeu_ps(y + r * ld, _mm256_mul_ps(_mm256_cvtepi32_ps(s[r][0]), scale0));
        _mm256_storeu_ps(y + r * ld + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(s[r][1]), scale1));
    }
}

AVX2 static void tile_full_avx2(const int8_t *a, const int32_t *sum, int64_t depth,
                                const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    tile_avx2(AVX2_ROWS, a, sum, depth, panel, scale, y, ld);
}
AVX2 static void tile_one_avx2(const int8_t *a, const int32_t *sum, int64_t depth,
                               const uint8_t *panel, const float *scale, float *y, int64_t ld) {
    tile_avx2(1, a, sum, depth, panel, scale, y, ld);
}

static void product_avx2(const int8_t *a, const int32_t *sum, int64_t rows, int64_t depth,
                         const uint8_t *panels, const float *scale, int64_t n0, int64_t n1,
                         float *y, int64_t ld) {
    for (int64_t n = n0; n < n1; n += AVX2_COLS) {
        const uint8_t *panel = panels + n * depth;
        float *to = y + n - n0;
        int64_t r = 0;
        for (; r + AVX2_ROWS <= rows; r += AVX2_ROWS)
            tile_full_avx2(a + r * depth, sum + r, depth, panel, scale + n, to + r * ld, ld);
        for (; r < rows; ++r)
            tile_one_avx2(a + r * depth, sum + r, depth, panel, scale + n, to + r * ld, ld);
    }
}

static const tsr_byte_kernels avx2 = {"avx2",           AVX2_COLS, AVX2_MOST,
                                      panel_bytes_avx2, pack_avx2, product_avx2};
#endif

const tsr_byte_kernels *tsr_byte_select(const tsr_device *device) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vnni") && !(device && tsr_device_masked(device, vnni.name)))
        return &vnni;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        !(device && tsr_device_masked(device, avx2.name)))
        return &avx2;
#endif
    (void)device;
    return NULL;
}
