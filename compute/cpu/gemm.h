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

#include "../ops.h"

/* B [depth, n] cut into panels of `cols` columns, each panel `depth` rows of `cols` floats, zeros
 * past n. A product may use only the first k rows. With `half` an element is a bf16: half the
 * memory, and the same sums as over floats of these values. */
typedef struct tsr_gemm_panels {
    const float *data;
    int64_t k, n, depth;
    bool half;
} tsr_gemm_panels;

/* y = residual + gate * act(c + bias) on `rows` x `n` elements in place; NULL = absent. `gate` of
 * row i is at gate + min(row / gate_rows, gate_last) * gate_stride where row = row0 + i. */
typedef struct tsr_gemm_epilogue {
    const float *bias;
    tsr_activation act;
    const float *gate;
    int64_t gate_stride, gate_rows, gate_last;
    const float *residual;
    int64_t residual_stride;
} tsr_gemm_epilogue;

/* Where a search for the best code stands, per row; score = x.c - |c|^2/2. */
typedef struct tsr_code_best {
    float best, second;
    int32_t id;
} tsr_code_best;

typedef struct tsr_gemm_kernels {
    const char *name; /* also the word --mask understands */
    int rows, cols;   /* of the register tile */
    /* Packs B: element (k, n) is b[k * stride_k + n * stride_n]. panels: tsr_gemm_panel_floats. */
    void (*pack)(float *panels, const float *b, int64_t k, int64_t n, int64_t stride_k,
                 int64_t stride_n);
    /* The same, elements rounded to bf16 (nearest, ties to even); half as many floats. */
    void (*pack_half)(float *panels, const float *b, int64_t k, int64_t n, int64_t stride_k,
                      int64_t stride_n);
    /* c [rows, n1-n0] = a [rows, k] B[:, n0..n1). n0 is a multiple of cols. c is the address of
     * element (0, n0). */
    void (*product)(const float *a, int64_t lda, int64_t rows, const tsr_gemm_panels *b, int64_t n0,
                    int64_t n1, float *c, int64_t ldc);
    /* c += the same: the chain of additions goes on where the last product stopped. Rows of a may
     * overlap (lda < k): a convolution's do. */
    void (*accumulate)(const float *a, int64_t lda, int64_t rows, const tsr_gemm_panels *b,
                       int64_t n0, int64_t n1, float *c, int64_t ldc);
    /* Columns n0 .. n1; c is the address of element (row0, n0), the epilogue's pointers of (0, 0).
     */
    void (*epilogue)(const tsr_gemm_epilogue *e, float *c, int64_t ldc, int64_t row0, int64_t rows,
                     int64_t n0, int64_t n1);
    /* y[i] = act(x[i]); y may be x. */
    void (*activate)(tsr_activation act, const float *x, float *y, int64_t n);
    /* s[j] = exp(scale*s[j] + bias[j] - max) for j < n, returns the sum, 0 for a row without any
     * key (max -INFINITY; s is then all 0). bias may be NULL. */
    float (*softmax)(float *s, int64_t n, float scale, const float *bias);
    /* Scores x [rows, k] against codes n0 .. n1 (n0 a multiple of cols) and updates best. `half`
     * holds |c|^2/2 for each packed column, +INFINITY past n. second is kept only if `second`. */
    void (*nearest)(const float *x, int64_t ldx, int64_t rows, const tsr_gemm_panels *codes,
                    const float *half, int64_t n0, int64_t n1, bool second, tsr_code_best *best);
} tsr_gemm_kernels;

static inline size_t tsr_gemm_panel_floats(const tsr_gemm_kernels *g, int64_t k, int64_t n) {
    return (size_t)((n + g->cols - 1) / g->cols * g->cols) * (size_t)k;
}

/* The kernels for this machine: the first of "avx512", "avx2" (x86-64), "baseline" that the
 * processor has and --mask does not name. device NULL = nothing masked. */
const tsr_gemm_kernels *tsr_gemm_select(const tsr_device *device);

#endif
