/* SPDX-License-Identifier: MIT */
/* image_read.c: from any picture file to upright 8-bit RGB. */
#include "../file.h"
#include "reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READER(name) extern const tsr_picture_reader tsr_reader_##name;
#include "readers.def"
#undef READER

static const tsr_picture_reader *const readers[] = {
#define READER(name) &tsr_reader_##name,
#include "readers.def"
#undef READER
};
enum { READERS = sizeof readers / sizeof *readers };

/* What people hand over as a picture and no reader here takes. */
static const struct {
    size_t at, length;
    const char *text, *what;
} strangers[] = {
    {0, 5, "%PDF-", "a PDF document"},
    {0, 4, "8BPS", "a Photoshop document"},
    {0, 4, "v/1\x01", "an OpenEXR picture"},
    {0, 10, "#?RADIANCE", "a Radiance HDR picture"},
    {0, 6, "#?RGBE", "a Radiance HDR picture"},
    {0, 4, "\0\0\1\0", "an icon (ICO)"},
    {0, 4, "DDS ", "a DDS texture"},
    {0, 4, "\x1a\x45\xdf\xa3", "a Matroska or WebM video"},
    {0, 4, "II\xbc\x01", "a JPEG XR picture"},
    {0, 4, "icns", "an icon (ICNS)"},
    {0, 4, "SIMP", "a FITS picture"},
    {0, 3, "Pf\n", "a floating-point PFM picture"},
    {0, 3, "PF\n", "a floating-point PFM picture"},
    {4, 8, "ftypisom", "an MP4 video"},
    {4, 8, "ftypmp42", "an MP4 video"},
    {4, 8, "ftypqt  ", "a QuickTime video"},
    {8, 4, "AVI ", "an AVI video"},
};

/* Turns the picture as its EXIF tag asks: pixel (x, y) of the upright picture is taken from
 * origin + x*step_x + y*step_y of the stored one. */
static tsr_status turn(tsr_context *ctx, const char *name, int orientation, tsr_image *image) {
    if (orientation == 1) return TSR_OK;
    const size_t w = (size_t)image->width, h = (size_t)image->height;
    bool swapped = orientation >= 5;
    const ptrdiff_t right = 1, down = (ptrdiff_t)w;
    /* by orientation: does upright x run against stored x (or y), and upright y? */
    static const bool against_x[9] = {0, 0, 1, 1, 0, 0, 1, 1, 0};
    static const bool against_y[9] = {0, 0, 0, 1, 1, 0, 0, 1, 1};
    ptrdiff_t step_x = swapped ? down : right, step_y = swapped ? right : down;
    ptrdiff_t last_x = (ptrdiff_t)(swapped ? h : w) - 1, last_y = (ptrdiff_t)(swapped ? w : h) - 1;
    ptrdiff_t origin = 0;
    if (against_x[orientation]) origin += last_x * step_x, step_x = -step_x;
    if (against_y[orientation]) origin += last_y * step_y, step_y = -step_y;

    uint8_t *turned = tsr_alloc(ctx, w * h, 3, name), *to = turned;
    if (!turned) return TSR_ERROR_MEMORY;
    for (ptrdiff_t y = 0; y <= last_y; ++y) {
        for (ptrdiff_t x = 0; x <= last_x; ++x, to += 3) {
            const uint8_t *from = image->rgb + 3 * (origin + x * step_x + y * step_y);
            to[0] = from[0], to[1] = from[1], to[2] = from[2];
        }
    }
    free(image->rgb);
    image->rgb = turned;
    image->width = (int)(last_x + 1);
    image->height = (int)(last_y + 1);
    return TSR_OK;
}

static const char *stranger(tsr_bytes b) {
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; ++i)
        if (tsr_bytes_have(b, strangers[i].at, strangers[i].text, strangers[i].length))
            return strangers[i].what;
    return NULL;
}

static tsr_status refuse_unknown(tsr_context *ctx, const char *name, tsr_bytes b) {
    if (b.size == 0)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: wanted a picture, got 0 bytes", name);
    const char *what = stranger(b);
    if (what)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a picture of a format that is read, got %s: convert it to PNG",
                        name, what);
    char formats[128] = "", text[40] = "", *to = text;
    for (size_t i = 0, at = 0; i < READERS; ++i)
        at += (size_t)snprintf(formats + at, sizeof formats - at, "%s%s", i ? ", " : "",
                               readers[i]->name);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < b.size && i < 8; ++i) {
        *to++ = ' ';
        *to++ = digits[b.p[i] >> 4];
        *to++ = digits[b.p[i] & 15];
    }
    return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted a picture (%s), got bytes that begin with%s",
                    name, formats, text);
}

tsr_probe tsr_picture_probe(const void *bytes, size_t size) {
    tsr_bytes b = {bytes, size};
    for (size_t i = 0; i < READERS; ++i) {
        if (!readers[i]->recognise(b)) continue;
        tsr_probe probe = {.reader = readers[i], .orientation = 1};
        readers[i]->probe(b, &probe);
        return probe;
    }
    return (tsr_probe){.orientation = 1};
}

