/* SPDX-License-Identifier: MIT */
/* read_video.c: videos through FFmpeg's libavformat and libavcodec.
 *
 * Packets go to the decoder in the order of the file and frames come out in the order in which they
 * are shown; frames that an edit list hides, and those that only others refer to, never come out.
 * Damage ends a strict video: a packet that is cut or whose check sum is wrong is not decoded, the
 * decoder gives what it still holds of the time before, and the rest is told. Errors before the
 * first frame are those of pictures without their references (an open group of pictures, a first
 * key frame that is missing): they are not shown and are no damage, unless a key frame itself is
 * bad. */
#include "video.h"

#ifdef TESSERA_WITH_VIDEO
#include "av.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct av_video {
    tsr_video_opening o;
    tsr_av_input in;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    tsr_av_pixels pixels;
    tsr_av_deinterlacer *deinterlacer;
    int stream, orientation;
    bool drained;      /* the decoder was told that nothing more comes */
    bool flushed;      /* so was the deinterlacer */
    bool wait_for_key; /* behind a seek: what comes before the first key frame lacks references */
    uint64_t shown;    /* frames that came out */
    int64_t next_pts;  /* of a frame that has none: where the one before ends */
    tsr_status damage; /* what is told behind the last whole frame */
    char what[256];
    int64_t damaged_pts; /* frames from here on are not whole; TSR_NO_TIME: not known */
    bool passed_damage;  /* lenient: frames from here on may have suffered */
    int64_t last_end;    /* of all packets of the stream: where the last ends */
    bool open_end;       /* a packet does not say how long it is shown: the end is not known */
    int64_t last_byte;   /* behind the last packet */
} av_video;

/* ---- damage ------------------------------------------------------------------------------------
 */

/* Notes damage; what was noted first stands. */
static void TSR_PRINTF(2, 3) note_damage(av_video *v, const char *format, ...) {
    va_list list;
    if (v->damage) return;
    va_start(list, format);
    vsnprintf(v->what, sizeof v->what, format, list);
    va_end(list);
    v->damage = TSR_ERROR_DAMAGED;
    if (v->o.settings->lenient)
        tsr_video_remark(v->o.remarks, "%s: damaged: %s", v->o.input->name, v->what);
}

static tsr_status tell_damage(av_video *v) {
    if (!v->damage) return TSR_OK;
    return tsr_fail(v->o.ctx, v->shown ? v->damage : TSR_ERROR_TRUNCATED,
                    "%s: %s; %llu whole frames came before", v->o.input->name, v->what,
                    (unsigned long long)v->shown);
}

/* Is the file shorter than its header says? Only streams that stand alone are asked: sound may go
 * on longer than pictures. */
static void look_for_missing_end(av_video *v) {
    const AVFormatContext *f = v->in.format;
    const AVStream *s = f->streams[v->stream];
    const char *kind = f->iformat->name;
    const int64_t size = v->in.at;
    if ((!strcmp(kind, "yuv4mpegpipe") || !strcmp(kind, "rawvideo")) && v->last_byte >= 0 &&
        size > v->last_byte) {
        note_damage(v, "the file ends within a frame (%lld bytes of it are there)",
                    (long long)(size - v->last_byte));
        return;
    }
    if (f->nb_streams != 1 || f->duration == AV_NOPTS_VALUE || v->last_end == TSR_NO_TIME ||
        v->open_end || f->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE ||
        !v->o.info->has_times)
        return;
    const double base = av_q2d(s->time_base), rate = av_q2d(s->avg_frame_rate);
    /* Durations are counted from the first frame or from 0: the shorter counts. */
    double start = f->start_time == AV_NOPTS_VALUE ? 0 : (double)f->start_time / AV_TIME_BASE;
    if (start > 0) start = 0;
    const double missing = start + (double)f->duration / AV_TIME_BASE - (double)v->last_end * base;
    if (missing > 0.1 && missing * (rate > 0 ? rate : 25) > 2)
        note_damage(v, "the file is short: its header says %.3f s, and %.3f s of them are missing",
                    (double)f->duration / AV_TIME_BASE, missing);
}

/* ---- packets -----------------------------------------------------------------------------------
 */

/* Tells the decoder that nothing more comes. */
static void drain(av_video *v) {
    if (!v->drained) avcodec_send_packet(v->decoder, NULL);
    v->drained = true;
}

static void note_packet(av_video *v) {
    const AVPacket *p = v->packet;
    const int64_t at = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
    if (at != AV_NOPTS_VALUE && at + p->duration > v->last_end) v->last_end = at + p->duration;
    if (p->duration <= 0) v->open_end = true;
    if (p->pos >= 0) v->last_byte = avio_tell(v->in.io);
}

