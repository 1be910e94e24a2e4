/* SPDX-License-Identifier: MIT */
/* fit.c: see fit.h for the four ways. Sizes and offsets of crop follow the common Pillow recipe
 * (Resize(256) then CenterCrop(256)): the long side is rounded down, offsets half to even. */
#include "fit.h"
#include "../ops/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t max_pixels = (uint64_t)1 << 28;

static int tiles_along(int extent, int tile, int overlap) {
    return extent <= tile ? 1 : (extent - overlap + tile - overlap - 1) / (tile - overlap);
}

/* First pixel of tile i of `count`, spread evenly over the extent. */
static int tile_origin(int extent, int tile, int count, int i) {
    return count < 2 ? 0 : (int)((int64_t)i * (extent - tile) / (count - 1));
}

/* ---- resampling ------------------------------------------------------------------------------ */

typedef struct resize_target {
    int width, height;
    tsr_filter filter;
} resize_target;

static void resize_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    const resize_target *t = tsr_run_args(r);
    out[0] = tsr_resize(r, in[0], t->height, t->width, t->filter);
}

static tsr_status resize(tsr_device *host, const uint8_t *rgb, int width, int height,
                         uint32_t filter, int new_width, int new_height, uint8_t *result) {
    const resize_target target = {new_width, new_height, (tsr_filter)filter};
    const tsr_program program = {.fn = resize_program,
                                 .args = &target,
                                 .variant = ((int64_t)new_width << 32 | new_height) * 4 + filter,
                                 .name = "fit"};
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_U8, (void *)rgb, 3, (int64_t[]){height, width, 3});
    tsr_tensor out =
        tsr_host_tensor(TSR_DTYPE_U8, result, 3, (int64_t[]){new_height, new_width, 3});
    return tsr_execute(host, &program, &in, 1, &out, 1);
}

/* ---- picture to tiles ------------------------------------------------------------------------ */

static int long_side(int tile, int longer, int shorter) {
    const int64_t side = (int64_t)tile * longer / shorter;
    return side > INT32_MAX ? INT32_MAX : (int)side;
}

static int centre_offset(int extent, int tile) {
    return (int)nearbyint((extent - tile) / 2.0); /* half to even */
}

