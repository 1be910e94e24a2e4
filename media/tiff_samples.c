/* SPDX-License-Identifier: MIT */
/* tiff_samples.c: samples of a TIFF to RGB. Up to 8 bits are spread over 0..255; of more bits the
 * highest eight count, as Pillow does it for colour. YCbCr goes through libtiff's own conversion
 * (or libjpeg's where JPEG is inside), which knows subsampling and ReferenceBlackWhite. */
#ifdef TESSERA_WITH_TIFF
#include "tiff_samples.h"

#include <stdlib.h>

typedef struct reader {
    const tsr_picture_decode *d;
    TIFF *tiff;
    const tsr_tiff_layout *t;
    uint8_t *block;  /* one strip or tile as libtiff gives it */
    uint8_t *pixels; /* the same block: `bands` samples of 8 bits a pixel */
    int bands;       /* colours, and alpha behind them */
    uint8_t palette[256][3];
    uint8_t scale[256]; /* samples of up to 8 bits */
    bool clip;          /* 16-bit grey as Pillow cuts it */
} reader;

/* ---- one sample of any number of bits ---- */

static unsigned sample_at(const reader *r, const uint8_t *row, size_t index) {
    const unsigned bits = r->t->bits;
    if (bits == 8) return row[index];
    if (bits == 16) { /* in the order of this machine */
        uint16_t v;
        memcpy(&v, row + 2 * index, 2);
        return v;
    }
    unsigned value = 0;
    for (size_t bit = index * bits, end = bit + bits; bit < end; ++bit)
        value = value << 1 | (row[bit / 8] >> (7 - bit % 8) & 1);
    return value;
}

static uint8_t to_8_bits(const reader *r, unsigned value) {
    if (r->t->bits <= 8) return r->scale[value];
    if (r->clip) return value > 255 ? 255 : (uint8_t)value;
    return (uint8_t)(value >> (r->t->bits - 8));
}

/* `count` pixels of a row of the block; with separate bands `plane` is the band it holds. */
static void spread_row(const reader *r, const uint8_t *row, int plane, size_t count, uint8_t *to) {
    const tsr_tiff_layout *t = r->t;
    const int per_pixel = t->separate ? 1 : (int)t->samples;
    const bool in_order = t->alpha < 0 || t->alpha == t->colours;
    if (t->bits == 8 && !t->separate && per_pixel == r->bands && in_order) {
        memcpy(to, row, count * (size_t)per_pixel);
        return;
    }
    for (int band = 0; band < r->bands; ++band) {
        int from = band < t->colours ? band : t->alpha;
        if (t->separate && from != plane) continue;
        size_t index = t->separate ? 0 : (size_t)from;
        for (size_t x = 0; x < count; ++x, index += (size_t)per_pixel)
            to[x * (size_t)r->bands + (size_t)band] = to_8_bits(r, sample_at(r, row, index));
    }
}

/* ---- 8-bit bands to RGB ---- */

static uint8_t divide_alpha(unsigned value, unsigned alpha) {
    unsigned straight = alpha ? value * 255 / alpha : 0;
    return straight < 255 ? (uint8_t)straight : 255;
}

/* Colours that were multiplied by alpha: nothing is divided where they lie on a background. */
static void put_premultiplied(const tsr_picture_decode *d, const uint8_t v[3], unsigned alpha,
                              uint8_t *to) {
    d->image->had_alpha |= alpha != 255 && !d->settings->drop_alpha;
    for (int c = 0; c < 3; ++c) {
        unsigned under = (d->settings->background[c] * (255 - alpha) + 127) / 255 + v[c];
        to[c] = d->settings->drop_alpha ? divide_alpha(v[c], alpha)
                : under < 255           ? (uint8_t)under
                                        : 255;
    }
}

