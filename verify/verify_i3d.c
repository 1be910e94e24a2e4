/* SPDX-License-Identifier: MIT */
/* verify_i3d.c: golden cases of I3D, whose clips are made by formula. */
#include "verify_picture.h"

#include "../metrics/judges/i3d.h"

#include <stdlib.h>

typedef struct i3d_model {
    tsr_synthetic *synthetic;
    tsr_i3d *i3d;
} i3d_model;

static void close_i3d(void *model) {
    i3d_model *m = model;
    tsr_i3d_close(&m->i3d);
    tsr_synthetic_close(&m->synthetic);
}

static void open_i3d(tsr_verify *v, void *model) {
    i3d_model *m = model;
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_i3d_open(v->device, weights, v->folder, &m->i3d);
}

/* The run's clip: frame k is the formula's picture 3k columns and 2k rows on. Checks the sum of all
 * bytes. */
static tsr_picture make_clip(tsr_verify *v) {
    const int width = (int)tsr_verify_number(v->run, "width", 0);
    const int height = (int)tsr_verify_number(v->run, "height", 0);
    const int frames = (int)tsr_verify_number(v->run, "frames", 0);
    if (width < 1 || width > 1024 || height < 1 || height > 1024 || frames < TSR_I3D_LEAST_FRAMES ||
        frames > 64)
        tsr_verify_refuse(v, "width, height, frames: wanted 1 to 1024 and %d to 64, got %d, %d, %d",
                          TSR_I3D_LEAST_FRAMES, width, height, frames);
    if (v->status) return (tsr_picture){0};
    const int64_t bytes = (int64_t)width * height * 3, all = frames * bytes;
    uint8_t *rgb = tsr_verify_take(v, all, 1, "clip");
    double sum = 0;
    for (int64_t i = 0; i < all && !v->status; ++i) {
        const int64_t k = i / bytes, x = i % bytes / 3 % width, y = i % bytes / 3 / width;
        rgb[i] = tsr_verify_formula(x + 3 * k, y + 2 * k, i % 3);
        sum += rgb[i];
    }
    if (!v->status && sum != tsr_verify_number(v->run, "sum", -1))
        tsr_verify_refuse(v, "sum: wanted that of the formula, got %.0f", sum);
    return (tsr_picture){.rgb = rgb, .width = width, .height = height, .frames = frames};
}

/* Compares a map [times, rows, columns, channels] with a file that has channels first. */
static void compare_map(tsr_verify *v, const char *name, const float *map, const int64_t dim[4]) {
    const int64_t stored[4] = {dim[3], dim[0], dim[1], dim[2]};
    float *turned =
        tsr_verify_channels_first(v, map, (int64_t[]){1, dim[0] * dim[1], dim[2], dim[3]});
    tsr_verify_f32(v, name, turned, 4, stored);
    free(turned);
}

void tsr_verify_i3d(tsr_verify *v) {
    const i3d_model *m = tsr_verify_model(v, sizeof *m, open_i3d, close_i3d);
    const tsr_picture clip = make_clip(v);
    tsr_i3d_output list[TSR_I3D_OUTPUTS];
    float *values[TSR_I3D_OUTPUTS];
    int64_t dim[TSR_I3D_OUTPUTS][4];
    int count = 0;
    for (int i = 0; i < TSR_I3D_OUTPUTS && !v->status; ++i) {
        if (!tsr_verify_output(v, tsr_i3d_output_names[i])) continue;
        list[count] = (tsr_i3d_output)i;
        tsr_i3d_size(list[count], clip.frames, dim[count]);
        const int64_t *d = dim[count];
        values[count++] = tsr_verify_take(v, d[0] * d[1] * d[2] * d[3], sizeof(float), "outputs");
    }
    float *x = tsr_verify_take(v, (int64_t)clip.frames * TSR_I3D_SIDE * TSR_I3D_SIDE * 3, sizeof *x,
                               "frames");
    if (v->status) return;
    tsr_i3d_prepare(&clip, x);
    v->status = tsr_i3d_run(m->i3d, x, 1, clip.frames, list, count, values);
    for (int i = 0; i < count && !v->status; ++i)
        if (list[i] >= TSR_I3D_FEATURES)
            tsr_verify_f32(v, tsr_i3d_output_names[list[i]], values[i], 1, &dim[i][3]);
        else
            compare_map(v, tsr_i3d_output_names[list[i]], values[i], dim[i]);
}
