/* SPDX-License-Identifier: MIT */
/* verify_view.c: golden cases of what stands around towers: pictures to the pixels they take, tiles
 * and the order of their rows, pooling. Bytes and integers are exact. */
#include "verify_picture.h"

#include "../codec/anyres.h"
#include "../media/image.h"
#include "../nn/grid_pool.h"
#include "../towers/qwen_patches.h"
#include "../towers/vit_tower.h"

#include <stdlib.h>
#include <string.h>

/* ---- pictures ---- */

/* A picture of the inputs as Pillow's convert("RGB") gives it; zeroed after a failure. */
static tsr_image read_image(tsr_verify *v, const char *name) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    char path[4096];
    tsr_image image = {0};
    tsr_image_settings settings = tsr_image_settings_default();
    settings.apply_orientation = false;
    settings.drop_alpha = true;
    settings.pillow_grey16 = true;
    if (!entry) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", name);
    tsr_verify_path(v, tsr_verify_text(v, entry, "file"), path, sizeof path);
    if (!v->status) v->status = tsr_image_read(v->ctx, path, &settings, &image);
    return image;
}

static void read_three(tsr_verify *v, const char *field, float three[3]) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, field);
    for (int i = 0; i < 3; ++i) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        if (!cJSON_IsNumber(item)) tsr_verify_refuse(v, "%s: wanted three numbers", field);
        three[i] = item ? (float)item->valuedouble : 0;
    }
}

/* The view that the run's kind is, at the sizes of the published processors. */
static tsr_view read_view(tsr_verify *v) {
    static const struct {
        const char *name;
        tsr_view view;
    } kinds[] = {
        {"clip336", {.kind = TSR_VIEW_CROP, .shortest = 336, .width = 336, .height = 336}},
        {"siglip384", {.kind = TSR_VIEW_STRETCH, .width = 384, .height = 384}},
        {"siglip60", {.kind = TSR_VIEW_STRETCH, .width = 60, .height = 60}},
        {"llava-pad336", {.kind = TSR_VIEW_PAD, .shortest = 336, .width = 336, .height = 336}},
        {"dinov2", {.kind = TSR_VIEW_CROP, .shortest = 256, .width = 224, .height = 224}},
        {"qwen2vl", {.kind = TSR_VIEW_SMART, .step = 28}},
    };
    const char *name = tsr_verify_text(v, v->run, "kind");
    tsr_view view = {0};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        if (!strcmp(kinds[i].name, name)) view = kinds[i].view;
    if (!view.width && !view.step) tsr_verify_refuse(v, "kind: wanted a known one, got %s", name);
    view.filter = TSR_RESAMPLING_BICUBIC;
    view.min_pixels = (uint64_t)tsr_verify_number(v->run, "min_pixels", 0);
    view.max_pixels = (uint64_t)tsr_verify_number(v->run, "max_pixels", 0);
    memcpy(view.background, tsr_clip_vision.view.background, 3);
    read_three(v, "mean", view.mean);
    read_three(v, "std", view.deviation);
    return view;
}

/* Values (channel, row, column). */
static void compare_planes(tsr_verify *v, const tsr_view *view, const uint8_t *rgb, int64_t width,
                           int64_t height) {
    const int64_t plane = width * height;
    float number[3][256];
    float *values = tsr_verify_take(v, 3 * plane, sizeof *values, "pixel values");
    tsr_view_numbers(view, number);
    for (int64_t i = 0; i < 3 * plane && values; ++i)
        values[i] = number[i / plane][rgb[i % plane * 3 + i / plane]];
    tsr_verify_f32(v, "pixel_values", values, 3, (int64_t[]){3, height, width});
}

/* Values (patch, value) as Qwen2-VL's tower takes them. */
static void compare_patches(tsr_verify *v, const tsr_view *view, const uint8_t *rgb, uint32_t width,
                            uint32_t height) {
    const int64_t p = TSR_QWEN_PATCH, dim[2] = {width / p * (height / p), 6 * p * p};
    float *values = tsr_verify_take(v, dim[0] * dim[1], sizeof *values, "pixel values");
    int thw[3] = {0};
    tsr_verify_integers(v, v->run, "grid_thw", thw, 3, 3);
    tsr_verify_line(v, "grid_thw", thw[0] == 1 && thw[1] == height / p && thw[2] == width / p,
                    "wanted %d,%d,%d, got 1,%lld,%lld", thw[0], thw[1], thw[2],
                    (long long)(height / p), (long long)(width / p));
    if (values) tsr_qwen_cut(&(tsr_pixels){rgb, 1, {1, height, width}}, view, values);
    tsr_verify_f32(v, "pixel_values", values, 2, dim);
}

