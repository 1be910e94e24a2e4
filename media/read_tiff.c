/* SPDX-License-Identifier: MIT */
/* read_tiff.c: the first picture of a TIFF or BigTIFF through libtiff: which kinds are read, and
 * what is said of the others. tiff_samples.c turns their samples into RGB. */
#include "orientation.h"
#include "reader.h"

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "II*\0", 4) || tsr_bytes_have(b, 0, "MM\0*", 4) ||
           tsr_bytes_have(b, 0, "II+\0\x08\0\0\0", 8) || tsr_bytes_have(b, 0, "MM\0+\0\x08\0\0", 8);
}

/* Width, height and orientation of the first directory. */
static void probe_tiff(tsr_bytes b, tsr_probe *probe) {
    const bool le = b.p[0] == 'I', large = tsr_big(b, le ? 2 : 3, 1) == 43;
    uint32_t (*get)(tsr_bytes, size_t, int) = le ? tsr_little : tsr_big;
    /* Numbers of eight bytes: files of more than 4 GiB do not reach a probe in memory. */
    const size_t low = le ? 0 : 4, step = large ? 20 : 12;
    size_t at = large ? get(b, 8 + low, 4) : get(b, 4, 4);
    const uint32_t count = large ? get(b, at + low, 4) : get(b, at, 2);
    at += large ? 8 : 2;
    for (uint32_t i = 0; i < count && at + step <= b.size; ++i, at += step) {
        const uint32_t tag = get(b, at, 2), type = get(b, at + 2, 2);
        const size_t value_at = at + (large ? 12 : 8);
        const uint32_t value = type == 3    ? get(b, value_at, 2)
                               : type == 4  ? get(b, value_at, 4)
                               : type == 16 ? get(b, value_at + low, 4)
                                            : 0;
        if (tag == 256) probe->width = value;
        if (tag == 257) probe->height = value;
        if (tag == 274) probe->orientation = tsr_orientation_choose(value <= 8 ? (int)value : 9, 0);
    }
}

#ifdef TESSERA_WITH_TIFF
#include "tiff_samples.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- libtiff's doors: bytes in memory, and where its words go ---- */

typedef struct source {
    const tsr_picture_decode *d;
    size_t at;
    bool past_end;   /* something was looked for behind the end of the file */
    bool no_memory;  /* an allocation was refused as too large */
    char words[200]; /* of the first error */
} source;

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t size) {
    source *s = (source *)handle;
    tsr_bytes part = tsr_slice(s->d->bytes, s->at, (size_t)size);
    s->past_end |= part.size < (size_t)size;
    memcpy(to, part.p, part.size);
    s->at += part.size;
    return (tmsize_t)part.size;
}

static tmsize_t on_write(thandle_t handle, void *from, tmsize_t size) {
    (void)handle, (void)from, (void)size;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    source *s = (source *)handle;
    uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : s->d->bytes.size;
    uint64_t at = base + offset;
    s->past_end |= at > s->d->bytes.size;
    s->at = at < s->d->bytes.size ? (size_t)at : s->d->bytes.size;
    return at;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    return ((source *)handle)->d->bytes.size;
}

static int on_error(TIFF *tiff, void *user, const char *where, const char *format, va_list list) {
    (void)tiff, (void)where;
    source *s = user;
    if (!s->words[0]) vsnprintf(s->words, sizeof s->words, format, list);
    s->no_memory |= strstr(s->words, "memory") != NULL;
    return 1; /* said; the handlers of the process stay out of it */
}

static int on_warning(TIFF *tiff, void *user, const char *where, const char *format, va_list list) {
    (void)tiff, (void)user, (void)where, (void)format, (void)list;
    return 1;
}

