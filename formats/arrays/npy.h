/* SPDX-License-Identifier: MIT */
/* npy.h: NumPy's array file, versions 1 to 3. Little-endian f4, f8 (converted to f32), i4, i8, u1,
 * u2, f2; C order, up to TSR_MAX_RANK dimensions; everything else is refused by name. */
#ifndef FORMATS_NPY_H
#define FORMATS_NPY_H

#include "../../compute/tensor.h"
#include "../file.h"

/* Reads a file into *tensor; the caller frees tensor->data with free(). f8 arrives as F32, u2 as
 * I32. A 0-d array has rank 1 and one element. Errors: reading errors, FORMAT, UNSUPPORTED. */
tsr_status tsr_npy_read(tsr_context *ctx, const char *path, tsr_tensor *tensor);
/* Reads an array from bytes in memory, like tsr_npy_read; `name` begins the detail text. */
tsr_status tsr_npy_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                         tsr_tensor *tensor);
/* Writes a host tensor; path "-" is stdout. Errors: UNSUPPORTED (dtype), writing errors. */
tsr_status tsr_npy_write(tsr_context *ctx, const char *path, const tsr_tensor *tensor);

#endif
