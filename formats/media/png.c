/* SPDX-License-Identifier: MIT */
/* png.c: PNG files to pictures through libpng.
 *
 * libpng reports errors by longjmp. Everything that must survive the jump lives in one struct of
 * the caller's frame, and the functions that call setjmp hold nothing else. */
#include "decoders.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    tsr_context *ctx;
    const char *name;
    const uint8_t *at, *end;
    const tsr_image_settings *settings;
    tsr_image *image;
    png_structp png;
    png_infop info;
    uint8_t *rows;     /* decoded rows before conversion: one, or all of an interlaced picture */
    tsr_status status; /* why the jump */
} reader;

/* libpng's texts may hold bytes of the file. */
static void report(tsr_context *ctx, tsr_status *status, const char *name, png_const_charp text) {
    if (!*status) *status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: PNG: %s", name, text);
}

static void on_read_error(png_structp png, png_const_charp text) {
    reader *r = png_get_error_ptr(png);
    report(r->ctx, &r->status, r->name, text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t size) {
    reader *r = png_get_io_ptr(png);
    if ((size_t)(r->end - r->at) < size) {
        r->status = tsr_fail(r->ctx, TSR_ERROR_TRUNCATED, "%s: PNG: wanted %zu more bytes, got %zu",
                             r->name, size, (size_t)(r->end - r->at));
        png_error(png, "truncated");
    }
    memcpy(to, r->at, size);
    r->at += size;
}

/* Allocates or jumps. */
static void *take(reader *r, size_t count, size_t size) {
    void *p = tsr_alloc(r->ctx, count, size, r->name);
    if (!p) {
        r->status = TSR_ERROR_MEMORY;
        png_error(r->png, "memory");
    }
    return p;
}

/* One row of libpng's output to RGB. `channels` 1..4, `wide` = two bytes each. */
static void convert_row(const reader *r, const uint8_t *from, uint8_t *to, int channels,
                        bool wide) {
    const tsr_image_settings *s = r->settings;
    const int step = wide ? 2 : 1, colours = channels >= 3 ? 3 : 1;
    const bool alpha = (channels & 1) == 0 && !s->drop_alpha;
    if (channels == 3 && !wide) {
        memcpy(to, from, (size_t)r->image->width * 3);
        return;
    }
    for (int x = 0; x < r->image->width; ++x, from += channels * step, to += 3) {
        unsigned a = alpha ? from[(channels - 1) * step] : 255;
        r->image->had_alpha |= a != 255;
        for (int c = 0; c < 3; ++c) {
            const uint8_t *p = from + (colours == 3 ? c : 0) * step;
            /* Two bytes come only for 16-bit grey that is to be clipped. */
            unsigned v = wide && p[0] ? 255 : p[step - 1];
            to[c] = alpha ? tsr_composite(v, a, s->background[c]) : (uint8_t)v;
        }
    }
}

static void read_picture(reader *r) {
    png_structp png = r->png;
    png_infop info = r->info;
    png_set_read_fn(png, r, on_read);
    /* image.c's limit on pixels is the one that counts. */
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
#ifdef PNG_HANDLE_AS_UNKNOWN_SUPPORTED
    /* Never unpack what nobody looks at: texts, profiles, palettes for other devices. */
    static const png_byte unused[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT\0eXIf\0hIST\0pCAL\0sCAL\0tIME";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, unused, sizeof unused / 5);
#endif
    png_read_info(png, info);
    uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    int depth = png_get_bit_depth(png, info), colour = png_get_color_type(png, info);
    bool clip = r->settings->pillow_grey16 && depth == 16 && colour == PNG_COLOR_TYPE_GRAY;
    r->image->source_bits = colour == PNG_COLOR_TYPE_PALETTE ? 8 : depth;

    png_set_expand(png); /* palette to RGB, small grey to 8 bits, tRNS to alpha */
    if (depth == 16 && !clip) png_set_strip_16(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info);
    size_t row_bytes = png_get_rowbytes(png, info);

    r->status = tsr_image_allocate(r->ctx, r->name, width, height, r->settings, r->image);
    if (r->status) png_error(png, "size");
    r->rows = take(r, passes > 1 ? height : 1, row_bytes);
    for (int pass = 0; pass < passes; ++pass) {
        for (uint32_t y = 0; y < height; ++y) {
            uint8_t *row = r->rows + (passes > 1 ? y * row_bytes : 0);
            png_read_row(png, row, NULL);
            if (pass + 1 == passes)
                convert_row(r, row, r->image->rgb + (size_t)y * width * 3, channels, clip);
        }
    }
    png_read_end(png, NULL);
}

/* Alone in its frame with setjmp. */
static void read_guarded(reader *r) {
    if (setjmp(png_jmpbuf(r->png)) == 0)
        read_picture(r);
    else if (!r->status)
        r->status = TSR_ERROR_FORMAT;
}

tsr_status tsr_png_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                          const tsr_image_settings *settings, tsr_image *image) {
    reader r = {.ctx = ctx,
                .name = name,
                .at = bytes,
                .end = (const uint8_t *)bytes + size,
                .settings = settings,
                .image = image};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_read_error, on_warning);
    if (r.png) r.info = png_create_info_struct(r.png);
    if (!r.info)
        r.status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for libpng", name);
    else
        read_guarded(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    if (r.status) tsr_image_free(image);
    return r.status;
}
