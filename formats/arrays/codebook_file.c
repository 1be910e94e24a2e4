/* SPDX-License-Identifier: MIT */
/* codebook_file.c: codebooks in .safetensors files. */
#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include "feature_arrays.h"
#include "npy.h"
#include "../weights/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_codebook_write(tsr_context *ctx, const char *path, const float *codes,
                              uint32_t stages, uint32_t count, uint32_t dim, int cosine,
                              uint32_t patch) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !codes)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: %s: wanted an address, got NULL",
                        path ? "codes" : "path");
    if (!stages || !count || !dim)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: shape: wanted [stages, codes, width] above 0, got [%u, %u, %u]", path,
                        stages, count, dim);
    if (patch && (patch > 1024 || dim != 3 * patch * patch))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: patch: wanted %u values a row for patches of %u pixels, got %u", path,
                        3 * patch * patch, patch, dim);
    const char *name = "codes";
    char side[16];
    snprintf(side, sizeof side, "%u", patch);
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)codes, 3,
                                   (int64_t[]){stages, count, dim});
    const tsr_metadata_pair metadata[] = {{"format", "tessera-codebook"},
                                          {"metric", cosine ? "cosine" : "euclid"},
                                          {"version", "1"},
                                          {"patch", side}};
    return tsr_safetensors_write(ctx, path, &name, &t, 1, metadata, patch ? 4 : 3);
}

/* Metadata that is there must be known; without it the file is somebody else's plain codebook. */
static tsr_status check_metadata(tsr_context *ctx, const char *path, const tsr_safetensors *file,
                                 int *cosine) {
    const char *format = tsr_safetensors_metadata(file, "format");
    *cosine = 0;
    if (!format || strcmp(format, "tessera-codebook")) return TSR_OK;
    const char *version = tsr_safetensors_metadata(file, "version");
    if (!version || strcmp(version, "1"))
        return tsr_fail(ctx, TSR_ERROR_VERSION, "%s: codebook version: wanted 1, got %s", path,
                        version ? version : "none");
    const char *metric = tsr_safetensors_metadata(file, "metric");
    if (!metric || (strcmp(metric, "euclid") && strcmp(metric, "cosine")))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: metric: wanted euclid or cosine, got %s", path,
                        metric ? metric : "none");
    *cosine = !strcmp(metric, "cosine");
    return TSR_OK;
}

tsr_status tsr_ids_write(tsr_context *ctx, const char *path, const uint32_t *ids, uint64_t rows,
                         uint32_t stages) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || (!ids && rows) || stages == 0 || rows > INT64_MAX / 4 / stages)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: ids: wanted [rows, stages] with at least one stage, got [%llu, %u]",
                        path ? path : "(no path)", (unsigned long long)rows, stages);
    int64_t dim[2] = {(int64_t)rows, stages};
    tsr_tensor tensor = tsr_host_tensor(TSR_DTYPE_I32, (void *)ids, 2, dim);
    return tsr_npy_write(ctx, path, &tensor);
}

tsr_status tsr_codebook_read(tsr_context *ctx, const char *path, float **codes, uint32_t *stages,
                             uint32_t *count, uint32_t *dim, int *cosine) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !codes || !stages || !count || !dim || !cosine)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: %s: wanted an address, got NULL",
                        path ? "result" : "path");
    *codes = NULL;
    tsr_safetensors *file = NULL;
    tsr_status status = tsr_safetensors_open(ctx, path, &file);
    if (status) return status;
    int index = tsr_safetensors_find(file, "codes");
    if (index < 0)
        status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor: wanted \"codes\", got none", path);
    if (!status) status = check_metadata(ctx, path, file, cosine);
    if (!status) {
        const tsr_tensor *t = tsr_safetensors_tensor(file, index);
        char shape[64];
        bool good = t->rank == 2 || t->rank == 3 || t->dtype == TSR_DTYPE_OTHER;
        for (int i = 0; i < t->rank; ++i)
            if (t->dim[i] < 1 || t->dim[i] > INT32_MAX) good = false;
        if (!good)
            status =
                tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: codes: wanted [stages, codes, width], got %s",
                         path, tsr_shape_text(t, shape, sizeof shape));
        else
            status = tsr_safetensors_load(ctx, file, index);
        if (good && !status) status = tsr_tensor_to_f32(ctx, path, t, codes);
        if (!status) {
            *stages = t->rank == 3 ? (uint32_t)t->dim[0] : 1;
            *count = (uint32_t)t->dim[t->rank - 2];
            *dim = (uint32_t)t->dim[t->rank - 1];
        }
    }
    tsr_safetensors_close(&file);
    return status;
}
