/* SPDX-License-Identifier: MIT */
/* frame_streams.c: two streams of frames side by side, see metrics.h. */
#include "metrics.h"
#include "../formats/tokens/token_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Frames of containers that round their times differ by a unit, and by no more than this. */
static const double most_apart = 0.01;

/* One of the two streams. */
typedef struct side {
    const tsr_frame_stream *from;
    const tsr_video_frame *frame; /* NULL: the end */
    int64_t first;                /* pts of the first frame */
    bool begun;
    bool held; /* `frame` was read, and belongs to a later frame of the other side */
} side;

typedef struct comparison {
    tsr_context *ctx;
    side a, b;
    double unit; /* seconds that times may be apart */
    uint64_t frames, passed_over;
    bool by_index;
    /* chosen: the frame of `a` that was compared last, which may be wanted again */
    tsr_video_frame last;
    uint8_t *last_rgb; /* [last_room] */
    size_t last_room;
} comparison;

static tsr_status next(side *s) {
    if (s->held) {
        s->held = false;
        return TSR_OK;
    }
    const tsr_status status = s->from->next(s->from->user, &s->frame);
    if (!status && s->frame && !s->begun) {
        s->begun = true;
        s->first = s->frame->pts;
    }
    return status;
}

static double seconds_of(const side *s, const tsr_video_frame *frame) {
    return (double)(frame->pts - s->first) * (double)s->from->time_base.num /
           (double)s->from->time_base.den;
}

static tsr_status match_sizes(const comparison *c, const tsr_video_frame *a,
                              const tsr_video_frame *b) {
    if (a->width == b->width && a->height == b->height) return TSR_OK;
    return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT,
                    "%s: size of frame %llu: wanted %ux%u as in %s, got %ux%u", c->b.from->path,
                    (unsigned long long)c->frames, a->width, a->height, c->a.from->path, b->width,
                    b->height);
}

static tsr_status match(comparison *c) {
    const tsr_video_frame *a = c->a.frame, *b = c->b.frame;
    const tsr_status s = match_sizes(c, a, b);
    if (s) return s;
    if (!c->frames) c->by_index = a->pts == TSR_NO_TIME || b->pts == TSR_NO_TIME;
    if (c->by_index || a->pts == TSR_NO_TIME || b->pts == TSR_NO_TIME) return TSR_OK;
    const double ta = seconds_of(&c->a, a), tb = seconds_of(&c->b, b);
    if (fabs(ta - tb) > c->unit)
        return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT,
                        "%s: time of frame %llu: wanted %.6f s as in %s, got %.6f s",
                        c->b.from->path, (unsigned long long)c->frames, ta, c->a.from->path, tb);
    return TSR_OK;
}

/* One of the clips is over: how many frames has the other one? */
static tsr_status count_rest(comparison *c) {
    side *longer = c->a.frame ? &c->a : &c->b;
    uint64_t count = c->frames;
    tsr_status s = TSR_OK;
    while (!s && longer->frame) {
        count++;
        s = next(longer);
    }
    if (s) return s;
    const bool more = longer == &c->b;
    return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT, "%s: frames: wanted %llu as in %s, got %llu",
                    c->b.from->path, (unsigned long long)(more ? c->frames : count),
                    c->a.from->path, (unsigned long long)(more ? count : c->frames));
}

/* ---- frames that were chosen -------------------------------------------------------------------
 */

/* Where a frame of `a` stands to one of `b`: -1 before it, 0 they are one, 1 behind it. */
static int order(const comparison *c, const tsr_video_frame *a, const tsr_video_frame *b) {
    const tsr_rational x = c->a.from->time_base, y = c->b.from->time_base;
    if (a->pts == TSR_NO_TIME) { /* then pts of the clip are numbers of frames */
        const int64_t index = (int64_t)a->index;
        return index < b->pts ? -1 : index > b->pts;
    }
    if (x.num == y.num && x.den == y.den) return a->pts < b->pts ? -1 : a->pts > b->pts;
    const double apart = seconds_of(&c->a, a) - seconds_of(&c->b, b);
    return fabs(apart) <= c->unit ? 0 : apart < 0 ? -1 : 1;
}

/* Remembers the frame of `a` that is compared now. */
static tsr_status keep(comparison *c) {
    const size_t bytes = (size_t)c->a.frame->width * c->a.frame->height * 3;
    const tsr_status s =
        tsr_grow(c->ctx, &c->last_rgb, &c->last_room, bytes, 1, "frame of a video");
    if (s) return s;
    memcpy(c->last_rgb, c->a.frame->rgb, bytes);
    c->last = *c->a.frame;
    c->last.rgb = c->last_rgb;
    return TSR_OK;
}

