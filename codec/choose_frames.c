/* SPDX-License-Identifier: MIT */
/* choose_frames.c: the frames of a video that a rule takes. Rules that look at one frame at a time
 * choose while they read. The others read the video once before, without pixels: its facts go to
 * the operators of reduce/ that plan frames, which are the published formulas, and the frames they
 * name are taken when the video is read again. */
#define TESSERA_EXPERIMENTAL
#include "../compute/context.h"
#include "../formats/tokens/token_layout.h"
#include "view.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/media.h>
#include <tessera/reduce.h>

enum { THUMB = 8, MOST_FRAMES = 1 << 22, MOST_COVER = 1 << 16, MOST_PIXELS = 1 << 26 };

/* What is known of one frame of the video. */
typedef struct fact {
    int64_t pts, duration;
    double change;
    int key;
} fact;

struct tsr_frames {
    tsr_context *ctx;
    tsr_video *video;
    tsr_frame_choice c;
    /* of the reading before: */
    bool planned;
    fact *facts; /* [all] */
    uint64_t all;
    size_t room;
    float *thumbs; /* COVER: [all][THUMB * THUMB * 3] */
    size_t thumbs_room;
    tsr_frame_pick *picks; /* [count] ascending */
    uint64_t count;
    /* of the reading itself: */
    uint64_t at;
    const tsr_video_frame *frame; /* the last that was read */
    tsr_frame_pick pick;
    int64_t first_pts;
    uint64_t read;
    double last_change;
    /* of frames whose pixels become square: */
    tsr_device *host;        /* NULL until it is needed */
    tsr_video_frame squared; /* with pixels [squared_room] of its own */
    uint8_t *squared_rgb;
    size_t squared_room;
};

/* ---- times --------------------------------------------------------------------------------------
 */

/* Seconds of a frame after the first. */
static double seconds_of(const tsr_frames *f, uint64_t index, int64_t pts) {
    const tsr_video_info *i = tsr_video_properties(f->video);
    const tsr_rational rate = i->rate.den ? i->rate : i->base_rate;
    if (pts != TSR_NO_TIME && f->first_pts != TSR_NO_TIME && i->time_base.den)
        return (double)(pts - f->first_pts) * (double)i->time_base.num / (double)i->time_base.den;
    return rate.num ? (double)index * (double)rate.den / (double)rate.num : (double)index / 25;
}

static bool in_range(const tsr_frames *f, double seconds) {
    return seconds >= f->c.start && (f->c.end <= 0 || seconds < f->c.end);
}

/* ---- the reading before ------------------------------------------------------------------------
 */

/* Means of 8 x 8 areas, on the 0..255 scale. */
static void shrink(const tsr_video_frame *frame, float *thumb) {
    for (uint32_t ty = 0; ty < THUMB; ++ty)
        for (uint32_t tx = 0; tx < THUMB; ++tx, thumb += 3) {
            uint32_t y0 = ty * frame->height / THUMB, y1 = (ty + 1) * frame->height / THUMB;
            uint32_t x0 = tx * frame->width / THUMB, x1 = (tx + 1) * frame->width / THUMB;
            uint64_t sum[3] = {0};
            if (y1 <= y0) y1 = y0 + 1;
            if (x1 <= x0) x1 = x0 + 1;
            for (uint32_t y = y0; y < y1; ++y)
                for (uint32_t x = x0; x < x1; ++x)
                    for (int c = 0; c < 3; ++c)
                        sum[c] += frame->rgb[((size_t)y * frame->width + x) * 3 + (size_t)c];
            for (int c = 0; c < 3; ++c)
                thumb[c] = (float)sum[c] / (float)((y1 - y0) * (uint64_t)(x1 - x0));
        }
}

static tsr_status note(tsr_frames *f, const tsr_video_frame *frame) {
    const size_t values = THUMB * THUMB * 3;
    const uint64_t most = f->c.rule == TSR_FRAMES_COVER ? MOST_COVER : MOST_FRAMES;
    if (f->all == most)
        return tsr_fail(f->ctx, TSR_ERROR_TOO_LARGE,
                        "frames: wanted at most %llu frames to choose from, got more; --start and "
                        "--end or --every take a part",
                        (unsigned long long)most);
    tsr_status s = tsr_grow(f->ctx, &f->facts, &f->room, f->all + 1, sizeof *f->facts, "frames");
    if (!s && f->c.rule == TSR_FRAMES_COVER)
        s = tsr_grow(f->ctx, &f->thumbs, &f->thumbs_room, (f->all + 1) * values, sizeof *f->thumbs,
                     "frames");
    if (s) return s;
    if (f->c.rule == TSR_FRAMES_COVER) shrink(frame, f->thumbs + f->all * values);
    if (!f->all) f->first_pts = frame->pts;
    f->facts[f->all++] = (fact){frame->pts, frame->duration, frame->luma_change, frame->key};
    return TSR_OK;
}

