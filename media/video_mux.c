/* SPDX-License-Identifier: MIT */
/* video_mux.c: see video_mux.h. Bytes go through tsr_out, so that a file has its final name only
 * when it is complete. */
#include "video_mux.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUFFER = 1 << 16,
    THREADS = 4, /* of an encoder: x264's bytes depend on their number, so the machine's does not
                    decide it */
    SLICES = 4   /* of FFV1, whose number would follow that of the threads */
};

tsr_status tsr_mux_fail(const tsr_mux *mux, const char *what, int error) {
    if (mux->io_status) return mux->io_status;
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(error, text, sizeof text);
    return tsr_fail(mux->job->ctx,
                    error == AVERROR(ENOMEM)   ? TSR_ERROR_MEMORY
                    : error == AVERROR(ENOSPC) ? TSR_ERROR_NO_SPACE
                                               : TSR_ERROR_IO,
                    "%s: %s: %s", mux->job->name, what, text);
}

/* ---- bytes: FFmpeg's calls to write and to go back ------------------------------------------ */

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t written_byte;
#else
typedef uint8_t written_byte;
#endif

/* Bytes up to the end are changed, those behind it appended; a gap in between is zeros. */
static int write_bytes(void *opaque, written_byte *bytes, int size) {
    tsr_mux *mux = opaque;
    static const uint8_t zeros[256];
    tsr_status s = mux->io_status;
    while (!s && mux->at > mux->out.written) {
        const uint64_t gap = mux->at - mux->out.written;
        s = tsr_out_write(mux->job->ctx, &mux->out, zeros, gap < 256 ? (size_t)gap : 256);
    }
    const uint64_t over = mux->out.written - mux->at;
    const size_t changed = over < (uint64_t)size ? (size_t)over : (size_t)size;
    if (!s && changed) s = tsr_out_change(mux->job->ctx, &mux->out, mux->at, bytes, changed);
    if (!s && (size_t)size > changed)
        s = tsr_out_write(mux->job->ctx, &mux->out, bytes + changed, (size_t)size - changed);
    mux->io_status = s;
    mux->at += (uint64_t)size;
    return s ? AVERROR(EIO) : size;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence) {
    tsr_mux *mux = opaque;
    if (whence & AVSEEK_SIZE) return (int64_t)mux->out.written;
    switch (whence & ~AVSEEK_FORCE) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        offset += (int64_t)mux->at;
        break;
    case SEEK_END:
        offset += (int64_t)mux->out.written;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (offset < 0) return AVERROR(EINVAL);
    mux->at = (uint64_t)offset;
    return offset;
}

static tsr_status open_bytes(tsr_mux *mux) {
    tsr_context *ctx = mux->job->ctx;
    const tsr_status s = tsr_out_open(ctx, mux->job->name, &mux->out);
    if (s) return s;
    mux->open = true;
    const bool can_change = tsr_out_can_change(&mux->out);
    uint8_t *buffer = av_malloc(BUFFER);
    if (buffer)
        mux->io = avio_alloc_context(buffer, BUFFER, 1, mux, NULL, write_bytes,
                                     can_change ? seek_bytes : NULL);
    if (!mux->io) {
        av_free(buffer);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its buffer", mux->job->name);
    }
    /* To move the index of an mp4 to its front, FFmpeg reads the file again by this name. */
    char *url = NULL;
    if (asprintf(&url, "file:%s", can_change ? mux->out.temporary : mux->job->name) < 0)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", mux->job->name);
    mux->format->url = av_strdup(url);
    free(url);
    mux->format->pb = mux->io;
    mux->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    return TSR_OK;
}

/* ---- the encoder ---------------------------------------------------------------------------- */

/* Tags of the pixels. Primaries and transfer of pictures are those of sRGB, whatever the matrix:
 * its primaries are BT.709's. */
static void tag_colour(const tsr_video_job *job, enum AVPixelFormat samples, AVCodecContext *c) {
    static const enum AVColorSpace spaces[] = {AVCOL_SPC_UNSPECIFIED, AVCOL_SPC_SMPTE170M,
                                               AVCOL_SPC_BT709, AVCOL_SPC_BT2020_NCL};
    const bool yuv = samples == AV_PIX_FMT_YUV420P;
    if (samples == AV_PIX_FMT_PAL8) return;
    c->colorspace = yuv ? spaces[job->matrix] : AVCOL_SPC_RGB;
    c->color_range =
        yuv && job->range != TSR_VIDEO_RANGE_FULL ? AVCOL_RANGE_MPEG : AVCOL_RANGE_JPEG;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = yuv ? AVCOL_TRC_BT709 : AVCOL_TRC_IEC61966_2_1;
    if (yuv) c->chroma_sample_location = AVCHROMA_LOC_CENTER; /* that of the box average */
}

