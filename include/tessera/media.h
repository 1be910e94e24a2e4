/* SPDX-License-Identifier: MIT */
/* media.h: frames of videos, one after the other.
 *
 *     tsr_video *video = NULL;
 *     const tsr_video_frame *frame = NULL;
 *     tsr_status s = tsr_video_open(ctx, "clip.mp4", NULL, &video);
 *     while (!s && !(s = tsr_video_next(video, &frame)) && frame)
 *         use(frame->rgb, frame->width, frame->height, frame->pts);
 *     tsr_video_close(&video);
 *
 * A video is a reader of frames and never a film in memory: frames are decoded ahead in a thread of
 * its own, a bounded number of them, so that ten minutes take the memory of ten seconds. docs/
 * VIDEO.md says by which rules times, pixels and sizes come out, what is assumed and what is
 * dropped. The conventions of tessera.h hold here, too. */
#ifndef TESSERA_MEDIA_H
#define TESSERA_MEDIA_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- settings ------------------------------------------------------------------------------- */

/* A time or a length that the file does not tell. */
#define TSR_NO_TIME INT64_MIN
/* Place of a frame that is not known, behind a seek. */
#define TSR_NO_INDEX UINT64_MAX

/* How R, G and B are made of luma and chroma; the formula is in docs/VIDEO.md. */
typedef enum tsr_video_matrix {
    TSR_VIDEO_MATRIX_AUTO = 0, /* in settings alone: BT.601 where the stream does not say, as in
                                  every common reader */
    TSR_VIDEO_MATRIX_BT601 = 1,
    TSR_VIDEO_MATRIX_BT709 = 2,
    TSR_VIDEO_MATRIX_BT2020 = 3, /* not constant luminance */
    TSR_VIDEO_MATRIX_RGB = 4     /* in info alone: the samples are R, G and B */
} tsr_video_matrix;
/* Which numbers stand for black and white. */
typedef enum tsr_video_range {
    TSR_VIDEO_RANGE_AUTO = 0,    /* in settings alone: limited where the stream does not say */
    TSR_VIDEO_RANGE_LIMITED = 1, /* 16..235 of 8 bits, chroma 16..240 */
    TSR_VIDEO_RANGE_FULL = 2     /* 0..255 */
} tsr_video_range;

/* How a video is read. A struct of zeros differs from the default in `background` alone. */
typedef struct tsr_video_settings {
    tsr_video_matrix matrix; /* of streams that do not say theirs; default TSR_VIDEO_MATRIX_AUTO */
    tsr_video_range range;   /* of streams that do not say theirs; default TSR_VIDEO_RANGE_AUTO */
    int deinterlace;       /* 1: frames that are marked interlaced go through FFmpeg's bwdif, which
                              keeps their number and times; default 0: their two fields stay woven */
    uint8_t background[3]; /* RGB under transparent pixels; default white */
    tsr_rational rate;     /* frames a second of folders of pictures, raw samples and bare streams
                              that do not say theirs; default 0/0: 25 */
    const char *raw;       /* samples without a header: "FORMAT,WIDTHxHEIGHT", with FFmpeg's name of
                              the sample format ("yuv420p,64x48"); default NULL: the file has a
                              header */
    int lenient;           /* 1: reading goes on behind damage, and frames that may have suffered
                              are marked; default 0: damage ends the video, and what was whole
                              before it has come out */
    uint64_t max_pixels;   /* of a frame; larger ones are refused before memory is taken for them;
                              default 0: 2^28 */
    uint64_t max_frames;   /* more end the video with TOO_LARGE; default 0: 2^31 - 1 */
    double max_seconds;    /* later frames, counted from the first, end the video with TOO_LARGE;
                              default 0: no limit */
    uint64_t memory;       /* bytes of frames that wait, 1 frame at least; default 0: 64 MiB */
    int threads; /* of the decoder, 1..16; no frame depends on the number. Default 0: those
                    of the context, of many 4 */
} tsr_video_settings;
/* Default settings of reading. */
tsr_video_settings tsr_video_settings_default(void);

/* ---- what is in a file ------------------------------------------------------------------------
 */

/* What a video says about itself, and what was assumed where it does not. Owned by the video; texts
 * are "" where there is nothing to say. */