/* Reads the video to its end; damage there is told by the reading itself. */
static tsr_status survey(tsr_frames *f, const char *path, const tsr_video_settings *settings,
                         tsr_progress_fn progress, void *user) {
    tsr_video_settings s = *settings;
    const tsr_video_frame *frame = NULL;
    s.facts_only = f->c.rule != TSR_FRAMES_COVER;
    tsr_status status = tsr_video_open(f->ctx, path, &s, &f->video);
    if (!status && !tsr_video_properties(f->video)->seekable)
        status = tsr_fail(f->ctx, TSR_ERROR_UNSUPPORTED,
                          "frames: wanted a file, since this rule must know all frames before it "
                          "takes one, got a pipe");
    while (!status && !(status = tsr_video_next(f->video, &frame)) && frame) {
        status = note(f, frame);
        if (!status && progress && f->all % 64 == 0 && progress(user, "looking", f->all, 0))
            status = tsr_fail(f->ctx, TSR_ERROR_INTERRUPTED, "frames: stopped by the caller");
    }
    if (status == TSR_ERROR_DAMAGED && f->all) status = TSR_OK;
    return status;
}

/* ---- rules
 * ---------------------------------------------------------------------------------------
 */

static tsr_status add_pick(tsr_frames *f, uint64_t index, double score) {
    const fact *a = &f->facts[index];
    f->picks[f->count++] = (tsr_frame_pick){.index = index,
                                            .pts = a->pts,
                                            .duration = a->duration,
                                            .seconds = seconds_of(f, index, a->pts),
                                            .score = score,
                                            .key = a->key};
    return TSR_OK;
}

static int by_index(const void *a, const void *b) {
    const tsr_frame_pick *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Puts an operation to the operators; its indices count from `first`. */
static tsr_status ask(tsr_frames *f, const char *operation, uint64_t first) {
    tsr_token_set *answer = NULL;
    tsr_status s = tsr_operator_plan(f->ctx, operation, &answer);
    if (s) return s;
    const tsr_token_array a = tsr_token_set_trace(answer, "indices");
    const int64_t n = a.name ? a.dim[0] : 0;
    f->picks = tsr_alloc(f->ctx, (size_t)(n ? n : 1), sizeof *f->picks, "frames");
    if (!f->picks) s = TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < n && !s; ++i) {
        const uint64_t index = first + (uint64_t)((const int32_t *)a.data)[i];
        s = add_pick(f, index, f->facts[index].change);
    }
    tsr_token_set_close(&answer);
    if (!s) qsort(f->picks, f->count, sizeof *f->picks, by_index); /* clips may overlap */
    return s;
}

static bool is_one_of(const char *name, const char *const *list) {
    for (; *list; ++list)
        if (!strcmp(name, *list)) return true;
    return false;
}

/* Frames a second, for rules that count by it: the mean of the frames that are there. */
static double mean_rate(const tsr_frames *f, uint64_t first, uint64_t n) {
    const tsr_video_info *i = tsr_video_properties(f->video);
    const tsr_rational rate = i->rate.den ? i->rate : i->base_rate;
    const double length = seconds_of(f, first + n - 1, f->facts[first + n - 1].pts) -
                          seconds_of(f, first, f->facts[first].pts);
    if (rate.num) return (double)rate.num / (double)rate.den;
    return n > 1 && length > 0 ? (double)(n - 1) / length : 25;
}

static tsr_status take_count(tsr_frames *f, uint64_t first, uint64_t n) {
    char text[200];
    const char *rounding = f->c.rounding ? f->c.rounding : "linspace-trunc";
    snprintf(text, sizeof text, "frame-select:rule=%.40s,n=%llu,frames=%u", rounding,
             (unsigned long long)n, f->c.frames);
    return ask(f, text, first);
}

