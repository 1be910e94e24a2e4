/* SPDX-License-Identifier: MIT */
/* read_png.c: PNG through libpng.
 *
 * libpng reports errors by longjmp. Everything that must survive the jump lives in one struct of
 * the caller's frame, and the functions that call setjmp hold nothing else. */
#include "orientation.h"
#include "reader.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <zlib.h>

typedef struct reader {
    const tsr_picture_decode *d;
    const uint8_t *at, *end;
    png_structp png;
    png_infop info;
    uint8_t *rows;     /* decoded rows before conversion: one, or all of an interlaced picture */
    tsr_status status; /* why the jump */
} reader;

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "\x89PNG\r\n\x1a\n", 8);
}

/* ---- orientation: eXIf, otherwise ImageMagick's profile text; where these have no tag, XMP ----
 */

/* More text than this is not unpacked. */
enum { TEXT_LIMIT = 1 << 20 };

typedef struct text_chunk {
    tsr_bytes keyword, text;
    bool packed;
} text_chunk;

/* A tEXt, zTXt or iTXt chunk; an empty keyword where it is none of them. */
static text_chunk text_of(tsr_bytes type, tsr_bytes chunk) {
    text_chunk t = {0};
    const uint8_t *zero = chunk.size ? memchr(chunk.p, 0, chunk.size) : NULL;
    if (!zero) return t;
    t.keyword = tsr_slice(chunk, 0, (size_t)(zero - chunk.p));
    tsr_bytes rest = tsr_slice(chunk, t.keyword.size + 1, chunk.size);
    if (tsr_bytes_have(type, 0, "zTXt", 4)) {
        t.packed = true;
        t.text = tsr_slice(rest, 1, rest.size);
    } else if (tsr_bytes_have(type, 0, "iTXt", 4)) {
        t.packed = tsr_big(rest, 0, 1) != 0;
        t.text = tsr_slice(rest, 2, rest.size);
        for (int i = 0; i < 2; ++i) { /* language and translated keyword */
            zero = t.text.size ? memchr(t.text.p, 0, t.text.size) : NULL;
            if (!zero) return (text_chunk){0};
            t.text = tsr_slice(t.text, (size_t)(zero - t.text.p) + 1, t.text.size);
        }
    } else {
        t.text = rest;
    }
    return t;
}

static int orientation_of_text(const text_chunk *t, int (*look)(tsr_bytes)) {
    if (!t->packed) return look(t->text);
    uint8_t *unpacked = malloc(TEXT_LIMIT);
    if (!unpacked) return 0;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)t->text.p,
                  .avail_in = t->text.size < UINT32_MAX ? (uInt)t->text.size : UINT32_MAX,
                  .next_out = unpacked,
                  .avail_out = TEXT_LIMIT};
    int value = 0;
    if (inflateInit(&z) == Z_OK) {
        inflate(&z, Z_FINISH); /* what came out before an error counts */
        value = look((tsr_bytes){unpacked, TEXT_LIMIT - z.avail_out});
        inflateEnd(&z);
    }
    free(unpacked);
    return value;
}

static bool is_keyword(tsr_bytes keyword, const char *text) {
    return keyword.size == strlen(text) && memcmp(keyword.p, text, keyword.size) == 0;
}