/* Bytes by their hash where the run has one. */
static void compare_bytes(tsr_verify *v, const uint8_t *rgb, size_t bytes) {
    if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(v->run, "rgb_fnv1a64")))
        tsr_verify_hash_line(v, "rgb_fnv1a64", tsr_verify_hash(v, v->run, "rgb_fnv1a64"),
                             tsr_verify_fnv(rgb, bytes));
}

void tsr_verify_view(tsr_verify *v) {
    const tsr_view view = read_view(v);
    tsr_image image = read_image(v, tsr_verify_text(v, v->run, "input"));
    const tsr_picture picture = {.rgb = image.rgb, .width = image.width, .height = image.height};
    uint32_t width = 0, height = 0;
    if (!v->status) v->status = tsr_view_size(v->ctx, &view, &picture, &width, &height);
    uint8_t *rgb = tsr_verify_take(v, (int64_t)width * height, 3, "view");
    if (!v->status) v->status = tsr_view_make(v->device, &view, &picture, rgb);
    if (!v->status) compare_bytes(v, rgb, (size_t)width * height * 3);
    tsr_verify_u8(v, "rgb", rgb, 3, (int64_t[]){height, width, 3});
    if (view.kind == TSR_VIEW_SMART)
        compare_patches(v, &view, rgb, width, height);
    else if (!v->status)
        compare_planes(v, &view, rgb, width, height);
    tsr_image_free(&image);
}

/* ---- tiles ---- */

/* The plan for a picture of the run's kind. */
static tsr_anyres_plan choose(tsr_verify *v, tsr_anyres_size picture) {
    const char *kind = tsr_verify_text(v, v->run, "kind");
    tsr_anyres_size sizes[TSR_ANYRES_ONEVISION];
    if (!strcmp(kind, "llava-next"))
        return tsr_anyres_choose(picture, tsr_anyres_next, TSR_ANYRES_NEXT, 336);
    if (strcmp(kind, "llava-onevision"))
        tsr_verify_refuse(v, "kind: wanted llava-next or llava-onevision, got %s", kind);
    tsr_anyres_onevision(384, sizes);
    return tsr_anyres_choose(picture, sizes, TSR_ANYRES_ONEVISION, 384);
}

static void compare_numbers(tsr_verify *v, const char *field, int64_t a, int64_t b) {
    int want[2] = {0};
    tsr_verify_integers(v, v->run, field, want, 2, 2);
    tsr_verify_line(v, field, want[0] == a && want[1] == b, "wanted %d, %d, got %lld, %lld",
                    want[0], want[1], (long long)a, (long long)b);
}

static void compare_number(tsr_verify *v, const char *field, int64_t got) {
    const double want = tsr_verify_number(v->run, field, -1);
    tsr_verify_line(v, field, want == (double)got, "wanted %g, got %lld", want, (long long)got);
}

static void compare_order(tsr_verify *v, const tsr_anyres_plan *plan, int64_t cells) {
    const int64_t rows = tsr_anyres_rows(plan, cells);
    int32_t *order = tsr_verify_take(v, rows, sizeof *order, "order");
    compare_number(v, "rows", rows);
    if (!order) return;
    tsr_anyres_order(plan, cells, order);
    tsr_verify_hash_line(v, "order_fnv1a64", tsr_verify_hash(v, v->run, "order_fnv1a64"),
                         tsr_verify_fnv(order, (size_t)rows * sizeof *order));
    tsr_verify_i32(v, "order", order, 1, &rows);
}

