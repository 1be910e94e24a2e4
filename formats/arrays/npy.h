/* SPDX-License-Identifier: MIT */
/* npy.h: NumPy's array file, versions 1 to 3. Little-endian f4, f8 (converted to f32), i4, i8, u1,
 * u2, f2; C order, up to TSR_MAX_RANK dimensions (read as a tensor: up to 8, of which those behind
 * the fourth are joined to it); everything else is refused by name. */
#ifndef FORMATS_NPY_H
#define FORMATS_NPY_H

#include "../../compute/tensor.h"
#include "../file.h"

/* What the header of an array of any type says. */
typedef struct tsr_npy_header {
    char kind;      /* of an element, NumPy's letter: 'u', 'i', 'f', 'b', 'c', 'U', ... */
    bool big;       /* the most significant byte comes first */
    bool fortran;   /* the first axis is the one whose elements are neighbours */
    uint32_t units; /* the number behind the letter: bytes, or characters of 4 bytes of a 'U' */
    size_t bytes;   /* of an element */
    int rank;       /* 0..TSR_MAX_RANK */
    uint64_t dim[TSR_MAX_RANK];
    uint64_t elements, data_bytes; /* data_bytes is below 2^63 */
    size_t data_at;
} tsr_npy_header;
/* Reads the header at the beginning of `size` bytes of a file, of which it must be a part. Records,
 * objects and types in the writer's own byte order are refused by name. Errors: FORMAT,
 * UNSUPPORTED, TRUNCATED, VERSION, TOO_LARGE, MEMORY. */
tsr_status tsr_npy_describe(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            tsr_npy_header *header);
enum { TSR_NPY_HEADER_BYTES = 256 };
/* Makes the header, version 1.0, of an array in C order; returns its bytes, a multiple of 64.
 * `descr` is at most 15 bytes. */
size_t tsr_npy_header_make(const char *descr, const uint64_t *dim, int rank,
                           char header[TSR_NPY_HEADER_BYTES]);

/* Reads a file into *tensor; the caller frees tensor->data with free(). f8 arrives as F32, u2 as
 * I32. A 0-d array has rank 1 and one element. Errors: reading errors, FORMAT, UNSUPPORTED. */
tsr_status tsr_npy_read(tsr_context *ctx, const char *path, tsr_tensor *tensor);
/* Reads an array from bytes in memory, like tsr_npy_read; `name` begins the detail text. */
tsr_status tsr_npy_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                         tsr_tensor *tensor);
/* Writes a host tensor; path "-" is stdout. Errors: UNSUPPORTED (dtype), writing errors. */
tsr_status tsr_npy_write(tsr_context *ctx, const char *path, const tsr_tensor *tensor);

/* An array of float64, as statistics of features are stored. */
typedef struct tsr_npy_doubles {
    double *values; /* of malloc; freed by the caller */
    int rank;
    int64_t dim[TSR_MAX_RANK], count;
} tsr_npy_doubles;
/* Reads an array of f8 or f4, every value as it is, C order. Errors: as tsr_npy_read. */
tsr_status tsr_npy_read_doubles(tsr_context *ctx, const char *path, tsr_npy_doubles *array);
/* Reads such an array from bytes in memory; `name` begins the detail text. */
tsr_status tsr_npy_parse_doubles(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_npy_doubles *array);
/* Writes an array of f8; path "-" is stdout. Errors: writing errors. */
tsr_status tsr_npy_write_doubles(tsr_context *ctx, const char *path, const double *values, int rank,
                                 const int64_t *dim);

#endif
