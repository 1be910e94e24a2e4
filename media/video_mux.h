/* SPDX-License-Identifier: MIT */
/* video_mux.h: frames of samples to a file, through an encoder and a muxer of FFmpeg. Left out of
 * builds without video. */
#ifndef MEDIA_VIDEO_MUX_H
#define MEDIA_VIDEO_MUX_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include "../formats/file.h"
#include "video_write.h"

enum {
    TSR_MUX_DELAY = 256 /* frames that an encoder may hold back; above x264's and libvpx's most */
};

typedef struct tsr_mux {
    const tsr_video_job *job;
    tsr_out out;
    uint64_t at;          /* offset of the next byte that is written */
    tsr_status io_status; /* the failure of writing, whose text is in the context */
    AVFormatContext *format;
    AVIOContext *io;
    AVStream *stream;
    AVCodecContext *encoder;
    AVPacket *packet;
    uint64_t frames;
    struct {
        int64_t pts, duration;
    } sent[TSR_MUX_DELAY]; /* of the last frames: encoders do not hand durations on */
    bool open;             /* `out` is */
    bool begun;            /* the header is written, and the end is not */
} tsr_mux;

/* Opens output, encoder `encoder_name` and muxer for frames of `samples`. `width` and `height` are
 * those of the samples. tsr_mux_close after a failure, too. Errors: UNSUPPORTED, writing errors. */
tsr_status tsr_mux_open(tsr_mux *mux, const tsr_video_job *job, const char *encoder_name,
                        enum AVPixelFormat samples, int width, int height);
/* Encodes a frame whose pts is set. */
tsr_status tsr_mux_put(tsr_mux *mux, AVFrame *frame, int64_t duration);
/* Writes what the encoder holds back and the end of the file, and gives it its name. */
tsr_status tsr_mux_finish(tsr_mux *mux, tsr_video_write_report *report);
/* Removes what is not finished. A zeroed mux is accepted. */
void tsr_mux_close(tsr_mux *mux);
/* Fails with "NAME: <what>: <FFmpeg's text>", or with the failure of writing that is behind it. */
tsr_status tsr_mux_fail(const tsr_mux *mux, const char *what, int error);

#endif