static TIFF *open_tiff(source *s) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    /* A strip or tile of the largest picture that is allowed, eight bytes a pixel. */
    const uint64_t most = s->d->settings->max_pixels;
    uint64_t limit = (most < UINT64_MAX / 16 ? most * 8 : UINT64_MAX / 2) + (1 << 20);
    if (limit > PTRDIFF_MAX) limit = PTRDIFF_MAX;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)limit);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, s);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, s);
    /* m: no mapping, so that libtiff reads through on_read alone. */
    TIFF *tiff = TIFFClientOpenExt("picture", "rm", (thandle_t)s, on_read, on_write, on_seek,
                                   on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

static tsr_status fail_tiff(const source *s) {
    if (s->past_end)
        return tsr_picture_damaged(s->d, TSR_ERROR_TRUNCATED, "the file ends within the data");
    const char *words = s->words[0] ? s->words : "damaged or missing data";
    return tsr_picture_damaged(s->d, s->no_memory ? TSR_ERROR_TOO_LARGE : TSR_ERROR_FORMAT, "%s",
                               words);
}

/* ---- which kinds are read ---- */

static const char *compression_name(unsigned code) {
    static const struct {
        unsigned code;
        const char *name;
    } names[] = {{1, "none"},
                 {2, "CCITT RLE"},
                 {3, "CCITT group 3"},
                 {4, "CCITT group 4"},
                 {5, "LZW"},
                 {6, "old-style JPEG"},
                 {7, "JPEG"},
                 {8, "deflate"},
                 {9, "JBIG"},
                 {10, "JBIG"},
                 {32766, "NeXT"},
                 {32771, "CCITT RLE"},
                 {32773, "PackBits"},
                 {32809, "ThunderScan"},
                 {32946, "deflate"},
                 {33003, "JPEG 2000"},
                 {33005, "JPEG 2000"},
                 {34661, "JBIG"},
                 {34676, "SGI LogLuv"},
                 {34677, "SGI LogLuv"},
                 {34712, "JPEG 2000"},
                 {34713, "Nikon NEF"},
                 {34887, "LERC"},
                 {34892, "lossy JPEG of DNG"},
                 {34925, "LZMA"},
                 {34933, "PNG"},
                 {34934, "JPEG XR"},
                 {50000, "zstd"},
                 {50001, "WebP"},
                 {50002, "JPEG XL"},
                 {52546, "JPEG XL"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (names[i].code == code) return names[i].name;
    return "unknown";
}

static const char *photometric_name(unsigned code) {
    switch (code) {
    case PHOTOMETRIC_MASK:
        return "a transparency mask";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
        return "CIELAB colour";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV:
        return "LogLuv colour";
    case 32803:
    case 34892:
        return "camera raw data";
    default:
        return NULL;
    }
}

static tsr_status refuse_samples(const tsr_picture_decode *d, const tsr_tiff_layout *t) {
    static const char scale[] = "convert it to 8- or 16-bit unsigned samples, as PNG or TIFF";
    if (t->sample_format == SAMPLEFORMAT_IEEEFP)
        return tsr_picture_refuse(d, scale, "TIFF of %u-bit floating-point samples", t->bits);
    if (t->sample_format == SAMPLEFORMAT_INT)
        return tsr_picture_refuse(d, scale, "TIFF of %u-bit signed samples", t->bits);
    if (t->sample_format == SAMPLEFORMAT_COMPLEXINT ||
        t->sample_format == SAMPLEFORMAT_COMPLEXIEEEFP)
        return tsr_picture_refuse(d, scale, "TIFF of complex samples");
    if (t->bits < 1 || t->bits > 16)
        return tsr_picture_refuse(d, scale, "TIFF of %u-bit samples", t->bits);
    return TSR_OK;
}

static tsr_status refuse_kind(const tsr_picture_decode *d, const tsr_tiff_layout *t) {
    if (!TIFFIsCODECConfigured((uint16_t)t->compression) || t->compression == 34676 ||
        t->compression == 34677)
        return tsr_picture_refuse(d, NULL, "TIFF compression %u (%s)", t->compression,
                                  compression_name(t->compression));
    const char *name = photometric_name(t->photometric);
    if (name) return tsr_picture_refuse(d, NULL, "TIFF of %s", name);
    if (t->photometric > PHOTOMETRIC_YCBCR)
        return tsr_picture_refuse(d, NULL, "TIFF of photometric interpretation %u", t->photometric);
    tsr_status status = refuse_samples(d, t);
    if (status) return status;
    if (t->samples > TSR_TIFF_MOST_SAMPLES)
        return tsr_picture_refuse(d, NULL, "TIFF of %u samples a pixel", t->samples);
    if ((int)t->samples < t->colours)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "samples a pixel: wanted %d, got %u",
                                   t->colours, t->samples);
    if (t->photometric == PHOTOMETRIC_PALETTE && t->bits > 8)
        return tsr_picture_refuse(d, NULL, "TIFF of a palette with %u bits", t->bits);
    if (t->photometric == PHOTOMETRIC_SEPARATED && t->ink_set != INKSET_CMYK)
        return tsr_picture_refuse(d, NULL, "TIFF of inks other than CMYK");
    if (t->photometric == PHOTOMETRIC_YCBCR && t->bits != 8)
        return tsr_picture_refuse(d, NULL, "TIFF of YCbCr with %u bits", t->bits);
    return TSR_OK;
}

/* The number of bands that are colours; the extra sample that is transparency. */
static void find_bands(TIFF *tiff, tsr_tiff_layout *t) {
    uint16_t count = 0, *kinds = NULL;
    t->colours = t->photometric == PHOTOMETRIC_RGB || t->photometric == PHOTOMETRIC_YCBCR ? 3
                 : t->photometric == PHOTOMETRIC_SEPARATED                                ? 4
                                                                                          : 1;
    t->alpha = -1;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
    for (uint16_t i = 0; i < count && t->alpha < 0; ++i) {
        /* 0 is "something else", for instance infrared: left out. */
        if (kinds[i] != EXTRASAMPLE_ASSOCALPHA && kinds[i] != EXTRASAMPLE_UNASSALPHA) continue;
        if (t->colours + i >= (int)t->samples) break;
        t->alpha = t->colours + i;
        t->premultiplied = kinds[i] == EXTRASAMPLE_ASSOCALPHA;
    }
}

static tsr_status read_layout(const source *s, TIFF *tiff, tsr_tiff_layout *t) {
    uint16_t bits = 1, samples = 1, planar = PLANARCONFIG_CONTIG, format = 1, inks = INKSET_CMYK,
             photometric = 0, compression = COMPRESSION_NONE;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &t->width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &t->height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_INKSET, &inks);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    t->bits = bits, t->samples = samples, t->sample_format = format, t->ink_set = inks;
    t->photometric = photometric, t->compression = compression;
    t->separate = planar == PLANARCONFIG_SEPARATE && samples > 1;
    find_bands(tiff, t);
    tsr_status status =
        tsr_image_check_size(s->d->ctx, s->d->name, t->width, t->height, s->d->settings);
    if (!status) status = refuse_kind(s->d, t);
    if (status) return status;
    t->tiled = TIFFIsTiled(tiff) != 0;
    t->block_width = t->width;
    if (t->tiled) {
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &t->block_width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &t->block_height);
    } else {
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &t->block_height);
    }
    if (t->block_width < 1 || t->block_height < 1)
        return tsr_picture_damaged(s->d, TSR_ERROR_FORMAT, "tile: wanted at least 1x1, got %ux%u",
                                   t->block_width, t->block_height);
    if (!t->tiled && t->block_height > t->height) t->block_height = t->height;
    /* Tiles reach beyond the picture's edge; what they take is bounded as the picture is. */
    return tsr_image_check_size(s->d->ctx, s->d->name, t->block_width, t->block_height,
                                s->d->settings);
}