tsr_status tsr_canvas_open(tsr_device *host, const tsr_picture *picture,
                           const tsr_token_header *header, tsr_canvas *canvas) {
    tsr_context *ctx = tsr_device_context(host);
    const char *key = picture->key ? picture->key : "picture";
    const int w = picture->width, h = picture->height;
    const int tw = (int)header->tile_width, th = (int)header->tile_height;
    if (w < 1 || h < 1 || !picture->rgb)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted at least 1x1, got %dx%d", key, w,
                        h);
    if (picture->frames < 0 || (uint32_t)picture->frames > header->tile_frames)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: frames: wanted 0 to %u, got %d", key,
                        header->tile_frames, picture->frames);
    *canvas = (tsr_canvas){.rgb = picture->rgb,
                           .frames = picture->frames ? picture->frames : 1,
                           .width = w,
                           .height = h,
                           .columns = 1,
                           .rows = 1,
                           .tile_width = tw,
                           .tile_height = th,
                           .fit = header->fit == TSR_FIT_AUTO ? TSR_FIT_TILE : header->fit};
    memcpy(canvas->background, header->background, 3);
    switch (canvas->fit) {
    case TSR_FIT_CROP:
        /* The side that is relatively shorter becomes the tile's. */
        if ((int64_t)w * th <= (int64_t)h * tw) {
            canvas->width = tw;
            canvas->height = w == tw ? h : long_side(tw, h, w);
            if (canvas->height < th) canvas->height = th;
        } else {
            canvas->height = th;
            canvas->width = h == th ? w : long_side(th, w, h);
            if (canvas->width < tw) canvas->width = tw;
        }
        canvas->crop_x = centre_offset(canvas->width, tw);
        canvas->crop_y = centre_offset(canvas->height, th);
        break;
    case TSR_FIT_PAD:
        if ((int64_t)w * th >= (int64_t)h * tw) {
            canvas->width = tw;
            canvas->height = (int)(((int64_t)h * tw * 2 + w) / (2 * (int64_t)w));
        } else {
            canvas->height = th;
            canvas->width = (int)(((int64_t)w * th * 2 + h) / (2 * (int64_t)h));
        }
        if (canvas->width < 1) canvas->width = 1;
        if (canvas->height < 1) canvas->height = 1;
        canvas->crop_x = -((tw - canvas->width) / 2);
        canvas->crop_y = -((th - canvas->height) / 2);
        break;
    case TSR_FIT_STRETCH:
        canvas->width = tw;
        canvas->height = th;
        break;
    case TSR_FIT_TILE:
        /* Small tiles overlap less, or nothing is left. */
        canvas->overlap = (tw < th ? tw : th) / 4;
        if (canvas->overlap > TSR_TILE_OVERLAP) canvas->overlap = TSR_TILE_OVERLAP;
        canvas->columns = tiles_along(w, tw, canvas->overlap);
        canvas->rows = tiles_along(h, th, canvas->overlap);
        break;
    default:
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fit: wanted 0 to 4, got %d", (int)header->fit);
    }
    if ((uint64_t)canvas->width * (uint64_t)canvas->height > max_pixels)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size after fitting: wanted at most %llu pixels, got %dx%d", key,
                        (unsigned long long)max_pixels, canvas->width, canvas->height);
    if (canvas->width == w && canvas->height == h) return TSR_OK;
    const size_t size = (size_t)canvas->width * (size_t)canvas->height * 3;
    canvas->owned = tsr_alloc(ctx, (size_t)canvas->frames, size, "fit: canvas");
    if (!canvas->owned) return TSR_ERROR_MEMORY;
    canvas->rgb = canvas->owned;
    tsr_status status = TSR_OK;
    for (int f = 0; f < canvas->frames && !status; ++f)
        status =
            resize(host, picture->rgb + (size_t)f * (size_t)w * (size_t)h * 3, w, h, header->filter,
                   canvas->width, canvas->height, canvas->owned + (size_t)f * size);
    if (status) tsr_canvas_free(canvas);
    return status;
}

void tsr_canvas_free(tsr_canvas *canvas) {
    free(canvas->owned);
    *canvas = (tsr_canvas){0};
}

static int clamp(int v, int low, int high) {
    return v < low ? low : v > high ? high : v;
}

/* Copies a tile of the frame `rgb`, and returns the end of the copy. */
static uint8_t *cut_frame(const tsr_canvas *c, const uint8_t *rgb, int index, uint8_t *tile) {
    const int x0 = c->crop_x + tile_origin(c->width, c->tile_width, c->columns, index % c->columns);
    const int y0 = c->crop_y + tile_origin(c->height, c->tile_height, c->rows, index / c->columns);
    for (int y = 0; y < c->tile_height; ++y) {
        for (int x = 0; x < c->tile_width; ++x, tile += 3) {
            const int sx = x0 + x, sy = y0 + y;
            const bool inside = sx >= 0 && sy >= 0 && sx < c->width && sy < c->height;
            /* Padding is the background; a tile wider than the picture repeats its edge, which
             * costs fewer ids than a step would. */
            const uint8_t *from = c->background;
            if (inside || c->fit != TSR_FIT_PAD)
                from = rgb + ((size_t)clamp(sy, 0, c->height - 1) * (size_t)c->width +
                              (size_t)clamp(sx, 0, c->width - 1)) *
                                 3;
            memcpy(tile, from, 3);
        }
    }
    return tile;
}

void tsr_canvas_cut(const tsr_canvas *c, int index, uint8_t *tile) {
    const size_t frame = (size_t)c->width * (size_t)c->height * 3;
    for (int f = 0; f < c->frames; ++f)
        tile = cut_frame(c, c->rgb + (size_t)f * frame, index, tile);
}

/* ---- tiles to picture ------------------------------------------------------------------------ */