static void put_pixel(const reader *r, const uint8_t *bands, uint8_t *to) {
    const tsr_tiff_layout *t = r->t;
    uint8_t rgba[4];
    switch (t->photometric) {
    case PHOTOMETRIC_MINISWHITE:
        /* Pillow forgets to turn the 16-bit kind round. */
        memset(rgba, r->clip ? bands[0] : 255 - bands[0], 3);
        break;
    case PHOTOMETRIC_MINISBLACK:
        memset(rgba, bands[0], 3);
        break;
    case PHOTOMETRIC_PALETTE:
        memcpy(rgba, r->palette[bands[0]], 3);
        break;
    case PHOTOMETRIC_SEPARATED:
        tsr_ink_to_rgb(bands, rgba);
        break;
    default:
        memcpy(rgba, bands, 3);
    }
    rgba[3] = t->alpha < 0 ? 255 : bands[t->colours];
    if (t->premultiplied && t->alpha >= 0)
        put_premultiplied(r->d, rgba, rgba[3], to);
    else
        tsr_picture_row(r->d, rgba, 4, 1, to);
}

static void put_row(const reader *r, const uint8_t *bands, size_t count, uint8_t *to) {
    const tsr_tiff_layout *t = r->t;
    const bool plain = t->photometric == PHOTOMETRIC_RGB ||
                       t->photometric == PHOTOMETRIC_MINISBLACK ||
                       t->photometric == PHOTOMETRIC_YCBCR;
    if (plain && !(t->premultiplied && t->alpha >= 0)) {
        tsr_picture_row(r->d, bands, r->bands, count, to);
        return;
    }
    for (size_t i = 0; i < count; ++i)
        put_pixel(r, bands + i * (size_t)r->bands, to + 3 * i);
}

/* ---- blocks ---- */

/* Strip or tile with its upper left corner at (x, y). */
static bool read_block(reader *r, uint32_t x, uint32_t y, int plane, tmsize_t size) {
    if (r->t->tiled) return TIFFReadTile(r->tiff, r->block, x, y, 0, (uint16_t)plane) >= 0;
    uint32_t strip = TIFFComputeStrip(r->tiff, y, (uint16_t)plane);
    return TIFFReadEncodedStrip(r->tiff, strip, r->block, size) >= 0;
}

static bool read_blocks(reader *r, tmsize_t size, tmsize_t row_bytes) {
    const tsr_tiff_layout *t = r->t;
    const size_t stride = (size_t)t->block_width * (size_t)r->bands;
    for (uint32_t y = 0; y < t->height; y += t->block_height) {
        const uint32_t rows = t->block_height < t->height - y ? t->block_height : t->height - y;
        for (uint32_t x = 0; x < t->width; x += t->block_width) {
            const uint32_t count = t->block_width < t->width - x ? t->block_width : t->width - x;
            for (int plane = 0; plane < (t->separate ? (int)t->samples : 1); ++plane) {
                if (t->separate && plane >= t->colours && plane != t->alpha) continue;
                if (!read_block(r, x, y, plane, size)) return false;
                for (uint32_t k = 0; k < rows; ++k)
                    spread_row(r, r->block + k * (size_t)row_bytes, plane, count,
                               r->pixels + k * stride);
            }
            for (uint32_t k = 0; k < rows; ++k) {
                uint8_t *to = r->d->image->rgb + ((size_t)(y + k) * t->width + x) * 3;
                put_row(r, r->pixels + k * stride, count, to);
            }
        }
    }
    return true;
}

static bool read_samples(reader *r, tsr_status *status) {
    const tsr_tiff_layout *t = r->t;
    const tmsize_t size = t->tiled ? TIFFTileSize(r->tiff) : TIFFStripSize(r->tiff),
                   row_bytes = t->tiled ? TIFFTileRowSize(r->tiff) : TIFFScanlineSize(r->tiff);
    /* libtiff's own count of bytes must be the one that is walked over here. */
    const uint64_t row_bits = (uint64_t)t->block_width * t->bits * (t->separate ? 1 : t->samples);
    if (size <= 0 || (uint64_t)row_bytes < (row_bits + 7) / 8 ||
        (uint64_t)size < (uint64_t)row_bytes * t->block_height)
        return false;
    r->block = tsr_alloc(r->d->ctx, (size_t)size, 1, r->d->name);
    if (r->block)
        r->pixels = tsr_alloc(r->d->ctx, (size_t)t->block_width * t->block_height, (size_t)r->bands,
                              r->d->name);
    if (!r->pixels) {
        *status = TSR_ERROR_MEMORY;
        return false;
    }
    return read_blocks(r, size, row_bytes);
}

