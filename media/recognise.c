/* SPDX-License-Identifier: MIT */
/* recognise.c: which format the bytes of a picture file are in, and what their header says. */
#include "reader.h"

#include <stdio.h>

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

tsr_status tsr_picture_recognise(const tsr_picture_decode *d, tsr_probe *probe) {
    *probe = tsr_picture_probe(d->bytes.p, d->bytes.size);
    if (!probe->reader) return refuse_unknown(d->ctx, d->name, d->bytes);
    return check_header(d);
}

tsr_status tsr_image_recognise(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                               const tsr_image_settings *settings) {
    tsr_probe probe;
    const tsr_picture_decode d = {
        .ctx = ctx, .name = name, .bytes = {bytes, size}, .settings = settings, .probe = &probe};
    return tsr_picture_recognise(&d, &probe);
}