/* Private options of the encoders, by the names they have in ffmpeg. */
static void encoder_options(const tsr_video_job *job, const char *encoder, AVCodecContext *c,
                            AVDictionary **o) {
    c->thread_count = THREADS;
    if (!strncmp(encoder, "libx264", 7)) {
        av_dict_set(o, "preset", job->preset, 0);
        if (job->lossless)
            av_dict_set_int(o, "qp", 0, 0);
        else
            av_dict_set_int(o, "crf", job->crf, 0);
        c->max_b_frames = strcmp(job->muxer, "nut") ? 2 : 0; /* NUT has no times before 0 */
        c->flags |= AV_CODEC_FLAG_CLOSED_GOP;
    } else if (!strcmp(encoder, "libvpx-vp9")) {
        av_dict_set(o, "deadline", "good", 0);
        av_dict_set_int(o, "cpu-used", 4, 0);
        if (job->lossless)
            av_dict_set_int(o, "lossless", 1, 0);
        else
            av_dict_set_int(o, "crf", job->crf, 0);
        c->bit_rate = 0;
    } else if (!strcmp(encoder, "ffv1")) {
        c->level = 3;
        c->slices = SLICES;
        c->gop_size = 1;
        av_dict_set_int(o, "slicecrc", 1, 0);
    }
}

static tsr_status open_encoder(tsr_mux *mux, const char *name, enum AVPixelFormat samples,
                               int width, int height) {
    const tsr_video_job *job = mux->job;
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec)
        return tsr_fail(job->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: codec: wanted an FFmpeg with the encoder %s, got one without",
                        job->name, name);
    AVCodecContext *c = mux->encoder = avcodec_alloc_context3(codec);
    if (!c) return tsr_mux_fail(mux, "encoder", AVERROR(ENOMEM));
    const int64_t seconds2 = 2 * job->rate.num / job->rate.den; /* frames between key frames */
    c->width = width;
    c->height = height;
    c->pix_fmt = samples;
    c->time_base = (AVRational){(int)job->time_base.num, (int)job->time_base.den};
    c->framerate = (AVRational){(int)job->rate.num, (int)job->rate.den};
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->gop_size = seconds2 < 12 ? 12 : seconds2 > 250 ? 250 : (int)seconds2;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (mux->format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    tag_colour(job, samples, c);
    AVDictionary *options = NULL;
    encoder_options(job, name, c, &options);
    const int error = avcodec_open2(c, codec, &options);
    av_dict_free(&options);
    return error < 0 ? tsr_mux_fail(mux, name, error) : TSR_OK;
}

/* ---- the container -------------------------------------------------------------------------- */

static tsr_status begin_file(tsr_mux *mux) {
    AVDictionary *options = NULL;
    AVStream *stream = mux->stream = avformat_new_stream(mux->format, NULL);
    if (!stream || !(mux->packet = av_packet_alloc()))
        return tsr_mux_fail(mux, "stream", AVERROR(ENOMEM));
    int error = avcodec_parameters_from_context(stream->codecpar, mux->encoder);
    if (error < 0) return tsr_mux_fail(mux, "stream", error);
    stream->time_base = mux->encoder->time_base;
    if (mux->job->rate_known)
        stream->avg_frame_rate = stream->r_frame_rate = mux->encoder->framerate;
    stream->sample_aspect_ratio = mux->encoder->sample_aspect_ratio;
    if (!strcmp(mux->job->muxer, "mp4"))
        av_dict_set(&options, "movflags",
                    tsr_out_can_change(&mux->out) ? "+faststart"
                                                  : "+frag_keyframe+empty_moov+default_base_moof",
                    0);
    const tsr_video_job *job = mux->job;
    if (mux->encoder->width != (int)job->width || mux->encoder->height != (int)job->height) {
        char text[80];
        snprintf(text, sizeof text, "picture %ux%u, last column or row repeated", job->width,
                 job->height);
        av_dict_set(&mux->format->metadata, "comment", text, 0);
    }
    error = avformat_write_header(mux->format, &options);
    av_dict_free(&options);
    mux->begun = error >= 0;
    return error < 0 ? tsr_mux_fail(mux, "header", error) : TSR_OK;
}

