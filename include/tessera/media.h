/* SPDX-License-Identifier: MIT */
/* media.h: frames of videos, one after the other, and pictures, read and written.
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

#include <stddef.h>
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
    int facts_only;        /* 1: frames come without pixels, rgb NULL, as all else is known of them;
default 0 */
    int lenient;           /* 1: reading goes on behind damage, and frames that may have suffered
                              are marked; default 0: damage ends the video, and what was whole
                              before it has come out */
    uint64_t max_pixels;   /* of a frame; larger ones are refused before memory is taken for them;
                              default 0: 2^26 */
    uint64_t max_frames;   /* more end the video with TOO_LARGE; default 0: 2^31 - 1 */
    double max_seconds;    /* later frames, counted from the first, end the video with TOO_LARGE;
                              default 0: no limit */
    uint64_t memory;       /* bytes of frames that wait, 1 frame at least; default 0: 64 MiB */
    int threads; /* of decoders that give the same frames with any number (AV1, VP9; the others
                    take one), 1..16. Default 0: those of the context, of many 4 */
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
    uint32_t width, height; /* as coded, by the header, cropped as the codec says; frames may have
                               other sizes */
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
    tsr_rational
        base_rate;    /* the rate of which times are multiples, as guessed by FFmpeg, or assumed */
    int rate_assumed; /* 1: the file has no times, and its rate is that of the
settings or what FFmpeg takes for it, 25 most often */
    int has_times;    /* 0: frames have no pts (bare streams): time is index / rate */
    char color_range[16], color_matrix[16], color_primaries[16], color_transfer[16];
    char chroma_place[16];        /* tags as FFmpeg calls them ("tv", "bt709"); "" without a tag */
    uint32_t primaries, transfer; /* as numbered by ISO/IEC 23091-2 (H.273); 2: not known. Reported,
 never applied */
    tsr_video_matrix matrix;      /* that was used, and whether it is an assumption */
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
    char type;              /* 'I', 'P', 'B' ... as the codec calls it; '?' where it does not */
    int key;                /* 1: a key frame; 0 also where the type is '?' */
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
const char *const *tsr_video_remarks(tsr_video *video, int *count);

/* Says from the first bytes of a file whether it is a video: 1 for containers of video and for bare
 * streams that can be told, 0 for pictures and everything else. GIF, PNG and WebP are pictures
 * here, also where they move, but for animated WebP, which has no other reader; tsr_video_open
 * takes all of them. */
int tsr_video_recognised(const void *bytes, uint64_t size);
/* The same of a file, by its first bytes. 0 also for folders, for pipes, whose bytes are not taken
 * away, and for what cannot be opened; stdin that is a file is looked at. */
int tsr_video_is(const char *path);

/* ---- choosing frames --------------------------------------------------------------------------
 */

/* Which frames of a video are taken. */
typedef enum tsr_frame_rule {
    TSR_FRAMES_ALL = 0,
    TSR_FRAMES_COUNT = 1, /* `frames` of them, spread by `rounding` */
    TSR_FRAMES_RATE = 2,  /* `rate` a second, by `rounding` */
    TSR_FRAMES_EVERY = 3, /* 0, every, 2 every ... */
    TSR_FRAMES_KEYS = 4,  /* key frames */
    TSR_FRAMES_SCENES =
        5,                /* the first, and those whose score is above `threshold`: FFmpeg's scene
                             score, min(m, |m - previous m|) / 100 within 0..1, m the change of luma */
    TSR_FRAMES_COVER = 6, /* `frames` of them that differ most: the first, then each time the one
                             farthest from those taken (mean squared difference of 8 x 8 areas) */
    TSR_FRAMES_CLIPS = 7  /* `clips` runs of `frames` frames, `gap` apart, spread evenly as
                             torchcodec  does it; in the order of the video */
} tsr_frame_rule;

/* A choice of frames. A struct of zeros takes all. */
typedef struct tsr_frame_choice {
    tsr_frame_rule rule;
    const char *rounding; /* COUNT: linspace-trunc (default), linspace-round, start-of-segment,
                             segment-middle, segment-mean, qwen-smart-nframes, qwen-hf-arange; RATE:
                             time-hold (default: the frame on screen), ffmpeg-fps-near,
                             ffmpeg-fps-down, start-of-segment, llava-fps-cap, qwen-smart-nframes,
                             qwen-hf-arange. docs/VIDEO.md has the formulas */
    uint32_t frames;      /* COUNT, COVER, CLIPS: 1 or more */
    tsr_rational rate;    /* RATE */
    uint32_t every;       /* EVERY: 1 or more */
    double threshold;     /* SCENES: 0..1; default 0: 0.4 */
    uint32_t clips, gap;  /* CLIPS; gap 0: 1 */
    double start, end; /* seconds after the first frame: the rule sees frames shown from `start` on
                          and before `end`; end 0: up to the last */
    int square_pixels; /* 1: frames whose pixels are not square (tsr_video_info.sample_aspect) are
                          resized to the width they are shown at, round(width * aspect) before
                          turning, by a Lanczos filter of three lobes; default 0: pixels stay as
                          they are, as in every reader */
} tsr_frame_choice;