/* End of the last frame, in units: by its duration, or else as far as the one before it was. */
static int64_t end_of(const tsr_frames *f, uint64_t first, uint64_t n) {
    const fact *last = &f->facts[first + n - 1];
    const int64_t before = n > 1 ? last->pts - last[-1].pts : 0;
    return last->pts + (last->duration > 0 ? last->duration : before > 0 ? before : 1);
}

static tsr_status take_by_time(tsr_frames *f, const char *rounding, uint64_t first, uint64_t n) {
    const tsr_video_info *i = tsr_video_properties(f->video);
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to) return tsr_fail(f->ctx, TSR_ERROR_MEMORY, "frames: no memory");
    const bool times = i->has_times && f->facts[first].pts != TSR_NO_TIME;
    const tsr_rational rate = i->rate.den ? i->rate : i->base_rate;
    const tsr_rational unit = times ? i->time_base : (tsr_rational){rate.den, rate.num};
    fprintf(to, "frame-times:rule=%.40s,base=%lld+%lld,rate=%lld+%lld,end=%lld,pts=", rounding,
            (long long)unit.num, (long long)unit.den, (long long)f->c.rate.num,
            (long long)f->c.rate.den,
            (long long)(times ? end_of(f, first, n) : (int64_t)(first + n)));
    for (uint64_t k = first; k < first + n; ++k)
        fprintf(to, "%s%lld", k > first ? "+" : "",
                (long long)(times ? f->facts[k].pts : (int64_t)k));
    tsr_status s = fclose(to) ? tsr_fail(f->ctx, TSR_ERROR_MEMORY, "frames: no memory") : TSR_OK;
    if (!s) s = ask(f, text, first);
    free(text);
    return s;
}

static tsr_status take_rate(tsr_frames *f, uint64_t first, uint64_t n) {
    static const char *const by_time[] = {"time-hold", "ffmpeg-fps-near", "ffmpeg-fps-down", NULL};
    const char *rounding = f->c.rounding ? f->c.rounding : "time-hold";
    char text[240];
    if (is_one_of(rounding, by_time)) return take_by_time(f, rounding, first, n);
    snprintf(text, sizeof text, "frame-select:rule=%.40s,n=%llu,fps=%.17g,rate=%.17g", rounding,
             (unsigned long long)n, mean_rate(f, first, n),
             (double)f->c.rate.num / (double)f->c.rate.den);
    return ask(f, text, first);
}

static tsr_status take_clips(tsr_frames *f, uint64_t first, uint64_t n) {
    char text[200];
    snprintf(text, sizeof text, "frame-select:rule=clips-regular,n=%llu,clips=%u,frames=%u,gap=%u",
             (unsigned long long)n, f->c.clips, f->c.frames, f->c.gap ? f->c.gap : 1);
    return ask(f, text, first);
}

/* Each time the frame farthest from those taken; ties to the earliest. */
static tsr_status take_cover(tsr_frames *f, uint64_t first, uint64_t n) {
    const size_t values = THUMB * THUMB * 3;
    const uint64_t want = f->c.frames < n ? f->c.frames : n;
    float *distance = tsr_alloc(f->ctx, n, sizeof *distance, "frames");
    f->picks = tsr_alloc(f->ctx, want, sizeof *f->picks, "frames");
    tsr_status s = distance && f->picks ? TSR_OK : TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < n && !s; ++i)
        distance[i] = INFINITY;
    for (uint64_t best = 0; f->count < want && !s;) {
        const float *taken = f->thumbs + (first + best) * values;
        s = add_pick(f, first + best, f->count ? (double)distance[best] : 0);
        uint64_t next = 0;
        for (uint64_t i = 0; i < n; ++i) {
            const float *at = f->thumbs + (first + i) * values;
            float d = 0;
            for (size_t k = 0; k < values; ++k)
                d += (at[k] - taken[k]) * (at[k] - taken[k]);
            d /= (float)values;
            if (d < distance[i]) distance[i] = d;
            if (distance[i] > distance[next]) next = i;
        }
        best = next;
    }
    free(distance);
    if (!s) qsort(f->picks, f->count, sizeof *f->picks, by_index);
    return s;
}

