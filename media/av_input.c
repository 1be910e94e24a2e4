/* SPDX-License-Identifier: MIT */
/* av_input.c: the bytes of a file or pipe to an open container of FFmpeg.
 *
 * FFmpeg never opens anything itself: it reads through callbacks over a file descriptor that is
 * open already, and its own way of opening files and addresses is replaced by a refusal. So a
 * playlist, a QuickTime reference or a concat script cannot reach another file. */
#ifdef TESSERA_WITH_VIDEO
#include "av.h"
#include "../formats/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 16, PROBE_BYTES = 1 << 20 };

tsr_status tsr_av_fail(tsr_context *ctx, tsr_status status, const char *name, const char *what,
                       int error) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    if (error == AVERROR(ENOMEM)) status = TSR_ERROR_MEMORY;
    av_strerror(error, text, sizeof text);
    return tsr_fail(ctx, status, "%s: %s: %s", name, what, text);
}

/* ---- callbacks --------------------------------------------------------------------------------
 */

static int read_bytes(void *user, uint8_t *to, int size) {
    tsr_av_input *in = user;
    tsr_video_input *from = in->from;
    if (in->head_used < from->head_size) {
        size_t n = from->head_size - in->head_used;
        if (n > (size_t)size) n = (size_t)size;
        memcpy(to, from->head + in->head_used, n);
        in->head_used += n;
        in->at += (int64_t)n;
        return (int)n;
    }
    ssize_t n;
    do
        n = read(from->fd, to, (size_t)size);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        in->at += n;
        return (int)n;
    }
    if (n == 0) return AVERROR_EOF;
    in->failed = true;
    in->error = errno;
    return AVERROR(errno);
}

static int64_t seek_bytes(void *user, int64_t offset, int whence) {
    tsr_av_input *in = user;
    const off_t here = lseek(in->from->fd, 0, SEEK_CUR);
    if (whence & AVSEEK_SIZE) {
        const off_t end = lseek(in->from->fd, 0, SEEK_END);
        return lseek(in->from->fd, here, SEEK_SET) < 0 ? AVERROR(errno) : end;
    }
    in->head_used = in->from->head_size; /* the file has them, too */
    if ((whence & ~AVSEEK_FORCE) == SEEK_CUR)
        offset += in->at;
    else if ((whence & ~AVSEEK_FORCE) == SEEK_END)
        offset += lseek(in->from->fd, 0, SEEK_END);
    const off_t at = lseek(in->from->fd, offset, SEEK_SET);
    if (at < 0) return AVERROR(errno);
    return in->at = at;
}

static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

/* ---- what is no video --------------------------------------------------------------------------
 */

/* Refuses what would read other files and what holds one picture. */
static tsr_status check_kind(const tsr_video_opening *o, const AVInputFormat *kind) {
    static const char *const lists[] = {"hls",  "concat", "concatf", "dash", "sdp",
                                        "rtsp", "rtp",    "imf",     "lavfi"};
    const size_t n = strlen(kind->name), first = strcspn(kind->name, ",");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; ++i)
        if (strlen(lists[i]) == first && !memcmp(kind->name, lists[i], first))
            return tsr_fail(o->ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: wanted a video, got a list of other files (%s), which is not "
                            "followed",
                            o->input->name, kind->name);
    if ((n > 5 && !strcmp(kind->name + n - 5, "_pipe")) || !strncmp(kind->name, "image2", 6))
        return tsr_fail(o->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a video, got a still picture (%s)", o->input->name, kind->name);
    return TSR_OK;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static tsr_status open_io(const tsr_video_opening *o, tsr_av_input *in) {
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    if (buffer)
        in->io = avio_alloc_context(buffer, BUFFER_BYTES, 0, in, read_bytes, NULL,
                                    in->from->seekable ? seek_bytes : NULL);
    if (!in->io) {
        av_free(buffer);
        return tsr_fail(o->ctx, TSR_ERROR_MEMORY, "%s: no memory for FFmpeg", o->input->name);
    }
    in->io->seekable = in->from->seekable ? AVIO_SEEKABLE_NORMAL : 0;
    in->format = avformat_alloc_context();
    if (!in->format)
        return tsr_fail(o->ctx, TSR_ERROR_MEMORY, "%s: no memory for FFmpeg", o->input->name);
    in->format->pb = in->io;
    in->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    in->format->io_open = refuse_open;
    in->format->error_recognition = o->settings->lenient ? 0 : AV_EF_CRCCHECK | AV_EF_BUFFER;
    return TSR_OK;
}

/* Options of a file without a header: "FORMAT,WIDTHxHEIGHT". */
static tsr_status raw_options(const tsr_video_opening *o, const AVInputFormat **kind,
                              AVDictionary **options) {
    char format[32], size[32], rate[64];
    const char *raw = o->settings->raw, *comma = strchr(raw, ',');
    unsigned w = 0, h = 0;
    int used = 0;
    if (!comma || comma == raw || (size_t)(comma - raw) >= sizeof format ||
        sscanf(comma + 1, "%6ux%6u%n", &w, &h, &used) != 2 || comma[1 + used] || !w || !h)
        return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                        "raw: wanted FORMAT,WIDTHxHEIGHT as in yuv420p,64x48, got \"%s\"", raw);
    snprintf(format, sizeof format, "%.*s", (int)(comma - raw), raw);
    if (av_get_pix_fmt(format) == AV_PIX_FMT_NONE)
        return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                        "raw: wanted FFmpeg's name of a format of samples, got \"%s\"", format);
    if ((uint64_t)w * h > o->settings->max_pixels)
        return tsr_fail(o->ctx, TSR_ERROR_TOO_LARGE, "raw: wanted at most %llu pixels, got %u x %u",
                        (unsigned long long)o->settings->max_pixels, w, h);
    snprintf(size, sizeof size, "%ux%u", w, h);
    const tsr_rational r = o->settings->rate;
    snprintf(rate, sizeof rate, "%lld/%lld", (long long)(r.den ? r.num : 25),
             (long long)(r.den ? r.den : 1));
    *kind = av_find_input_format("rawvideo");
    av_dict_set(options, "pixel_format", format, 0);
    av_dict_set(options, "video_size", size, 0);
    av_dict_set(options, "framerate", rate, 0);
    return TSR_OK;
}

