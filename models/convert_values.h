/* SPDX-License-Identifier: MIT */
/* convert_values.h: values of every element type that weight files know, as those of a type that
 * .safetensors files of this project hold. */
#ifndef MODELS_CONVERT_VALUES_H
#define MODELS_CONVERT_VALUES_H

#include "../compute/tensor.h"

/* Type in which values of the type called `from` ("F64", "BOOL") are written: floats as `floats`
 * says ("f32", "f16", "bf16"; NULL: their own type, and F32 for those that are not ours), whole
 * numbers as I32 or I64. False: such values are not converted. */
bool tsr_convert_target(const char *from, const char *floats, tsr_dtype *to);
/* Converts n values. `in` and `out` are little-endian and may be unaligned. Returns n, or the index
 * of a value that is finite and that the new type cannot hold; the others are then undefined. */
uint64_t tsr_convert_values(const char *from, const void *in, tsr_dtype to, void *out, uint64_t n);

#endif