/* A frame that was taken. */
typedef struct tsr_frame_pick {
    uint64_t index;   /* in the video, from 0 */
    int64_t pts;      /* as the file has it, or TSR_NO_TIME */
    int64_t duration; /* units; 0: not known */
    double seconds;   /* after the first frame; by the rate where frames have no times */
    double score;     /* SCENES: of the scene; COVER: distance to the frames taken before; else the
                         change of luma to the frame before in the video */
    int key;
} tsr_frame_pick;

/* The frames of a choice, one after the other. */
typedef struct tsr_frames tsr_frames;
/* Opens a video and chooses. ALL, EVERY, KEYS and SCENES choose while they read, so that pipes do;
 * the other rules read the video once before, without pixels, to know its frames: UNSUPPORTED for
 * pipes. progress (may be NULL) counts frames of that reading, of an unknown total. The caller
 * closes *frames with tsr_frames_close; it is NULL on error. settings and choice may be NULL.
 * Errors: those of tsr_video_open and tsr_video_next; ARGUMENT (a rule's numbers; more frames than
 * there are, where its formula refuses that; times that do not rise, for RATE); INTERRUPTED. A
 * video that is damaged is chosen from as far as it is whole. */
tsr_status tsr_frames_open(tsr_context *ctx, const char *path, const tsr_video_settings *settings,
                           const tsr_frame_choice *choice, tsr_progress_fn progress, void *user,
                           tsr_frames **frames);
/* Closes the choice and its video. NULL and a NULL *frames are accepted. */
void tsr_frames_close(tsr_frames **frames);
/* Gives the next frame that was taken, or NULL at the end; a frame that a rule takes twice comes
 * twice. *pick and *frame are valid until the next call. Errors: those of tsr_video_next, behind
 * the whole frames. */
tsr_status tsr_frames_next(tsr_frames *frames, const tsr_video_frame **frame,
                           const tsr_frame_pick **pick);
/* How many frames the choice has and how many the video shows; 0 while that is not known. */
void tsr_frames_count(const tsr_frames *frames, uint64_t *taken, uint64_t *all);
/* Splits tokens over frames [count] by what changes: a half evenly, a half in proportion to
 * change [count], numbers of any scale not below 0. least and most [count] bound what a frame gets
 * and may be NULL (0, no bound): what a bound cuts off goes to the others by the same rule.
 * Fractions are cut, and what is left goes to the earliest frames with room. tokens [count] add up
 * to `budget`, or to all of `most` where that is less. Errors: ARGUMENT (no frames, a change below
 * 0, a budget below the sum of `least`). */
tsr_status tsr_frames_share(tsr_context *ctx, uint64_t count, uint64_t budget, const double *change,
                            const uint64_t *least, const uint64_t *most, uint64_t *tokens);
/* The video that is read, for tsr_video_properties and tsr_video_remarks. Owned by the choice. */
tsr_video *tsr_frames_video(tsr_frames *frames);

/* ---- writing ----------------------------------------------------------------------------------
 */

