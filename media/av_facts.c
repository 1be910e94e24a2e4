/* SPDX-License-Identifier: MIT */
/* av_facts.c: what a container and its decoder say of a video, and what is assumed where they do
 * not. */
#ifdef TESSERA_WITH_VIDEO
#include "av.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_video(const AVStream *stream) {
    return stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
           !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

int tsr_av_choose_stream(const AVFormatContext *format) {
    int best = -1;
    int64_t best_pixels = 0;
    bool best_default = false;
    for (unsigned i = 0; i < format->nb_streams; ++i) {
        const AVStream *s = format->streams[i];
        const int64_t pixels = (int64_t)s->codecpar->width * s->codecpar->height;
        const bool marked = (s->disposition & AV_DISPOSITION_DEFAULT) != 0;
        if (!is_video(s)) continue;
        if (best >= 0 &&
            (marked < best_default || (marked == best_default && pixels <= best_pixels)))
            continue;
        best = (int)i;
        best_pixels = pixels;
        best_default = marked;
    }
    return best;
}

/* ---- texts --------------------------------------------------------------------------------------
 */

static void put(char *to, size_t size, const char *text) {
    snprintf(to, size, "%s", text ? text : "");
}
/* A tag by its name; FFmpeg's words for none become "". */
static void put_tag(char *to, size_t size, const char *name) {
    const bool none = !name || !strcmp(name, "unknown") || !strcmp(name, "unspecified");
    put(to, size, none ? "" : name);
}

static const char *field_order_name(enum AVFieldOrder order) {
    switch (order) {
    case AV_FIELD_PROGRESSIVE:
        return "progressive";
    case AV_FIELD_TT:
        return "tt";
    case AV_FIELD_BB:
        return "bb";
    case AV_FIELD_TB:
        return "tb";
    case AV_FIELD_BT:
        return "bt";
    default:
        return "";
    }
}

static tsr_rational rational(AVRational r) {
    return r.num && r.den ? (tsr_rational){r.num, r.den} : (tsr_rational){0, 0};
}

/* ---- turning ------------------------------------------------------------------------------------
 */

static const int32_t *display_matrix(const AVStream *stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *side =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
                                stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return side && side->size >= 9 * sizeof(int32_t) ? (const int32_t *)(const void *)side->data
                                                     : NULL;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data && size >= 9 * sizeof(int32_t) ? (const int32_t *)(const void *)data : NULL;
#endif
}

/* A display matrix takes (x, y) to (a x + c y, b x + d y). Quarter turns and mirrors become an EXIF
 * orientation; anything else leaves frames as they are. */
static int orientation_of(const tsr_video_opening *o, const int32_t *m) {
    static const struct {
        signed char a, b, c, d;
        int orientation;
    } turns[] = {{1, 0, 0, 1, 1}, {-1, 0, 0, 1, 2}, {-1, 0, 0, -1, 3}, {1, 0, 0, -1, 4},
                 {0, 1, 1, 0, 5}, {0, 1, -1, 0, 6}, {0, -1, -1, 0, 7}, {0, -1, 1, 0, 8}};
    if (!m) return 1;
    const int32_t v[4] = {m[0], m[1], m[3], m[4]};
    for (size_t i = 0; i < sizeof turns / sizeof *turns; ++i) {
        const int want[4] = {turns[i].a, turns[i].b, turns[i].c, turns[i].d};
        bool fits = true;
        for (int k = 0; k < 4; ++k) /* 1 is 65536; zeros are rounded in some files */
            fits &= want[k] ? v[k] * (double)want[k] > 4096 : v[k] > -256 && v[k] < 256;
        if (fits) return turns[i].orientation;
    }
    const double degrees = -av_display_rotation_get(m);
    o->info->matrix_degrees = isnan(degrees) ? 0 : degrees;
    tsr_video_remark(o->remarks,
                     "%s: the display matrix of %.1f degrees is no quarter turn: frames stay as "
                     "they are",
                     o->input->name, degrees);
    return 1;
}

