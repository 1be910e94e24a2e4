/* SPDX-License-Identifier: MIT */
/* media.c: every picture that is no PNG, through libavcodec.
 *
 * The decoder is chosen by the bytes and gets the whole file as one packet: no demuxer, no
 * protocol, no network is ever involved. Damage ends the decoding instead of being painted over.
 * libav's log level is a global of the process and stays as it is; the decoder's own messages are
 * raised above every level instead, so that they never print. */
#include "media_convert.h"

#include <libavcodec/avcodec.h>
#include <libavutil/intreadwrite.h>
#include <limits.h>
#include <string.h>

typedef struct decoder {
    tsr_context *ctx;
    const char *name;
    const tsr_image_settings *settings;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int too_wide, too_high; /* the size that was refused while decoding */
} decoder;

static enum AVCodecID codec_of(tsr_picture_format format) {
    switch (format) {
    case TSR_FORMAT_JPEG:
        return AV_CODEC_ID_MJPEG;
    case TSR_FORMAT_WEBP:
        return AV_CODEC_ID_WEBP;
    case TSR_FORMAT_GIF:
        return AV_CODEC_ID_GIF;
    case TSR_FORMAT_BMP:
        return AV_CODEC_ID_BMP;
    case TSR_FORMAT_TIFF:
        return AV_CODEC_ID_TIFF;
    case TSR_FORMAT_PBM:
        return AV_CODEC_ID_PBM;
    case TSR_FORMAT_PGM:
        return AV_CODEC_ID_PGM;
    case TSR_FORMAT_PPM:
        return AV_CODEC_ID_PPM;
    case TSR_FORMAT_PAM:
        return AV_CODEC_ID_PAM;
    case TSR_FORMAT_QOI:
        return AV_CODEC_ID_QOI;
    case TSR_FORMAT_JPEG2000:
        return AV_CODEC_ID_JPEG2000;
    default:
        return AV_CODEC_ID_NONE;
    }
}

/* Headers may say one size outside and another inside: the real one is known here, before memory is
 * taken for it. */
static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags) {
    decoder *d = codec->opaque;
    if ((uint64_t)frame->width * (uint64_t)frame->height > d->settings->max_pixels) {
        d->too_wide = frame->width;
        d->too_high = frame->height;
        return AVERROR(ENOMEM);
    }
    return avcodec_default_get_buffer2(codec, frame, flags);
}

static tsr_status fail_av(decoder *d, int error) {
    if (d->too_wide)
        return tsr_fail(d->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted at most %llu pixels, got %dx%d", d->name,
                        (unsigned long long)d->settings->max_pixels, d->too_wide, d->too_high);
    const char *format = d->codec ? avcodec_get_name(d->codec->codec_id) : "picture";
    if (error == AVERROR(ENOMEM))
        return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory to decode it", d->name);
    if (error == AVERROR_PATCHWELCOME || error == AVERROR(ENOSYS))
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: a kind of %s that libavcodec cannot decode", d->name, format);
    return tsr_fail(d->ctx, TSR_ERROR_FORMAT,
                    "%s: wanted a whole %s picture, got damaged or missing data", d->name, format);
}

static tsr_status open_codec(decoder *d, tsr_picture_format format) {
    const AVCodec *codec = avcodec_find_decoder(codec_of(format));
    if (!codec)
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED, "%s: this libavcodec has no %s decoder",
                        d->name, avcodec_get_name(codec_of(format)));
    d->codec = avcodec_alloc_context3(codec);
    d->packet = av_packet_alloc();
    d->frame = av_frame_alloc();
    if (!d->codec || !d->packet || !d->frame) return fail_av(d, AVERROR(ENOMEM));
    d->codec->opaque = d;
    d->codec->get_buffer2 = get_buffer;
    d->codec->thread_count =
        1; /* many contexts may decode at once; the result is the same anyway */
    d->codec->log_level_offset =
        64; /* errors are 16, the last level is 56; 255 must not be passed */
    d->codec->err_recognition =
        AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE | AV_EF_CAREFUL;
    d->codec->error_concealment = 0;
    d->codec->flags |= AV_CODEC_FLAG_BITEXACT;
    d->codec->idct_algo = FF_IDCT_INT; /* the nearest to the JPEG library of libavcodec's */
    int error = avcodec_open2(d->codec, codec, NULL);
    return error < 0 ? fail_av(d, error) : TSR_OK;
}

/* libavcodec multiplies CMYK into RGB by itself, coarsely and not for subsampled chroma, when it
 * sees Adobe's marker or components named C, M, Y, K. With another marker and another name for K it
 * hands out the four planes as they are. */
