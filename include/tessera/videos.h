/* SPDX-License-Identifier: MIT */
/* videos.h: videos to token files.
 *
 *     tsr_encode_videos_settings s = tsr_encode_videos_settings_default();
 *     s.frames = (tsr_frame_choice){.rule = TSR_FRAMES_RATE, .rate = {2, 1}};
 *     const char *inputs[] = {"clip.mp4"};
 *     tsr_status status = tsr_encode_videos(ctx, inputs, 1, "clip.tess", &s, NULL);
 *
 * The conventions of tessera.h hold here, too. */
#ifndef TESSERA_VIDEOS_H
#define TESSERA_VIDEOS_H

#include "media.h"
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How videos become a token file. */
typedef struct tsr_encode_videos_settings {
    tsr_encode_files_settings files; /* as for pictures, each frame being one; of `source` nothing
                                        is read, `check` and targets hold for each frame; default
                                        tsr_encode_files_settings_default() */
    tsr_video_settings video;        /* its background is files.encode.fit.background; default
                                        tsr_video_settings_default() */
    tsr_frame_choice frames;         /* default zeros: all frames */
} tsr_encode_videos_settings;
/* Default settings of tsr_encode_videos. */
tsr_encode_videos_settings tsr_encode_videos_settings_default(void);
/* Totals of one tsr_encode_videos. */
typedef struct tsr_encode_videos_report {
    tsr_encode_report frames; /* pictures are items; `failed` counts videos that could not be read,
                                 or not to their end, and items that could not be encoded */
    uint64_t clips;           /* that are in the file */
    uint64_t frame_count;     /* frames in them */
    char remarks[8][240]; /* what was said about the videos (tsr_video_remarks): the first of it;
                             "" behind the last */
} tsr_encode_videos_report;
/* Encodes videos into one token file, a clip each. Every chosen frame is an item; a tokenizer of
 * video gets as many frames in a row as its tiles have (tsr_model_settings.tile_frames) for each
 * item, fewer at a clip's end and where the size of frames changes. Items decode alone. An input is
 * what tsr_video_open takes. Keys are NAME/000000, the video's name without folder and suffix and
 * the number of the item's first frame in the video. Frames without times get those of the assumed
 * rate. Memory does not grow with the length of a video.
 *
 * A video that is damaged is kept up to there and reported to files.failed: with TSR_ON_ERROR_STOP
 * that ends the call (files.keep_partial keeps what was done), with SKIP the next follows. settings
 * and report may be NULL. Errors: those of tsr_encode_files and tsr_frames_open. */
tsr_status tsr_encode_videos(tsr_context *ctx, const char *const *inputs, int input_count,
                             const char *output, const tsr_encode_videos_settings *settings,
                             tsr_encode_videos_report *report);

#ifdef __cplusplus
}
#endif
#endif