static void geometry(const tsr_video_opening *o, const AVStream *stream, int *orientation) {
    static const int rotation[9] = {0, 0, 0, 180, 180, 90, 90, 270, 270};
    static const bool mirror[9] = {0, 0, 1, 0, 1, 1, 0, 1, 0};
    tsr_video_info *info = o->info;
    info->width = (uint32_t)stream->codecpar->width;
    info->height = (uint32_t)stream->codecpar->height;
    AVRational aspect = stream->sample_aspect_ratio;
    if (!aspect.num) aspect = stream->codecpar->sample_aspect_ratio;
    info->sample_aspect = rational(aspect);
    *orientation = orientation_of(o, display_matrix(stream));
    info->rotation = rotation[*orientation];
    info->mirror = mirror[*orientation];
    info->display_width = info->width;
    if (info->sample_aspect.den)
        info->display_width =
            (uint32_t)llrint((double)info->width * (double)aspect.num / (double)aspect.den);
    info->display_height = info->height;
    if (*orientation >= 5) {
        info->display_height = info->display_width;
        info->display_width = info->height;
    }
    if (info->sample_aspect.den && aspect.num != aspect.den)
        tsr_video_remark(
            o->remarks, "%s: pixels are %d:%d, not square: they are meant to be shown as %u x %u",
            o->input->name, aspect.num, aspect.den, info->display_width, info->display_height);
}

/* ---- times --------------------------------------------------------------------------------------
 */

/* Whether it is a stream of a codec without a container: what FFmpeg says of its times is made up.
 */
static bool is_bare(const char *container) {
    static const char *const names[] = {"h264", "hevc",      "vvc",   "m4v",  "mpegvideo", "vc1",
                                        "h261", "h263",      "obu",   "evc",  "mjpeg",     "avs2",
                                        "avs3", "cavsvideo", "dirac", "dnxhd"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (!strcmp(names[i], container)) return true;
    return false;
}

static void times(const tsr_video_opening *o, const AVFormatContext *format,
                  const AVStream *stream) {
    tsr_video_info *info = o->info;
    info->time_base = rational(stream->time_base);
    info->start = stream->start_time == AV_NOPTS_VALUE ? TSR_NO_TIME : stream->start_time;
    info->duration = stream->duration == AV_NOPTS_VALUE ? TSR_NO_TIME : stream->duration;
    info->header_frames = stream->nb_frames > 0 ? (uint64_t)stream->nb_frames : 0;
    info->rate = rational(stream->avg_frame_rate);
    info->base_rate = rational(stream->r_frame_rate);
    info->has_times = !is_bare(format->iformat->name);
    info->rate_assumed = o->settings->raw || !info->has_times;
    if (!info->has_times && o->settings->rate.den) info->rate = o->settings->rate;
    const tsr_rational rate = info->rate.den ? info->rate : info->base_rate;
    if (info->rate_assumed && rate.den)
        tsr_video_remark(o->remarks, "%s: frames have no times: %g a second are %s", o->input->name,
                         (double)rate.num / (double)rate.den,
                         o->settings->rate.den ? "used as asked" : "assumed");
}

/* ---- colours ------------------------------------------------------------------------------------
 */

static void tags(const tsr_video_opening *o, const AVCodecParameters *p) {
    tsr_video_info *info = o->info;
    info->primaries = (uint32_t)p->color_primaries; /* FFmpeg counts as H.273 does */
    info->transfer = (uint32_t)p->color_trc;
    put_tag(info->color_range, sizeof info->color_range, av_color_range_name(p->color_range));
    put_tag(info->color_matrix, sizeof info->color_matrix, av_color_space_name(p->color_space));
    put_tag(info->color_primaries, sizeof info->color_primaries,
            av_color_primaries_name(p->color_primaries));
    put_tag(info->color_transfer, sizeof info->color_transfer,
            av_color_transfer_name(p->color_trc));
    put_tag(info->chroma_place, sizeof info->chroma_place,
            av_chroma_location_name(p->chroma_location));
    if (p->color_trc == AVCOL_TRC_SMPTE2084 || p->color_trc == AVCOL_TRC_ARIB_STD_B67)
        tsr_video_remark(o->remarks,
                         "%s: the transfer is %s (HDR), which is not applied: pictures look flat",
                         o->input->name, info->color_transfer);
}

/* Formats whose name says full range. */
static bool is_yuvj(enum AVPixelFormat format) {
    return format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUVJ422P ||
           format == AV_PIX_FMT_YUVJ444P || format == AV_PIX_FMT_YUVJ440P ||
           format == AV_PIX_FMT_YUVJ411P;
}

static tsr_video_matrix matrix_of(enum AVColorSpace space) {
    switch (space) {
    case AVCOL_SPC_BT709:
        return TSR_VIDEO_MATRIX_BT709;
    case AVCOL_SPC_FCC:
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return TSR_VIDEO_MATRIX_BT601;
    case AVCOL_SPC_BT2020_NCL:
        return TSR_VIDEO_MATRIX_BT2020;
    case AVCOL_SPC_RGB:
        return TSR_VIDEO_MATRIX_RGB;
    default:
        return TSR_VIDEO_MATRIX_AUTO;
    }
}

tsr_av_color tsr_av_color_of(const tsr_video_settings *settings, enum AVPixelFormat format,
                             enum AVColorSpace space, enum AVColorRange tagged) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    tsr_av_color c = {.matrix = matrix_of(space)};
    if (d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)))
        return (tsr_av_color){TSR_VIDEO_MATRIX_RGB, TSR_VIDEO_RANGE_FULL, false, false};
    if (c.matrix == TSR_VIDEO_MATRIX_AUTO || c.matrix == TSR_VIDEO_MATRIX_RGB) {
        c.matrix_assumed = d && d->nb_components >= 3; /* grey has no matrix */
        c.matrix = settings->matrix ? settings->matrix : TSR_VIDEO_MATRIX_BT601;
    }
    if (tagged == AVCOL_RANGE_JPEG || is_yuvj(format))
        c.range = TSR_VIDEO_RANGE_FULL;
    else if (tagged == AVCOL_RANGE_MPEG)
        c.range = TSR_VIDEO_RANGE_LIMITED;
    else {
        c.range_assumed = true;
        c.range = settings->range ? settings->range : TSR_VIDEO_RANGE_LIMITED;
    }
    return c;
}