tsr_status tsr_picture_refuse(const tsr_picture_decode *d, const char *advice, const char *what,
                              ...) {
    char text[256];
    va_list list;
    va_start(list, what);
    vsnprintf(text, sizeof text, what, list);
    va_end(list);
    return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED, "%s: %s is not read: %s", d->name, text,
                    advice ? advice : "convert it to PNG");
}

tsr_status tsr_picture_damaged(const tsr_picture_decode *d, tsr_status status, const char *what,
                               ...) {
    char text[256];
    va_list list;
    va_start(list, what);
    vsnprintf(text, sizeof text, what, list);
    va_end(list);
    for (char *c = text; *c; ++c) /* one line, whatever a library says */
        if ((unsigned char)*c < ' ') *c = ' ';
    return tsr_fail(d->ctx, status, "%s: %s: %s", d->name, d->probe->reader->name, text);
}

tsr_status tsr_picture_allocate(const tsr_picture_decode *d, uint64_t width, uint64_t height) {
    return tsr_image_allocate(d->ctx, d->name, width, height, d->settings, d->image);
}

void tsr_picture_row(const tsr_picture_decode *d, const uint8_t *from, int channels, size_t count,
                     uint8_t *to) {
    const uint8_t *background = d->settings->background;
    const bool alpha = (channels & 1) == 0 && !d->settings->drop_alpha;
    if (channels == 3) {
        memcpy(to, from, count * 3);
        return;
    }
    const int second = channels > 2 ? 1 : 0, third = channels > 2 ? 2 : 0;
    for (size_t x = 0; x < count; ++x, from += channels, to += 3) {
        const uint8_t v[3] = {from[0], from[second], from[third]};
        const unsigned a = alpha ? from[channels - 1] : 255;
        if (a == 255) {
            to[0] = v[0], to[1] = v[1], to[2] = v[2];
            continue;
        }
        d->image->had_alpha = true;
        for (int c = 0; c < 3; ++c)
            to[c] = tsr_composite(v[c], a, background[c]);
    }
}

void tsr_ink_to_rgb(const uint8_t cmyk[4], uint8_t rgb[3]) {
    const unsigned paper = 255u - cmyk[3];
    for (int c = 0; c < 3; ++c) {
        unsigned ink = cmyk[c] * paper + 128; /* / 255, rounded: never above `paper` */
        rgb[c] = (uint8_t)(paper - ((ink >> 8) + ink) / 256);
    }
}

/* Is there a decoder, and does the size that the header has fit the settings? */
static tsr_status check_header(const tsr_picture_decode *d) {
    const tsr_picture_reader *reader = d->probe->reader;
    if (!reader->decode)
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a picture that this build reads, got %s (this build was made "
                        "without %s; -D%s=ON brings it)",
                        d->name, reader->name, reader->name, reader->option);
    return tsr_image_check_size(d->ctx, d->name, d->probe->width, d->probe->height, d->settings);
}

/* What the header says is checked before a decoder sees the file. */
static tsr_status decode_stored(const tsr_picture_decode *d) {
    const tsr_status status = check_header(d);
    if (status) return status;
    if (d->probe->unfinished)
        return tsr_fail(d->ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted a whole picture, got one without end mark", d->name);
    return d->probe->reader->decode(d);
}

tsr_status tsr_image_recognise(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                               const tsr_image_settings *settings) {
    const tsr_probe probe = tsr_picture_probe(bytes, size);
    const tsr_picture_decode d = {
        .ctx = ctx, .name = name, .bytes = {bytes, size}, .settings = settings, .probe = &probe};
    return probe.reader ? check_header(&d) : refuse_unknown(ctx, name, d.bytes);
}

tsr_status tsr_image_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            const tsr_image_settings *settings, tsr_image *image) {
    *image = (tsr_image){0};
    tsr_image_settings defaults = tsr_image_settings_default();
    if (!settings) settings = &defaults;
    tsr_probe probe = tsr_picture_probe(bytes, size);
    tsr_picture_decode d = {.ctx = ctx,
                            .name = name,
                            .bytes = {bytes, size},
                            .settings = settings,
                            .probe = &probe,
                            .image = image};
    if (!probe.reader) return refuse_unknown(ctx, name, d.bytes);
    image->source = probe.reader->source;
    image->source_bits = 8;
    image->orientation = probe.orientation;
    tsr_status status = decode_stored(&d);
    if (!settings->apply_orientation) image->orientation = 1;
    if (!status) status = turn(ctx, name, image->orientation, image);
    if (status) tsr_image_free(image);
    return status;
}

tsr_status tsr_image_read(tsr_context *ctx, const char *path, const tsr_image_settings *settings,
                          tsr_image *image) {
    *image = (tsr_image){0};
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    status = tsr_image_decode(ctx, name, map.bytes, map.size, settings, image);
    if (!status && tsr_in_is_stream(path)) tsr_image_warn_of_more(ctx, name, map.bytes, map.size);
    tsr_map_close(&map);
    return status;
}