static void compare_packed(tsr_verify *v, const tsr_anyres_plan *plan, int64_t cells) {
    const int64_t most = (int64_t)tsr_verify_number(v->run, "max_tiles", 0);
    const tsr_tensor f = tsr_synthetic_input(v, tsr_verify_text(v, v->run, "features"));
    const tsr_anyres_size made = tsr_anyres_limited(plan, cells, most);
    const int64_t dim[2] = {cells * cells + made.height * (made.width + 1), f.dim[2]};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "newline");
    compare_number(v, "rows", dim[0]);
    if (v->status) return;
    if (f.rank != 3 || f.dim[0] != tsr_anyres_tiles(plan) || f.dim[1] != cells * cells ||
        cJSON_GetArraySize(list) != dim[1]) {
        tsr_verify_refuse(v, "features: wanted [%lld, %lld, n] and n numbers of a newline",
                          (long long)tsr_anyres_tiles(plan), (long long)(cells * cells));
        return;
    }
    float *newline = tsr_verify_take(v, dim[1], sizeof *newline, "newline");
    float *packed = tsr_verify_take(v, dim[0] * dim[1], sizeof *packed, "packed rows");
    for (int i = 0; i < dim[1] && newline; ++i)
        newline[i] = (float)cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
    if (v->status) return;
    v->status = tsr_anyres_pack(v->ctx, plan, cells, most, f.data, dim[1], newline, packed);
    tsr_verify_f32(v, "packed", packed, 2, dim);
}

void tsr_verify_anyres(tsr_verify *v) {
    const tsr_anyres_plan plan =
        choose(v, (tsr_anyres_size){(int64_t)tsr_verify_number(v->run, "height", 0),
                                    (int64_t)tsr_verify_number(v->run, "width", 0)});
    const int64_t cells = (int64_t)tsr_verify_number(v->run, "cells", 0);
    if (!v->status && (plan.picture.height < 1 || plan.picture.width < 1 || cells < 1))
        tsr_verify_refuse(v, "height, width, cells: wanted 1 or more");
    if (v->status) return;
    compare_numbers(v, "best", plan.best.height, plan.best.width);
    compare_numbers(v, "resized", plan.resized.height, plan.resized.width);
    compare_numbers(v, "tiles", plan.tiles.height, plan.tiles.width);
    compare_number(v, "pad_top", plan.top);
    compare_number(v, "pad_left", plan.left);
    compare_number(v, "pad_bottom", plan.best.height - plan.resized.height - plan.top);
    compare_number(v, "pad_right", plan.best.width - plan.resized.width - plan.left);
    if (tsr_verify_output(v, "order"))
        compare_order(v, &plan, cells);
    else
        compare_packed(v, &plan, cells);
}

void tsr_verify_anyres_pixels(tsr_verify *v) {
    tsr_image image = read_image(v, tsr_verify_text(v, v->run, "input"));
    const tsr_picture picture = {.rgb = image.rgb, .width = image.width, .height = image.height};
    const tsr_anyres_plan plan = choose(
        v, (tsr_anyres_size){image.height ? image.height : 1, image.width ? image.width : 1});
    const int64_t tiles = tsr_anyres_tiles(&plan), side = plan.side;
    compare_number(v, "tiles", tiles);
    uint8_t *rgb = tsr_verify_take(v, tiles * side * side, 3, "tiles");
    if (!v->status)
        v->status = tsr_anyres_cut(v->device, &plan, &picture, TSR_RESAMPLING_BICUBIC, rgb);
    tsr_verify_u8(v, "rgb", rgb, 4, (int64_t[]){tiles, side, side, 3});
    tsr_image_free(&image);
}

void tsr_verify_frame_pool(tsr_verify *v) {
    int grid[2] = {0}, to[2] = {0};
    const tsr_tensor f = tsr_synthetic_input(v, tsr_verify_text(v, v->run, "features"));
    tsr_verify_integers(v, v->run, "grid", grid, 2, 2);
    tsr_verify_integers(v, v->run, "to", to, 2, 2);
    const tsr_grid_size from = {grid[0], grid[1]};
    const tsr_grid_size made = tsr_pool_size(TSR_POOL_BILINEAR, from);
    if (v->status) return;
    if (f.rank != 3 || f.dim[1] != from.rows * from.columns || from.rows < 1 || from.columns < 1) {
        tsr_verify_refuse(v, "features: wanted [frames, %lld, n]",
                          (long long)(from.rows * from.columns));
        return;
    }
    compare_numbers(v, "to", made.rows, made.columns);
    const int64_t dim[3] = {f.dim[0], made.rows * made.columns, f.dim[2]};
    float *pooled = tsr_verify_take(v, dim[0] * dim[1] * dim[2], sizeof *pooled, "pooled");
    if (!v->status)
        v->status =
            tsr_pool_grids(v->ctx, TSR_POOL_BILINEAR, f.data, f.dim[0], from, f.dim[2], pooled);
    tsr_verify_f32(v, "pooled", pooled, 3, dim);
}