typedef struct tsr_video_info {
    char container[64]; /* FFmpeg's name: "mov,mp4,m4a,3gp,3g2,mj2"; "webp", "frames" (a folder) */
    char codec[32];     /* "h264" */
    char profile[48];   /* "High" */
    char samples[32];   /* format of the samples: "yuv420p10le" */
    int stream;         /* which of the file's streams: that marked as default, else the largest
                           picture, else the first. Pictures attached to sound are none */
    int streams;        /* all of the file: sound and subtitles are dropped */
    int video_streams;
    int audio_streams;
    uint32_t width, height; /* of the first frame as coded, cropped as the codec says; frames may
                               have other sizes */
    uint32_t display_width, display_height; /* as shown: turned, and with square pixels */
    tsr_rational
        sample_aspect; /* width to height of a pixel before turning; 0/0: not known, square */
    int rotation; /* degrees clockwise by which frames were turned to stand upright: 0, 90, 180, 270
                   */
    int mirror;   /* 1: and then mirrored, left to right */
    double matrix_degrees;  /* the display matrix's angle where it is no quarter turn and was left
                               alone; else 0 */
    tsr_rational time_base; /* seconds of one unit of pts and durations */
    int64_t start;          /* pts of the first frame by the file's header, or TSR_NO_TIME */
    int64_t duration; /* units, by the header, or TSR_NO_TIME; only reading to the end tells */
    uint64_t header_frames; /* number of frames by the header; 0: it does not say */
    tsr_rational rate;      /* frames a second, the mean by the header; 0/0: not known */
    tsr_rational base_rate; /* the rate of which times are multiples, as guessed by FFmpeg */
    int rate_assumed;       /* 1: the rate is that of the settings, or 25 */
    int has_times;          /* 0: frames have no pts (bare streams): time is index / rate */
    char color_range[16], color_matrix[16], color_primaries[16], color_transfer[16];
    char chroma_place[16];   /* tags as FFmpeg calls them ("tv", "bt709"); "" without a tag */
    tsr_video_matrix matrix; /* that was used, and whether it is an assumption */
    tsr_video_range range;
    int matrix_assumed, range_assumed; /* 1: the stream does not say */
    char field_order[16];              /* "progressive", "tt", "bb", "tb", "bt"; "" not known */
    int loops;    /* of animated WebP: times it is shown, 0 without end; else -1 */
    int seekable; /* 0: a pipe */
} tsr_video_info;

/* One frame, in the order in which it is shown. Owned by the video and valid until its next call.
 */
typedef struct tsr_video_frame {
    const uint8_t *rgb;     /* [height, width, 3], upright */
    uint32_t width, height; /* after turning; may change from frame to frame */
    int64_t pts;            /* when it is shown, in units of the time base, as the file has it, or
                               TSR_NO_TIME */
    int64_t duration;       /* units; 0 or TSR_NO_TIME where the file does not tell */
    uint64_t index;         /* 0 for the first that is shown; TSR_NO_INDEX behind a seek */
    int key;                /* 1: a key frame */
    int interlaced;         /* 1: two fields, woven unless they were taken apart */
    int top_first;          /* 1: the upper field is the earlier one */
    int damaged;        /* 1: may hold pixels that the decoder made up (lenient reading alone) */
    double luma_change; /* mean absolute difference of luma (of packed RGB: of all samples) to the
                           frame before, on the 0..255 scale; 0 for the first and where the size
                           changes */
} tsr_video_frame;

/* ---- reading ----------------------------------------------------------------------------------
 */

/* An open video. */
typedef struct tsr_video tsr_video;

/* Opens a video; what it is shows its content, never its name. `path` is a file of any kind that
 * FFmpeg reads, a GIF, APNG or animated WebP, a folder of numbered pictures (frame_000001.png ...,
 * in natural order, other files ignored), or "-" (stdin) or another pipe with anything that can be
 * read without going back: YUV4MPEG2, Matroska, MPEG-TS. No other file is opened and no address is
 * followed, whatever the bytes say: playlists are refused.
 *
 * The caller closes *video with tsr_video_close; it is NULL on error. settings may be NULL (the
 * defaults). What was assumed is logged once as information. Errors: reading errors; FORMAT (no
 * video, or one without a video stream); TOO_LARGE (a frame beyond max_pixels); UNSUPPORTED (a
 * codec that is not decoded, a playlist, a build without video). */
tsr_status tsr_video_open(tsr_context *ctx, const char *path, const tsr_video_settings *settings,
                          tsr_video **video);
/* Closes a video and sets *video to NULL. NULL and a NULL *video are accepted. */
void tsr_video_close(tsr_video **video);
/* Description of an open video. Owned by the video. */
const tsr_video_info *tsr_video_properties(const tsr_video *video);
/* Gives the next frame, or NULL at the end. Every whole frame comes out before damage is told, and
 * later calls tell it again. Errors: DAMAGED (the file is cut or damaged: what was whole came out);
 * TRUNCATED (it has no frame at all); TOO_LARGE (a limit of the settings, a frame that grew beyond
 * max_pixels); IO, MEMORY. */
tsr_status tsr_video_next(tsr_video *video, const tsr_video_frame **frame);
/* Makes the frame on screen at `pts` (in units of the time base, on the file's own clock) the next
 * one: the last that is shown at or before it, or the first of all. Exact: reading begins at a key
 * frame before and goes on up to there. Times beyond the end give the last frame. Errors:
 * UNSUPPORTED (a pipe; frames without times); those of tsr_video_next. */
tsr_status tsr_video_seek(tsr_video *video, int64_t pts);
/* What was said about the video: things assumed, dropped and not applied, one line each. *count is
 * their number, which grows while frames are read. Owned by the video. */
const char *const *tsr_video_remarks(const tsr_video *video, int *count);

/* Says from the first bytes of a file whether it is a video: 1 for containers of video and for bare
 * streams that can be told, 0 for pictures and everything else. GIF, PNG and WebP are pictures
 * here, also where they move; tsr_video_open takes them. */
int tsr_video_recognised(const void *bytes, uint64_t size);

#ifdef __cplusplus
}
#endif
#endif
