/* SPDX-License-Identifier: MIT */
/* video_options.h: the options that say how videos are read and which of their frames are taken,
 * shared by the verbs that read them, and what they mean to the library. */
#ifndef TOOLS_VIDEO_OPTIONS_H
#define TOOLS_VIDEO_OPTIONS_H

#include <tessera/videos.h>
#include "tool.h"

/* Member `video` of a verb's options. */
typedef struct video_choices {
    const char *frames, *fps, *clips, *rate, *raw;
    uint32_t every, cover;
    int keyframes, matrix, range, deinterlace, square, lenient, as_video;
    double scenes, start, end;
} video_choices;

/* video_options.def has the rows of the option table. */

/* What the choices mean. */
typedef struct video_meaning {
    tsr_video_settings settings;
    tsr_frame_choice choice;
    char rounding[48];
} video_meaning;
/* Fills *meaning, whose texts are those of the choices and its own. Returns -1, or the exit code to
 * leave with after a mistake of the command line. */
int video_meaning_read(const verb *v, const video_choices *choices, video_meaning *meaning);
/* Which inputs are videos: 1 all, 0 none, 2 some. */
int video_inputs(const video_choices *choices, char *const *inputs, int count);
/* Says on stderr what was said about a video, when the verb is not quiet. */
void video_say_remarks(tool *t, tsr_video *video);

#endif
