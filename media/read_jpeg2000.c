/* SPDX-License-Identifier: MIT */
/* read_jpeg2000.c: JPEG 2000, in boxes or as a bare codestream, through OpenJPEG. */
#include "reader.h"

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "\0\0\0\x0cjP  \r\n\x87\n", 12) ||
           tsr_bytes_have(b, 0, "\xff\x4f\xff\x51", 4);
}

/* The codestream's SIZ segment, which stands early also when boxes surround it. */
static tsr_bytes siz_of(tsr_bytes b) {
    const uint8_t *found = memmem(b.p, b.size, "\xff\x4f\xff\x51", 4);
    return found ? tsr_slice(b, (size_t)(found - b.p) + 4, b.size) : (tsr_bytes){b.p, 0};
}

typedef struct siz {
    uint32_t right, bottom, left, top, tile_width, tile_height, components;
} siz;

static siz read_siz(tsr_bytes b) {
    b = siz_of(b);
    return (siz){tsr_big(b, 4, 4),  tsr_big(b, 8, 4),  tsr_big(b, 12, 4), tsr_big(b, 16, 4),
                 tsr_big(b, 20, 4), tsr_big(b, 24, 4), tsr_big(b, 36, 2)};
}

static void probe_jpeg2000(tsr_bytes b, tsr_probe *probe) {
    siz s = read_siz(b);
    if (s.right > s.left) probe->width = s.right - s.left;
    if (s.bottom > s.top) probe->height = s.bottom - s.top;
}

#ifdef TESSERA_WITH_JPEG2000
#include <openjpeg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct source {
    const tsr_picture_decode *d;
    size_t at;
    char words[200]; /* of the first error */
} source;

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T size, void *user) {
    source *s = user;
    tsr_bytes part = tsr_slice(s->d->bytes, s->at, size);
    if (part.size == 0) return (OPJ_SIZE_T)-1;
    memcpy(to, part.p, part.size);
    s->at += part.size;
    return part.size;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T count, void *user) {
    source *s = user;
    if (count < 0 || (uint64_t)count > s->d->bytes.size - s->at) return -1;
    s->at += (size_t)count;
    return count;
}

static OPJ_BOOL on_seek(OPJ_OFF_T at, void *user) {
    source *s = user;
    if (at < 0 || (uint64_t)at > s->d->bytes.size) return OPJ_FALSE;
    s->at = (size_t)at;
    return OPJ_TRUE;
}

static void on_error(const char *text, void *user) {
    source *s = user;
    if (!s->words[0]) snprintf(s->words, sizeof s->words, "%s", text);
}

static void on_words(const char *text, void *user) {
    (void)text, (void)user;
}

static tsr_status fail_jpeg2000(const source *s) {
    tsr_bytes b = s->d->bytes;
    /* A codestream ends with its own mark; boxes may follow it. */
    if (!b.size || !memmem(b.p, b.size, "\xff\xd9", 2))
        return tsr_picture_damaged(s->d, TSR_ERROR_TRUNCATED, "the file ends within the data");
    return tsr_picture_damaged(s->d, TSR_ERROR_FORMAT, "%s",
                               s->words[0] ? s->words : "damaged or missing data");
}

/* What OpenJPEG would take memory for before it looks at a single pixel. */
static tsr_status check_siz(const tsr_picture_decode *d) {
    const siz s = read_siz(d->bytes);
    if (siz_of(d->bytes).size < 38)
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the header");
    if (d->probe->width < 1 || d->probe->height < 1 || s.tile_width < 1 || s.tile_height < 1)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "size: wanted at least 1x1, got %ux%u",
                                   d->probe->width, d->probe->height);
    if (s.components < 1)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "components: wanted at least 1, got 0");
    if (s.components > 4)
        return tsr_picture_refuse(d, NULL, "JPEG 2000 of %u components", s.components);
    const uint64_t across = ((uint64_t)s.right + s.tile_width - 1) / s.tile_width,
                   down = ((uint64_t)s.bottom + s.tile_height - 1) / s.tile_height,
                   pixels = (uint64_t)d->probe->width * d->probe->height;
    if (across * down > 1024 && across * down > pixels / 256)
        return tsr_fail(d->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: tiles: wanted at least 256 pixels in each, got %llu tiles", d->name,
                        (unsigned long long)(across * down));
    return TSR_OK;
}

/* A sample of any precision as 8 bits, rounded as Pillow does it; the brightest stays brightest,
 * where Pillow's would wrap round to black. */
static uint8_t sample_of(const opj_image_comp_t *c, int64_t value) {
    const int shift = (int)c->prec - 8;
    if (c->sgnd) value += (int64_t)1 << (c->prec - 1);
    if (shift > 0)
        value = (value + ((int64_t)1 << (shift - 1))) >> shift;
    else
        value = value * (1 << -shift);
    return value < 0 ? 0 : value < 255 ? (uint8_t)value : 255;
}

/* 16-bit grey as Pillow turns it into RGB: spread over 16 bits and cut at 255. */
static uint8_t clip_sample(const opj_image_comp_t *c, int64_t value) {
    if (c->sgnd) value += (int64_t)1 << (c->prec - 1);
    if (c->prec <= 16) value *= 1 << (16 - c->prec);
    return value < 0 ? 0 : value < 255 ? (uint8_t)value : 255;
}