void tsr_item_size(const tsr_token_header *header, const tsr_token_item *item, int *width,
                   int *height) {
    uint32_t w = item->width, h = item->height; /* pad and tile: the canvas */
    if (header->fit == TSR_FIT_CROP) w = header->tile_width, h = header->tile_height;
    if (header->fit == TSR_FIT_STRETCH) w = item->source_width, h = item->source_height;
    *width = w > INT32_MAX ? 0 : (int)w;
    *height = h > INT32_MAX ? 0 : (int)h;
}

/* Weight of pixel p inside its tile along one axis before it is divided by the sum over all tiles
 * that cover the pixel: rises from either border over the least overlap. */
static float rise(const tsr_unfit *u, int tile, int p) {
    const float from_border = (p < tile - 1 - p ? (float)p : (float)(tile - 1 - p)) + 0.5f;
    const float most = u->overlap > 1 ? (float)u->overlap : 1;
    return from_border < most ? from_border : most;
}

/* The sums that rise is divided by, for every pixel of an axis. */
static void sum_rises(const tsr_unfit *u, int extent, int tile, int count, float *sum) {
    memset(sum, 0, (size_t)extent * sizeof *sum);
    for (int i = 0; i < count; ++i) {
        const int origin = tile_origin(extent, tile, count, i);
        for (int p = 0; p < tile && origin + p < extent; ++p)
            sum[origin + p] += rise(u, tile, p);
    }
}

tsr_status tsr_unfit_open(tsr_context *ctx, const tsr_token_header *header,
                          const tsr_token_item *item, tsr_unfit *unfit) {
    int ow, oh;
    tsr_item_size(header, item, &ow, &oh);
    if (ow < 1 || oh < 1 || item->width < 1 || item->height < 1)
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: size: wanted at least 1x1, got %ux%u",
                        item->key, item->width, item->height);
    if ((uint64_t)ow * (uint64_t)oh > max_pixels ||
        (uint64_t)item->width * item->height > max_pixels)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: size: wanted at most %llu pixels, got %dx%d",
                        item->key, (unsigned long long)max_pixels, ow, oh);
    const int tw = (int)header->tile_width, th = (int)header->tile_height;
    *unfit = (tsr_unfit){.frames = item->frames ? (int)item->frames : 1,
                         .width = (int)item->width,
                         .height = (int)item->height,
                         .columns = 1,
                         .rows = 1,
                         .tile_width = tw,
                         .tile_height = th,
                         .fit = header->fit};
    if (header->fit == TSR_FIT_TILE) {
        const uint32_t smaller = (uint32_t)(tw < th ? tw : th);
        if (item->overlap >= smaller)
            return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: overlap: wanted below %u, got %u",
                            item->key, smaller, item->overlap);
        unfit->overlap = (int)item->overlap;
        unfit->columns = tiles_along(unfit->width, tw, unfit->overlap);
        unfit->rows = tiles_along(unfit->height, th, unfit->overlap);
    } else if (header->fit == TSR_FIT_CROP || header->fit == TSR_FIT_STRETCH) {
        unfit->width = tw; /* the tile is the result (stretch: before resizing back) */
        unfit->height = th;
    } else if (header->fit == TSR_FIT_PAD) {
        unfit->crop_x = item->crop_x;
        unfit->crop_y = item->crop_y;
        if (unfit->width > tw || unfit->height > th || item->crop_x > 0 || item->crop_y > 0 ||
            unfit->width - item->crop_x > tw || unfit->height - item->crop_y > th)
            return tsr_fail(ctx, TSR_ERROR_TOKENS,
                            "%s: padded size: wanted at most %dx%d, got %ux%u at %d,%d", item->key,
                            tw, th, item->width, item->height, -item->crop_x, -item->crop_y);
    } else {
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: fit: wanted 1 to 4, got %d", item->key,
                        (int)header->fit);
    }
    if (item->tile_columns != (uint32_t)unfit->columns || item->tile_rows != (uint32_t)unfit->rows)
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: tiles: wanted %dx%d for %ux%u, got %ux%u",
                        item->key, unfit->columns, unfit->rows, item->width, item->height,
                        item->tile_columns, item->tile_rows);
    unfit->rgb = tsr_alloc(ctx, (size_t)unfit->width * (size_t)unfit->height,
                           (size_t)unfit->frames * 3 * sizeof(float), "decode: picture");
    unfit->sum_x = tsr_alloc(ctx, (size_t)unfit->width, sizeof(float), "decode: weights");
    unfit->sum_y = tsr_alloc(ctx, (size_t)unfit->height, sizeof(float), "decode: weights");
    if (!unfit->rgb || !unfit->sum_x || !unfit->sum_y) {
        tsr_unfit_close(unfit);
        return TSR_ERROR_MEMORY;
    }
    sum_rises(unfit, unfit->width, tw, unfit->columns, unfit->sum_x);
    sum_rises(unfit, unfit->height, th, unfit->rows, unfit->sum_y);
    return TSR_OK;
}

