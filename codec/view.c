/* SPDX-License-Identifier: MIT */
/* view.c: see view.h. */
#include "view.h"
#include "../compute/arena.h"
#include "../ops/ops.h"

#include <math.h>
#include <string.h>

static const uint64_t max_pixels = (uint64_t)1 << 28;

/* ---- resampling ------------------------------------------------------------------------------ */

typedef struct target {
    uint32_t width, height;
    tsr_filter filter;
} target;

/* Pillow 13 resizes rows of pixels first where that makes the picture so much smaller that the
 * other pass has less to do; where both passes shrink, a pixel of height counts half. (Seen by
 * comparing it with its own single passes.) Before version 13 columns came first always. */
static bool rows_first(int64_t width, int64_t height, const target *t) {
    return t->height < height && 2 * (width - (int64_t)t->width) < height - (int64_t)t->height;
}

static void resize_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    const target *t = tsr_run_args(r);
    const tsr_tensor *x = in[0]; /* [H, W, 3] */
    if (rows_first(x->dim[1], x->dim[0], t)) x = tsr_resize(r, x, t->height, x->dim[1], t->filter);
    out[0] = tsr_resize(r, x, t->height, t->width, t->filter);
}

tsr_status tsr_view_resize(tsr_device *host, const tsr_picture *p, tsr_resampling filter,
                           uint32_t width, uint32_t height, uint8_t *rgb) {
    static const tsr_filter filters[] = {TSR_FILTER_BICUBIC, TSR_FILTER_BILINEAR,
                                         TSR_FILTER_BICUBIC, TSR_FILTER_LANCZOS};
    if ((uint64_t)width * height > max_pixels)
        return tsr_fail(tsr_device_context(host), TSR_ERROR_TOO_LARGE,
                        "%s: wanted at most %llu pixels after resizing, got %ux%u",
                        p->key ? p->key : "picture", (unsigned long long)max_pixels, width, height);
    if ((uint32_t)p->width == width && (uint32_t)p->height == height) {
        memcpy(rgb, p->rgb, (size_t)width * height * 3);
        return TSR_OK;
    }
    const target t = {width, height, filters[filter]};
    const tsr_program program = {.fn = resize_program,
                                 .args = &t,
                                 .variant = ((int64_t)width << 32 | height) * 4 + t.filter,
                                 .name = "view"};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)p->rgb, 3,
                                          (int64_t[]){p->height, p->width, 3});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_U8, rgb, 3, (int64_t[]){height, width, 3});
    return tsr_execute(host, &program, &in, 1, &out, 1);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Qwen2-VL's smart_resize: multiples of a step, between two numbers of pixels. */
static void smart_size(const tsr_view *v, double w, double h, uint32_t *width, uint32_t *height) {
    const double step = v->step;
    double made_w = nearbyint(w / step) * step; /* halves to even */
    double made_h = nearbyint(h / step) * step;
    if (made_w * made_h > (double)v->max_pixels) {
        const double beta = sqrt(h * w / (double)v->max_pixels);
        made_w = fmax(step, floor(w / beta / step) * step);
        made_h = fmax(step, floor(h / beta / step) * step);
    } else if (made_w * made_h < (double)v->min_pixels) {
        const double beta = sqrt((double)v->min_pixels / (h * w));
        made_w = ceil(w * beta / step) * step;
        made_h = ceil(h * beta / step) * step;
    }
    *width = (uint32_t)made_w;
    *height = (uint32_t)made_h;
}

static double scaled(double side, double scale, double step) {
    return fmax(step, ceil(side * scale / step) * step);
}

/* SigLIP2's: the largest scale whose multiples of a step stay within a number of pixels. */
static void budget_size(const tsr_view *v, double w, double h, uint32_t *width, uint32_t *height) {
    const double near = 1e-5, step = v->step;
    double least = near / 10, most = 100;
    while (most - least >= near) {
        const double scale = (least + most) / 2;
        if (scaled(w, scale, step) * scaled(h, scale, step) <= (double)v->max_pixels)
            least = scale;
        else
            most = scale;
    }
    *width = (uint32_t)scaled(w, least, step);
    *height = (uint32_t)scaled(h, least, step);
}

