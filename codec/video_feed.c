/* SPDX-License-Identifier: MIT */
/* video_feed.c: see video_feed.h. */
#include "video_feed.h"
#include "../datasets/source_parts.h"
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ON_THE_WAY = 1024,     /* items whose times are remembered: more than a pipeline holds */
    CLIPS = ON_THE_WAY / 2 /* a clip has two marks */
};

/* A mark of one video: where its clip begins, with its facts, or ends. */
typedef struct clip_mark {
    bool begins;
    tsr_token_clip facts;
    char name[256];
} clip_mark;

struct tsr_video_feed {
    tsr_video_feed_settings s;
    /* the reader's: */
    const char *path, *key;
    uint64_t entry;
    tsr_frames *frames;
    bool opened, began, failed;  /* the video; its clip; its reading, which was told */
    const tsr_video_frame *held; /* a frame that was read and belongs to the next step */
    const tsr_frame_pick *held_pick;
    tsr_sample *failure; /* that was met inside an item's frames and comes behind them */
    uint64_t sent, clips;
    clip_mark *marks; /* [CLIPS] */
    clip_mark end;
    /* both ends': an item's times are written before it is sent */
    bool of_video;               /* the tokenizer's tiles have frames */
    uint32_t window;             /* frames of an item at most */
    tsr_clip_frame *times;       /* [ON_THE_WAY, window] */
    uint32_t counts[ON_THE_WAY]; /* frames of each */
    /* the consumer's: */
    uint64_t consumed;
};

tsr_status tsr_video_feed_open(tsr_context *ctx, const tsr_video_feed_settings *settings,
                               tsr_video_feed **feed) {
    tsr_video_feed *v = *feed = tsr_alloc(ctx, 1, sizeof *v, "videos");
    if (!v) return TSR_ERROR_MEMORY;
    v->s = *settings;
    v->of_video = settings->header->tile_frames > 0;
    v->window = v->of_video ? settings->header->tile_frames : 1;
    v->times = tsr_alloc(ctx, (size_t)ON_THE_WAY * v->window, sizeof *v->times, "times of frames");
    v->marks = tsr_alloc(ctx, CLIPS, sizeof *v->marks, "clips");
    if (v->times && v->marks) return TSR_OK;
    tsr_video_feed_close(feed);
    return TSR_ERROR_MEMORY;
}

void tsr_video_feed_close(tsr_video_feed **feed) {
    tsr_video_feed *v = feed ? *feed : NULL;
    if (!v) return;
    tsr_frames_close(&v->frames);
    tsr_sample_free(&v->failure);
    free(v->times);
    free(v->marks);
    free(v);
    *feed = NULL;
}

/* ---- facts -------------------------------------------------------------------------------------
 */

void tsr_video_key(const char *path, char *key, size_t size) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        --n;
    size_t name = n, dot = n;
    while (name && path[name - 1] != '/')
        --name;
    for (size_t i = name + 1; i < n; ++i)
        if (path[i] == '.') dot = i;
    if (!strcmp(path, "-")) path = "stdin", name = 0, dot = 5;
    const size_t most = TSR_TESS_MAX_KEY - 32; /* "/" and a number follow */
    snprintf(key, size, "%.*s", (int)(dot - name < most ? dot - name : most), path + name);
    for (char *c = key; *c; ++c)
        if ((unsigned char)*c < 32 || *c == 127) *c = '_';
    if (tsr_token_key_problem(key)) snprintf(key, size, "clip");
}

/* A rational that fits into a clip's facts; else none. */
static tsr_rational in_bounds(tsr_rational r) {
    const bool fits = r.num >= 1 && r.den >= 1 && r.num <= INT32_MAX && r.den <= INT32_MAX;
    return fits ? r : (tsr_rational){0, 0};
}

static tsr_clip_fields fields_of(const char *order) {
    if (!strcmp(order, "tt") || !strcmp(order, "tb")) return TSR_CLIP_TOP_FIRST;
    return !strcmp(order, "bb") || !strcmp(order, "bt") ? TSR_CLIP_BOTTOM_FIRST
                                                        : TSR_CLIP_PROGRESSIVE;
}