tsr_status tsr_mux_open(tsr_mux *mux, const tsr_video_job *job, const char *encoder_name,
                        enum AVPixelFormat samples, int width, int height) {
    *mux = (tsr_mux){.job = job, .out = {.fd = -1}};
    /* FFmpeg's log is one for the process and goes to stderr unless somebody changed it. */
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
    const int error = avformat_alloc_output_context2(&mux->format, NULL, job->muxer, NULL);
    if (error < 0)
        return error == AVERROR(ENOMEM)
                   ? tsr_mux_fail(mux, "container", error)
                   : tsr_fail(job->ctx, TSR_ERROR_UNSUPPORTED,
                              "%s: format: wanted an FFmpeg that writes %s, got one that does not",
                              job->name, job->muxer);
    tsr_status s = open_encoder(mux, encoder_name, samples, width, height);
    if (!s) s = open_bytes(mux);
    if (!s) s = begin_file(mux);
    return s;
}

static int64_t duration_of(const tsr_mux *mux, int64_t pts) {
    for (int i = 0; i < TSR_MUX_DELAY; ++i)
        if (mux->sent[i].duration && mux->sent[i].pts == pts) return mux->sent[i].duration;
    return 0;
}

/* Hands on every packet that is ready. */
static tsr_status write_packets(tsr_mux *mux) {
    for (;;) {
        int error = avcodec_receive_packet(mux->encoder, mux->packet);
        if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return TSR_OK;
        if (error < 0) return tsr_mux_fail(mux, "encode", error);
        mux->packet->stream_index = mux->stream->index;
        mux->packet->duration = duration_of(mux, mux->packet->pts);
        av_packet_rescale_ts(mux->packet, mux->encoder->time_base, mux->stream->time_base);
        error = av_write_frame(mux->format, mux->packet);
        av_packet_unref(mux->packet);
        if (error < 0 || mux->io_status) return tsr_mux_fail(mux, "write", error);
    }
}

tsr_status tsr_mux_put(tsr_mux *mux, AVFrame *frame, int64_t duration) {
    mux->sent[mux->frames % TSR_MUX_DELAY].pts = frame->pts;
    mux->sent[mux->frames % TSR_MUX_DELAY].duration = duration;
    mux->frames++;
    const int error = avcodec_send_frame(mux->encoder, frame);
    return error < 0 ? tsr_mux_fail(mux, "encode", error) : write_packets(mux);
}

tsr_status tsr_mux_finish(tsr_mux *mux, tsr_video_write_report *report) {
    int error = avcodec_send_frame(mux->encoder, NULL);
    tsr_status s = error < 0 ? tsr_mux_fail(mux, "encode", error) : write_packets(mux);
    if (s) return s;
    mux->begun = false;
    error = av_write_trailer(mux->format);
    avio_flush(mux->io);
    if (error < 0 || mux->io_status) return tsr_mux_fail(mux, "end of the file", error);
    report->bytes = mux->out.written;
    report->coded_width = (uint32_t)mux->encoder->width;
    report->coded_height = (uint32_t)mux->encoder->height;
    snprintf(report->samples, sizeof report->samples, "%s",
             av_get_pix_fmt_name(mux->encoder->pix_fmt));
    s = tsr_out_commit(mux->job->ctx, &mux->out);
    mux->open = false;
    return s;
}

void tsr_mux_close(tsr_mux *mux) {
    if (mux->begun && !strcmp(mux->job->muxer, "gif")) {       /* keeps a packet up to its end */
        if (!mux->io_status) mux->io_status = TSR_ERROR_STATE; /* nothing is written any more */
        av_write_trailer(mux->format);
    }
    mux->begun = false;
    avcodec_free_context(&mux->encoder);
    av_packet_free(&mux->packet);
    avformat_free_context(mux->format);
    mux->format = NULL;
    if (mux->io) {
        av_freep(&mux->io->buffer);
        avio_context_free(&mux->io);
    }
    if (mux->open) tsr_out_abandon(&mux->out);
    mux->open = false;
}
