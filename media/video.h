/* SPDX-License-Identifier: MIT */
/* video.h: what a kind of video is: FFmpeg's, animated WebP, a folder of pictures. video.c runs the
 * kind in a thread and hands its frames on; a kind decodes one frame after the other and knows
 * nothing of threads. */
#ifndef MEDIA_VIDEO_H
#define MEDIA_VIDEO_H

#include "../compute/context.h"
#include <stdbool.h>
#include <tessera/media.h>

/* Room for a frame, used again and again. */
typedef struct tsr_video_slot {
    tsr_video_frame frame; /* rgb points into `bytes` */
    uint8_t *bytes;
    size_t room;
} tsr_video_slot;
/* Makes room for width x height pixels and sets width, height and rgb. Errors: MEMORY. */
tsr_status tsr_video_slot_size(tsr_context *ctx, tsr_video_slot *slot, uint32_t width,
                               uint32_t height);
/* Turns the frame as an EXIF orientation, 1..8, asks. Errors: MEMORY. */
tsr_status tsr_video_slot_turn(tsr_context *ctx, tsr_video_slot *slot, int orientation);

/* Samples of a decoded frame before anything was done with them: what golden cases hash. */
typedef struct tsr_video_planes {
    int count;
    const uint8_t *row[4]; /* first byte of each plane */
    ptrdiff_t stride[4];   /* bytes from a row to the next; below 0 where rows go up */
    size_t bytes[4];       /* of a row, without padding */
    uint32_t rows[4];
} tsr_video_planes;
/* Receives the samples of each frame that comes out, in order, on the thread that decodes. */
typedef void (*tsr_video_tap_fn)(void *user, const tsr_video_planes *planes);

/* The first bytes of a file or pipe, looked at to find its kind. */
enum { TSR_VIDEO_HEAD = 64 };
typedef struct tsr_video_input {
    const char *path; /* to open */
    const char *name; /* for messages */
    int fd;           /* open, behind the head; -1: a folder */
    bool seekable;
    uint8_t head[TSR_VIDEO_HEAD];
    size_t head_size;
} tsr_video_input;

typedef struct tsr_video_remark_list tsr_video_remark_list;
/* Adds a remark, which is logged, too; one that was made before is left out. Of many the first. */
void tsr_video_remark(tsr_video_remark_list *remarks, const char *format, ...) TSR_PRINTF(2, 3);

/* What a kind gets when it is opened; all of it outlives the kind's state. */
typedef struct tsr_video_opening {
    tsr_context *ctx; /* of the video alone */
    tsr_video_input *input;
    const tsr_video_settings *settings; /* defaults replaced by their numbers */
    tsr_video_info *info;               /* zeros; to be filled */
    tsr_video_remark_list *remarks;
    tsr_video_tap_fn tap; /* NULL: nobody listens */
    void *tap_user;
} tsr_video_opening;

typedef struct tsr_video_kind {
    /* Opens a video and fills the info. The state is closed also after a failure. */
    tsr_status (*open)(const tsr_video_opening *o, void **state);
    /* Decodes the next frame into `slot`, all but its index; *end: there is none. Errors: those of
     * tsr_video_next; after one nothing more is asked before a seek. */
    tsr_status (*next)(void *state, tsr_video_slot *slot, bool *end);
    /* Goes to a frame that is shown at or before `pts`, as far as the file tells; TSR_NO_TIME: to
     * the first. The kind is seekable. Errors: IO, and those of `open`. */
    tsr_status (*seek)(void *state, int64_t pts);
    void (*close)(void *state);
} tsr_video_kind;
extern const tsr_video_kind tsr_video_kind_av, tsr_video_kind_webp, tsr_video_kind_folder;

/* tsr_video_open with a tap. */
tsr_status tsr_video_open_tapped(tsr_context *ctx, const char *path,
                                 const tsr_video_settings *settings, tsr_video_tap_fn tap,
                                 void *tap_user, tsr_video **video);

/* Mean absolute difference between two frames' samples, 8 bits each (0 when sizes differ), which
 * remembers the last ones. Zeros to begin; freed by the caller. */
typedef struct tsr_video_change {
    uint8_t *last; /* [bytes] */
    size_t bytes, room;
    bool filled;
} tsr_video_change;
/* Difference of `rows` rows of `bytes` bytes, first at `from`, to those of the call before. */
tsr_status tsr_video_change_of(tsr_context *ctx, tsr_video_change *change, const uint8_t *from,
                               ptrdiff_t stride, size_t bytes, uint32_t rows, double *difference);

#endif