static void fill_facts(const tsr_video_feed *v, const tsr_video_frame *frame, clip_mark *mark) {
    static const uint32_t matrices[] = {2, 6, 1, 9, 0}; /* H.273 */
    const tsr_video_info *i = tsr_video_properties(tsr_frames_video(v->frames));
    const tsr_rational rate = in_bounds(i->rate.den ? i->rate : i->base_rate);
    const tsr_rational assumed = rate.den ? rate : (tsr_rational){25, 1};
    tsr_token_clip *c = &mark->facts;
    uint64_t taken = 0;
    *c = (tsr_token_clip){.name = mark->name,
                          .time_base = i->has_times ? i->time_base
                                                    : (tsr_rational){assumed.den, assumed.num},
                          .start = i->has_times && frame->pts != TSR_NO_TIME ? frame->pts : 0,
                          .rate = rate,
                          .coded_width = i->width,
                          .coded_height = i->height,
                          .rotation = (uint32_t)i->rotation,
                          .mirrored = i->mirror,
                          .sample_aspect = in_bounds(i->sample_aspect),
                          .fields = fields_of(i->field_order),
                          .deinterlaced = v->s.video->deinterlace && frame->interlaced,
                          .sound_dropped = i->audio_streams > 0,
                          .matrix = matrices[i->matrix],
                          .range = (uint32_t)i->range,
                          .primaries = i->primaries,
                          .transfer = i->transfer};
    tsr_frames_count(v->frames, &taken, &c->source_frames);
    if (v->s.frames->square_pixels && c->sample_aspect.den) c->sample_aspect = (tsr_rational){1, 1};
    if (i->matrix_assumed) c->assumed |= TSR_CLIP_ASSUMED_MATRIX;
    if (i->range_assumed) c->assumed |= TSR_CLIP_ASSUMED_RANGE;
    if (i->rate_assumed) c->assumed |= TSR_CLIP_ASSUMED_RATE;
    if (!i->has_times) c->assumed |= TSR_CLIP_ASSUMED_TIMES;
}

/* ---- the reader's end --------------------------------------------------------------------------
 */

void tsr_video_feed_begin(tsr_video_feed *v, uint64_t entry, const char *path, const char *key) {
    v->entry = entry;
    v->path = path;
    v->key = key;
}

static tsr_status open_video(tsr_video_feed *v, tsr_context *ctx) {
    tsr_video_settings s = *v->s.video;
    memcpy(s.background, v->s.background, 3);
    v->began = v->failed = false;
    v->opened = true;
    return tsr_frames_open(ctx, v->path, &s, v->s.frames, NULL, NULL, &v->frames);
}

/* What is known of a failure, which takes the place of an item. */
static tsr_status note_failure(const tsr_video_feed *v, tsr_context *ctx, tsr_status status,
                               tsr_sample **sample) {
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", tsr_detail(ctx));
    *sample = tsr_sample_new(ctx, v->entry, v->key, v->path);
    if (!*sample) return TSR_ERROR_MEMORY;
    (*sample)->rest_lost = true;
    (void)tsr_fail(ctx, status, "%s", detail);
    return tsr_sample_spoil(ctx, *sample, status);
}

/* Takes the frame into the item that is being filled, whose room is for `window` of them. */
static void take_frame(tsr_video_feed *v, const tsr_video_frame *frame, const tsr_frame_pick *pick,
                       tsr_feed *f) {
    const size_t bytes = (size_t)frame->width * frame->height * 3;
    const uint64_t slot = v->sent % ON_THE_WAY;
    const bool times = frame->pts != TSR_NO_TIME;
    memcpy(f->image.rgb + v->counts[slot] * bytes, frame->rgb, bytes);
    v->times[slot * v->window + v->counts[slot]++] = (tsr_clip_frame){
        .pts = times ? frame->pts : (int64_t)pick->index,
        .duration = frame->duration > 0 && times ? (uint64_t)frame->duration : !times};
}

