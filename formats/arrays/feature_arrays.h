/* SPDX-License-Identifier: MIT */
/* feature_arrays.h: conversion to f32, for the readers of feature and codebook files. */
#ifndef FORMATS_FEATURE_ARRAYS_H
#define FORMATS_FEATURE_ARRAYS_H

#include "../../compute/context.h"
#include "../../compute/tensor.h"

/* Copies a host tensor of any dtype as f32 into *x, which the caller frees with free(). `name`
 * begins the detail text. Errors: MEMORY. */
tsr_status tsr_tensor_to_f32(tsr_context *ctx, const char *name, const tsr_tensor *t, float **x);

#endif
