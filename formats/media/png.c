/* SPDX-License-Identifier: MIT */
/* png.c: PNG files written through libpng.
 *
 * libpng reports errors by longjmp. Everything that must survive the jump lives in one struct of
 * the caller's frame, and the functions that call setjmp hold nothing else. */
#include "../file.h"
#include "image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libpng's texts may hold bytes of the file. */
static void report(tsr_context *ctx, tsr_status *status, const char *name, png_const_charp text) {
    if (!*status) *status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: PNG: %s", name, text);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

typedef struct writer {
    tsr_context *ctx;
    const char *path;
    tsr_out out;
    int width, height;
    const uint8_t *rgb;
    png_structp png;
    png_infop info;
    tsr_status status;
} writer;

static void on_write_error(png_structp png, png_const_charp text) {
    writer *w = png_get_error_ptr(png);
    report(w->ctx, &w->status, w->path, text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_write(png_structp png, png_bytep bytes, size_t size) {
    writer *w = png_get_io_ptr(png);
    w->status = tsr_out_write(w->ctx, &w->out, bytes, size);
    if (w->status) png_error(png, "write");
}

static void on_flush(png_structp png) {
    (void)png;
}

/* Fixed level and filters, no time stamp, no text: the bytes depend on the pixels alone. */
static void write_guarded(writer *w) {
    if (setjmp(png_jmpbuf(w->png)) != 0) {
        if (!w->status) w->status = TSR_ERROR_FORMAT;
        return;
    }
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, 0x7fffffff, 0x7fffffff);
    png_set_compression_buffer_size(w->png, 1 << 16);
    png_set_compression_level(w->png, 6);
    png_set_filter(w->png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    png_set_IHDR(w->png, w->info, (png_uint_32)w->width, (png_uint_32)w->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (int y = 0; y < w->height; ++y)
        png_write_row(w->png, w->rgb + (size_t)y * (size_t)w->width * 3);
    png_write_end(w->png, w->info);
}

tsr_status tsr_png_write(tsr_context *ctx, const char *path, int width, int height,
                         const uint8_t *rgb) {
    if (width < 1 || height < 1 || !rgb)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted at least 1x1, got %dx%d", path,
                        width, height);
    writer w = {.ctx = ctx, .path = path, .width = width, .height = height, .rgb = rgb};
    w.status = tsr_out_open(ctx, path, &w.out);
    if (w.status) return w.status;
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_write_error, on_warning);
    if (w.png) w.info = png_create_info_struct(w.png);
    if (!w.info)
        w.status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for libpng", path);
    else
        write_guarded(&w);
    png_destroy_write_struct(&w.png, &w.info);
    if (!w.status) w.status = tsr_out_commit(ctx, &w.out);
    tsr_out_abandon(&w.out);
    return w.status;
}
