/* SPDX-License-Identifier: MIT */
/* verify_picture.c: pictures in, feature maps and nearest codes out. */
#include "verify_picture.h"

#include <stdlib.h>

uint8_t *tsr_verify_picture(tsr_verify *v, const char *name, int *width, int *height) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    char path[4096];
    uint8_t *rgb = NULL;
    if (!entry) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", name);
    tsr_verify_path(v, tsr_verify_text(v, entry, "file"), path, sizeof path);
    if (v->status) return NULL;
    v->status =
        tsr_picture_read(v->ctx, path, (const uint8_t[3]){255, 255, 255}, &rgb, width, height);
    return rgb;
}

uint8_t tsr_verify_formula(int64_t x, int64_t y, int64_t c) {
    const int64_t checks = ((x >> 4) ^ (y >> 4)) & 1;
    return (uint8_t)(128 + ((x * (c + 1)) >> 1) + ((y * (3 - c)) >> 2) + 48 * checks);
}

float *tsr_verify_channels_first(tsr_verify *v, const float *data, const int64_t *dim) {
    const int64_t plane = dim[1] * dim[2], channels = dim[3];
    if (v->status) return NULL;
    float *turned =
        tsr_alloc(v->ctx, (size_t)(dim[0] * plane * channels), sizeof *turned, "channels first");
    if (!turned) v->status = TSR_ERROR_MEMORY;
    for (int64_t b = 0; turned && b < dim[0]; ++b)
        for (int64_t i = 0; i < plane; ++i)
            for (int64_t c = 0; c < channels; ++c)
                turned[(b * channels + c) * plane + i] = data[(b * plane + i) * channels + c];
    return turned;
}

void tsr_verify_planar(tsr_verify *v, const char *output, const float *got, int64_t count,
                       int64_t height, int64_t width, int64_t channels, bool batched) {
    const int64_t dim[4] = {count, channels, height, width};
    if (!tsr_verify_output(v, output)) return;
    float *turned = tsr_verify_channels_first(v, got, (int64_t[]){count, height, width, channels});
    tsr_verify_f32(v, output, turned, batched ? 4 : 3, batched ? dim : dim + 1);
    free(turned);
}

void tsr_verify_ids(tsr_verify *v, const int32_t *ids, const float *margin, int rank,
                    const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        n *= dim[i];
    const uint8_t *tie = tsr_verify_near_ties(v, n);
    tsr_verify_i32_ties(v, "ids", ids, rank, dim, (tsr_verify_ties){tie, 1});
    tsr_verify_f32(v, "margin", margin, rank, dim);
}

void tsr_verify_pair(tsr_verify *v, const char *field, tsr_picture pair[2], uint8_t *rgb[2]) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, field);
    rgb[0] = rgb[1] = NULL;
    if (cJSON_GetArraySize(list) != 2) tsr_verify_refuse(v, "%s: wanted two pictures", field);
    for (int i = 0; i < 2; ++i) {
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(list, i));
        pair[i] = (tsr_picture){0};
        rgb[i] = tsr_verify_picture(v, name ? name : "", &pair[i].width, &pair[i].height);
        pair[i].rgb = rgb[i];
    }
    if (pair[0].width != pair[1].width || pair[0].height != pair[1].height)
        tsr_verify_refuse(v, "%s: wanted pictures of one size", field);
}