/* What is used for the stream, and a remark on what it does not say. */
static void colours(const tsr_video_opening *o, const AVCodecParameters *p) {
    static const char *const matrices[] = {"", "BT.601", "BT.709", "BT.2020", "RGB"};
    const tsr_av_color c = tsr_av_color_of(o->settings, p->format, p->color_space, p->color_range);
    tsr_video_info *info = o->info;
    info->matrix = c.matrix;
    info->range = c.range;
    info->matrix_assumed = c.matrix_assumed;
    info->range_assumed = c.range_assumed;
    if (c.matrix_assumed && p->color_space != AVCOL_SPC_UNSPECIFIED)
        tsr_video_remark(o->remarks, "%s: the colour matrix %s is not known here: %s is used",
                         o->input->name, av_color_space_name(p->color_space), matrices[c.matrix]);
    else if (c.matrix_assumed)
        tsr_video_remark(o->remarks, "%s: the stream names no colour matrix: %s is %s",
                         o->input->name, matrices[c.matrix],
                         o->settings->matrix ? "used as asked" : "assumed");
    if (c.range_assumed)
        tsr_video_remark(o->remarks, "%s: the stream names no colour range: %s is %s",
                         o->input->name,
                         c.range == TSR_VIDEO_RANGE_FULL ? "full range" : "limited range",
                         o->settings->range ? "used as asked" : "assumed");
}

/* ---- all ----------------------------------------------------------------------------------------
 */

void tsr_av_facts(const tsr_video_opening *o, const tsr_av_input *in, int stream,
                  int *orientation) {
    tsr_video_info *info = o->info;
    const AVFormatContext *f = in->format;
    const AVStream *s = f->streams[stream];
    const AVCodecParameters *p = s->codecpar;
    put(info->container, sizeof info->container, f->iformat->name);
    put(info->codec, sizeof info->codec, avcodec_get_name(p->codec_id));
    const char *profile = avcodec_profile_name(p->codec_id, p->profile);
    if (!profile && p->profile >= 0)
        snprintf(info->profile, sizeof info->profile, "%d", p->profile);
    else
        put(info->profile, sizeof info->profile, profile);
    put(info->samples, sizeof info->samples, av_get_pix_fmt_name(p->format));
    put(info->field_order, sizeof info->field_order, field_order_name(p->field_order));
    info->stream = stream;
    info->streams = (int)f->nb_streams;
    for (int i = 0; i < info->streams; ++i) {
        info->video_streams += is_video(f->streams[i]);
        info->audio_streams += f->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    }
    geometry(o, s, orientation);
    times(o, f, s);
    tags(o, p);
    colours(o, p);
    if (info->audio_streams) tsr_video_remark(o->remarks, "%s: sound is dropped", o->input->name);
    if (info->video_streams > 1)
        tsr_video_remark(o->remarks, "%s: stream %d of %d video streams is read", o->input->name,
                         stream, info->video_streams);
}
#else
typedef int tsr_av_facts_are_left_out;
#endif
