/* SPDX-License-Identifier: MIT */
/* gemm.h: the inner loops of every matrix product on the cpu device.
 *
 * One source (gemm_kernel.h) written with the compiler's vector extensions is compiled for each
 * instruction set the build may meet; the machine's best one is picked when an op runs, so one
 * binary serves any x86-64 or aarch64. There is no state: packing is the caller's.
 *
 * Every output element is one chain of fused multiply-adds over k = 0, 1, 2 ... that starts at 0.
 * It depends on its own row and column alone, so results are the same to the bit for any number of
 * rows, any tiling and any thread count (of one instruction set). */
#ifndef COMPUTE_GEMM_H
#define COMPUTE_GEMM_H

#include "../activation.h"
#include "../device.h"

/* A packed matrix B [depth, n]: panels of tsr_gemm_kernels.cols columns, each panel `depth` rows,
 * zeros past n. A product uses the first k rows, k <= depth. With `half` the elements are bf16, and
 * sums are those over the bf16 values in f32. The caller owns `data`. */
typedef struct tsr_gemm_panels {
    const float *data;
    int64_t k, n, depth;
    bool half;
} tsr_gemm_panels;

/* What follows a product c [rows, n], in place: c = residual + gate * act(c + bias). NULL leaves an
 * operand out. Row r uses the gate at gate + min(r / gate_rows, gate_last) * gate_stride. */
typedef struct tsr_gemm_epilogue {
    const float *bias;
    tsr_activation act;
    const float *gate;
    int64_t gate_stride, gate_rows, gate_last;
    const float *residual;
    int64_t residual_stride;
} tsr_gemm_epilogue;

/* Best and second best score of one row among the codes seen so far; score = x.c - |c|^2 / 2, which
 * is greatest for the nearest code. */
typedef struct tsr_code_best {
    float best, second;
    int32_t id;
} tsr_code_best;

/* The inner loops for one instruction set. Matrices are row-major; lda, ldc and ldx are floats from
 * one row to the next. */
typedef struct tsr_gemm_kernels {
    const char *name; /* also the word --mask understands */
    int rows, cols;   /* of the register tile */
    /* Packs B [k, n], whose element (i, j) is b[i * stride_k + j * stride_n], into the caller's
     * `panels` of tsr_gemm_panel_floats floats. */
    void (*pack)(float *panels, const float *b, int64_t k, int64_t n, int64_t stride_k,
                 int64_t stride_n);
    /* Packs B like `pack`, rounded to bf16 (nearest, ties to even), into half as many floats. */
    void (*pack_half)(float *panels, const float *b, int64_t k, int64_t n, int64_t stride_k,
                      int64_t stride_n);
    /* Computes c [rows, n1 - n0] = a [rows, k] B[:, n0..n1). n0 is a multiple of `cols`; c is the
     * address of element (0, n0). */
    void (*product)(const float *a, int64_t lda, int64_t rows, const tsr_gemm_panels *b, int64_t n0,
                    int64_t n1, float *c, int64_t ldc);
    /* Adds a B to c: the chain of additions goes on where `product` stopped. Rows of a may overlap
     * (lda < k), as a convolution's do. */
    void (*accumulate)(const float *a, int64_t lda, int64_t rows, const tsr_gemm_panels *b,
                       int64_t n0, int64_t n1, float *c, int64_t ldc);
    /* Applies an epilogue to columns n0 .. n1 - 1 of `rows` rows. c is the address of element
     * (row0, n0), the pointers of `e` are those of element (0, 0). */
    void (*epilogue)(const tsr_gemm_epilogue *e, float *c, int64_t ldc, int64_t row0, int64_t rows,
                     int64_t n0, int64_t n1);
    /* Computes y[i] = act(x[i]) for i < n; y may be x. */
    void (*activate)(tsr_activation act, const float *x, float *y, int64_t n);
    /* Computes s[j] = exp(scale * s[j] + bias[j] - max) for j < n, with max the greatest exponent,
     * and returns the sum of s. A row whose exponents are all -INFINITY becomes zeros, sum 0. bias
     * may be NULL. */
    float (*softmax)(float *s, int64_t n, float scale, const float *bias);
    /* Scores x [rows, k] against codes n0 .. n1 (n0 a multiple of cols) and updates best. `half`
     * holds |c|^2 / 2 for each packed column, +INFINITY past n. best->second is computed only with
     * `second`. Ties go to the lowest code. */
    void (*nearest)(const float *x, int64_t ldx, int64_t rows, const tsr_gemm_panels *codes,
                    const float *half, int64_t n0, int64_t n1, bool second, tsr_code_best *best);
} tsr_gemm_kernels;

/* Floats of the panels of B [k, n]. */
static inline size_t tsr_gemm_panel_floats(const tsr_gemm_kernels *g, int64_t k, int64_t n) {
    return (size_t)((n + g->cols - 1) / g->cols * g->cols) * (size_t)k;
}

/* The kernels for this machine: the first of "avx512", "avx2" (x86-64), "baseline" that the
 * processor has and --mask does not name. device NULL = nothing masked. */
const tsr_gemm_kernels *tsr_gemm_select(const tsr_device *device);

#endif
