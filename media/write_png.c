/* SPDX-License-Identifier: MIT */
/* write_png.c: PNG through libpng. libpng reports errors by longjmp: everything that must survive
 * the jump lives in one struct of the caller's frame. */
#include "picture_write.h"

#include <png.h>
#include <setjmp.h>

typedef struct writer {
    tsr_context *ctx;
    const tsr_picture_job *job;
    png_structp png;
    png_infop info;
    tsr_status status;
} writer;

static void on_write_error(png_structp png, png_const_charp text) {
    writer *w = png_get_error_ptr(png);
    if (!w->status)
        w->status = tsr_fail(w->ctx, TSR_ERROR_FORMAT, "%s: PNG: %s", w->job->name, text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_write(png_structp png, png_bytep bytes, size_t size) {
    writer *w = png_get_io_ptr(png);
    w->status = tsr_out_write(w->ctx, w->job->out, bytes, size);
    if (w->status) png_error(png, "write");
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void on_flush(png_structp png) {
    (void)png;
}

/* Fixed level and filters, no time stamp, no text: the bytes depend on the pixels alone. */
static void write_guarded(writer *w) {
    const tsr_picture_job *job = w->job;
    if (setjmp(png_jmpbuf(w->png)) != 0) {
        if (!w->status) w->status = TSR_ERROR_FORMAT;
        return;
    }
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, 0x7fffffff, 0x7fffffff);
    png_set_compression_buffer_size(w->png, 1 << 16);
    png_set_compression_level(w->png, 6);
    png_set_filter(w->png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    png_set_IHDR(w->png, w->info, (png_uint_32)job->width, (png_uint_32)job->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (int y = 0; y < job->height; ++y)
        png_write_row(w->png, job->rgb + (size_t)y * (size_t)job->width * 3);
    png_write_end(w->png, w->info);
}

tsr_status tsr_png_put(tsr_context *ctx, const tsr_picture_job *job) {
    writer w = {.ctx = ctx, .job = job};
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_write_error, on_warning);
    if (w.png) w.info = png_create_info_struct(w.png);
    if (!w.info)
        w.status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for libpng", job->name);
    else
        write_guarded(&w);
    png_destroy_write_struct(&w.png, &w.info);
    return w.status;
}
