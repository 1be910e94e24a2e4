/* SPDX-License-Identifier: MIT */
/* eval_video.h: the part of `tessera eval` that compares clips. */
#ifndef TOOLS_EVAL_VIDEO_H
#define TOOLS_EVAL_VIDEO_H

#include "tool.h"

/* Compares two clips and prints what is found: a table, with `per_frame` a line for each frame;
 * with `csv` a line for each frame alone; or JSON. Returns the exit code. */
int eval_videos(tool *t, const char *original, const char *reconstruction, bool per_frame,
                bool csv);

/* A clip of a token file beside its video. */
typedef struct eval_clip_job {
    const char *original, *tokens;
    const char *model; /* located; NULL: the bundled one */
    uint32_t clip;     /* from 1; 0: the only one */
    bool square_pixels, per_frame, csv;
} eval_clip_job;
/* True for a token file that has a clip. */
bool eval_is_clip(tool *t, const char *path);
/* Decodes the clip on the way, and prints as eval_videos does. Returns the exit code. */
int eval_clip(tool *t, const eval_clip_job *job);

#endif
