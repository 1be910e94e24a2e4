/* SPDX-License-Identifier: MIT */
/* gemm_bytes.h: matrix products of small integers, four times as fast as those of floats with
 * AVX-512 VNNI and two and a half times with AVX2, whose integers are shorter by a bit. Exact: sums
 * are 32-bit integers. They serve as a rough first look whose error is known, never as a result. */
#ifndef COMPUTE_GEMM_BYTES_H
#define COMPUTE_GEMM_BYTES_H

#include "../device.h"

/* Largest depth: sums of so many products of bytes stay within 32 bits. */
#define TSR_BYTES_DEPTH_MOST 65536

typedef struct tsr_byte_kernels {
    const char *name; /* also the word --mask understands */
    int cols;         /* of a panel */
    int most;         /* integers are -most .. most */
    /* Bytes of the panels of B [depth, n]; `depth` is a multiple of 4 everywhere. */
    size_t (*panel_bytes)(int64_t depth, int64_t n);
    /* Packs rows b [n, depth] of bytes as columns. n beyond the last panel is zeros. */
    void (*pack)(uint8_t *panels, const int8_t *b, int64_t depth, int64_t n);
    /* y[r * ld + j - n0] = scale[j] * (a_r . b_j) for j in n0 .. n1 - 1, n0 a multiple of cols: the
     * sum is exact, its product with the scale is rounded. sum [rows]: of the bytes of each row a.
     * scale and y must have room up to a whole panel. */
    void (*product)(const int8_t *a, const int32_t *sum, int64_t rows, int64_t depth,
                    const uint8_t *panels, const float *scale, int64_t n0, int64_t n1, float *y,
                    int64_t ld);
} tsr_byte_kernels;

/* The best kernels of this machine that --mask does not name, "avx512" or "avx2"; NULL: none. */
const tsr_byte_kernels *tsr_byte_select(const tsr_device *device);

#endif
