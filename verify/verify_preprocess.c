/* SPDX-License-Identifier: MIT */
/* verify_preprocess.c: golden cases of picture preparation: decode as Pillow does, resize the
 * shorter side, crop the centre; and what bytes become as numbers. Everything exact. */
#include "verify.h"
#include "../ops/ops.h"
#include "../media/image.h"

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

/* The picture resized to `resized`, cut from the centre into crop [SIDE, SIDE, 3]. */
static void prepare(tsr_verify *v, const tsr_image *image, const int *resized, tsr_filter filter,
                    uint8_t *crop) {
    const uint8_t *from = image->rgb;
    if (resized[0] != image->width || resized[1] != image->height) {
        uint8_t *made = tsr_verify_take(v, (int64_t)resized[0] * resized[1], 3, "resized picture");
        if (v->status) return;
        resize_job job = {resized[0], resized[1], filter};
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, image->rgb, 3,
                                        (int64_t[]){image->height, image->width, 3});
        tsr_tensor out =
            tsr_host_tensor(TSR_DTYPE_U8, made, 3, (int64_t[]){resized[1], resized[0], 3});
        tsr_program program = {.fn = resize, .model = &job, .name = "resize"};
        v->status = tsr_execute(v->device, &program, &in, 1, &out, 1);
        tsr_device_forget(v->device, &job);
        from = made;
    }
    const int x = centre(resized[0]), y = centre(resized[1]);
    for (int row = 0; row < SIDE && !v->status; ++row)
        memcpy(crop + (size_t)row * SIDE * 3,
               from + ((size_t)(y + row) * (size_t)resized[0] + (size_t)x) * 3, SIDE * 3);
}

/* Reads a picture as Pillow does; zeroed after a failure. Free with tsr_image_free. */
static tsr_image read_plain(tsr_verify *v, const char *file) {
    char path[4096];
    tsr_image image = {0};
    tsr_image_settings settings = tsr_image_settings_default();
    settings.apply_orientation = false;
    settings.drop_alpha = true;
    settings.pillow_grey16 = true;
    tsr_verify_path(v, file, path, sizeof path);
    if (!v->status) v->status = tsr_image_read(v->ctx, path, &settings, &image);
    return image;
}

/* The whole crop by its hash; where the case holds the picture, also the largest difference. */
static void compare_crop(tsr_verify *v, const cJSON *entry, const char *output,
                         const uint8_t *crop) {
    const uint64_t want = tsr_verify_hash(v, entry, "fnv1a64"),
                   got = tsr_verify_fnv(crop, SIDE * SIDE * 3);
    const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "file"));
    if (!file) {
        tsr_verify_hash_line(v, output, want, got);
        return;
    }
    tsr_image image = read_plain(v, file);
    int worst = 0, wrong = 0;
    bool size = image.width == SIDE && image.height == SIDE;
    for (int i = 0; size && i < SIDE * SIDE * 3; ++i) {
        int d = abs(image.rgb[i] - crop[i]);
        wrong += d > 0;
        if (d > worst) worst = d;
    }
    tsr_verify_line(v, output, size && !wrong && got == want,
                    "max difference %d, %d of %d values differ, hash %s", worst, wrong,
                    size ? SIDE * SIDE * 3 : 0, got == want ? "equal" : "differs");
    tsr_image_free(&image);
}

/* Compares the sizes that the manifest gives with this build's; true if they agree. */
static bool compare_geometry(tsr_verify *v, const tsr_image *image, const int *resized,
                             const int *at) {
    int64_t w = image->width, h = image->height, least = w < h ? w : h;
    if (v->status) return false;
    /* The shorter side becomes SIDE, the longer floor(SIDE * long / short). */
    int64_t made[2] = {w == least ? SIDE : SIDE * w / least, h == least ? SIDE : SIDE * h / least};
    bool same = made[0] == resized[0] && made[1] == resized[1] && centre(resized[0]) == at[0] &&
                centre(resized[1]) == at[1];
    tsr_verify_line(v, "geometry", same, "wanted %dx%d cut at %d,%d, got %lldx%lld cut at %d,%d",
                    resized[0], resized[1], at[0], at[1], (long long)made[0], (long long)made[1],
                    centre((int)made[0]), centre((int)made[1]));
    return same;
}

void tsr_verify_preprocess(tsr_verify *v) {
    static const char *const filters[] = {"bilinear", "bicubic", "lanczos"};
    int resized[2], at[2];
    const char *file = tsr_verify_text(v, v->run, "image");
    const uint64_t want = tsr_verify_hash(v, v->run, "rgb_fnv1a64");
    tsr_verify_integers(v, v->run, "resized", resized, 2, 2);
    tsr_verify_integers(v, v->run, "crop_at", at, 2, 2);
    tsr_image image = read_plain(v, file);
    const size_t bytes = (size_t)image.width * (size_t)image.height * 3;
    tsr_verify_hash_line(v, "rgb", want, tsr_verify_fnv(image.rgb, bytes));
    const bool same = compare_geometry(v, &image, resized, at);
    uint8_t *crop = tsr_verify_take(v, SIDE * SIDE, 3, "crop");
    for (int i = 0; i < 3 && same && !v->status; ++i) {
        const cJSON *entry = tsr_verify_output(v, filters[i]);
        if (!entry) continue;
        prepare(v, &image, resized, (tsr_filter)i, crop);
        compare_crop(v, entry, filters[i], crop);
    }
    tsr_image_free(&image);
}

/* The 256 numbers that bytes become: (v/255 - 0.5) / 0.5 in f32. */
void tsr_verify_normalise(tsr_verify *v) {
    float value[256];
    for (int i = 0; i < 256; ++i)
        value[i] = ((float)i / 255.0f - 0.5f) / 0.5f;
    tsr_verify_f32(v, "value", value, 1, (int64_t[]){256});
}
