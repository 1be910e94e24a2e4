/* SPDX-License-Identifier: MIT */
/* clip_times.h: clips inside: facts and times of one, as fields and as a CLIP chunk. Times are
 * kept as runs, in memory too: what a chunk takes grows with its bytes, whatever number of frames
 * it claims. SPEC.md, section 7.2. */
#ifndef FORMATS_CLIP_TIMES_H
#define FORMATS_CLIP_TIMES_H

#include "token_layout.h"

enum {
    TSR_CLIP_NAME = 255,
    TSR_CLIP_GROUP = 32, /* items, where the caller leaves it to us */
    TSR_CLIP_GROUP_MOST = 256
};
#define TSR_CLIP_MOST_TICKS ((int64_t)1 << 60)
#define TSR_CLIP_MOST_ITEMS ((uint64_t)1 << 40)

/* Items that hold the same number of frames. Runs begin where the one before ends. */
typedef struct tsr_window_run {
    uint64_t item, frame; /* the first ones, counted from the clip's start */
    uint32_t frames, skip;
} tsr_window_run;
/* Frames at equal steps. */
typedef struct tsr_step_run {
    uint64_t frame;
    bool missing; /* they have no pts; else frame + i has pts + (i + 1) step */
    int64_t pts;  /* of the last frame before that has one; the clip's start where none has */
    int64_t step;
} tsr_step_run;
typedef struct tsr_duration_run {
    uint64_t frame, duration;
} tsr_duration_run;

/* Starts as zeros. */
typedef struct tsr_clip_times {
    tsr_window_run *windows;
    tsr_step_run *steps;
    tsr_duration_run *durations;
    size_t window_count, step_count, duration_count;
    size_t window_room, step_room, duration_room;
    uint64_t items, frames;
    int64_t last; /* pts of the last frame that has one */
} tsr_clip_times;
void tsr_clip_times_free(tsr_clip_times *times);
/* Forgets what is there, for a clip that starts at `start`. */
void tsr_clip_times_clear(tsr_clip_times *times, int64_t start);
/* Adds an item of frames [count], whose times are in range. Errors: MEMORY. */
tsr_status tsr_clip_times_add(tsr_context *ctx, tsr_clip_times *times, const tsr_clip_frame *frames,
                              uint32_t count, uint32_t skip);
/* Time of frame `frame`, which is there; *last: the last one up to it that has a pts, UINT64_MAX
 * for none. */
tsr_clip_frame tsr_clip_times_at(const tsr_clip_times *times, uint64_t frame, uint64_t *last,
                                 int64_t *last_pts);
/* The last frame whose pts is at most `ticks`, else the first frame with a pts; UINT64_MAX: none.
 */
uint64_t tsr_clip_times_find(const tsr_clip_times *times, int64_t ticks);
/* The run of items that holds item, or frame, number `n` of the clip. */
const tsr_window_run *tsr_clip_window_of_item(const tsr_clip_times *times, uint64_t n);
const tsr_window_run *tsr_clip_window_of_frame(const tsr_clip_times *times, uint64_t n);

/* A CLIP chunk. */
typedef struct tsr_clip_record {
    tsr_token_clip clip; /* its name is `name`; what reading fills of files is 0 */
    char name[TSR_CLIP_NAME + 1];
    uint64_t number, first_item; /* of the clip, of its first item */
    tsr_clip_times times;
} tsr_clip_record;
/* Fails with `status` when a fact is out of range. `name` begins the detail text. */
tsr_status tsr_clip_check(tsr_context *ctx, tsr_status status, const char *name,
                          const tsr_token_clip *clip);
tsr_status tsr_clip_check_frames(tsr_context *ctx, tsr_status status, const char *name,
                                 const tsr_clip_frame *frames, uint32_t count, uint32_t skip);
/* Writes the chunk of a record whose fields were checked. */
void tsr_clip_put(tsr_bytes *bytes, const tsr_clip_record *record);
/* Reads a payload. Errors: FORMAT, MEMORY. */
tsr_status tsr_clip_get(tsr_context *ctx, const char *name, const uint8_t *payload, size_t size,
                        tsr_clip_record *record);
/* Which items a payload names, without a look at the rest; false: none. */
bool tsr_clip_probe(const uint8_t *payload, size_t size, uint64_t *number, uint64_t *first,
                    uint64_t *items);
/* Seconds of a pts of the clip. */
double tsr_clip_seconds(const tsr_token_clip *clip, int64_t pts);

#endif
