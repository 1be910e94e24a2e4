/* SPDX-License-Identifier: MIT */
/* frames_list.h: the file beside frames in a folder that has their times, frames.json:
 *
 *     {"time_base": "1/12800", "rate": "25/1", "width": 64, "height": 48,
 *      "frames": [{"file": "frame_000001.png", "pts": 0, "duration": 512}, ...]}
 *
 * write_video_folder.c writes it; whoever makes one needs time_base and of each frame file and pts.
 * Members that are not known are passed over. */
#ifndef MEDIA_FRAMES_LIST_H
#define MEDIA_FRAMES_LIST_H

#include <tessera/media.h>
#include "../compute/context.h"

#define TSR_VIDEO_FRAMES_FILE "frames.json"

typedef struct tsr_listed_frame {
    char *file;            /* its name, never NULL */
    int64_t pts, duration; /* in units of the time base; a duration of 0 is not known */
} tsr_listed_frame;

typedef struct tsr_frames_list {
    tsr_rational time_base, rate; /* rate 0/0: not known */
    uint64_t count;
    tsr_listed_frame *frame; /* [count], pts rising */
} tsr_frames_list;

/* Reads the bytes of such a file; `where` begins messages. *list is zeros on error, else the caller
 * frees it. Errors: FORMAT (no JSON, a member of another kind or missing, a time that does not
 * rise), TOO_LARGE, MEMORY. */
tsr_status tsr_frames_list_parse(tsr_context *ctx, const char *where, const void *bytes,
                                 size_t size, tsr_frames_list *list);
void tsr_frames_list_free(tsr_frames_list *list);

#endif