/* Finds the frame of `a` that the next one of `b` was; none: `b` is over. */
static tsr_status next_chosen(comparison *c, const tsr_video_frame **a) {
    tsr_status s = next(&c->b);
    if (s || !c->b.frame) return s;
    while (!(s = next(&c->a)) && c->a.frame && order(c, c->a.frame, c->b.frame) < 0)
        c->passed_over++;
    if (s) return s;
    if (!c->frames) c->by_index = c->a.frame && c->a.frame->pts == TSR_NO_TIME;
    if (c->a.frame && !order(c, c->a.frame, c->b.frame)) {
        if (c->a.from->fit) s = c->a.from->fit(c->a.from->user, &c->a.frame);
        if (!s) s = keep(c);
        *a = &c->last;
    } else if (c->frames && !order(c, &c->last, c->b.frame)) { /* it comes twice */
        c->a.held = true;
        *a = &c->last;
    } else {
        s = tsr_fail(c->ctx, TSR_ERROR_ARGUMENT,
                     "%s: time of frame %llu: wanted that of a frame of %s, got %.6f s, where it "
                     "has none",
                     c->b.from->path, (unsigned long long)c->frames, c->a.from->path,
                     seconds_of(&c->b, c->b.frame));
    }
    return s ? s : match_sizes(c, *a, c->b.frame);
}

/* ---- both --------------------------------------------------------------------------------------
 */

static tsr_status check_size(const comparison *c, const tsr_video_frame *a,
                             const tsr_clip_error *clip) {
    /* Errors of frames of different sizes have no change. */
    if (!clip->last || ((int)a->width == clip->width && (int)a->height == clip->height))
        return TSR_OK;
    return tsr_fail(c->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: size of frame %llu: wanted %dx%d as before, got %ux%u", c->a.from->path,
                    (unsigned long long)c->frames, clip->width, clip->height, a->width, a->height);
}

/* The next pair; *over: there is none. */
static tsr_status next_pair(comparison *c, bool chosen, const tsr_video_frame **a, bool *over) {
    tsr_status s = TSR_OK;
    if (chosen) {
        s = next_chosen(c, a);
        *over = !s && !c->b.frame;
        return s;
    }
    s = next(&c->a);
    if (!s) s = next(&c->b);
    *over = !s && !c->a.frame && !c->b.frame;
    if (s || *over) return s;
    if (!c->a.frame || !c->b.frame) return count_rest(c);
    *a = c->a.frame;
    return match(c);
}

static tsr_status compare(comparison *c, bool chosen, tsr_clip_error *clip, tsr_frame_score_fn fn,
                          void *user, double *seconds) {
    for (;;) {
        tsr_frame_error e;
        const tsr_video_frame *a = NULL;
        bool over = false;
        tsr_status s = next_pair(c, chosen, &a, &over);
        if (!s && !over) s = check_size(c, a, clip);
        if (!s && !over)
            s = tsr_clip_error_add(c->ctx, clip, a->rgb, c->b.frame->rgb, (int)a->width,
                                   (int)a->height, &e);
        if (s || over) return s;
        const tsr_rational rate = c->a.from->rate;
        const uint64_t place = chosen ? a->index : c->frames;
        *seconds = a->pts != TSR_NO_TIME ? seconds_of(&c->a, a)
                   : rate.den            ? (double)place * (double)rate.den / (double)rate.num
                                         : 0;
        const tsr_frame_score score = {.index = c->frames,
                                       .seconds = *seconds,
                                       .psnr = e.pixels.psnr,
                                       .ssim_gaussian = e.ssim_gaussian,
                                       .ssim_uniform = e.ssim_uniform,
                                       .l1 = e.pixels.l1,
                                       .mse = e.pixels.mse,
                                       .flicker = e.flicker,
                                       .width = a->width,
                                       .height = a->height,
                                       .original_rgb = a->rgb,
                                       .reconstruction_rgb = c->b.frame->rgb};
        c->frames++;
        if (fn && fn(user, &score))
            return tsr_fail(c->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped at frame %llu",
                            c->b.from->path, (unsigned long long)c->frames);
    }
}

tsr_status tsr_frame_streams_compare(tsr_context *ctx, const tsr_frame_stream *a,
                                     const tsr_frame_stream *b, bool chosen, tsr_frame_score_fn fn,
                                     void *user, tsr_video_evaluation *evaluation,
                                     uint64_t *passed_over) {
    comparison c = {.ctx = ctx, .a = {.from = a}, .b = {.from = b}};
    tsr_clip_error clip = {0};
    double seconds = 0;
    c.unit = fmax((double)a->time_base.num / (double)a->time_base.den,
                  (double)b->time_base.num / (double)b->time_base.den) *
             (1 + 1e-9);
    c.unit = fmin(c.unit, most_apart);
    const tsr_status s = compare(&c, chosen, &clip, fn, user, &seconds);
    *evaluation = (tsr_video_evaluation){
        .width = (uint32_t)clip.width,
        .height = (uint32_t)clip.height,
        .frames = clip.frames,
        .equal = clip.equal,
        .seconds = seconds,
        .by_index = c.by_index,
        .psnr_pooled = tsr_clip_psnr(&clip),
        .psnr_mean = tsr_clip_mean_of(&clip.psnr),
        .ssim_gaussian = tsr_clip_mean_of(&clip.ssim_gaussian),
        .ssim_uniform = tsr_clip_mean_of(&clip.ssim_uniform),
        .l1 = tsr_clip_mean_of(&clip.l1),
        .mse = tsr_clip_mean_of(&clip.mse),
        .flicker = tsr_clip_mean_of(&clip.flicker),
    };
    if (passed_over) *passed_over = c.passed_over;
    tsr_clip_error_free(&clip);
    free(c.last_rgb);
    return s;
}
