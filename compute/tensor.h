/* SPDX-License-Identifier: MIT */
/* tensor.h: a dense row-major array on a device. Shapes are written outermost first; the last
 * dimension is contiguous. A tensor never owns memory: activations belong to the run that made
 * them, weights to their tsr_weights, inputs and outputs to the caller. */
#ifndef COMPUTE_TENSOR_H
#define COMPUTE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TSR_MAX_RANK 4

typedef enum tsr_dtype {
    TSR_DTYPE_F32 = 0,
    TSR_DTYPE_F16,
    TSR_DTYPE_BF16,
    TSR_DTYPE_I32,
    TSR_DTYPE_U8,
    TSR_DTYPE_I64,
    TSR_DTYPE_OTHER /* a type of weight files that no op reads; 1 byte, so that a tensor of it is as
                       long as its bytes */
} tsr_dtype;

typedef struct tsr_buffer tsr_buffer; /* device memory; only device_*.c looks inside */

typedef struct tsr_tensor {
    tsr_dtype dtype;
    int rank;                  /* 0 for a tensor that failed */
    int64_t dim[TSR_MAX_RANK]; /* unused ones are 1 */
    void *data;                /* host address; NULL while it lives on a device */
    tsr_buffer *buffer;        /* device memory, NULL on the cpu device */
    int64_t offset;            /* of element 0 inside the buffer, in elements */
    int node;                  /* number of the tensor in a recording */
} tsr_tensor;

/* Bytes of one element. */
size_t tsr_dtype_bytes(tsr_dtype dtype);
/* Name in safetensors files: "F32", "BF16", ... Static storage. */
const char *tsr_dtype_name(tsr_dtype dtype);

/* Number of elements; 0 for a tensor that failed. */
static inline int64_t tsr_elements(const tsr_tensor *t) {
    int64_t n = t->rank > 0;
    for (int i = 0; i < t->rank; ++i)
        n *= t->dim[i];
    return n;
}
/* Number of rows: the product of all dimensions but the last. */
static inline int64_t tsr_rows(const tsr_tensor *t) {
    int64_t n = t->rank > 0;
    for (int i = 0; i + 1 < t->rank; ++i)
        n *= t->dim[i];
    return n;
}
/* Length of a row: the last dimension. */
static inline int64_t tsr_cols(const tsr_tensor *t) {
    return t->rank > 0 ? t->dim[t->rank - 1] : 0;
}
/* Makes a host tensor over the caller's memory; dimensions beyond `rank` become 1. */
tsr_tensor tsr_host_tensor(tsr_dtype dtype, void *data, int rank, const int64_t *dim);
/* Writes a shape, "[2, 256, 192]", into text (64 bytes or more) and returns text. */
char *tsr_shape_text(const tsr_tensor *t, char *text, size_t bytes);

/* Conversions of IEEE half and bfloat16. Rounding is to nearest, ties to even; NaN stays NaN. */
float tsr_f16_to_f32(uint16_t h);
uint16_t tsr_f32_to_f16(float f);
float tsr_bf16_to_f32(uint16_t h);
uint16_t tsr_f32_to_bf16(float f);
/* Rounds n floats to bf16. */
void tsr_floats_to_bf16(uint16_t *to, const float *from, int64_t n);

#endif