/* Bare streams without a rate of their own are read at that of the settings. */
static void rate_option(const tsr_video_opening *o, AVDictionary **options) {
    char rate[64];
    if (!o->settings->rate.den) return;
    snprintf(rate, sizeof rate, "%lld/%lld", (long long)o->settings->rate.num,
             (long long)o->settings->rate.den);
    av_dict_set(options, "framerate", rate, 0);
}

static tsr_status open_format(const tsr_video_opening *o, tsr_av_input *in) {
    const AVInputFormat *kind = NULL;
    AVDictionary *options = NULL;
    tsr_status s = TSR_OK;
    if (o->settings->raw)
        s = raw_options(o, &kind, &options);
    else {
        const int found = av_probe_input_buffer2(in->io, &kind, "", NULL, 0, PROBE_BYTES);
        if (found < 0)
            s = tsr_fail(o->ctx, TSR_ERROR_FORMAT,
                         "%s: wanted a video, got bytes that no reader of FFmpeg knows",
                         o->input->name);
        else
            s = check_kind(o, kind);
        rate_option(o, &options);
    }
    /* After a failure FFmpeg has freed the format. */
    const int opened = s ? 0 : avformat_open_input(&in->format, "", kind, &options);
    av_dict_free(&options);
    return opened < 0 ? tsr_av_fail(o->ctx, TSR_ERROR_FORMAT, o->input->name, kind->name, opened)
                      : s;
}

/* FFmpeg decodes the first frames to find what containers do not say: within the same limits. */
static tsr_status find_streams(const tsr_video_opening *o, tsr_av_input *in) {
    char pixels[32];
    const unsigned n = in->format->nb_streams;
    AVDictionary **options = n ? calloc(n, sizeof *options) : NULL;
    if (n && !options) return tsr_fail(o->ctx, TSR_ERROR_MEMORY, "%s: no memory", o->input->name);
    snprintf(pixels, sizeof pixels, "%llu", (unsigned long long)o->settings->max_pixels);
    for (unsigned i = 0; i < n; ++i) {
        av_dict_set(&options[i], "max_pixels", pixels, 0);
        av_dict_set(&options[i], "threads", "1", 0);
    }
    const int found = avformat_find_stream_info(in->format, options);
    for (unsigned i = 0; i < n; ++i)
        av_dict_free(&options[i]);
    free(options);
    if (in->failed) {
        errno = in->error;
        return tsr_fail_errno(o->ctx, "%s: reading", o->input->name);
    }
    return found < 0 ? tsr_av_fail(o->ctx, TSR_ERROR_FORMAT, o->input->name, "streams", found)
                     : TSR_OK;
}

tsr_status tsr_av_input_open(const tsr_video_opening *o, tsr_av_input *in) {
    /* FFmpeg's log is one for the process and goes to stderr unless somebody changed it. */
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
    in->from = o->input;
    tsr_status s = open_io(o, in);
    if (!s) s = open_format(o, in);
    if (!s) s = find_streams(o, in);
    return s;
}

void tsr_av_input_close(tsr_av_input *in) {
    avformat_close_input(&in->format);
    if (in->io) av_freep(&in->io->buffer);
    avio_context_free(&in->io);
}
#else
typedef int tsr_av_input_is_left_out;
#endif
