/* SPDX-License-Identifier: MIT */
/* read_webp.c: WebP through libwebp. */
#include "orientation.h"
#include "reader.h"

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "RIFF", 4) && tsr_bytes_have(b, 8, "WEBP", 4);
}

static void probe_webp(tsr_bytes b, tsr_probe *probe) {
    bool has_exif = false, has_xmp = false;
    int exif = 0, xmp = 0;
    for (size_t at = 12; at + 8 <= b.size;) {
        size_t length = tsr_little(b, at + 4, 4);
        tsr_bytes chunk = tsr_slice(b, at + 8, length);
        uint32_t word = tsr_little(chunk, 1, 4);
        if (tsr_bytes_have(b, at, "VP8X", 4) && !probe->width) {
            probe->width = tsr_little(chunk, 4, 3) + 1;
            probe->height = tsr_little(chunk, 7, 3) + 1;
        } else if (tsr_bytes_have(b, at, "VP8 ", 4) && !probe->width) {
            probe->width = tsr_little(chunk, 6, 2) & 0x3FFF;
            probe->height = tsr_little(chunk, 8, 2) & 0x3FFF;
        } else if (tsr_bytes_have(b, at, "VP8L", 4) && !probe->width) {
            probe->width = (word & 0x3FFF) + 1;
            probe->height = (word >> 14 & 0x3FFF) + 1;
        } else if (tsr_bytes_have(b, at, "EXIF", 4) && !has_exif) {
            has_exif = true;
            exif = tsr_exif_orientation(chunk);
        } else if (tsr_bytes_have(b, at, "XMP ", 4) && !has_xmp) {
            has_xmp = true;
            xmp = tsr_xmp_orientation(chunk);
        }
        at += 8 + length + (length & 1);
    }
    probe->orientation = tsr_orientation_choose(exif, xmp);
}

#ifdef TESSERA_WITH_WEBP
#include <stdlib.h>
#include <webp/decode.h>

static tsr_status fail_webp(const tsr_picture_decode *d, VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libwebp", d->name);
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the data");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return tsr_picture_refuse(d, NULL, "this kind of WebP");
    default:
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "wanted a whole picture, got damaged data");
    }
}

static tsr_status decode_webp(const tsr_picture_decode *d) {
    tsr_bytes b = d->bytes;
    if (tsr_bytes_have(b, 12, "VP8X", 4) && tsr_big(b, 20, 1) & 2)
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a still picture, got an animated WebP", d->name);
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED, "%s: libwebp is of another version",
                        d->name);
    VP8StatusCode code = WebPGetFeatures(b.p, b.size, &config.input);
    if (code != VP8_STATUS_OK) return fail_webp(d, code);
    const size_t width = (size_t)config.input.width, height = (size_t)config.input.height;
    const int channels = config.input.has_alpha ? 4 : 3;
    tsr_status status = tsr_picture_allocate(d, width, height);
    if (status) return status;
    uint8_t *pixels = d->image->rgb, *own = NULL;
    if (channels == 4 && !(pixels = own = tsr_alloc(d->ctx, width * height, 4, d->name)))
        return TSR_ERROR_MEMORY;
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = (int)width * channels;
    config.output.u.RGBA.size = width * height * (size_t)channels;
    code = WebPDecode(b.p, b.size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK)
        status = fail_webp(d, code);
    else if (own)
        tsr_picture_row(d, own, 4, width * height, d->image->rgb);
    free(own);
    return status;
}
#define DECODE decode_webp
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_webp = {.name = "WebP",
                                            .option = "TESSERA_WEBP",
                                            .source = TSR_SOURCE_WEBP,
                                            .recognise = recognise,
                                            .probe = probe_webp,
                                            .decode = DECODE};