/* Data behind the end of the file: said before anything is decoded. */
static tsr_status check_whole(const source *s, TIFF *tiff) {
    const uint64_t size = s->d->bytes.size;
    const uint32_t count = TIFFIsTiled(tiff) ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
    for (uint32_t i = 0; i < count; ++i) {
        int failed = 0;
        const uint64_t at = TIFFGetStrileOffsetWithErr(tiff, i, &failed),
                       bytes = TIFFGetStrileByteCountWithErr(tiff, i, &failed);
        if (failed) return fail_tiff(s);
        if (at > size || bytes > size - at)
            return tsr_picture_damaged(
                s->d, TSR_ERROR_TRUNCATED, "wanted %llu bytes at %llu, got a file of %llu",
                (unsigned long long)bytes, (unsigned long long)at, (unsigned long long)size);
    }
    return TSR_OK;
}

static tsr_status decode_tiff(const tsr_picture_decode *d) {
    source s = {.d = d};
    TIFF *tiff = open_tiff(&s);
    if (!tiff) return fail_tiff(&s);
    tsr_tiff_layout layout = {0};
    tsr_status status = read_layout(&s, tiff, &layout);
    if (!status) status = check_whole(&s, tiff);
    if (!status) status = tsr_picture_allocate(d, layout.width, layout.height);
    d->image->source_bits = layout.bits > 8 ? 16 : 8;
    if (!status && !tsr_tiff_read(d, tiff, &layout, &status) && !status) status = fail_tiff(&s);
    TIFFClose(tiff);
    return status;
}
#define DECODE decode_tiff
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_tiff = {.name = "TIFF",
                                            .option = "TESSERA_TIFF",
                                            .source = TSR_SOURCE_TIFF,
                                            .recognise = recognise,
                                            .probe = probe_tiff,
                                            .decode = DECODE};