static tsr_status plan(tsr_frames *f) {
    uint64_t first = 0, n = 0;
    for (uint64_t i = 0; i < f->all; ++i)
        if (in_range(f, seconds_of(f, i, f->facts[i].pts))) {
            if (!n) first = i;
            n = i + 1 - first;
        }
    if (!n)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT,
                        "frames: wanted frames between %g s and %g s, got none of %llu", f->c.start,
                        f->c.end, (unsigned long long)f->all);
    f->planned = true;
    switch (f->c.rule) {
    case TSR_FRAMES_COUNT:
        return take_count(f, first, n);
    case TSR_FRAMES_RATE:
        return take_rate(f, first, n);
    case TSR_FRAMES_CLIPS:
        return take_clips(f, first, n);
    default:
        return take_cover(f, first, n);
    }
}

/* ---- the choice
 * ----------------------------------------------------------------------------------
 */

static tsr_status check_choice(tsr_context *ctx, const tsr_frame_choice *c) {
    const char *what = NULL;
    switch (c->rule) {
    case TSR_FRAMES_ALL:
    case TSR_FRAMES_KEYS:
        break;
    case TSR_FRAMES_COUNT:
    case TSR_FRAMES_COVER:
        what = c->frames < 1 ? "frames of 1 or more" : NULL;
        break;
    case TSR_FRAMES_RATE:
        what =
            c->rate.num < 1 || c->rate.den < 1 || c->rate.num > INT32_MAX || c->rate.den > INT32_MAX
                ? "a rate above 0"
                : NULL;
        break;
    case TSR_FRAMES_EVERY:
        what = c->every < 1 ? "every of 1 or more" : NULL;
        break;
    case TSR_FRAMES_SCENES:
        what = !(c->threshold >= 0 && c->threshold <= 1) ? "a threshold of 0 to 1" : NULL;
        break;
    case TSR_FRAMES_CLIPS:
        what = c->frames < 1 || c->clips < 1 ? "clips and frames of 1 or more" : NULL;
        break;
    default:
        what = "a rule";
        break;
    }
    if (!what && (!(c->start >= 0) || !(c->end >= 0) || (c->end > 0 && c->end <= c->start)))
        what = "a start and an end behind it";
    return what ? tsr_fail(ctx, TSR_ERROR_ARGUMENT, "frames: wanted %s, got another", what)
                : TSR_OK;
}

tsr_status tsr_frames_open(tsr_context *ctx, const char *path, const tsr_video_settings *settings,
                           const tsr_frame_choice *choice, tsr_progress_fn progress, void *user,
                           tsr_frames **frames) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!frames || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "frames: wanted an address, got NULL");
    const tsr_video_settings s = settings ? *settings : tsr_video_settings_default();
    const tsr_frame_choice all = {0};
    *frames = NULL;
    tsr_status status = check_choice(ctx, choice ? choice : &all);
    if (status) return status;
    tsr_frames *f = tsr_alloc(ctx, 1, sizeof *f, "frames");
    if (!f) return TSR_ERROR_MEMORY;
    f->ctx = ctx;
    f->c = choice ? *choice : all;
    f->first_pts = TSR_NO_TIME;
    if (f->c.rule == TSR_FRAMES_SCENES && f->c.threshold == 0) f->c.threshold = 0.4;
    const bool ahead = f->c.rule != TSR_FRAMES_ALL && f->c.rule != TSR_FRAMES_EVERY &&
                       f->c.rule != TSR_FRAMES_KEYS && f->c.rule != TSR_FRAMES_SCENES;
    if (ahead) {
        status = survey(f, path, &s, progress, user);
        if (!status) status = plan(f);
        tsr_video_close(&f->video);
    }
    if (!status) status = tsr_video_open(ctx, path, &s, &f->video);
    if (status)
        tsr_frames_close(&f);
    else
        *frames = f;
    return status;
}

void tsr_frames_close(tsr_frames **frames) {
    tsr_frames *f = frames ? *frames : NULL;
    if (!f) return;
    tsr_video_close(&f->video);
    tsr_device_close(&f->host);
    free(f->squared_rgb);
    free(f->facts);
    free(f->thumbs);
    free(f->picks);
    free(f);
    *frames = NULL;
}

tsr_video *tsr_frames_video(tsr_frames *frames) {
    return frames ? frames->video : NULL;
}

void tsr_frames_count(const tsr_frames *f, uint64_t *taken, uint64_t *all) {
    *taken = f && f->planned ? f->count : 0;
    *all = f && f->planned ? f->all : 0;
}

