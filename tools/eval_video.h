/* SPDX-License-Identifier: MIT */
/* eval_video.h: the part of `tessera eval` that compares clips. */
#ifndef TOOLS_EVAL_VIDEO_H
#define TOOLS_EVAL_VIDEO_H

#include "tool.h"

/* True if the file holds a video, by its first bytes; moving pictures such as GIF are none. */
bool eval_is_video(const char *path);
/* Compares two clips and prints what is found: a table, with `per_frame` a line for each frame;
 * with `csv` a line for each frame alone; or JSON. Returns the exit code. */
int eval_videos(tool *t, const char *original, const char *reconstruction, bool per_frame,
                bool csv);

#endif