static void hide_ink(uint8_t *b, size_t size, const tsr_probe *probe) {
    if (probe->components != 4) return;
    if (probe->adobe_at) b[probe->adobe_at] ^= 0x20;
    for (size_t at = 2; at + 4 <= size;) {
        uint8_t marker = b[at + 1];
        /* Between segments: padding, the data of a scan with its restart markers. */
        if (b[at] != 0xFF || marker == 0xFF || marker < 0xC0 ||
            (marker >= 0xD0 && marker <= 0xD9)) {
            ++at;
            continue;
        }
        size_t length = AV_RB16(b + at + 2);
        bool scan = marker == 0xDA;
        bool frame = marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        size_t count_at = at + (scan ? 4 : 9), step = scan ? 2 : 3;
        if ((scan || frame) && count_at < size)
            for (size_t i = 0, id = count_at + 1; i < b[count_at] && id < size; ++i, id += step)
                if (b[id] == 'K') b[id] = 'k';
        at += 2 + length;
    }
}

/* The TIFF decoder reports damage only in its strict mode, and there stumbles over every tag it
 * does not know, be it harmless. The directory keeps the tags that matter for pixels. */
static void hide_tags(uint8_t *b, size_t size) {
    static const uint16_t needed[] = {254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284,
                                      292, 293, 317, 320, 322, 323, 324, 325, 347, 530, 532};
    if (size < 8) return;
    const bool le = b[0] == 'I';
    const size_t at = le ? AV_RL32(b + 4) : AV_RB32(b + 4);
    if (at > size - 2) return;
    size_t count = le ? AV_RL16(b + at) : AV_RB16(b + at), kept = 0;
    if (count > (size - at - 2) / 12) return; /* cut: the decoder will say so */
    uint8_t *entries = b + at + 2;
    unsigned last = 0; /* tags ascend; of two equal ones the first was probed */
    for (size_t i = 0; i < count; ++i) {
        unsigned tag = le ? AV_RL16(entries + i * 12) : AV_RB16(entries + i * 12);
        for (size_t k = 0; k < sizeof needed / sizeof *needed; ++k) {
            if (tag != needed[k] || tag <= last) continue;
            last = tag;
            memmove(entries + kept++ * 12, entries + i * 12, 12);
            break;
        }
    }
    b[at + (le ? 0 : 1)] = (uint8_t)(kept & 0xFF);
    b[at + (le ? 1 : 0)] = (uint8_t)(kept >> 8);
}

static tsr_status decode(decoder *d, const void *bytes, size_t size, const tsr_probe *probe) {
    if (size > INT_MAX - AV_INPUT_BUFFER_PADDING_SIZE)
        return tsr_fail(d->ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d bytes, got %zu",
                        d->name, INT_MAX - AV_INPUT_BUFFER_PADDING_SIZE, size);
    int error = av_new_packet(d->packet, (int)size); /* with the padding decoders read into */
    if (error < 0) return fail_av(d, error);
    memcpy(d->packet->data, bytes, size);
    if (probe->format == TSR_FORMAT_JPEG) hide_ink(d->packet->data, size, probe);
    if (probe->format == TSR_FORMAT_TIFF) hide_tags(d->packet->data, size);
    d->packet->flags |= AV_PKT_FLAG_KEY;
    error = avcodec_send_packet(d->codec, d->packet);
    if (error >= 0) error = avcodec_send_packet(d->codec, NULL);
    if (error >= 0) error = avcodec_receive_frame(d->codec, d->frame);
    if (error < 0) return fail_av(d, error);
    if ((d->frame->flags & AV_FRAME_FLAG_CORRUPT) || d->frame->decode_error_flags)
        return fail_av(d, AVERROR_INVALIDDATA);
    return TSR_OK;
}

tsr_status tsr_media_decode(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            const tsr_probe *probe, const tsr_image_settings *settings,
                            tsr_image *image) {
    if (probe->animated)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a still picture, got an animated WebP", name);
    /* libavcodec would refuse these as well, but in its own words on the standard error. */
    const uint64_t w = probe->width, h = probe->height;
    if (w == 0 || h == 0)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: size: wanted at least 1x1, got %llux%llu", name,
                        (unsigned long long)w, (unsigned long long)h);
    if ((w * 8 + 1024) * (h + 128) >= INT_MAX)
        return tsr_fail(
            ctx, TSR_ERROR_TOO_LARGE,
            "%s: size: wanted what libavcodec can hold (about 2^28 pixels), got %llux%llu", name,
            (unsigned long long)w, (unsigned long long)h);
    if (probe->unfinished)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted a whole picture, got one without end mark", name);
    decoder d = {.ctx = ctx, .name = name, .settings = settings};
    tsr_status status = open_codec(&d, probe->format);
    if (!status) status = decode(&d, bytes, size, probe);
    if (!status) status = tsr_media_convert(ctx, name, d.frame, probe, settings, image);
    av_frame_free(&d.frame);
    av_packet_free(&d.packet);
    avcodec_free_context(&d.codec);
    return status;
}