/* An error of the decoder, with the packet at hand. Returns false where it is no damage. */
static bool is_damage(const av_video *v) {
    return v->shown > 0 || (v->packet->flags & AV_PKT_FLAG_KEY);
}

/* Reads one packet and hands it to the decoder. */
static tsr_status feed(av_video *v) {
    const int read = av_read_frame(v->in.format, v->packet);
    if (v->in.failed) {
        errno = v->in.error;
        return tsr_fail_errno(v->o.ctx, "%s: reading", v->o.input->name);
    }
    if (read == AVERROR(ENOMEM))
        return tsr_av_fail(v->o.ctx, TSR_ERROR_MEMORY, v->o.input->name, "reading", read);
    if (read < 0) {
        if (read != AVERROR_EOF) {
            char text[AV_ERROR_MAX_STRING_SIZE] = "";
            av_strerror(read, text, sizeof text);
            note_damage(v, "reading stopped within the file (%s)", text);
        } else
            look_for_missing_end(v);
        drain(v);
        return TSR_OK;
    }
    if (v->packet->stream_index == v->stream) {
        if (v->packet->flags & AV_PKT_FLAG_CORRUPT) {
            if (v->damaged_pts == TSR_NO_TIME && v->packet->pts != AV_NOPTS_VALUE)
                v->damaged_pts = v->packet->pts;
            note_damage(v, "a frame of the file is cut");
            v->passed_damage = true;
        }
        note_packet(v);
        if (v->damage && !v->o.settings->lenient)
            drain(v);
        else {
            const int sent = avcodec_send_packet(v->decoder, v->packet);
            if (sent == AVERROR(ENOMEM))
                return tsr_av_fail(v->o.ctx, TSR_ERROR_MEMORY, v->o.input->name, "decoding", sent);
            if (sent < 0 && sent != AVERROR(EAGAIN) && sent != AVERROR_EOF && is_damage(v)) {
                note_damage(v, "a frame cannot be decoded");
                v->passed_damage = true;
                if (!v->o.settings->lenient) drain(v);
            }
        }
    }
    av_packet_unref(v->packet);
    return TSR_OK;
}

/* ---- frames ------------------------------------------------------------------------------------
 */

/* Receives the next frame of the decoder; *end: there is none. */
static tsr_status receive(av_video *v, bool *end) {
    for (;;) {
        const int got = avcodec_receive_frame(v->decoder, v->frame);
        if (!got) return TSR_OK;
        if (got == AVERROR_EOF) {
            *end = true;
            return TSR_OK;
        }
        if (got == AVERROR(ENOMEM))
            return tsr_av_fail(v->o.ctx, TSR_ERROR_MEMORY, v->o.input->name, "decoding", got);
        if (got != AVERROR(EAGAIN)) {
            if (v->shown) {
                note_damage(v, "a frame cannot be decoded");
                v->passed_damage = true;
                *end = !v->o.settings->lenient;
                if (*end) return TSR_OK;
            }
            if (!v->drained) continue;
            *end = true;
            return TSR_OK;
        }
        const tsr_status s = feed(v);
        if (s) return s;
    }
}

/* Whether the frame at hand may hold pixels that the decoder made up. */
static bool is_concealed(const AVFrame *f) {
    return (f->flags & AV_FRAME_FLAG_CORRUPT) || f->decode_error_flags;
}

/* Whether a frame that was decoded is shown; *end: it is damaged, and the video ends before it. */
static bool may_be_shown(av_video *v, bool *end) {
    const int64_t pts = v->frame->best_effort_timestamp;
    if (v->wait_for_key && !TSR_AV_KEY(v->frame)) return false;
    v->wait_for_key = false;
    if (v->o.settings->lenient) return true;
    if (is_concealed(v->frame)) {
        if (!v->shown) return false; /* a leading picture without its references */
        note_damage(v, "a frame cannot be decoded as a whole");
        *end = true;
    }
    if (v->damaged_pts != TSR_NO_TIME && pts != AV_NOPTS_VALUE && pts >= v->damaged_pts)
        *end = true;
    return true;
}

/* The next frame that is shown, deinterlaced at need. */
static tsr_status next_frame(av_video *v, bool *end) {
    for (bool got = false;;) {
        if (!v->flushed) {
            const tsr_status s = receive(v, end);
            if (s) return s;
            if (!*end && !may_be_shown(v, end)) continue;
        }
        if (!v->o.settings->deinterlace) return TSR_OK;
        const bool over = v->flushed || *end;
        const tsr_status s =
            tsr_av_deinterlace(v->o.ctx, v->o.input->name, &v->deinterlacer, v->frame, over,
                               v->in.format->streams[v->stream]->time_base, &got);
        v->flushed = over;
        *end = over && !got;
        if (s || got || over) return s;
    }
}