/* How a video is written. A struct of zeros is the default. */
typedef struct tsr_video_write_settings {
    const char *format; /* "mp4", "mkv", "webm", "nut", "y4m", "gif" or "frames" (a folder of PNG
                           pictures, frame_000001.png ..., with their times in frames.json); default
                           NULL: what the suffix of the path says, "frames" where it ends in '/',
                           and y4m for stdout, pipes and names without suffix */
    const char *codec;  /* "h264", "vp9" or "ffv1"; default NULL: h264 in mp4, mkv and nut, vp9 in
                           webm, ffv1 in mkv and nut that are lossless */
    int crf;            /* quality of h264, 1..51, and vp9, 1..63: smaller is better and larger.
                           Default 0: 18 of h264, 24 of vp9 */
    const char *preset; /* of h264, from "ultrafast" to "placebo": slower makes smaller files;
                           default NULL: "medium" */
    int lossless; /* 1: every pixel is kept: FFV1 in mkv and nut, H.264 of R, G and B in mp4 (which
                     few players show), VP9 of them in webm; UNSUPPORTED in y4m and gif. Frames in a
                     folder always are. Default 0 */
    tsr_rational rate;       /* frames a second: what frames without times have, and what y4m has.
                                Default 0/0: 1 / time_base where that is 1..240, or else 25 */
    int variable_rate;       /* 1: times follow no rate, and files that keep times state none, which
                                readers would take for the length of the frames; default 0 */
    tsr_rational time_base;  /* seconds of a unit of pts and durations; default 0/0: 1 / rate */
    tsr_video_matrix matrix; /* luma and chroma from R, G and B; default TSR_VIDEO_MATRIX_AUTO:
                                BT.709, with tags that say so, and BT.601 in y4m, which has no such
                                tag and is read so by everyone */
    tsr_video_range range;   /* default TSR_VIDEO_RANGE_AUTO: limited */
} tsr_video_write_settings;

/* What became of the frames. */
typedef struct tsr_video_write_report {
    uint64_t frames;   /* in the file */
    uint64_t repeated; /* of them: copies that hold a frame, where the rate is constant (y4m) */
    uint64_t dropped; /* added, but not in the file: no tick of a constant rate was theirs (y4m), or
                         the frame before was shown for less than 2/100 s (gif) */
    uint64_t moved;   /* added with a time that did not come after that of the frame before, and
                         shown one unit after it */
    uint64_t bytes;   /* of the file; 0 of a folder */
    uint32_t coded_width, coded_height; /* samples of a frame in the file: even in 4:2:0 of h264,
                                           where the last row or column of an odd picture stands
                                           twice */
    char format[16], codec[16];         /* as in the settings; "png" in a folder */
    char samples[32];                   /* FFmpeg's name: "yuv420p" */
} tsr_video_write_report;

/* A video being written. */
typedef struct tsr_video_writer tsr_video_writer;

/* Says what tsr_video_writer_open would say of the path and the settings, and makes nothing: for
 * before the work begins. Errors: ARGUMENT, UNSUPPORTED, EXISTS. */
tsr_status tsr_video_write_check(tsr_context *ctx, const char *path,
                                 const tsr_video_write_settings *settings);
/* 1 if a path is named like a video that is written: .mp4, .m4v, .mkv, .webm, .nut, .y4m, .gif, or
 * a folder's '/' at the end; 0 otherwise, and for stdout, pipes and devices. */
int tsr_video_is_name(const char *path);
/* Begins a video of frames of width x height pixels. `path` "-" is stdout; there mp4 is fragmented,
 * since nobody can go back in a pipe. The file appears under `path` when it is complete, and so
 * does a folder, which replaces an existing one only where that is empty or has a frames.json.
 *
 * mp4 (with the index in front), mkv, webm, nut and folders keep the time of each frame; Matroska
 * (mkv, webm) rounds to milliseconds. y4m has a constant rate: a frame begins at the tick that is
 * nearest to its time, counted from the first frame, and is held until the next one begins. gif
 * counts 1/100 s, from the first frame on, and has one palette. Colours are computed by the rule of
 * docs/VIDEO.md; equal frames, times and settings give equal bytes with equal versions of FFmpeg,
 * whatever the number of threads, except that x264 was once seen to choose between two forms of the
 * same frames (mp4, docs/VIDEO.md).
 *
 * The caller ends *writer with tsr_video_writer_finish or tsr_video_writer_abandon; it is NULL on
 * error. settings may be NULL (the defaults). FFmpeg's messages are switched off for the process.
 * Errors: ARGUMENT (a setting out of range, a codec or suffix that does not fit the format, no
 * pixels), UNSUPPORTED (a build or an FFmpeg without the encoder; lossless where it cannot be),
 * TOO_LARGE (a side above 16384), EXISTS, writing errors. */
tsr_status tsr_video_writer_open(tsr_context *ctx, const char *path,
                                 const tsr_video_write_settings *settings, uint32_t width,
                                 uint32_t height, tsr_video_writer **writer);
/* Adds a frame: rgb is [height, width, 3]; pts is when it is shown, in units of the time base, or
 * TSR_NO_TIME: the number of frames before it / rate. duration is how long, in units; 0 or
 * TSR_NO_TIME: until the next one, the last as long as the one before it. After an error the writer
 * can only be abandoned. Errors: writing errors; ARGUMENT (times beyond 2^53 units). */
tsr_status tsr_video_writer_add(tsr_video_writer *writer, const uint8_t *rgb, int64_t pts,
                                int64_t duration);
