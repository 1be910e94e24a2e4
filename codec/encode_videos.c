/* SPDX-License-Identifier: MIT */
/* encode_videos.c: videos to one token file, a clip each, a frame an item, or with a tokenizer of
 * video as many frames as its tiles have. */
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "clip_budget.h"
#include "encode_job.h"
#include "video_feed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/videos.h>

typedef struct videos {
    tsr_encode_job job; /* first: what the pipeline's ends get */
    tsr_encode_videos_settings s;
    const char *const *inputs;
    int count;
    tsr_encode_videos_report *report;
    tsr_video_feed *feed;
    /* the reader's: */
    int at;
    bool open;                      /* input `at` */
    char key[TSR_TESS_MAX_KEY + 1]; /* of its clip */
    int remarks;                    /* in the report */
    /* the consumer's: */
    tsr_clip_budget *budget; /* NULL: items are written as they come */
} videos;

tsr_encode_videos_settings tsr_encode_videos_settings_default(void) {
    return (tsr_encode_videos_settings){.files = tsr_encode_files_settings_default(),
                                        .video = tsr_video_settings_default()};
}

/* ---- the reader's end --------------------------------------------------------------------------
 */

/* Keeps what was said about a video for the report. */
static void keep_remarks(void *user, const char *const *said, int count) {
    videos *v = user;
    const int room = (int)(sizeof v->report->remarks / sizeof *v->report->remarks);
    for (int i = 0; i < count && v->remarks < room; ++i, ++v->remarks)
        snprintf(v->report->remarks[v->remarks], sizeof *v->report->remarks, "%s", said[i]);
}

/* tsr_feed_fn */
static tsr_status feed(void *user, tsr_context *ctx, tsr_feed *f) {
    videos *v = user;
    tsr_status s = TSR_OK;
    while (!s && !f->sample && !f->mark && v->at < v->count) {
        if (!v->open) {
            tsr_video_key(v->inputs[v->at], v->key, sizeof v->key);
            tsr_video_feed_begin(v->feed, 0, v->inputs[v->at], v->key);
            v->open = true;
        }
        s = tsr_video_feed_next(v->feed, ctx, f);
        if (s || f->sample || f->mark) break;
        v->open = false;
        ++v->at;
    }
    return s;
}

/* ---- the consumer's end ------------------------------------------------------------------------
 */

static tsr_status add(tsr_encode_job *j, const tsr_token_item *item) {
    const videos *v = (const videos *)(const void *)j;
    const tsr_clip_frame *times;
    const uint32_t count = tsr_video_feed_times(v->feed, &times);
    v->report->frame_count += count;
    return v->budget ? tsr_clip_budget_take(v->budget, item, times)
                     : tsr_token_writer_clip_add(j->writer, item, times, count, 0);
}

/* tsr_clip_budget_fn: an item that has been cut to its share. */
static tsr_status add_cut(void *user, const tsr_token_item *item, const tsr_clip_frame *times) {
    videos *v = user;
    const tsr_status s = tsr_token_writer_clip_add(v->job.writer, item, times, 1, 0);
    if (!s)
        tsr_encode_job_count(&v->job, &(tsr_encoded){.item = item, .error = NAN, .predicted = NAN});
    return s;
}

/* tsr_consume_fn */
static tsr_status consume(void *user, const tsr_passed *passed) {
    videos *v = user;
    bool begins = false;
    if (!passed->mark) {
        tsr_video_feed_pass(v->feed, passed->sample);
        return tsr_encode_job_consume(&v->job, passed);
    }
    tsr_status s = TSR_OK;
    if (v->budget) s = tsr_clip_budget_spend(v->budget, add_cut, v);
    if (!s) s = tsr_video_feed_mark(v->feed, passed->mark, v->job.writer, &begins);
    v->report->clips += !s && begins;
    return s;
}

/* ---- all ---------------------------------------------------------------------------------------
 */

/* Of a tokenizer that chooses its ids a budget is that of a tile, and the pipeline is opened with
 * it; of one with nested ids it is that of the clip. */