static void fill_facts(av_video *v, tsr_video_frame *to) {
    const AVFrame *f = v->frame;
    const int64_t pts = f->best_effort_timestamp, duration = TSR_AV_DURATION(f);
    to->pts = pts == AV_NOPTS_VALUE ? TSR_NO_TIME : pts;
    if (!v->o.info->has_times)
        to->pts = TSR_NO_TIME;
    else if (to->pts == TSR_NO_TIME)
        to->pts = v->next_pts;
    to->duration = duration > 0 ? duration : 0;
    v->next_pts = to->pts == TSR_NO_TIME ? TSR_NO_TIME : to->pts + to->duration;
    to->type = av_get_picture_type_char(f->pict_type);
    /* Where the codec names no type, FFmpeg's versions disagree about keys. */
    to->key = f->pict_type != AV_PICTURE_TYPE_NONE && TSR_AV_KEY(f);
    to->interlaced = TSR_AV_INTERLACED(f);
    to->top_first = TSR_AV_TOP_FIRST(f);
    to->damaged = v->passed_damage || is_concealed(f);
}

/* The size of a frame whose pixels are not made. */
static void turn_size(const av_video *v, tsr_video_frame *f) {
    const bool swap = v->orientation >= 5;
    f->width = (uint32_t)(swap ? v->frame->height : v->frame->width);
    f->height = (uint32_t)(swap ? v->frame->width : v->frame->height);
}

static tsr_status next(void *state, tsr_video_slot *slot, bool *end) {
    av_video *v = state;
    *end = false;
    tsr_status s = next_frame(v, end);
    if (s) return s;
    if (*end) return tell_damage(v);
    const uint64_t pixels = (uint64_t)v->frame->width * (uint64_t)v->frame->height;
    if (pixels > v->o.settings->max_pixels)
        return tsr_fail(v->o.ctx, TSR_ERROR_TOO_LARGE,
                        "%s: frame: wanted at most %llu pixels, got %d x %d", v->o.input->name,
                        (unsigned long long)v->o.settings->max_pixels, v->frame->width,
                        v->frame->height);
    if (v->o.tap) {
        const tsr_video_planes planes = tsr_av_planes(v->frame);
        v->o.tap(v->o.tap_user, &planes);
    }
    slot->frame = (tsr_video_frame){0};
    fill_facts(v, &slot->frame);
    if (v->o.settings->facts_only) {
        s = tsr_av_pixels_measure(&v->pixels, v->frame, slot);
        turn_size(v, &slot->frame);
    } else {
        const tsr_av_color color = tsr_av_color_of(v->o.settings, v->frame->format,
                                                   v->frame->colorspace, v->frame->color_range);
        s = tsr_av_pixels_make(&v->pixels, v->frame, color.matrix, color.range, slot);
        if (!s) s = tsr_video_slot_turn(v->o.ctx, slot, v->orientation);
    }
    ++v->shown;
    av_frame_unref(v->frame);
    return s;
}

/* ---- opening, seeking, closing -----------------------------------------------------------------
 */

static tsr_status open_decoder(av_video *v) {
    const AVStream *stream = v->in.format->streams[v->stream];
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec)
        return tsr_fail(v->o.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a codec that this FFmpeg decodes, got %s", v->o.input->name,
                        avcodec_get_name(stream->codecpar->codec_id));
    v->decoder = avcodec_alloc_context3(codec);
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    if (!v->decoder || !v->packet || !v->frame)
        return tsr_fail(v->o.ctx, TSR_ERROR_MEMORY, "%s: no memory for FFmpeg", v->o.input->name);
    int error = avcodec_parameters_to_context(v->decoder, stream->codecpar);
    v->decoder->pkt_timebase = stream->time_base;
    /* With more threads the decoders of H.264, HEVC and MPEG-4 see other damage, and see it
     * elsewhere: where such a video ends would depend on their number. */
    const bool many = codec->id == AV_CODEC_ID_AV1 || codec->id == AV_CODEC_ID_VP9;
    v->decoder->thread_count = many ? v->o.settings->threads : 1;
    v->decoder->max_pixels =
        (int64_t)(v->o.settings->max_pixels < INT64_MAX ? v->o.settings->max_pixels : INT64_MAX);
    if (!v->o.settings->lenient)
        v->decoder->err_recognition =
            AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    if (error >= 0) error = avcodec_open2(v->decoder, codec, NULL);
    return error < 0 ? tsr_av_fail(v->o.ctx, TSR_ERROR_FORMAT, v->o.input->name, codec->name, error)
                     : TSR_OK;
}

