/* SPDX-License-Identifier: MIT */
/* info_clips.h: what `tessera info` says of clips. */
#ifndef TOOLS_INFO_CLIPS_H
#define TOOLS_INFO_CLIPS_H

#include "tool.h"

/* A line for each clip, which begins with "clip        ". */
void clip_lines(tsr_token_file *file);
/* The array "clips"; nothing where there are none. */
void clip_json(json_out *j, tsr_token_file *file);

#endif
