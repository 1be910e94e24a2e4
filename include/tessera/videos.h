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

#include "evaluate.h"
#include "media.h"
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How videos become a token file. */
typedef struct tsr_encode_videos_settings {
    tsr_encode_files_settings files; /* as for pictures, each frame being one; of `source` nothing
                                        is read, `check` and targets hold for each frame.
                                        encode.choice.budget is the most ids of a tile with a
                                        tokenizer that chooses its ids (KARL), and else that of all
                                        ids of a clip, of a tokenizer with nested ids: they are
                                        split over its frames by tsr_frames_share, the change of a
                                        frame being the share of its ids that differ from those of
                                        the frame before, and every frame keeps the first of its
                                        ids. Default tsr_encode_files_settings_default() */
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
 * rate. Memory does not grow with the length of a video; with a budget items wait in a file without
 * a name beside the output, and 24 bytes an item are in memory.
 *
 * A video that is damaged is kept up to there and reported to files.failed: with TSR_ON_ERROR_STOP
 * that ends the call (files.keep_partial keeps what was done), with SKIP the next follows. settings
 * and report may be NULL. Errors: those of tsr_encode_files and tsr_frames_open. */
tsr_status tsr_encode_videos(tsr_context *ctx, const char *const *inputs, int input_count,
                             const char *output, const tsr_encode_videos_settings *settings,
                             tsr_encode_videos_report *report);

/* How a clip of a token file is compared with its video. */
typedef struct tsr_clip_evaluate_settings {
    tsr_model_settings model;   /* that decodes; default tsr_model_settings_default() */
    tsr_decode_settings decode; /* default tsr_decode_settings_default() */
    tsr_video_settings video;   /* of reading the original; default tsr_video_settings_default() */
    int square_pixels; /* 1: the original's frames are resized as tsr_frame_choice.square_pixels
                          says, as they were for the clip; default 0 */
    uint32_t clip;     /* of the file, from 1; default 0: the only one */
    int force;         /* 1: decode with weights other than those the file names; default 0 */
} tsr_clip_evaluate_settings;
/* Default settings of tsr_clip_evaluate. */
tsr_clip_evaluate_settings tsr_clip_evaluate_settings_default(void);
/* What tsr_clip_evaluate says beyond the numbers. */
typedef struct tsr_clip_evaluate_report {
    uint64_t passed_over; /* frames of the original that the clip does not have, before its last */
    int fitted;           /* 1: the clip's frames have the size of the tile (crop, pad), and were
                             compared with the original's as they were fitted to it */
    char tokenizer[64];   /* name in the file's header */
    char device[300];     /* as in tsr_decode_report */
} tsr_clip_evaluate_report;
/* Compares a clip of the token file `tokens` with its video, frame by frame, decoding on the way:
 * one frame of each is in memory. A frame of the clip belongs to the original's frame of the same
 * time: of the same pts where both have one time base, else the one nearest in seconds after the
 * first frame, within a unit of the coarser time base and 1/100 s at most; without times that of
 * its number in the video. Frames of the original that were not chosen for the clip are passed
 * over. `frame`, settings and report may be NULL.
 *
 * Errors: those of tsr_decode_file and tsr_video_evaluate; ARGUMENT (no clip in the file, several
 * of which none is chosen; a frame of the clip at whose time the original has none, or of another
 * size: *evaluation then has the frames up to there); DAMAGED (items of the clip cannot be read:
 * the others were compared). */
tsr_status tsr_clip_evaluate(tsr_context *ctx, const char *original, const char *tokens,
                             const tsr_clip_evaluate_settings *settings, tsr_frame_score_fn frame,
                             void *user, tsr_video_evaluation *evaluation,
                             tsr_clip_evaluate_report *report);

#ifdef __cplusplus
}
#endif
#endif