/* Ends the video and gives the file its name. *writer becomes NULL also on error, when nothing
 * stays behind. `report` may be NULL. Errors: writing errors; ARGUMENT (no frame was added). */
tsr_status tsr_video_writer_finish(tsr_video_writer **writer, tsr_video_write_report *report);
/* Removes what was written and sets *writer to NULL. NULL and a NULL *writer are accepted. */
void tsr_video_writer_abandon(tsr_video_writer **writer);

/* ---- pictures ---------------------------------------------------------------------------------
 */

/* How a picture becomes a file. A struct of zeros is the default. */
typedef struct tsr_picture_write_settings {
    const char *format; /* "png", "jpg", "webp", "avif", "jxl", "tiff" or "ppm"; default NULL: what
                           the suffix of the file's name says (.jpeg, .jpe, .jfif, .tif, .pnm are
                           known, too), and png for stdout, pipes and names without suffix. A suffix
                           of another format fails with ARGUMENT, and so does an unknown suffix
                           without a format */
    int quality;        /* of jpg, webp, avif and jxl, 1 (smallest) to 100 (nearest to the pixels);
                           ARGUMENT with the others, and with `lossless`. JPEG, AVIF and JPEG XL keep
                           chroma at full resolution (4:4:4), WebP at half. Default 0: 95 */
    int lossless;       /* 1: webp, avif and jxl keep every pixel, as png, tiff and ppm always do;
                           ARGUMENT with jpg. Default 0 */
    int half_chroma;    /* 1: jpg keeps chroma at half of the resolution (4:2:0), as most programs
                           write it unless told otherwise; not read by other formats. Default 0: 4:4:4
                         */
} tsr_picture_write_settings;

/* Reads a picture file into *rgb, [*height, *width, 3], which the caller frees with free(). "-" is
 * stdin. The EXIF orientation is applied, and transparent pixels are laid over `background`; NULL
 * is white. Formats: those of tsr_encode_files. Errors: reading errors. */
tsr_status tsr_picture_read(tsr_context *ctx, const char *path, const uint8_t background[3],
                            uint8_t **rgb, int *width, int *height);
/* Reads a picture from the bytes of a file [size] in memory, as tsr_picture_read does; no file is
 * opened. `name` begins detail texts; NULL is "picture in memory". A picture of more than
 * `max_pixels` pixels by its header is refused before it is decoded; 0: 2^28. *orientation becomes
 * the EXIF tag that was applied, 1..8; it may be NULL. On error *rgb is NULL. Errors: ARGUMENT
 * (NULL), FORMAT, TRUNCATED, UNSUPPORTED, TOO_LARGE, MEMORY. */
tsr_status tsr_picture_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                             const uint8_t background[3], uint64_t max_pixels, uint8_t **rgb,
                             int *width, int *height, int *orientation);
/* Writes RGB [height, width, 3] as a picture file of the kind that the suffix of `path` or the
 * settings say; "-" is stdout. The file appears under `path` when it is complete. settings may be
 * NULL (the defaults). Errors: ARGUMENT, UNSUPPORTED (a format this build was made without),
 * TOO_LARGE (more pixels than the format holds), EXISTS, writing errors. */
tsr_status tsr_picture_write(tsr_context *ctx, const char *path, int width, int height,
                             const uint8_t *rgb, const tsr_picture_write_settings *settings);
/* Writes the same bytes to memory: *bytes [*size], which the caller frees with free(). What kind
 * they are is settings->format alone; default png. Errors: ARGUMENT, UNSUPPORTED, TOO_LARGE,
 * MEMORY.
 */
tsr_status tsr_picture_encode(tsr_context *ctx, int width, int height, const uint8_t *rgb,
                              const tsr_picture_write_settings *settings, uint8_t **bytes,
                              size_t *size);
/* Says what tsr_picture_write would say without looking at pixels, and writes nothing: for before
 * the work begins. Errors: ARGUMENT, UNSUPPORTED, EXISTS. */
tsr_status tsr_picture_write_check(tsr_context *ctx, const char *path,
                                   const tsr_picture_write_settings *settings);
/* Writes RGB [height, width, 3] as a PNG file, whatever its name; "-" is stdout. Equal pixels give
 * equal bytes. The file appears under `path` when it is complete. Errors: ARGUMENT, EXISTS, writing
 * errors. */
tsr_status tsr_picture_write_png(tsr_context *ctx, const char *path, int width, int height,
                                 const uint8_t *rgb);

#ifdef __cplusplus
}
#endif
#endif