/* Whether a rule that chooses while it reads takes this frame. */
static bool takes(tsr_frames *f, const tsr_video_frame *frame, tsr_frame_pick *pick) {
    const double change = frame->luma_change;
    double score = fmin(change, fabs(change - f->last_change)) / 100;
    f->last_change = change;
    if (f->c.rule == TSR_FRAMES_SCENES)
        pick->score = frame->index == 0 ? 0 : score < 0 ? 0 : score > 1 ? 1 : score;
    if (!in_range(f, pick->seconds)) return false;
    const uint64_t nth = f->read++;
    switch (f->c.rule) {
    case TSR_FRAMES_EVERY:
        return nth % f->c.every == 0;
    case TSR_FRAMES_KEYS:
        return frame->key != 0;
    case TSR_FRAMES_SCENES:
        return nth == 0 || pick->score > f->c.threshold;
    default:
        return true;
    }
}

/* ---- square pixels ------------------------------------------------------------------------------
 */

/* A side of `pixels` that are num/den as long as the others. */
static uint32_t stretched(uint32_t pixels, int64_t num, int64_t den) {
    const double side = floor((double)pixels * (double)num / (double)den + 0.5);
    return side < 1 ? 1 : side > UINT32_MAX ? UINT32_MAX : (uint32_t)side;
}

/* The frame as it is meant to be shown. The aspect is that of the coded pixels: of a frame that was
 * turned by a quarter it is the height that changes. */
static tsr_status make_square(tsr_frames *f, const tsr_video_frame **frame) {
    const tsr_video_info *i = tsr_video_properties(f->video);
    const tsr_rational aspect = i->sample_aspect;
    const tsr_video_frame *from = *frame;
    if (aspect.num < 1 || aspect.den < 1 || aspect.num == aspect.den) return TSR_OK;
    tsr_video_frame *to = &f->squared;
    *to = *from;
    if (i->rotation % 180)
        to->height = stretched(from->height, aspect.num, aspect.den);
    else
        to->width = stretched(from->width, aspect.num, aspect.den);
    *frame = to;
    if (!from->rgb) return TSR_OK;
    if ((uint64_t)to->width * to->height > MOST_PIXELS)
        return tsr_fail(f->ctx, TSR_ERROR_TOO_LARGE,
                        "frames: wanted at most %d pixels, got %ux%u with square ones", MOST_PIXELS,
                        to->width, to->height);
    tsr_device_settings cpu = tsr_device_settings_default();
    cpu.name = "cpu";
    const tsr_picture picture = {
        .rgb = from->rgb, .width = (int)from->width, .height = (int)from->height};
    tsr_status s = f->host ? TSR_OK : tsr_device_open(f->ctx, &f->host, &cpu);
    if (!s)
        s = tsr_grow(f->ctx, &f->squared_rgb, &f->squared_room, (size_t)to->width * to->height * 3,
                     1, "frame of a video");
    if (!s)
        s = tsr_view_resize(f->host, &picture, TSR_RESAMPLING_LANCZOS, to->width, to->height,
                            f->squared_rgb);
    to->rgb = f->squared_rgb;
    return s;
}

tsr_status tsr_frames_next(tsr_frames *f, const tsr_video_frame **frame,
                           const tsr_frame_pick **pick) {
    if (!f || !frame || !pick) return TSR_ERROR_ARGUMENT;
    *frame = NULL;
    *pick = NULL;
    if (f->planned && f->at == f->count) return TSR_OK;
    for (;;) {
        const bool again =
            f->planned && f->frame && f->frame->index == f->picks[f->at].index; /* taken twice */
        tsr_status s = again ? TSR_OK : tsr_video_next(f->video, &f->frame);
        if (s || !f->frame) return s;
        if (f->planned) {
            if (f->frame->index != f->picks[f->at].index) continue;
            f->pick = f->picks[f->at++];
            break;
        }
        if (f->frame->index == 0) f->first_pts = f->frame->pts;
        f->pick = (tsr_frame_pick){.index = f->frame->index,
                                   .pts = f->frame->pts,
                                   .duration = f->frame->duration,
                                   .seconds = seconds_of(f, f->frame->index, f->frame->pts),
                                   .score = f->frame->luma_change,
                                   .key = f->frame->key};
        if (takes(f, f->frame, &f->pick)) break;
        if (f->c.end > 0 && f->pick.seconds >= f->c.end) return TSR_OK; /* nothing more is taken */
    }
    *frame = f->frame;
    *pick = &f->pick;
    if (!f->c.square_pixels) return TSR_OK;
    const tsr_status s = make_square(f, frame);
    if (s) *frame = NULL;
    return s;
}
