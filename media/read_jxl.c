/* SPDX-License-Identifier: MIT */
/* read_jxl.c: JPEG XL through libjxl, on one thread of a process of its own: as Debian builds it
 * the library prints what it finds wrong, and some of its checks end the process. It turns the
 * picture upright. */
#include "apart.h"

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "\xff\x0a", 2) ||
           tsr_bytes_have(b, 0, "\0\0\0\x0cJXL \r\n\x87\n", 12);
}

/* The header is packed bit by bit; the library reads it before it takes memory for pixels. */
static void probe_jxl(tsr_bytes b, tsr_probe *probe) {
    (void)b, (void)probe;
}

#ifdef TESSERA_WITH_JXL
#include <jxl/decode.h>
#include <stdlib.h>

typedef struct reader {
    const tsr_picture_decode *d;
    JxlDecoder *jxl;
    uint32_t channels;
    uint8_t *pixels; /* RGBA; NULL: straight into the picture */
    size_t count;
} reader;

static tsr_status damaged(const reader *r) {
    return tsr_picture_damaged(r->d, TSR_ERROR_FORMAT, "wanted a whole picture, got damaged data");
}

static tsr_status on_header(reader *r) {
    const tsr_picture_decode *d = r->d;
    JxlBasicInfo info;
    if (JxlDecoderGetBasicInfo(r->jxl, &info) != JXL_DEC_SUCCESS) return damaged(r);
    tsr_status status = tsr_image_check_size(d->ctx, d->name, info.xsize, info.ysize, d->settings);
    if (status) return status;
    if (info.have_animation)
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a still picture, got an animated JPEG XL", d->name);
    for (uint32_t i = 0; i < info.num_extra_channels; ++i) {
        JxlExtraChannelInfo extra;
        if (JxlDecoderGetExtraChannelInfo(r->jxl, i, &extra) == JXL_DEC_SUCCESS &&
            extra.type == JXL_CHANNEL_BLACK)
            return tsr_picture_refuse(d, NULL, "JPEG XL of CMYK colour");
    }
    status = tsr_picture_allocate(d, info.xsize, info.ysize);
    if (status) return status;
    d->image->source_bits = info.bits_per_sample > 8 ? 16 : 8;
    r->channels = info.alpha_bits ? 4 : 3;
    r->count = (size_t)info.xsize * info.ysize;
    if (r->channels == 4 && !(r->pixels = tsr_alloc(d->ctx, r->count, 4, d->name)))
        return TSR_ERROR_MEMORY;
    return TSR_OK;
}

static tsr_status give_buffer(reader *r) {
    const JxlPixelFormat format = {r->channels, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
    size_t size = 0;
    if (!r->channels || JxlDecoderImageOutBufferSize(r->jxl, &format, &size) != JXL_DEC_SUCCESS ||
        size != r->count * r->channels)
        return damaged(r);
    void *to = r->pixels ? r->pixels : r->d->image->rgb;
    return JxlDecoderSetImageOutBuffer(r->jxl, &format, to, size) == JXL_DEC_SUCCESS ? TSR_OK
                                                                                     : damaged(r);
}

/* Goes through the decoder's events up to the whole first frame. */
static tsr_status read_picture(reader *r) {
    const tsr_picture_decode *d = r->d;
    if (JxlDecoderSubscribeEvents(r->jxl, JXL_DEC_BASIC_INFO | JXL_DEC_FULL_IMAGE) ||
        JxlDecoderSetKeepOrientation(r->jxl, !d->settings->apply_orientation) ||
        JxlDecoderSetUnpremultiplyAlpha(r->jxl, JXL_TRUE) ||
        JxlDecoderSetInput(r->jxl, d->bytes.p, d->bytes.size))
        return damaged(r);
    JxlDecoderCloseInput(r->jxl);
    for (;;) {
        tsr_status status = TSR_OK;
        switch (JxlDecoderProcessInput(r->jxl)) {
        case JXL_DEC_BASIC_INFO:
            status = on_header(r);
            break;
        case JXL_DEC_NEED_IMAGE_OUT_BUFFER:
            status = give_buffer(r);
            break;
        case JXL_DEC_FULL_IMAGE:
            if (r->pixels) tsr_picture_row(d, r->pixels, 4, r->count, d->image->rgb);
            return TSR_OK;
        case JXL_DEC_NEED_MORE_INPUT:
            return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the data");
        default:
            return damaged(r);
        }
        if (status) return status;
    }
}

static tsr_status decode_here(const tsr_picture_decode *d) {
    reader r = {.d = d, .jxl = JxlDecoderCreate(NULL)};
    if (!r.jxl) return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libjxl", d->name);
    tsr_status status = read_picture(&r);
    JxlDecoderDestroy(r.jxl);
    free(r.pixels);
    return status;
}
static tsr_status decode_jxl(const tsr_picture_decode *d) {
    return tsr_decode_apart(d, decode_here);
}
#define DECODE decode_jxl
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_jxl = {.name = "JPEG XL",
                                           .option = "TESSERA_JXL",
                                           .source = TSR_SOURCE_OTHER,
                                           .recognise = recognise,
                                           .probe = probe_jxl,
                                           .decode = DECODE};