static void probe_png(tsr_bytes b, tsr_probe *probe) {
    probe->width = tsr_big(b, 16, 4);
    probe->height = tsr_big(b, 20, 4);
    int exif = 0, profile = 0, xmp = 0;
    bool has_exif = false, has_profile = false, has_xmp = false;
    for (size_t at = 8; at + 8 <= b.size;) {
        size_t length = tsr_big(b, at, 4);
        tsr_bytes type = tsr_slice(b, at + 4, 4), chunk = tsr_slice(b, at + 8, length);
        at += 12 + length;
        if (tsr_bytes_have(type, 0, "IEND", 4)) break;
        if (tsr_bytes_have(type, 0, "eXIf", 4) && !has_exif) {
            has_exif = true;
            exif = tsr_exif_orientation(chunk);
        }
        if (!tsr_bytes_have(type, 1, "EXt", 3) && !tsr_bytes_have(type, 1, "TXt", 3)) continue;
        text_chunk t = text_of(type, chunk);
        if (!has_profile && (is_keyword(t.keyword, "Raw profile type exif") ||
                             is_keyword(t.keyword, "Raw profile type APP1"))) {
            has_profile = true;
            profile = orientation_of_text(&t, tsr_profile_text_orientation);
        } else if (!has_xmp && is_keyword(t.keyword, "XML:com.adobe.xmp")) {
            has_xmp = true;
            xmp = orientation_of_text(&t, tsr_xmp_orientation);
        }
    }
    probe->orientation = tsr_orientation_choose(has_exif ? exif : profile, xmp);
}

/* ---- pixels ---- */

static void on_error(png_structp png, png_const_charp text) {
    reader *r = png_get_error_ptr(png);
    /* libpng's texts may hold bytes of the file. */
    if (!r->status) r->status = tsr_picture_damaged(r->d, TSR_ERROR_FORMAT, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t size) {
    reader *r = png_get_io_ptr(png);
    if ((size_t)(r->end - r->at) < size) {
        r->status = tsr_picture_damaged(r->d, TSR_ERROR_TRUNCATED, "wanted %zu more bytes, got %zu",
                                        size, (size_t)(r->end - r->at));
        png_error(png, "truncated");
    }
    memcpy(to, r->at, size);
    r->at += size;
}

/* Allocates or jumps. */
static void *take(reader *r, size_t count, size_t size) {
    void *p = tsr_alloc(r->d->ctx, count, size, r->d->name);
    if (!p) {
        r->status = TSR_ERROR_MEMORY;
        png_error(r->png, "memory");
    }
    return p;
}

/* 16-bit grey, as Pillow turns it into RGB: everything above 255 is white. */
static void clip_row(const uint8_t *from, size_t count, uint8_t *to) {
    for (size_t x = 0; x < count; ++x, from += 2, to += 3)
        to[0] = to[1] = to[2] = from[0] ? 255 : from[1];
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
    bool clip = r->d->settings->pillow_grey16 && depth == 16 && colour == PNG_COLOR_TYPE_GRAY;
    r->d->image->source_bits = colour == PNG_COLOR_TYPE_PALETTE ? 8 : depth;

    if (!clip) png_set_expand(png); /* palette to RGB, small grey to 8 bits, tRNS to alpha */
    if (depth == 16 && !clip) png_set_strip_16(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info);
    size_t row_bytes = png_get_rowbytes(png, info);

    r->status = tsr_picture_allocate(r->d, width, height);
    if (r->status) png_error(png, "size");
    r->rows = take(r, passes > 1 ? height : 1, row_bytes);
    for (int pass = 0; pass < passes; ++pass) {
        for (uint32_t y = 0; y < height; ++y) {
            uint8_t *row = r->rows + (passes > 1 ? y * row_bytes : 0);
            uint8_t *to = r->d->image->rgb + (size_t)y * width * 3;
            png_read_row(png, row, NULL);
            if (pass + 1 < passes) continue;
            if (clip)
                clip_row(row, width, to);
            else
                tsr_picture_row(r->d, row, channels, width, to);
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

static tsr_status decode_png(const tsr_picture_decode *d) {
    reader r = {.d = d, .at = d->bytes.p, .end = d->bytes.p + d->bytes.size};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    if (r.png) r.info = png_create_info_struct(r.png);
    if (!r.info)
        r.status = tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libpng", d->name);
    else
        read_guarded(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    return r.status;
}

const tsr_picture_reader tsr_reader_png = {.name = "PNG",
                                           .source = TSR_SOURCE_PNG,
                                           .recognise = recognise,
                                           .probe = probe_png,
                                           .decode = decode_png};