/* YCbCr to RGB in fixed point with six bits of fraction, as Pillow has it. */
static void from_ycc(uint8_t p[3]) {
    const int y = p[0], cb = p[1] - 128, cr = p[2] - 128;
    const int v[3] = {
        y + ((int)(1.402 * 64 * cr + 0.5) >> 6),
        y + (((int)(-0.34414 * 64 * cb + 0.5) + (int)(-0.71414 * 64 * cr + 0.5)) >> 6),
        y + ((int)(1.772 * 64 * cb + 0.5) >> 6)};
    for (int c = 0; c < 3; ++c)
        p[c] = v[c] < 0 ? 0 : v[c] < 255 ? (uint8_t)v[c] : 255;
}

static void convert(const tsr_picture_decode *d, const opj_image_t *image, bool ycc) {
    const uint32_t width = image->x1 - image->x0, height = image->y1 - image->y0;
    const int channels = (int)image->numcomps;
    const bool clip = d->settings->pillow_grey16 && channels == 1 && image->comps[0].prec > 8;
    for (uint32_t y = 0; y < height; ++y) {
        for (uint32_t x = 0; x < width; ++x) {
            uint8_t sample[4];
            for (int c = 0; c < channels; ++c) {
                const opj_image_comp_t *comp = &image->comps[c];
                uint32_t cx = x / comp->dx, cy = y / comp->dy;
                if (cx >= comp->w) cx = comp->w - 1;
                if (cy >= comp->h) cy = comp->h - 1;
                int64_t value = comp->data[(size_t)cy * comp->w + cx];
                sample[c] = clip ? clip_sample(comp, value) : sample_of(comp, value);
            }
            if (ycc) from_ycc(sample);
            tsr_picture_row(d, sample, channels, 1, d->image->rgb + ((size_t)y * width + x) * 3);
        }
    }
}

static tsr_status put_picture(const tsr_picture_decode *d, const opj_image_t *image) {
    const uint32_t n = image->numcomps;
    if (n < 1 || n > 4) return tsr_picture_refuse(d, NULL, "JPEG 2000 of %u components", n);
    if (image->color_space == OPJ_CLRSPC_CMYK || image->color_space == OPJ_CLRSPC_EYCC)
        return tsr_picture_refuse(d, NULL, "JPEG 2000 of %s colour",
                                  image->color_space == OPJ_CLRSPC_CMYK ? "CMYK" : "e-YCC");
    bool subsampled = false;
    for (uint32_t c = 0; c < n; ++c) {
        const opj_image_comp_t *comp = &image->comps[c];
        if (!comp->data || comp->w < 1 || comp->h < 1 || comp->dx < 1 || comp->dy < 1)
            return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "component %u has no samples", c);
        if (comp->prec < 1 || comp->prec > 32)
            return tsr_picture_refuse(d, NULL, "JPEG 2000 of %u bits a sample", comp->prec);
        if (c == 1 || c == 2) subsampled |= comp->dx > 1 || comp->dy > 1;
    }
    const bool known =
        image->color_space == OPJ_CLRSPC_SRGB || image->color_space == OPJ_CLRSPC_GRAY;
    d->image->source_bits = image->comps[0].prec > 8 ? 16 : 8;
    convert(d, image, n >= 3 && (image->color_space == OPJ_CLRSPC_SYCC || (subsampled && !known)));
    return TSR_OK;
}

static tsr_status read_picture(source *s, opj_codec_t *codec, opj_stream_t *stream,
                               opj_image_t **image) {
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_error_handler(codec, on_error, s);
    opj_set_warning_handler(codec, on_words, s);
    opj_set_info_handler(codec, on_words, s);
    opj_stream_set_user_data(stream, s, NULL);
    opj_stream_set_user_data_length(stream, s->d->bytes.size);
    opj_stream_set_read_function(stream, on_read);
    opj_stream_set_skip_function(stream, on_skip);
    opj_stream_set_seek_function(stream, on_seek);
    if (!opj_setup_decoder(codec, &parameters) || !opj_codec_set_threads(codec, 1) ||
        !opj_read_header(stream, codec, image))
        return fail_jpeg2000(s);
    tsr_status status =
        tsr_picture_allocate(s->d, (*image)->x1 - (*image)->x0, (*image)->y1 - (*image)->y0);
    if (status) return status;
    if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream))
        return fail_jpeg2000(s);
    return put_picture(s->d, *image);
}

static tsr_status decode_jpeg2000(const tsr_picture_decode *d) {
    tsr_status status = check_siz(d);
    if (status) return status;
    source s = {.d = d};
    opj_codec_t *codec =
        opj_create_decompress(d->bytes.p[0] == 0xFF ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
    opj_image_t *image = NULL;
    if (codec && stream)
        status = read_picture(&s, codec, stream, &image);
    else
        status = tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for OpenJPEG", d->name);
    opj_image_destroy(image);
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    return status;
}
#define DECODE decode_jpeg2000
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_jpeg2000 = {.name = "JPEG 2000",
                                                .option = "TESSERA_JPEG2000",
                                                .source = TSR_SOURCE_OTHER,
                                                .recognise = recognise,
                                                .probe = probe_jpeg2000,
                                                .decode = DECODE};