tsr_status tsr_view_size(tsr_context *ctx, const tsr_view *v, const tsr_picture *p, uint32_t *width,
                         uint32_t *height) {
    const char *key = p->key ? p->key : "picture";
    const int64_t longer = p->width > p->height ? p->width : p->height;
    const int64_t shorter = p->width > p->height ? p->height : p->width;
    *width = v->width;
    *height = v->height;
    if (shorter < 1 || !p->rgb)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted at least 1x1, got %dx%d", key,
                        p->width, p->height);
    if (v->kind == TSR_VIEW_SMART && longer > 200 * shorter)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: aspect: wanted at most 200, got %dx%d pixels",
                        key, p->width, p->height);
    if (v->kind == TSR_VIEW_SMART) smart_size(v, p->width, p->height, width, height);
    if (v->kind == TSR_VIEW_BUDGET) budget_size(v, p->width, p->height, width, height);
    return TSR_OK;
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* Shorter side to v->shortest, then the centre. */
static tsr_status crop(tsr_device *host, const tsr_view *v, const tsr_picture *p, uint8_t *rgb) {
    const uint64_t w = (uint64_t)p->width, h = (uint64_t)p->height, side = v->shortest;
    const uint64_t made[2] = {w <= h ? side : side * w / h, w <= h ? side * h / w : side};
    tsr_context *ctx = tsr_device_context(host);
    if (made[0] * made[1] > max_pixels)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: wanted at most %llu pixels after resizing, got %llux%llu",
                        p->key ? p->key : "picture", (unsigned long long)max_pixels,
                        (unsigned long long)made[0], (unsigned long long)made[1]);
    tsr_scratch s = {.ctx = ctx};
    uint8_t *all = tsr_scratch_take(&s, (size_t)(made[0] * made[1]), 3, "view: resized picture");
    tsr_status status = s.status;
    if (!status)
        status = tsr_view_resize(host, p, v->filter, (uint32_t)made[0], (uint32_t)made[1], all);
    const size_t x = (made[0] - v->width) / 2, y = (made[1] - v->height) / 2; /* rounded down */
    for (size_t row = 0; row < v->height && !status; ++row)
        memcpy(rgb + row * v->width * 3, all + ((y + row) * made[0] + x) * 3, v->width * 3);
    tsr_scratch_free(&s);
    return status;
}

/* A square of the longer side with the picture in its middle, then cropped. */
static tsr_status pad(tsr_device *host, const tsr_view *v, const tsr_picture *p, uint8_t *rgb) {
    const size_t w = (size_t)p->width, h = (size_t)p->height, side = w > h ? w : h;
    const size_t x = (side - w) / 2, y = (side - h) / 2;
    tsr_context *ctx = tsr_device_context(host);
    if (side * side > max_pixels)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: wanted a square of at most %llu pixels around it, got %zux%zu",
                        p->key ? p->key : "picture", (unsigned long long)max_pixels, side, side);
    tsr_scratch s = {.ctx = ctx};
    uint8_t *square = tsr_scratch_take(&s, side * side, 3, "view: square");
    tsr_status status = s.status;
    for (size_t i = 0; i < side * side && !status; ++i)
        memcpy(square + i * 3, v->background, 3);
    for (size_t row = 0; row < h && !status; ++row)
        memcpy(square + ((y + row) * side + x) * 3, p->rgb + row * w * 3, w * 3);
    const tsr_picture whole = {
        .rgb = square, .width = (int)side, .height = (int)side, .key = p->key};
    if (!status) status = crop(host, v, &whole, rgb);
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_view_make(tsr_device *host, const tsr_view *v, const tsr_picture *p, uint8_t *rgb) {
    uint32_t width, height;
    const tsr_status status = tsr_view_size(tsr_device_context(host), v, p, &width, &height);
    if (status) return status;
    if (v->kind == TSR_VIEW_CROP) return crop(host, v, p, rgb);
    if (v->kind == TSR_VIEW_PAD) return pad(host, v, p, rgb);
    return tsr_view_resize(host, p, v->filter, width, height, rgb);
}
