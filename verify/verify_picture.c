/* SPDX-License-Identifier: MIT */
/* verify_picture.c: pictures in, feature maps and nearest codes out. */
#include "verify_picture.h"

#include <stdlib.h>

tsr_status tsr_verify_picture(tsr_verify *v, const cJSON *run, const char *name, uint8_t **rgb,
                              int *width, int *height) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    const char *file = NULL;
    char path[4096];
    if (!entry)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: inputs: wanted \"%s\", got none", v->folder,
                        tsr_verify_name(run), name);
    tsr_status status = tsr_verify_text(v, run, entry, "file", &file);
    if (!status) status = tsr_verify_path(v, run, file, path, sizeof path);
    if (status) return status;
    return tsr_picture_read(v->ctx, path, (const uint8_t[3]){255, 255, 255}, rgb, width, height);
}

tsr_status tsr_verify_planar(tsr_verify *v, const cJSON *run, const char *output, const float *got,
                             int64_t count, int64_t height, int64_t width, int64_t channels,
                             bool batched) {
    const int64_t plane = height * width, dim[4] = {count, channels, height, width};
    if (!tsr_verify_entry(run, "outputs", output)) return TSR_OK;
    float *turned = tsr_alloc(v->ctx, (size_t)(count * plane * channels), sizeof *turned, output);
    if (!turned) return TSR_ERROR_MEMORY;
    for (int64_t b = 0; b < count; ++b)
        for (int64_t i = 0; i < plane; ++i)
            for (int64_t c = 0; c < channels; ++c)
                turned[(b * channels + c) * plane + i] = got[(b * plane + i) * channels + c];
    tsr_status status = tsr_verify_f32(v, run, output, turned, batched ? 4 : 3,
                                       batched ? dim : dim + 1, (tsr_verify_ties){0});
    free(turned);
    return status;
}

tsr_status tsr_verify_ids(tsr_verify *v, const cJSON *run, const int32_t *ids, const float *margin,
                          int rank, const int64_t *dim) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", "margin");
    tsr_tensor known = {0};
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        n *= dim[i];
    tsr_status status = TSR_OK;
    uint8_t *tie = tsr_alloc(v->ctx, (size_t)n, 1, "near ties");
    if (!tie) return TSR_ERROR_MEMORY;
    if (entry) status = tsr_verify_array(v, run, entry, TSR_DTYPE_F32, &known);
    if (!status && known.data && tsr_elements(&known) != n)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: margin: wanted %lld values, got %lld",
                          v->folder, tsr_verify_name(run), (long long)n,
                          (long long)tsr_elements(&known));
    for (int64_t i = 0; i < n && !status; ++i)
        tie[i] = known.data && ((const float *)known.data)[i] < (float)v->id_margin;
    if (!status) status = tsr_verify_i32(v, run, "ids", ids, rank, dim, (tsr_verify_ties){tie, 1});
    if (!status) status = tsr_verify_f32(v, run, "margin", margin, rank, dim, (tsr_verify_ties){0});
    free(known.data);
    free(tie);
    return status;
}
