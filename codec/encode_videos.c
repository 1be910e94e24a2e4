/* SPDX-License-Identifier: MIT */
/* encode_videos.c: videos to one token file, a clip each, a frame an item, or with a tokenizer of
 * video as many frames as its tiles have. The reader's thread takes the chosen frames and puts
 * marks around those of a clip; at the end of the pipeline the marks open and close the clip in the
 * file. Nothing is held for a frame but what is on its way. */
#include "../datasets/source_parts.h"
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "encode_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/videos.h>

enum { ON_THE_WAY = 1024 }; /* items whose times are remembered: more than a pipeline holds */

/* A mark of one video: where its clip begins, with its facts, or ends. */
typedef struct clip_mark {
    bool begins;
    tsr_token_clip facts;
    char name[256];
} clip_mark;

typedef struct videos {
    tsr_encode_job job; /* first: what the pipeline's ends get */
    const tsr_encode_videos_settings *s;
    const char *const *inputs;
    int count;
    tsr_encode_videos_report *report;
    clip_mark *marks; /* [count][2] */
    /* the reader's: */
    tsr_frames *frames; /* of input `at` */
    int at;
    bool began, failed;             /* its clip; its reading, which was told */
    char key[TSR_TESS_MAX_KEY + 1]; /* of its clip */
    const tsr_video_frame *held;    /* a frame that was read and belongs to the next step */
    const tsr_frame_pick *held_pick;
    tsr_sample *failure; /* that was met inside an item's frames and comes behind them */
    uint64_t sent;
    int remarks; /* in the report */
    /* both ends': an item's times are written before it is sent */
    bool of_video;               /* the tokenizer's tiles have frames */
    uint32_t window;             /* frames of an item at most */
    tsr_clip_frame *times;       /* [ON_THE_WAY, window] */
    uint32_t counts[ON_THE_WAY]; /* frames of each */
    /* the consumer's: */
    uint64_t consumed;
} videos;

tsr_encode_videos_settings tsr_encode_videos_settings_default(void) {
    return (tsr_encode_videos_settings){.files = tsr_encode_files_settings_default(),
                                        .video = tsr_video_settings_default()};
}

/* ---- facts -------------------------------------------------------------------------------------
 */

/* The name of a video without folder and suffix, as the keys of its frames begin. */
static void key_of(const char *path, char key[TSR_TESS_MAX_KEY + 1]) {
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
    snprintf(key, TSR_TESS_MAX_KEY + 1, "%.*s", (int)(dot - name < most ? dot - name : most),
             path + name);
    for (char *c = key; *c; ++c)
        if ((unsigned char)*c < 32 || *c == 127) *c = '_';
    if (tsr_token_key_problem(key)) strcpy(key, "clip");
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

static void fill_facts(const videos *v, const tsr_video_frame *frame, clip_mark *mark) {
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
                          .deinterlaced = v->s->video.deinterlace && frame->interlaced,
                          .sound_dropped = i->audio_streams > 0,
                          .matrix = matrices[i->matrix],
                          .range = (uint32_t)i->range,
                          .primaries = i->primaries,
                          .transfer = i->transfer};
    tsr_frames_count(v->frames, &taken, &c->source_frames);
    if (i->matrix_assumed) c->assumed |= TSR_CLIP_ASSUMED_MATRIX;
    if (i->range_assumed) c->assumed |= TSR_CLIP_ASSUMED_RANGE;
    if (i->rate_assumed) c->assumed |= TSR_CLIP_ASSUMED_RATE;
    if (!i->has_times) c->assumed |= TSR_CLIP_ASSUMED_TIMES;
}

/* ---- the reader's end --------------------------------------------------------------------------
 */

static tsr_status open_next(videos *v, tsr_context *ctx) {
    tsr_video_settings s = v->s->video;
    memcpy(s.background, v->s->files.encode.fit.background, 3);
    clip_mark *marks = v->marks + 2 * (size_t)v->at;
    const char *path = v->inputs[v->at], *slash = strrchr(path, '/');
    key_of(path, v->key);
    snprintf(marks->name, sizeof marks->name, "%.255s", slash && slash[1] ? slash + 1 : v->key);
    for (char *c = marks->name; *c; ++c)
        if ((unsigned char)*c < 32 || *c == 127) *c = '_';
    v->began = false;
    return tsr_frames_open(ctx, path, &s, &v->s->frames, NULL, NULL, &v->frames);
}

/* What is known of a failure, which takes the place of an item. */
static tsr_status note_failure(const videos *v, tsr_context *ctx, tsr_status status,
                               tsr_sample **sample) {
    *sample = tsr_sample_new(ctx, 0, v->key, v->inputs[v->at]);
    return *sample ? tsr_sample_spoil(ctx, *sample, status) : TSR_ERROR_MEMORY;
}