/* Adds a tile's part of the frame `rgb`. */
static void add_frame(const tsr_unfit *u, int index, const float *tile, float *rgb) {
    const int x0 = tile_origin(u->width, u->tile_width, u->columns, index % u->columns);
    const int y0 = tile_origin(u->height, u->tile_height, u->rows, index / u->columns);
    for (int y = 0; y < u->tile_height; ++y) {
        const int py = u->crop_y + y0 + y;
        if (py < 0 || py >= u->height) continue;
        const float wy = u->fit == TSR_FIT_TILE ? rise(u, u->tile_height, y) / u->sum_y[py] : 1;
        for (int x = 0; x < u->tile_width; ++x) {
            const int px = u->crop_x + x0 + x;
            if (px < 0 || px >= u->width) continue;
            const float wx = u->fit == TSR_FIT_TILE ? rise(u, u->tile_width, x) / u->sum_x[px] : 1;
            const float *from = tile + ((size_t)y * (size_t)u->tile_width + (size_t)x) * 3;
            float *to = rgb + ((size_t)py * (size_t)u->width + (size_t)px) * 3;
            for (int c = 0; c < 3; ++c)
                to[c] += wx * wy * from[c];
        }
    }
}

void tsr_unfit_add(tsr_unfit *u, int index, const float *tile) {
    const size_t frame = (size_t)u->width * (size_t)u->height * 3;
    const size_t of_tile = (size_t)u->tile_width * (size_t)u->tile_height * 3;
    for (int f = 0; f < u->frames; ++f)
        add_frame(u, index, tile + (size_t)f * of_tile, u->rgb + (size_t)f * frame);
}

tsr_status tsr_unfit_finish(tsr_device *host, const tsr_unfit *u, const tsr_token_header *header,
                            const tsr_token_item *item, uint8_t *rgb) {
    const bool stretch = header->fit == TSR_FIT_STRETCH;
    const size_t frame = (size_t)u->width * (size_t)u->height * 3;
    const size_t values = (size_t)u->frames * frame;
    uint8_t *bytes = rgb;
    if (stretch) {
        bytes = tsr_alloc(tsr_device_context(host), values, 1, "decode: tile");
        if (!bytes) return TSR_ERROR_MEMORY;
    }
    /* No NaN comes here: tsr_decode_tiles refuses values that are not finite, and weights of a
     * pixel add up to 1. */
    for (size_t i = 0; i < values; ++i) {
        const float v = u->rgb[i] * 255.0f + 0.5f;
        bytes[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
    }
    if (!stretch) return TSR_OK;
    int width, height;
    tsr_item_size(header, item, &width, &height);
    const size_t whole = (size_t)width * (size_t)height * 3;
    tsr_status status = TSR_OK;
    for (int f = 0; f < u->frames && !status; ++f)
        status = resize(host, bytes + (size_t)f * frame, u->width, u->height, header->filter, width,
                        height, rgb + (size_t)f * whole);
    free(bytes);
    return status;
}

void tsr_unfit_close(tsr_unfit *unfit) {
    free(unfit->rgb);
    free(unfit->sum_x);
    free(unfit->sum_y);
    *unfit = (tsr_unfit){0};
}