/* Sends an item: this frame and, of a tokenizer of video, those behind it of the same size. */
static tsr_status send_frames(tsr_video_feed *v, tsr_context *ctx, const tsr_video_frame *frame,
                              const tsr_frame_pick *pick, tsr_feed *f) {
    char key[TSR_TESS_MAX_KEY + 32];
    const uint32_t width = frame->width, height = frame->height;
    const size_t bytes = (size_t)width * height * 3;
    const uint64_t slot = v->sent % ON_THE_WAY;
    snprintf(key, sizeof key, "%s/%06llu", v->key, (unsigned long long)pick->index);
    f->sample = tsr_sample_new(ctx, v->entry, key, v->path);
    if (!f->sample) return TSR_ERROR_MEMORY;
    f->image = (tsr_image){.width = (int)width,
                           .height = (int)height,
                           .rgb = tsr_alloc(ctx, v->window, bytes, "frames of a video"),
                           .orientation = 1,
                           .source_bits = 8};
    if (!f->image.rgb) {
        tsr_sample_free(&f->sample);
        return TSR_ERROR_MEMORY;
    }
    v->counts[slot] = 0;
    take_frame(v, frame, pick, f);
    tsr_status s = TSR_OK;
    while (v->counts[slot] < v->window && !v->failed) {
        const tsr_status failure = tsr_frames_next(v->frames, &frame, &pick);
        v->failed = failure != TSR_OK;
        if (failure) s = note_failure(v, ctx, failure, &v->failure);
        if (failure || !frame) break;
        if (frame->width != width || frame->height != height) {
            v->held = frame;
            v->held_pick = pick;
            break;
        }
        take_frame(v, frame, pick, f);
    }
    if (v->of_video) f->frames = (int)v->counts[slot];
    ++v->sent;
    return s;
}

/* Closes the video; the mark of its clip's end goes out where one began. */
static void close_video(tsr_video_feed *v, tsr_feed *f) {
    int count = 0;
    const char *const *said =
        v->frames ? tsr_video_remarks(tsr_frames_video(v->frames), &count) : NULL;
    if (v->s.remarks && count) v->s.remarks(v->s.remarks_user, said, count);
    tsr_frames_close(&v->frames);
    if (v->began) f->mark = &v->end;
    v->began = false;
}

/* The mark of a clip that begins with this frame. */
static clip_mark *begin_clip(tsr_video_feed *v, const tsr_video_frame *frame) {
    clip_mark *mark = &v->marks[v->clips++ % CLIPS];
    const char *slash = strrchr(v->path, '/');
    mark->begins = v->began = true;
    snprintf(mark->name, sizeof mark->name, "%.255s", slash && slash[1] ? slash + 1 : v->key);
    for (char *c = mark->name; *c; ++c)
        if ((unsigned char)*c < 32 || *c == 127) *c = '_';
    fill_facts(v, frame, mark);
    return mark;
}

tsr_status tsr_video_feed_next(tsr_video_feed *v, tsr_context *ctx, tsr_feed *f) {
    const tsr_video_frame *frame = v->held;
    const tsr_frame_pick *pick = v->held_pick;
    tsr_status s = TSR_OK;
    v->held = NULL;
    if (!v->path) return TSR_OK; /* over, and the end of its clip was told */
    if (v->failure) {
        f->sample = v->failure;
        v->failure = NULL;
        return TSR_OK;
    }
    if (!v->opened) s = open_video(v, ctx);
    if (!s && !v->failed && !frame) s = tsr_frames_next(v->frames, &frame, &pick);
    if (s) {
        v->failed = true;
        return note_failure(v, ctx, s, &f->sample);
    }
    if (!frame) {
        close_video(v, f);
        v->path = NULL;
        v->opened = v->failed = false;
    } else if (v->began) {
        return send_frames(v, ctx, frame, pick, f);
    } else {
        f->mark = begin_clip(v, frame);
        v->held = frame;
        v->held_pick = pick;
    }
    return TSR_OK;
}

/* ---- the other end ------------------------------------------------------------------------------
 */

tsr_status tsr_video_feed_mark(tsr_video_feed *v, const void *passed, tsr_token_writer *writer,
                               bool *begins) {
    const clip_mark *mark = passed;
    (void)v;
    *begins = mark->begins;
    return mark->begins ? tsr_token_writer_clip_begin(writer, &mark->facts)
                        : tsr_token_writer_clip_end(writer);
}

void tsr_video_feed_pass(tsr_video_feed *v, const tsr_sample *sample) {
    if (!sample->status) ++v->consumed;
}

uint32_t tsr_video_feed_times(const tsr_video_feed *v, const tsr_clip_frame **times) {
    const uint64_t slot = (v->consumed - 1) % ON_THE_WAY;
    *times = v->times + slot * v->window;
    return v->counts[slot];
}
