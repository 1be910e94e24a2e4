/* SPDX-License-Identifier: MIT */
/* info_video.h: what 'info' says of a video file. */
#ifndef TOOLS_INFO_VIDEO_H
#define TOOLS_INFO_VIDEO_H

#include "tool.h"

/* Prints what a video says about itself and what is assumed, without decoding it. Returns the exit
 * code. */
int info_video(tool *t, const char *path);

#endif
