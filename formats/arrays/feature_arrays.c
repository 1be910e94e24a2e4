/* SPDX-License-Identifier: MIT */
/* feature_arrays.c: rows of numbers to quantise, from array files. */
#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include "feature_arrays.h"
#include "npy.h"
#include "../weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

tsr_status tsr_tensor_to_f32(tsr_context *ctx, const char *name, const tsr_tensor *t, float **x) {
    if (t->dtype == TSR_DTYPE_OTHER)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted values of F32, F16, BF16, I32, I64 or U8, got another type",
                        name);
    size_t n = (size_t)tsr_elements(t);
    float *to = tsr_alloc(ctx, n, sizeof *to, name);
    if (!to) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < n; ++i)
        switch (t->dtype) {
        case TSR_DTYPE_F32:
            to[i] = ((const float *)t->data)[i];
            break;
        case TSR_DTYPE_F16:
            to[i] = tsr_f16_to_f32(((const uint16_t *)t->data)[i]);
            break;
        case TSR_DTYPE_BF16:
            to[i] = tsr_bf16_to_f32(((const uint16_t *)t->data)[i]);
            break;
        case TSR_DTYPE_I32:
            to[i] = (float)((const int32_t *)t->data)[i];
            break;
        case TSR_DTYPE_I64:
            to[i] = (float)((const int64_t *)t->data)[i];
            break;
        case TSR_DTYPE_U8:
            to[i] = ((const uint8_t *)t->data)[i];
            break;
        case TSR_DTYPE_OTHER:
            break;
        }
    *x = to;
    return TSR_OK;
}

static tsr_status rows_of(tsr_context *ctx, const char *path, const tsr_tensor *t, float **x,
                          uint64_t *n, uint32_t *dim) {
    char shape[64];
    if (t->dtype != TSR_DTYPE_OTHER && (t->rank < 2 || tsr_cols(t) < 1 || tsr_cols(t) > INT32_MAX))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: wanted [rows, width], got %s", path,
                        tsr_shape_text(t, shape, sizeof shape));
    tsr_status status = tsr_tensor_to_f32(ctx, path, t, x);
    if (status) return status;
    *n = (uint64_t)tsr_rows(t);
    *dim = (uint32_t)tsr_cols(t);
    return TSR_OK;
}

static tsr_status pick(tsr_context *ctx, const char *path, const tsr_safetensors *file,
                       const char *tensor, const tsr_tensor **found) {
    int index = tensor ? tsr_safetensors_find(file, tensor) : 0;
    if (index < 0)
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: tensor: wanted \"%s\", got %d others", path,
                        tensor, tsr_safetensors_count(file));
    if (!tensor && tsr_safetensors_count(file) != 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: tensor: wanted a name (or a file with one tensor), got %d tensors%s%s",
                        path, tsr_safetensors_count(file),
                        tsr_safetensors_count(file) ? ", the first is " : "",
                        tsr_safetensors_count(file) ? tsr_safetensors_name(file, 0) : "");
    *found = tsr_safetensors_tensor(file, index);
    return TSR_OK;
}

tsr_status tsr_features_read(tsr_context *ctx, const char *path, const char *tensor, float **x,
                             uint64_t *n, uint32_t *dim) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !x || !n || !dim)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "features: %s: wanted an address, got NULL",
                        path ? "result" : "path");
    *x = NULL;
    tsr_map map = {0};
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    if (map.size >= 6 && !memcmp(map.bytes, "\x93NUMPY", 6)) {
        tsr_tensor t = {0};
        if (tensor)
            status =
                tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                         "%s: tensor: wanted no name for a .npy file, got \"%s\"", path, tensor);
        else
            status = tsr_npy_parse(ctx, path, map.bytes, map.size, &t);
        if (!status) status = rows_of(ctx, path, &t, x, n, dim);
        free(t.data);
    } else {
        tsr_safetensors *file = NULL;
        const tsr_tensor *t = NULL;
        status = tsr_safetensors_parse(ctx, path, map.bytes, map.size, &file);
        if (!status) status = pick(ctx, path, file, tensor, &t);
        if (!status) status = rows_of(ctx, path, t, x, n, dim);
        tsr_safetensors_close(&file);
    }
    tsr_map_close(&map);
    return status;
}
