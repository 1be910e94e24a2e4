/* SPDX-License-Identifier: MIT */
/* verify_preprocess.c: golden cases of picture preparation: decode as Pillow does, resize the
 * shorter side, crop the centre; and what bytes become as numbers. Everything exact. */
#include "verify.h"
#include "../compute/ops.h"
#include "../formats/media/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 256 };

typedef struct resize_job {
    int width, height;
    tsr_filter filter;
} resize_job;

static void resize(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const resize_job *job = model;
    out[0] = tsr_resize(r, in[0], job->height, job->width, job->filter);
}

/* Offset of a centred crop; halves go to the even side, as Python's round() does. */
static int centre(int size) {
    return (int)nearbyint((size - SIDE) / 2.0);
}

/* The shorter side becomes SIDE, the longer floor(SIDE * long / short). */
static tsr_status prepare(tsr_verify *v, const tsr_image *image, const int *resized,
                          tsr_filter filter, uint8_t *crop) {
    uint8_t *made = NULL;
    const uint8_t *from = image->rgb;
    tsr_status status = TSR_OK;
    if (resized[0] != image->width || resized[1] != image->height) {
        made = tsr_alloc(v->ctx, (size_t)resized[0] * (size_t)resized[1], 3, "resized picture");
        if (!made) return TSR_ERROR_MEMORY;
        resize_job job = {resized[0], resized[1], filter};
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, image->rgb, 3,
                                        (int64_t[]){image->height, image->width, 3});
        tsr_tensor out =
            tsr_host_tensor(TSR_DTYPE_U8, made, 3, (int64_t[]){resized[1], resized[0], 3});
        tsr_program program = {.fn = resize, .model = &job, .name = "resize"};
        status = tsr_execute(v->device, &program, &in, 1, &out, 1);
        tsr_device_forget(v->device, &job);
        from = made;
    }
    int x = centre(resized[0]), y = centre(resized[1]);
    for (int row = 0; row < SIDE && !status; ++row)
        memcpy(crop + (size_t)row * SIDE * 3,
               from + ((size_t)(y + row) * (size_t)resized[0] + (size_t)x) * 3, SIDE * 3);
    free(made);
    return status;
}

static tsr_status read_plain(tsr_verify *v, const cJSON *run, const char *file, tsr_image *image) {
    char path[4096];
    tsr_image_settings settings = tsr_image_settings_default();
    settings.apply_orientation = false;
    settings.drop_alpha = true;
    settings.pillow_grey16 = true;
    tsr_status status = tsr_verify_path(v, run, file, path, sizeof path);
    return status ? status : tsr_image_read(v->ctx, path, &settings, image);
}

/* The whole crop by its hash; where the case holds the picture, also the largest difference. */
static tsr_status compare_crop(tsr_verify *v, const cJSON *run, const cJSON *entry,
                               const char *output, const uint8_t *crop) {
    uint64_t want = 0, got = tsr_verify_fnv(crop, SIDE * SIDE * 3);
    tsr_status status = tsr_verify_hash(v, run, entry, "fnv1a64", &want);
    const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "file"));
    if (status) return status;
    if (!file) {
        tsr_verify_line(v, run, output, got == want, "wanted 0x%016llx, got 0x%016llx",
                        (unsigned long long)want, (unsigned long long)got);
        return TSR_OK;
    }
    tsr_image image = {0};
    status = read_plain(v, run, file, &image);
    if (status) return status;
    int worst = 0, wrong = 0;
    bool size = image.width == SIDE && image.height == SIDE;
    for (int i = 0; size && i < SIDE * SIDE * 3; ++i) {
        int d = abs(image.rgb[i] - crop[i]);
        wrong += d > 0;
        if (d > worst) worst = d;
    }
    tsr_verify_line(v, run, output, size && !wrong && got == want,
                    "max difference %d, %d of %d values differ, hash %s", worst, wrong,
                    size ? SIDE * SIDE * 3 : 0, got == want ? "equal" : "differs");
    tsr_image_free(&image);
    return TSR_OK;
}

tsr_status tsr_verify_preprocess(tsr_verify *v, const cJSON *run) {
    static const char *const filters[] = {"bilinear", "bicubic", "lanczos"};
    const char *file = NULL;
    tsr_image image = {0};
    uint64_t want = 0;
    int resized[2], at[2], two = 2;
    tsr_status status = tsr_verify_text(v, run, run, "image", &file);
    if (!status) status = tsr_verify_hash(v, run, run, "rgb_fnv1a64", &want);
    if (!status) status = tsr_verify_integers(v, run, run, "resized", resized, 2, &two);
    if (!status) status = tsr_verify_integers(v, run, run, "crop_at", at, 2, &two);
    if (!status) status = read_plain(v, run, file, &image);
    if (status) return status;
    size_t bytes = (size_t)image.width * (size_t)image.height * 3;
    uint64_t got = tsr_verify_fnv(image.rgb, bytes);
    tsr_verify_line(v, run, "rgb", got == want, "wanted 0x%016llx, got 0x%016llx",
                    (unsigned long long)want, (unsigned long long)got);
    int64_t w = image.width, h = image.height, least = w < h ? w : h;
    int64_t made[2] = {w == least ? SIDE : SIDE * w / least, h == least ? SIDE : SIDE * h / least};
    bool same = made[0] == resized[0] && made[1] == resized[1] && centre(resized[0]) == at[0] &&
                centre(resized[1]) == at[1];
    tsr_verify_line(v, run, "geometry", same,
                    "wanted %dx%d cut at %d,%d, got %lldx%lld cut at %d,%d", resized[0], resized[1],
                    at[0], at[1], (long long)made[0], (long long)made[1], centre((int)made[0]),
                    centre((int)made[1]));
    uint8_t *crop = tsr_alloc(v->ctx, SIDE * SIDE, 3, "crop");
    if (!crop) status = TSR_ERROR_MEMORY;
    for (int i = 0; i < 3 && same && !status; ++i) {
        const cJSON *entry = tsr_verify_entry(run, "outputs", filters[i]);
        if (!entry) continue;
        status = prepare(v, &image, resized, (tsr_filter)i, crop);
        if (!status) status = compare_crop(v, run, entry, filters[i], crop);
    }
    free(crop);
    tsr_image_free(&image);
    return status;
}

/* The 256 numbers that bytes become: (v/255 - 0.5) / 0.5 in f32. */
tsr_status tsr_verify_normalise(tsr_verify *v, const cJSON *run) {
    float value[256];
    for (int i = 0; i < 256; ++i)
        value[i] = ((float)i / 255.0f - 0.5f) / 0.5f;
    return tsr_verify_f32(v, run, "value", value, 1, (int64_t[]){256}, (tsr_verify_ties){0});
}
