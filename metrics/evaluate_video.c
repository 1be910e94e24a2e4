/* SPDX-License-Identifier: MIT */
/* evaluate_video.c: two videos side by side. */
#include <tessera/evaluate.h>
#include "metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Frames of containers that round their times differ by a unit, and by no more than this. */
static const double most_apart = 0.01;

/* One of the two clips. */
typedef struct side {
    const char *path;
    tsr_video *video;
    const tsr_video_info *info;
    const tsr_video_frame *frame; /* NULL: the end */
    int64_t first;                /* pts of the first frame */
} side;

typedef struct comparison {
    tsr_context *ctx;
    side a, b;
    double unit; /* seconds that times may be apart */
    uint64_t frames;
    bool by_index;
} comparison;

static tsr_status next(side *s) {
    return tsr_video_next(s->video, &s->frame);
}

static tsr_status open_side(tsr_context *ctx, const char *path, const tsr_video_settings *settings,
                            side *s) {
    s->path = path;
    tsr_status status = tsr_video_open(ctx, path, settings, &s->video);
    if (status) return status;
    s->info = tsr_video_properties(s->video);
    return TSR_OK;
}

static double seconds_of(const side *s) {
    return (double)(s->frame->pts - s->first) * (double)s->info->time_base.num /
           (double)s->info->time_base.den;
}

static tsr_status match(comparison *c) {
    const tsr_video_frame *a = c->a.frame, *b = c->b.frame;
    if (a->width != b->width || a->height != b->height)
        return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT,
                        "%s: size of frame %llu: wanted %ux%u as in %s, got %ux%u", c->b.path,
                        (unsigned long long)c->frames, a->width, a->height, c->a.path, b->width,
                        b->height);
    if (!c->frames) {
        c->by_index = a->pts == TSR_NO_TIME || b->pts == TSR_NO_TIME;
        c->a.first = a->pts;
        c->b.first = b->pts;
    }
    if (c->by_index || a->pts == TSR_NO_TIME || b->pts == TSR_NO_TIME) return TSR_OK;
    const double ta = seconds_of(&c->a), tb = seconds_of(&c->b);
    if (fabs(ta - tb) > c->unit)
        return tsr_fail(c->ctx, TSR_ERROR_ARGUMENT,
                        "%s: time of frame %llu: wanted %.6f s as in %s, got %.6f s", c->b.path,
                        (unsigned long long)c->frames, ta, c->a.path, tb);
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
                    c->b.path, (unsigned long long)(more ? c->frames : count), c->a.path,
                    (unsigned long long)(more ? count : c->frames));
}

static tsr_status check_pictures(comparison *c, const tsr_clip_error *clip) {
    /* Errors of frames of different sizes have no change. */
    if (!clip->last ||
        ((int)c->a.frame->width == clip->width && (int)c->a.frame->height == clip->height))
        return TSR_OK;
    return tsr_fail(c->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: size of frame %llu: wanted %dx%d as before, got %ux%u", c->a.path,
                    (unsigned long long)c->frames, clip->width, clip->height, c->a.frame->width,
                    c->a.frame->height);
}

static tsr_status compare(comparison *c, tsr_clip_error *clip, tsr_frame_score_fn fn, void *user,
                          double *seconds) {
    for (;;) {
        tsr_status s = next(&c->a);
        if (!s) s = next(&c->b);
        if (s || (!c->a.frame && !c->b.frame)) return s;
        if (!c->a.frame || !c->b.frame) return count_rest(c);
        tsr_frame_error e;
        s = match(c);
        if (!s) s = check_pictures(c, clip);
        if (!s)
            s = tsr_clip_error_add(c->ctx, clip, c->a.frame->rgb, c->b.frame->rgb,
                                   (int)c->a.frame->width, (int)c->a.frame->height, &e);
        if (s) return s;
        const double rate = (double)c->a.info->rate.num / (double)c->a.info->rate.den;
        *seconds = c->a.frame->pts != TSR_NO_TIME ? seconds_of(&c->a)
                   : c->a.info->rate.den          ? (double)c->frames / rate
                                                  : 0;
        const tsr_frame_score score = {c->frames,      *seconds,    e.pixels.psnr, e.ssim_gaussian,
                                       e.ssim_uniform, e.pixels.l1, e.pixels.mse,  e.flicker};
        c->frames++;
        if (fn && fn(user, &score))
            return tsr_fail(c->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped at frame %llu", c->b.path,
                            (unsigned long long)c->frames);
    }
}

static tsr_status open_both(comparison *c, const char *original, const char *reconstruction,
                            const tsr_video_settings *settings) {
    tsr_status s = open_side(c->ctx, original, settings, &c->a);
    if (!s) s = open_side(c->ctx, reconstruction, settings, &c->b);
    if (s) return s;
    const tsr_rational a = c->a.info->time_base, b = c->b.info->time_base;
    c->unit = fmax((double)a.num / (double)a.den, (double)b.num / (double)b.den) * (1 + 1e-9);
    c->unit = fmin(c->unit, most_apart);
    return TSR_OK;
}

tsr_status tsr_video_evaluate(tsr_context *ctx, const char *original, const char *reconstruction,
                              const tsr_video_settings *settings, tsr_frame_score_fn frame,
                              void *user, tsr_video_evaluation *evaluation) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!original || !reconstruction || !evaluation)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "evaluate: %s: wanted an address, got NULL",
                        !original         ? "original"
                        : !reconstruction ? "reconstruction"
                                          : "evaluation");
    comparison c = {.ctx = ctx};
    tsr_clip_error clip = {0};
    double seconds = 0;
    memset(evaluation, 0, sizeof *evaluation);
    tsr_status s = open_both(&c, original, reconstruction, settings);
    if (!s) s = compare(&c, &clip, frame, user, &seconds);
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
    tsr_clip_error_free(&clip);
    tsr_video_close(&c.a.video);
    tsr_video_close(&c.b.video);
    return s;
}
