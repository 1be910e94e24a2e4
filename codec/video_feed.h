/* SPDX-License-Identifier: MIT */
/* video_feed.h: the two ends of a pipeline that frames of videos go through. The reader's thread
 * takes the chosen frames and puts marks around those of a clip; behind the pipeline the marks open
 * and close the clip in a token file, with the exact times of its frames. Nothing is held for a
 * frame but what is on its way. */
#ifndef CODEC_VIDEO_FEED_H
#define CODEC_VIDEO_FEED_H

#include <tessera/media.h>

#include "pipeline.h"

/* What to read, and for which tiles. Pointers outlive the feed. */
typedef struct tsr_video_feed_settings {
    const tsr_video_settings *video;
    const tsr_frame_choice *frames;
    const uint8_t *background;      /* [3] */
    const tsr_token_header *header; /* of the file: an item holds as many frames as its tiles */
    /* Receives what was said about a video when it is over, on the reader's thread; NULL: nobody
     * listens. */
    void (*remarks)(void *user, const char *const *remarks, int count);
    void *remarks_user;
} tsr_video_feed_settings;

typedef struct tsr_video_feed tsr_video_feed;
/* Errors: MEMORY. */
tsr_status tsr_video_feed_open(tsr_context *ctx, const tsr_video_feed_settings *settings,
                               tsr_video_feed **feed);
/* Behind the pipeline's run. NULL and a NULL *feed are accepted. */
void tsr_video_feed_close(tsr_video_feed **feed);

/* ---- the reader's end; ctx belongs to its thread ---- */

/* The beginning of the keys of a video's frames: the name without folder and suffix. */
void tsr_video_key(const char *path, char *key, size_t size);
/* The next video. Keys of its items begin with `key`; `path` and `key` outlive it. */
void tsr_video_feed_begin(tsr_video_feed *feed, uint64_t entry, const char *path, const char *key);
/* Gives the next step: a mark where its clip begins or ends, an item's frames, or, behind those
 * that are whole, a sample that says why there are no more (rest_lost). Neither: the video is over
 * and closed. Errors: MEMORY. */
tsr_status tsr_video_feed_next(tsr_video_feed *feed, tsr_context *ctx, tsr_feed *step);

/* ---- the other end; each step in its order ---- */

/* Opens or closes a clip by a mark. *begins says which. Errors: those of the writer. */
tsr_status tsr_video_feed_mark(tsr_video_feed *feed, const void *mark, tsr_token_writer *writer,
                               bool *begins);
/* Counts a sample, before its item is added. */
void tsr_video_feed_pass(tsr_video_feed *feed, const tsr_sample *sample);
/* Frames of the item that was counted last, and their times [count]. */
uint32_t tsr_video_feed_times(const tsr_video_feed *feed, const tsr_clip_frame **times);

#endif
