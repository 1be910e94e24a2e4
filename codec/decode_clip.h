/* SPDX-License-Identifier: MIT */
/* decode_clip.h: the frames of a clip to a video. */
#ifndef CODEC_DECODE_CLIP_H
#define CODEC_DECODE_CLIP_H

#include <stdbool.h>
#include <tessera/tessera.h>

/* Which clip of an open token file becomes which video. */
typedef struct tsr_clip_job {
    tsr_context *ctx;
    const tsr_decode_file_settings *s;
    const char *input, *output;
    tsr_token_file *file;
    const tsr_token_header *header;
    tsr_decode_report *report;
    /* The rest is set by tsr_clip_job_choose, but for `video`. */
    uint64_t clip, first, end; /* frames first .. end - 1 of the clip */
    tsr_token_clip facts;
    tsr_video_write_settings video;
} tsr_clip_job;

/* True if this file becomes a video under this name: the name or the settings say so, or it is a
 * folder or stdout, the file has one clip, and nothing asks for pictures. */
bool tsr_clip_is_wanted(const tsr_decode_file_settings *s, const tsr_token_file *file,
                        const char *output);
/* Chooses clip and frames by the settings. Errors: ARGUMENT (no clip, several of which none is
 * chosen, a time that is none of the clip's); those of tsr_token_file_clip. */
tsr_status tsr_clip_job_choose(tsr_clip_job *job);
/* The same, and looks at everything that could be said of the output. Errors: those of
 * tsr_video_write_check and tsr_clip_job_choose. */
tsr_status tsr_clip_job_open(tsr_clip_job *job);
/* Decodes the frames and writes the video. Items that cannot be read are told and counted, and the
 * frame before theirs stays for them. Errors: those of tsr_decode_file. */
tsr_status tsr_clip_job_run(const tsr_clip_job *job, tsr_tokenizer *tokenizer);

/* The frames of a job, decoded one item at a time. Set `j` and `t` and `item` TSR_NO_ITEM; the rest
 * starts as zeros. */
typedef struct tsr_clip_frames {
    const tsr_clip_job *j;
    tsr_tokenizer *t;
    uint64_t done; /* frames of the job that are behind */
    /* the item at hand: */
    uint64_t item;
    bool whole; /* its pixels are there */
    int width, height;
    uint8_t *rgb;  /* [frames of a tile, height, width, 3] */
    int64_t first; /* that times count from, where the clip's beginning was cut off */
    tsr_video_frame frame;
} tsr_clip_frames;
/* Gives the next frame, or NULL at the end, with its time in the clip's time base. Items that
 * cannot be read are told and counted, and their frames left out. `user` is a tsr_clip_frames.
 * Errors: those of decoding; UNSUPPORTED (items of different sizes), TOO_LARGE, INTERRUPTED. */
tsr_status tsr_clip_frames_next(void *user, const tsr_video_frame **frame);
void tsr_clip_frames_free(tsr_clip_frames *frames);

#endif