static tsr_status open_budget(videos *v, uint32_t tokens, const tsr_image_settings *image) {
    const tsr_encoder *e = tsr_pipeline_encoder(v->job.pipeline, 0);
    const tsr_token_header *h = &e->plan.header;
    const tsr_token_choice *c = &v->s.files.encode.choice;
    if (e->tokenizer->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS) {
        tsr_pipeline_close(&v->job.pipeline);
        v->s.files.encode.choice.budget = tokens;
        return tsr_encode_job_open(&v->job, image);
    }
    if (!h->nested || h->channels || h->tile_frames)
        return tsr_fail(v->job.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: budget: wanted a tokenizer whose first ids alone are a picture, got "
                        "one whose %u tokens a tile are all needed; fewer frames have fewer",
                        h->tokenizer, tsr_token_positions(h));
    if (c->quality > 0 || c->target.metric || v->s.files.check)
        return tsr_fail(v->job.ctx, TSR_ERROR_ARGUMENT,
                        "budget and %s: wanted one of them, got both",
                        c->quality > 0     ? "quality"
                        : c->target.metric ? "target"
                                           : "check");
    v->job.later = true;
    return tsr_clip_budget_open(v->job.ctx, tokens,
                                strcmp(v->job.output, "-") ? v->job.output : NULL, &v->budget);
}

/* What waits for the end of its clip belongs to what was done. */
static void spend_after(videos *v, tsr_status why) {
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", tsr_detail(v->job.ctx));
    (void)tsr_clip_budget_spend(v->budget, add_cut, v);
    (void)tsr_fail(v->job.ctx, why, "%s", detail);
}

static tsr_status run_job(videos *v) {
    tsr_image_settings image = tsr_image_settings_default();
    tsr_encode_settings *encode = &v->s.files.encode;
    const uint32_t budget = encode->choice.budget;
    memcpy(image.background, encode->fit.background, 3);
    encode->choice.budget = 0;
    tsr_status status = tsr_encode_job_open(&v->job, &image);
    if (!status && budget) status = open_budget(v, budget, &image);
    if (!status) {
        const tsr_video_feed_settings feeds = {
            .video = &v->s.video,
            .frames = &v->s.frames,
            .background = encode->fit.background,
            .header = &tsr_pipeline_encoder(v->job.pipeline, 0)->plan.header,
            .remarks = keep_remarks,
            .remarks_user = v};
        status = tsr_video_feed_open(v->job.ctx, &feeds, &v->feed);
    }
    if (!status) status = tsr_encode_job_open_writer(&v->job);
    if (!status) status = tsr_encode_job_run(&v->job, feed, consume);
    if (status && v->budget && v->job.writer && v->s.files.keep_partial) spend_after(v, status);
    return tsr_encode_job_finish(&v->job, status);
}

tsr_status tsr_encode_videos(tsr_context *ctx, const char *const *inputs, int input_count,
                             const char *output, const tsr_encode_videos_settings *settings,
                             tsr_encode_videos_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_encode_videos_report own;
    if (!report) report = &own;
    *report = (tsr_encode_videos_report){0};
    videos *v = tsr_alloc(ctx, 1, sizeof *v, "encode: job");
    if (!v) return TSR_ERROR_MEMORY;
    v->s = settings ? *settings : tsr_encode_videos_settings_default();
    tsr_status status = tsr_encode_check_arguments(ctx, inputs, input_count, output, &v->s.files);
    for (int i = 0; i < input_count && !status; ++i)
        if (!inputs[i])
            status = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted a path, got NULL");
    v->job = (tsr_encode_job){
        .ctx = ctx, .s = &v->s.files, .output = output, .add = add, .report = &report->frames};
    v->inputs = inputs;
    v->count = input_count;
    v->report = report;
    if (!status) status = run_job(v);
    tsr_pipeline_close(&v->job.pipeline);
    tsr_video_feed_close(&v->feed);
    tsr_clip_budget_close(&v->budget);
    free(v);
    return status;
}
