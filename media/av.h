/* SPDX-License-Identifier: MIT */
/* av.h: FFmpeg's libraries, and what differs between their versions (5.1 to 8). For files that
 * stand under TESSERA_WITH_VIDEO. */
#ifndef MEDIA_AV_H
#define MEDIA_AV_H

#include "video.h"
#include "video_color.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
#define TSR_AV_KEY(f)        (((f)->flags & AV_FRAME_FLAG_KEY) != 0)
#define TSR_AV_INTERLACED(f) (((f)->flags & AV_FRAME_FLAG_INTERLACED) != 0)
#define TSR_AV_TOP_FIRST(f)  (((f)->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST) != 0)
#else
#define TSR_AV_KEY(f)        ((f)->key_frame != 0)
#define TSR_AV_INTERLACED(f) ((f)->interlaced_frame != 0)
#define TSR_AV_TOP_FIRST(f)  ((f)->top_field_first != 0)
#endif
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
#define TSR_AV_DURATION(f) ((f)->duration)
#else
#define TSR_AV_DURATION(f) ((f)->pkt_duration)
#endif

/* ---- av_input.c: bytes to a container ---- */

typedef struct tsr_av_input {
    tsr_video_input *from;
    AVIOContext *io;
    AVFormatContext *format;
    size_t head_used; /* of from->head */
    int64_t at;       /* offset of the next byte that is read */
    bool failed;      /* reading failed, not ended */
    int error;        /* errno of it */
} tsr_av_input;
/* Opens a container and looks at its streams. Everything is read through `from`: no other file or
 * address can be opened, whatever the bytes say. Errors: FORMAT, UNSUPPORTED (a playlist, a still
 * picture), TOO_LARGE, IO, MEMORY. */
tsr_status tsr_av_input_open(const tsr_video_opening *o, tsr_av_input *in);
void tsr_av_input_close(tsr_av_input *in);
/* Fails with the status that belongs to an error of FFmpeg: "NAME: <what>: <its text>". */
tsr_status tsr_av_fail(tsr_context *ctx, tsr_status status, const char *name, const char *what,
                       int error);

/* ---- av_facts.c: what a container and a decoder say ---- */

/* The stream that is read, or -1. */
int tsr_av_choose_stream(const AVFormatContext *format);
/* Fills the info, and *orientation with the EXIF orientation, 1..8, that turns frames upright. */
void tsr_av_facts(const tsr_video_opening *o, const tsr_av_input *in, int stream, int *orientation);
/* By which matrix and range samples are converted. */
typedef struct tsr_av_color {
    tsr_video_matrix matrix;
    tsr_video_range range;
    bool matrix_assumed, range_assumed; /* the tags do not say */
} tsr_av_color;
/* By the tags, else by the settings, else BT.601 and limited. */
tsr_av_color tsr_av_color_of(const tsr_video_settings *settings, enum AVPixelFormat format,
                             enum AVColorSpace space, enum AVColorRange range);

/* ---- av_pixels.c: a frame of samples to RGB ---- */

typedef struct tsr_av_pixels {
    tsr_context *ctx;
    const char *name;
    uint8_t background[3];
    tsr_yuv_table table; /* of the key below */
    tsr_video_matrix matrix;
    tsr_video_range range;
    uint16_t *rows; /* [4][room] samples of a row */
    size_t room;
    tsr_video_change change;
    uint8_t *luma; /* of more than 8 bits, cut to 8: [luma_room] */
    size_t luma_room;
} tsr_av_pixels;
/* Converts a frame into `slot` and says how much its luma changed. Errors: UNSUPPORTED (a format of
 * samples that is none of ours), MEMORY. */
tsr_status tsr_av_pixels_make(tsr_av_pixels *p, const AVFrame *frame, tsr_video_matrix matrix,
                              tsr_video_range range, tsr_video_slot *slot);
/* Says how much the luma of a frame changed, and makes no pixels. Errors: those of
 * tsr_av_pixels_make. */
tsr_status tsr_av_pixels_measure(tsr_av_pixels *p, const AVFrame *frame, tsr_video_slot *slot);
void tsr_av_pixels_free(tsr_av_pixels *p);
/* Planes of a frame as they lie in memory. */
tsr_video_planes tsr_av_planes(const AVFrame *frame);

/* ---- av_deinterlace.c ---- */

typedef struct tsr_av_deinterlacer tsr_av_deinterlacer;
/* Gives `frame` to the filter, or with `end` the news that there is none, and replaces it by the
 * next that came out of it, if one did: *got. Frames that are not marked interlaced pass as they
 * are. *d is opened at need. Errors: UNSUPPORTED (samples that the filter does not take, sizes that
 * change), MEMORY. */
tsr_status tsr_av_deinterlace(tsr_context *ctx, const char *name, tsr_av_deinterlacer **d,
                              AVFrame *frame, bool end, AVRational base, bool *got);
void tsr_av_deinterlacer_free(tsr_av_deinterlacer **d);

#endif
