/* SPDX-License-Identifier: MIT */
/* clip_times.c: times of a clip's frames as runs of equal steps and durations. */
#include "clip_times.h"

#include <stdlib.h>

void tsr_clip_times_free(tsr_clip_times *t) {
    free(t->windows);
    free(t->steps);
    free(t->durations);
    *t = (tsr_clip_times){0};
}

void tsr_clip_times_clear(tsr_clip_times *t, int64_t start) {
    t->window_count = t->step_count = t->duration_count = 0;
    t->items = t->frames = 0;
    t->last = start;
}

/* Adds a step or a missing pts, for the frame behind those that have one. */
static tsr_status add_step(tsr_context *ctx, tsr_clip_times *t, int64_t pts) {
    const bool missing = pts == TSR_NO_PTS;
    const int64_t step = missing ? 0 : pts - t->last;
    const tsr_step_run *before = t->step_count ? &t->steps[t->step_count - 1] : NULL;
    if (!before || before->missing != missing || before->step != step) {
        const tsr_status s = tsr_grow(ctx, &t->steps, &t->step_room, t->step_count + 1,
                                      sizeof *t->steps, "times of a clip");
        if (s) return s;
        t->steps[t->step_count++] =
            (tsr_step_run){.frame = t->frames, .missing = missing, .pts = t->last, .step = step};
    }
    if (!missing) t->last = pts;
    return TSR_OK;
}

static tsr_status add_duration(tsr_context *ctx, tsr_clip_times *t, uint64_t duration) {
    if (t->duration_count && t->durations[t->duration_count - 1].duration == duration)
        return TSR_OK;
    const tsr_status s = tsr_grow(ctx, &t->durations, &t->duration_room, t->duration_count + 1,
                                  sizeof *t->durations, "times of a clip");
    if (!s) t->durations[t->duration_count++] = (tsr_duration_run){t->frames, duration};
    return s;
}

tsr_status tsr_clip_times_add(tsr_context *ctx, tsr_clip_times *t, const tsr_clip_frame *frames,
                              uint32_t count, uint32_t skip) {
    const tsr_window_run *before = t->window_count ? &t->windows[t->window_count - 1] : NULL;
    tsr_status s = TSR_OK;
    if (!before || before->frames != count || before->skip != skip) {
        s = tsr_grow(ctx, &t->windows, &t->window_room, t->window_count + 1, sizeof *t->windows,
                     "times of a clip");
        if (s) return s;
        t->windows[t->window_count++] =
            (tsr_window_run){.item = t->items, .frame = t->frames, .frames = count, .skip = skip};
    }
    for (uint32_t i = 0; i < count && !s; ++i) {
        s = add_step(ctx, t, frames[i].pts);
        if (!s) s = add_duration(ctx, t, frames[i].duration);
        if (!s) ++t->frames;
    }
    if (!s) ++t->items;
    return s;
}

/* The last of runs [count] that begins at `n` or before; each begins with its first frame, at
 * `offset` in it. */
static size_t run_of(const void *runs, size_t count, size_t size, size_t offset, uint64_t n) {
    size_t low = 0, high = count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        uint64_t first;
        memcpy(&first, (const char *)runs + middle * size + offset, sizeof first);
        if (first <= n)
            low = middle;
        else
            high = middle;
    }
    return low;
}

const tsr_window_run *tsr_clip_window_of_item(const tsr_clip_times *t, uint64_t n) {
    return t->windows + run_of(t->windows, t->window_count, sizeof *t->windows,
                               offsetof(tsr_window_run, item), n);
}

const tsr_window_run *tsr_clip_window_of_frame(const tsr_clip_times *t, uint64_t n) {
    return t->windows + run_of(t->windows, t->window_count, sizeof *t->windows,
                               offsetof(tsr_window_run, frame), n);
}

tsr_clip_frame tsr_clip_times_at(const tsr_clip_times *t, uint64_t frame, uint64_t *last,
                                 int64_t *last_pts) {
    size_t run =
        run_of(t->steps, t->step_count, sizeof *t->steps, offsetof(tsr_step_run, frame), frame);
    const tsr_step_run *s = &t->steps[run];
    const size_t at = run_of(t->durations, t->duration_count, sizeof *t->durations,
                             offsetof(tsr_duration_run, frame), frame);
    tsr_clip_frame f = {.pts = TSR_NO_PTS, .duration = t->durations[at].duration};
    *last_pts = s->pts;
    if (!s->missing) {
        f.pts = *last_pts = s->pts + (int64_t)(frame - s->frame + 1) * s->step;
        *last = frame;
        return f;
    }
    *last = run ? s->frame - 1 : UINT64_MAX; /* runs without pts do not follow each other */
    return f;
}

uint64_t tsr_clip_times_find(const tsr_clip_times *t, int64_t ticks) {
    uint64_t first = UINT64_MAX;
    for (size_t i = t->step_count; i-- > 0;) {
        const tsr_step_run *s = &t->steps[i];
        const uint64_t end = i + 1 < t->step_count ? t->steps[i + 1].frame : t->frames;
        const int64_t count = (int64_t)(end - s->frame);
        if (s->missing) continue;
        first = s->frame;
        const int64_t room = ticks - s->pts; /* of so many steps are those that are not later */
        if (s->step <= 0) {                  /* the last is the earliest */
            if (count * s->step <= room) return end - 1;
        } else if (room >= s->step) {
            const int64_t steps = room / s->step;
            return s->frame + (uint64_t)(steps < count ? steps : count) - 1;
        }
    }
    return first;
}