static void forget(av_video *v) {
    v->drained = v->flushed = v->passed_damage = v->wait_for_key = false;
    v->damage = TSR_OK;
    v->damaged_pts = v->next_pts = v->last_end = TSR_NO_TIME;
    v->last_byte = -1;
}

static tsr_status open_parts(av_video *v) {
    tsr_status s = tsr_av_input_open(&v->o, &v->in);
    if (s) return s;
    v->stream = tsr_av_choose_stream(v->in.format);
    if (v->stream < 0 || !v->in.format->streams[v->stream]->codecpar->width)
        return tsr_fail(v->o.ctx, TSR_ERROR_FORMAT, "%s: wanted a video stream, got none",
                        v->o.input->name);
    const AVCodecParameters *p = v->in.format->streams[v->stream]->codecpar;
    if ((uint64_t)p->width * (uint64_t)p->height > v->o.settings->max_pixels)
        return tsr_fail(v->o.ctx, TSR_ERROR_TOO_LARGE,
                        "%s: frame: wanted at most %llu pixels, got %d x %d", v->o.input->name,
                        (unsigned long long)v->o.settings->max_pixels, p->width, p->height);
    /* Tables of samples tell where each frame lies: the others need not be read. */
    if (!strncmp(v->in.format->iformat->name, "mov,", 4))
        for (unsigned i = 0; i < v->in.format->nb_streams; ++i)
            if ((int)i != v->stream) v->in.format->streams[i]->discard = AVDISCARD_ALL;
    forget(v);
    return open_decoder(v);
}

static tsr_status open_video(const tsr_video_opening *o, void **state) {
    av_video *v = tsr_alloc(o->ctx, 1, sizeof *v, "video");
    if (!v) return TSR_ERROR_MEMORY;
    *state = v;
    v->o = *o;
    v->pixels = (tsr_av_pixels){.ctx = o->ctx, .name = o->input->name};
    memcpy(v->pixels.background, o->settings->background, 3);
    const tsr_status s = open_parts(v);
    if (!s) tsr_av_facts(&v->o, &v->in, v->stream, &v->orientation);
    return s;
}

static void close_parts(av_video *v) {
    avcodec_free_context(&v->decoder);
    av_packet_free(&v->packet);
    av_frame_free(&v->frame);
    tsr_av_deinterlacer_free(&v->deinterlacer);
    tsr_av_input_close(&v->in);
}

/* Opens the file once more, for the first frame. */
static tsr_status reopen(av_video *v) {
    close_parts(v);
    v->in = (tsr_av_input){0};
    if (lseek(v->o.input->fd, (off_t)v->o.input->head_size, SEEK_SET) < 0)
        return tsr_fail_errno(v->o.ctx, "%s: seek", v->o.input->name);
    return open_parts(v);
}

static tsr_status seek(void *state, int64_t pts) {
    av_video *v = state;
    v->pixels.change.filled = false;
    v->shown = 0;
    if (pts == TSR_NO_TIME ||
        av_seek_frame(v->in.format, v->stream, pts, AVSEEK_FLAG_BACKWARD) < 0) /* no index */
        return reopen(v);
    avcodec_flush_buffers(v->decoder);
    tsr_av_deinterlacer_free(&v->deinterlacer);
    forget(v);
    v->wait_for_key = true;
    return TSR_OK;
}

static void close_video(void *state) {
    av_video *v = state;
    close_parts(v);
    tsr_av_pixels_free(&v->pixels);
    free(v);
}

#else

static tsr_status open_video(const tsr_video_opening *o, void **state) {
    (void)state;
    return tsr_fail(o->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: wanted a video that this build reads (this build was made without FFmpeg; "
                    "-DTESSERA_VIDEO=ON brings it)",
                    o->input->name);
}
static tsr_status next(void *state, tsr_video_slot *slot, bool *end) {
    (void)state, (void)slot, (void)end;
    return TSR_ERROR_UNSUPPORTED;
}
static tsr_status seek(void *state, int64_t pts) {
    (void)state, (void)pts;
    return TSR_ERROR_UNSUPPORTED;
}
static void close_video(void *state) {
    (void)state;
}

#endif

const tsr_video_kind tsr_video_kind_av = {open_video, next, seek, close_video};
