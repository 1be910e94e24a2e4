/* SPDX-License-Identifier: MIT */
/* onednn.h: f32 and bf16 products from oneDNN, where it is built in (TESSERA_WITH_ONEDNN) and the
 * better choice: its AVX-512 kernels beat ours, its AVX2 ones do not (docs/SPEED.md). It runs
 * single-threaded inside our own tiles; every call computes a tile of the same size (the last one
 * padded with zeros), so that results do not depend on the number of rows. onednn_api.h hides the
 * differences between 2.x and 3.x. */
#ifndef COMPUTE_ONEDNN_H
#define COMPUTE_ONEDNN_H

#include <stdbool.h>
#include "../context.h"

#define TSR_ONEDNN_ROWS 64

typedef struct tsr_onednn tsr_onednn; /* one weight, reordered as oneDNN likes it */

/* True if oneDNN is built in and its f32 products are the fastest form on this processor. The order
 * is onednn, avx512 where the processor has AVX-512; avx2, onednn where it has not; baseline last.
 * use_avx2: our AVX2 kernels may be used (--mask leaves them). */
bool tsr_onednn_is_fastest(bool use_avx2);
/* True if oneDNN has bf16 products that this processor computes itself, and a small product and a
 * small convolution come out right. A wrong one is a warning in the log. */
bool tsr_onednn_bf16_works(tsr_context *ctx);
typedef struct tsr_onednn_shape {
    int64_t rows, k, n; /* rows: the most one call computes */
    int threads;        /* its own threads inside a call; 1 when called from our tiles */
    bool plain_weights; /* keep the weights as they are instead of letting oneDNN reorder them */
    bool bf16;          /* x and weights rounded to bf16 (nearest, ties to even), sums in f32 */
} tsr_onednn_shape;

/* w [n, k], row by row. Errors: MEMORY, DEVICE (oneDNN refuses the shape), UNSUPPORTED (not built
 * in). */
tsr_status tsr_onednn_open(tsr_context *ctx, tsr_onednn **product, const float *w,
                           tsr_onednn_shape shape);
void tsr_onednn_close(tsr_onednn **product);
size_t tsr_onednn_scratch_bytes(const tsr_onednn *product);
/* y [rows, n] = x [rows, k] W^T, rows at most the shape's. From any thread; scratch is the
 * caller's own (tsr_onednn_scratch_bytes, 64-byte aligned). A failure is kept for
 * tsr_onednn_status. */
void tsr_onednn_product(tsr_onednn *product, const float *x, int64_t rows, float *y, void *scratch);
tsr_status tsr_onednn_status(tsr_context *ctx, tsr_onednn *product);

#endif
