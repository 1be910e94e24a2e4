/* SPDX-License-Identifier: MIT */
/* onednn.h: f32 and bf16 products from oneDNN, where it is built in (TESSERA_WITH_ONEDNN) and the
 * better choice (docs/speed/cpu-kernels.md).
 * oneDNN runs single-threaded inside our own tiles. Every call computes a tile of one size (the
 * last tile padded with zeros), so that results do not depend on the number of rows. onednn_api.h
 * hides the differences between 2.x and 3.x. */
#ifndef COMPUTE_ONEDNN_H
#define COMPUTE_ONEDNN_H

#include <stdbool.h>
#include "../context.h"

#define TSR_ONEDNN_ROWS 64

/* A product with one weight, which oneDNN has reordered. */
typedef struct tsr_onednn tsr_onednn;

/* True if oneDNN is built in and its f32 products are faster on this processor than our kernels
 * that may be used. From fastest to slowest: avx512, onednn, avx2 on a processor with AVX-512;
 * avx2, onednn, baseline on any other. */
bool tsr_onednn_is_fastest(bool use_avx512, bool use_avx2);
/* True if oneDNN has bf16 products, this processor has instructions for them, and a small product
 * and a small convolution come out right. A wrong result is logged as a warning. */
bool tsr_onednn_bf16_works(tsr_context *ctx);
typedef struct tsr_onednn_shape {
    int64_t rows, k, n; /* rows: the most one call computes */
    int threads;        /* oneDNN's threads inside a call; 1 when called from our tiles */
    bool plain_weights; /* keep the weights as they are instead of letting oneDNN reorder them */
    bool bf16;          /* x and weights rounded to bf16 (nearest, ties to even), sums in f32 */
} tsr_onednn_shape;

/* Prepares the product with w [n, k], which is copied. Errors: MEMORY, DEVICE (oneDNN refuses the
 * shape), UNSUPPORTED (not built in). */
tsr_status tsr_onednn_open(tsr_context *ctx, tsr_onednn **product, const float *w,
                           tsr_onednn_shape shape);
void tsr_onednn_close(tsr_onednn **product);
/* Bytes of scratch that a call of tsr_onednn_product needs. */
size_t tsr_onednn_scratch_bytes(const tsr_onednn *product);
/* Computes y [rows, n] = x [rows, k] w^T with at most shape.rows rows. Any number of threads may
 * call at once, each with its own scratch of tsr_onednn_scratch_bytes, 64-byte aligned. A failure
 * is recorded for tsr_onednn_status. */
void tsr_onednn_product(tsr_onednn *product, const float *x, int64_t rows, float *y, void *scratch);
/* First failure of the product's calls: DEVICE, or TSR_OK. */
tsr_status tsr_onednn_status(tsr_context *ctx, tsr_onednn *product);

#endif