/* ---- palette, YCbCr ---- */

static bool read_palette(reader *r) {
    uint16_t *map[3];
    if (!TIFFGetField(r->tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2])) return false;
    const unsigned count = 1u << r->t->bits;
    unsigned highest = 0;
    for (int c = 0; c < 3; ++c)
        for (unsigned i = 0; i < count; ++i)
            if (map[c][i] > highest) highest = map[c][i];
    /* Values of 16 bits; some writers stored 8. */
    for (int c = 0; c < 3; ++c)
        for (unsigned i = 0; i < count; ++i)
            r->palette[i][c] = (uint8_t)(highest < 256 ? map[c][i] : map[c][i] >> 8);
    return true;
}

/* Rows of whole blocks, as libtiff turns them into RGB. */
static bool read_converted(reader *r, tsr_status *status) {
    const tsr_tiff_layout *t = r->t;
    char words[1024] = "";
    TIFFRGBAImage image;
    if (!TIFFRGBAImageOK(r->tiff, words) || !TIFFRGBAImageBegin(&image, r->tiff, 1, words)) {
        *status = tsr_picture_refuse(r->d, NULL, "this kind of YCbCr TIFF (%s)", words);
        return false;
    }
    image.orientation = image.req_orientation = ORIENTATION_TOPLEFT; /* as stored */
    const uint32_t step = t->block_height < t->height ? t->block_height : t->height;
    uint32_t *raster = tsr_alloc(r->d->ctx, (size_t)t->width * step, 4, r->d->name);
    bool good = raster != NULL;
    if (!good) *status = TSR_ERROR_MEMORY;
    for (uint32_t y = 0; y < t->height && good; y += step) {
        const uint32_t rows = step < t->height - y ? step : t->height - y;
        image.row_offset = (int)y;
        image.col_offset = 0;
        good = TIFFRGBAImageGet(&image, raster, t->width, rows) != 0;
        for (size_t i = 0; i < (size_t)rows * t->width && good; ++i) {
            uint8_t *to = r->d->image->rgb + ((size_t)y * t->width + i) * 3;
            to[0] = (uint8_t)TIFFGetR(raster[i]);
            to[1] = (uint8_t)TIFFGetG(raster[i]);
            to[2] = (uint8_t)TIFFGetB(raster[i]);
        }
    }
    free(raster);
    TIFFRGBAImageEnd(&image);
    return good;
}

bool tsr_tiff_read(const tsr_picture_decode *d, TIFF *tiff, const tsr_tiff_layout *t,
                   tsr_status *status) {
    const unsigned most = t->bits <= 8 ? (1u << t->bits) - 1 : 255;
    reader r = {.d = d,
                .tiff = tiff,
                .t = t,
                .bands = t->colours + (t->alpha >= 0),
                .clip = d->settings->pillow_grey16 && t->bits > 8 && t->colours == 1};
    const bool indices = t->photometric == PHOTOMETRIC_PALETTE;
    for (unsigned i = 0; i <= most; ++i)
        r.scale[i] = (uint8_t)(indices ? i : i * 255 / most);
    if (indices && !read_palette(&r)) return false;
    bool good;
    if (t->photometric == PHOTOMETRIC_YCBCR && t->compression == COMPRESSION_JPEG && !t->separate) {
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        good = read_samples(&r, status);
    } else if (t->photometric == PHOTOMETRIC_YCBCR) {
        good = read_converted(&r, status);
    } else {
        good = read_samples(&r, status);
    }
    free(r.block);
    free(r.pixels);
    return good;
}
#endif