/* Takes the frame into the item that is being filled, whose room is for `window` of them. */
static void take_frame(videos *v, const tsr_video_frame *frame, const tsr_frame_pick *pick,
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
static tsr_status send_frames(videos *v, tsr_context *ctx, const tsr_video_frame *frame,
                              const tsr_frame_pick *pick, tsr_feed *f) {
    char key[TSR_TESS_MAX_KEY + 32];
    const uint32_t width = frame->width, height = frame->height;
    const size_t bytes = (size_t)width * height * 3;
    const uint64_t slot = v->sent % ON_THE_WAY;
    snprintf(key, sizeof key, "%s/%06llu", v->key, (unsigned long long)pick->index);
    f->sample = tsr_sample_new(ctx, 0, key, v->inputs[v->at]);
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

/* Keeps what was said about a video for the report. */
static void keep_remarks(videos *v) {
    const int room = (int)(sizeof v->report->remarks / sizeof *v->report->remarks);
    int count = 0;
    const char *const *said = tsr_video_remarks(tsr_frames_video(v->frames), &count);
    for (int i = 0; i < count && v->remarks < room; ++i, ++v->remarks)
        snprintf(v->report->remarks[v->remarks], sizeof *v->report->remarks, "%s", said[i]);
}

/* Closes the video; the mark of its clip's end goes out where one began. */
static void close_video(videos *v, tsr_feed *f) {
    keep_remarks(v);
    tsr_frames_close(&v->frames);
    if (v->began) f->mark = v->marks + 2 * (size_t)v->at + 1;
    v->began = v->failed = false;
    ++v->at;
}

/* The next step of the open video; neither sample nor mark: it has none. */
static tsr_status step(videos *v, tsr_context *ctx, tsr_feed *f) {
    const tsr_video_frame *frame = v->held;
    const tsr_frame_pick *pick = v->held_pick;
    tsr_status s = TSR_OK;
    v->held = NULL;
    if (v->failed) {
        f->sample = v->failure;
        v->failure = NULL;
        return TSR_OK;
    }
    if (!frame) s = tsr_frames_next(v->frames, &frame, &pick);
    if (s) {
        v->failed = true;
        return note_failure(v, ctx, s, &f->sample);
    }
    if (frame && v->began) return send_frames(v, ctx, frame, pick, f);
    if (!frame) return TSR_OK;
    clip_mark *mark = v->marks + 2 * (size_t)v->at;
    mark->begins = v->began = true;
    fill_facts(v, frame, mark);
    f->mark = mark;
    v->held = frame;
    v->held_pick = pick;
    return TSR_OK;
}

/* tsr_feed_fn */
static tsr_status feed(void *user, tsr_context *ctx, tsr_feed *f) {
    videos *v = user;
    tsr_status s = TSR_OK;
    while (!s && !f->sample && !f->mark && v->at < v->count) {
        if (!v->frames && (s = open_next(v, ctx))) {
            s = note_failure(v, ctx, s, &f->sample);
            ++v->at;
            break;
        }
        s = step(v, ctx, f);
        if (!s && !f->sample && !f->mark) close_video(v, f);
    }
    return s;
}

/* ---- the consumer's end ------------------------------------------------------------------------
 */

static tsr_status add(tsr_encode_job *j, const tsr_token_item *item) {
    const videos *v = (const videos *)(const void *)j;
    const uint64_t slot = (v->consumed - 1) % ON_THE_WAY;
    v->report->frame_count += v->counts[slot];
    return tsr_token_writer_clip_add(j->writer, item, v->times + slot * v->window, v->counts[slot],
                                     0);
}

/* tsr_consume_fn */
static tsr_status consume(void *user, const tsr_passed *passed) {
    videos *v = user;
    const clip_mark *mark = passed->mark;
    if (mark && mark->begins) {
        v->report->clips++;
        return tsr_token_writer_clip_begin(v->job.writer, &mark->facts);
    }
    if (mark) return tsr_token_writer_clip_end(v->job.writer);
    if (!passed->sample->status) ++v->consumed;
    return tsr_encode_job_consume(&v->job, passed);
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static tsr_status run_job(videos *v) {
    tsr_image_settings image = tsr_image_settings_default();
    memcpy(image.background, v->s->files.encode.fit.background, 3);
    tsr_status status = tsr_encode_job_open(&v->job, &image);
    if (!status) {
        const tsr_token_header *header = &tsr_pipeline_encoder(v->job.pipeline, 0)->plan.header;
        v->of_video = header->tile_frames > 0;
        v->window = v->of_video ? header->tile_frames : 1;
        v->times = tsr_alloc(v->job.ctx, (size_t)ON_THE_WAY * v->window, sizeof *v->times,
                             "encode: times of frames");
        if (!v->times) status = TSR_ERROR_MEMORY;
    }
    if (!status) status = tsr_encode_job_open_writer(&v->job);
    if (!status) status = tsr_encode_job_run(&v->job, feed, consume);
    return tsr_encode_job_finish(&v->job, status);
}

tsr_status tsr_encode_videos(tsr_context *ctx, const char *const *inputs, int input_count,
                             const char *output, const tsr_encode_videos_settings *settings,
                             tsr_encode_videos_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_encode_videos_settings s =
        settings ? *settings : tsr_encode_videos_settings_default();
    tsr_encode_videos_report own;
    if (!report) report = &own;
    *report = (tsr_encode_videos_report){0};
    tsr_status status = tsr_encode_check_arguments(ctx, inputs, input_count, output, &s.files);
    for (int i = 0; i < input_count && !status; ++i)
        if (!inputs[i])
            status = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted a path, got NULL");
    if (status) return status;
    videos *v = tsr_alloc(ctx, 1, sizeof *v, "encode: job");
    if (!v) return TSR_ERROR_MEMORY;
    v->marks = tsr_alloc(ctx, 2 * (size_t)input_count, sizeof *v->marks, "encode: clips");
    v->job = (tsr_encode_job){
        .ctx = ctx, .s = &s.files, .output = output, .add = add, .report = &report->frames};
    v->s = &s;
    v->inputs = inputs;
    v->count = input_count;
    v->report = report;
    status = v->marks ? run_job(v) : TSR_ERROR_MEMORY;
    tsr_frames_close(&v->frames);
    tsr_pipeline_close(&v->job.pipeline);
    tsr_sample_free(&v->failure);
    free(v->times);
    free(v->marks);
    free(v);
    return status;
}
