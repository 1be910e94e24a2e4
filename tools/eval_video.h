/* SPDX-License-Identifier: MIT */
/* eval_video.h: the part of `tessera eval` that compares clips. */
#ifndef TOOLS_EVAL_VIDEO_H
#define TOOLS_EVAL_VIDEO_H

#include "tool.h"

/* Compares two clips and prints what is found: a table, with `per_frame` a line for each frame;
 * with `csv` a line for each frame alone; or JSON. Returns the exit code. */
int eval_videos(tool *t, const char *original, const char *reconstruction, bool per_frame,
                bool csv);

#endif
