/* SPDX-License-Identifier: MIT */
/* tokbench_path.c: a picture to a black square, through a tokenizer and back to its size. */
#define TESSERA_EXPERIMENTAL
#include <tessera/tokbench.h>

#include "../codec/view.h"
#include "../compute/arena.h"
#include "../media/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What Pillow's save(path) writes without options: its pixels follow from these. */
static const tsr_picture_write_settings published_jpeg = {
    .format = "jpg", .quality = 75, .half_chroma = 1};

struct tsr_tokbench_path {
    tsr_context *ctx;
    tsr_device *host; /* for resampling */
    tsr_tokenizer *tokenizer;
    int setting, jpeg;
    char name[128];
};

/* The tokenizer with tiles of the whole square, or where it has one tile size with that. */
static tsr_status open_tokenizer(tsr_tokbench_path *p, const tsr_model_settings *settings) {
    tsr_model_settings s = *settings;
    s.tile_width = s.tile_height = (uint32_t)p->setting;
    tsr_status status = tsr_tokenizer_open(p->ctx, &p->tokenizer, &s);
    if (status == TSR_ERROR_UNSUPPORTED || status == TSR_ERROR_ARGUMENT)
        status = tsr_tokenizer_open(p->ctx, &p->tokenizer, settings);
    if (!status)
        snprintf(p->name, sizeof p->name, "%s", tsr_tokenizer_header(p->tokenizer)->tokenizer);
    return status;
}

tsr_status tsr_tokbench_path_open(tsr_context *ctx, int setting,
                                  const tsr_model_settings *tokenizer, int jpeg,
                                  tsr_tokbench_path **path) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || (setting != 256 && setting != 512 && setting != 1024))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tokbench: setting: wanted 256, 512 or 1024, got %d", setting);
    *path = NULL;
    tsr_tokbench_path *p = tsr_alloc(ctx, 1, sizeof *p, "tokbench");
    if (!p) return TSR_ERROR_MEMORY;
    *p = (tsr_tokbench_path){.ctx = ctx, .setting = setting, .jpeg = jpeg, .name = "Resize"};
    const tsr_device_settings host = {.name = "cpu"};
    tsr_status status = jpeg ? tsr_picture_write_check(ctx, "-", &published_jpeg) : TSR_OK;
    if (!status) status = tsr_device_open(ctx, &p->host, &host);
    if (!status && tokenizer) status = open_tokenizer(p, tokenizer);
    if (status)
        tsr_tokbench_path_close(&p);
    else
        *path = p;
    return status;
}

void tsr_tokbench_path_close(tsr_tokbench_path **path) {
    if (!path || !*path) return;
    tsr_tokenizer_close(&(*path)->tokenizer);
    tsr_device_close(&(*path)->host);
    free(*path);
    *path = NULL;
}

const char *tsr_tokbench_path_name(const tsr_tokbench_path *path) {
    return path->name;
}

uint64_t tsr_tokbench_path_hash(const tsr_tokbench_path *path) {
    return path->tokenizer ? tsr_tokenizer_header(path->tokenizer)->weights_hash : 0;
}

/* Pixels of a side: ceil(side * scale), as Python computes it, and inside the square. */
static int scaled(int side, double scale, int setting) {
    const double d = side * scale;
    int n = (int)d;
    n += n < d;
    return n < 1 ? 1 : n > setting ? setting : n;
}

/* Copies w x h pixels between a picture and the middle of the square. */
static void paste(uint8_t *square, int setting, uint8_t *rgb, int w, int h, bool back) {
    const size_t left = (size_t)(setting - w) / 2, top = (size_t)(setting - h) / 2;
    for (int y = 0; y < h; ++y) {
        uint8_t *in = square + ((top + (size_t)y) * (size_t)setting + left) * 3;
        uint8_t *out = rgb + (size_t)y * (size_t)w * 3;
        if (back)
            memcpy(out, in, (size_t)w * 3);
        else
            memcpy(in, out, (size_t)w * 3);
    }
}

/* Encodes and decodes the square in place. */
static tsr_status through(tsr_tokbench_path *p, uint8_t *square, uint64_t *tokens) {
    tsr_encode_settings settings = tsr_encode_settings_default();
    const tsr_picture picture = {.rgb = square, .width = p->setting, .height = p->setting};
    tsr_item *item = NULL;
    int width = 0, height = 0;
    settings.fit.fit = TSR_FIT_TILE;
    tsr_status status = tsr_tokenizer_encode(p->tokenizer, &picture, 1, &settings, &item, NULL);
    if (!status) {
        const tsr_token_item *t = tsr_item_tokens(item);
        tsr_item_size(tsr_item_header(item), t, &width, &height);
        for (uint32_t i = 0; i < t->tile_rows * t->tile_columns; ++i)
            *tokens += t->counts[i];
        if (width != p->setting || height != p->setting)
            status = tsr_fail(p->ctx, TSR_ERROR_TOKENS, "tokbench: wanted %dx%d back, got %dx%d",
                              p->setting, p->setting, width, height);
        else
            status = tsr_tokenizer_decode(p->tokenizer, tsr_item_header(item), t, 0, square);
    }
    tsr_item_close(&item);
    return status;
}

static bool is_jpeg(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcmp(dot, ".jpg") || !strcmp(dot, ".jpeg") || !strcmp(dot, ".JPG") ||
                   !strcmp(dot, ".JPEG"));
}

/* A JPEG of the pixels, read again in their place. */
static tsr_status jpeg_round(tsr_context *ctx, const char *name, int width, int height,
                             uint8_t *rgb) {
    const tsr_image_settings settings = tsr_image_settings_default();
    tsr_image image = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    tsr_status status = tsr_picture_encode(ctx, width, height, rgb, &published_jpeg, &bytes, &size);
    if (!status) status = tsr_image_decode(ctx, name, bytes, size, &settings, &image);
    if (!status) memcpy(rgb, image.rgb, (size_t)width * (size_t)height * 3);
    tsr_image_free(&image);
    free(bytes);
    return status;
}

tsr_status tsr_tokbench_send(tsr_tokbench_path *p, const char *name, const tsr_picture *picture,
                             uint8_t **rgb, uint64_t *tokens) {
    const int t = p->setting, width = picture->width, height = picture->height;
    const double sx = (double)t / width, sy = (double)t / height, s = sx < sy ? sx : sy;
    const int w = scaled(width, s, t), h = scaled(height, s, t);
    tsr_scratch scratch = {.ctx = p->ctx};
    uint8_t *square = tsr_scratch_take(&scratch, (size_t)t * (size_t)t, 3, "square");
    uint8_t *small = tsr_scratch_take(&scratch, (size_t)w * (size_t)h, 3, "square");
    *tokens = 0;
    *rgb = scratch.status ? NULL : tsr_alloc(p->ctx, (size_t)width * (size_t)height, 3, "picture");
    tsr_status status = *rgb ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status)
        status = tsr_view_resize(p->host, picture, TSR_RESAMPLING_LANCZOS, (uint32_t)w, (uint32_t)h,
                                 small);
    if (!status && p->tokenizer) {
        paste(square, t, small, w, h, false);
        status = through(p, square, tokens);
        if (!status) paste(square, t, small, w, h, true);
    }
    const tsr_picture back = {.rgb = small, .width = w, .height = h};
    if (!status)
        status = tsr_view_resize(p->host, &back, TSR_RESAMPLING_LANCZOS, (uint32_t)width,
                                 (uint32_t)height, *rgb);
    if (!status && p->jpeg && is_jpeg(name)) status = jpeg_round(p->ctx, name, width, height, *rgb);
    tsr_scratch_free(&scratch);
    if (status) {
        free(*rgb);
        *rgb = NULL;
    }
    return status;
}
