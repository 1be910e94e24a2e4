/* SPDX-License-Identifier: MIT */
/* evaluate_clip.c: a clip of a token file beside its video, decoded on the way. */
#include "../metrics/metrics.h"
#include "decode_clip.h"
#include "fit.h"
#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/videos.h>

tsr_clip_evaluate_settings tsr_clip_evaluate_settings_default(void) {
    return (tsr_clip_evaluate_settings){.model = tsr_model_settings_default(),
                                        .decode = tsr_decode_settings_default(),
                                        .video = tsr_video_settings_default()};
}

/* The original's frames, which the tokenizer saw fitted to its tiles. */
typedef struct original {
    tsr_context *ctx;
    tsr_frames *frames;
    const tsr_token_header *header;
    tsr_device *host;
    bool fitted;
    uint8_t *rgb; /* of `frame` */
    tsr_video_frame frame;
} original;

static tsr_status next_frame(void *user, const tsr_video_frame **frame) {
    const original *o = user;
    const tsr_frame_pick *pick;
    return tsr_frames_next(o->frames, frame, &pick);
}

/* What decoding gives back of the frame at best: the tile that was cut out of it, or with padding
 * the part that was filled. Stretched frames and those in tiles come back at their own size. */
static tsr_status fit_frame(void *user, const tsr_video_frame **frame) {
    original *o = user;
    const tsr_fit fit = o->header->fit;
    const tsr_video_frame *from = *frame;
    if (fit != TSR_FIT_CROP && fit != TSR_FIT_PAD) return TSR_OK;
    const tsr_picture picture = {
        .rgb = from->rgb, .width = (int)from->width, .height = (int)from->height, .key = "frame"};
    tsr_canvas canvas;
    tsr_status s = tsr_canvas_open(o->host, &picture, o->header, &canvas);
    if (s) return s;
    const bool crop = fit == TSR_FIT_CROP;
    const uint32_t width = crop ? o->header->tile_width : (uint32_t)canvas.width,
                   height = crop ? o->header->tile_height : (uint32_t)canvas.height;
    free(o->rgb);
    o->rgb = tsr_alloc(o->ctx, (size_t)width * height, 3, "frame as fitted");
    if (!o->rgb)
        s = TSR_ERROR_MEMORY;
    else if (crop)
        tsr_canvas_cut(&canvas, 0, o->rgb);
    else
        memcpy(o->rgb, canvas.rgb, (size_t)width * height * 3);
    tsr_canvas_free(&canvas);
    o->frame = *from;
    o->frame.rgb = o->rgb;
    o->frame.width = width;
    o->frame.height = height;
    o->fitted |= width != from->width || height != from->height;
    *frame = &o->frame;
    return s;
}

/* One call's work. */
typedef struct job {
    tsr_context *ctx;
    const tsr_clip_evaluate_settings *s;
    tsr_decode_file_settings decode;
    tsr_decode_report decoded;
    tsr_token_file *file;
    tsr_tokenizer *t;
    tsr_clip_job clip;
    original a;
} job;

static tsr_status open_clip(job *j, const char *tokens) {
    tsr_status s = tsr_token_file_open(j->ctx, &j->file, tokens);
    if (s) return s;
    j->clip = (tsr_clip_job){.ctx = j->ctx,
                             .s = &j->decode,
                             .input = tokens,
                             .file = j->file,
                             .header = tsr_token_file_header(j->file),
                             .report = &j->decoded};
    s = tsr_clip_job_choose(&j->clip);
    if (!s) s = tsr_tokenizer_open(j->ctx, &j->t, &j->s->model);
    return s ? s : tsr_tokenizer_accepts(j->t, j->clip.header, j->s->force, tokens);
}

static tsr_status open_original(job *j, const char *path) {
    const tsr_frame_choice all = {.square_pixels = j->s->square_pixels};
    j->a = (original){.ctx = j->ctx, .header = j->clip.header, .host = j->t->model.host};
    return tsr_frames_open(j->ctx, path, &j->s->video, &all, NULL, NULL, &j->a.frames);
}

static tsr_status compare(job *j, const char *path, tsr_frame_score_fn frame, void *user,
                          tsr_video_evaluation *e, tsr_clip_evaluate_report *r) {
    tsr_clip_frames decoded = {.j = &j->clip, .t = j->t, .item = TSR_NO_ITEM};
    const tsr_video_info *info = tsr_video_properties(tsr_frames_video(j->a.frames));
    const tsr_frame_stream a = {.path = path,
                                .user = &j->a,
                                .next = next_frame,
                                .fit = fit_frame,
                                .time_base = info->time_base,
                                .rate = info->rate},
                           b = {.path = j->clip.input,
                                .user = &decoded,
                                .next = tsr_clip_frames_next,
                                .time_base = j->clip.facts.time_base,
                                .rate = j->clip.facts.rate};
    const tsr_status s =
        tsr_frame_streams_compare(j->ctx, &a, &b, true, frame, user, e, &r->passed_over);
    r->fitted = j->a.fitted;
    tsr_clip_frames_free(&decoded);
    const tsr_token_file_info *file = tsr_token_file_properties(j->file);
    const bool damaged =
        file->recovered || file->damaged || j->decoded.unreadable || j->clip.facts.lost_items;
    if (!s && damaged)
        return tsr_fail(j->ctx, TSR_ERROR_DAMAGED,
                        "%s: the file is cut or damaged: %llu of %llu frames compared",
                        j->clip.input, (unsigned long long)e->frames,
                        (unsigned long long)(j->clip.end - j->clip.first));
    return s;
}

tsr_status tsr_clip_evaluate(tsr_context *ctx, const char *original, const char *tokens,
                             const tsr_clip_evaluate_settings *settings, tsr_frame_score_fn frame,
                             void *user, tsr_video_evaluation *evaluation,
                             tsr_clip_evaluate_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!original || !tokens || !evaluation)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "evaluate: %s: wanted an address, got NULL",
                        !original ? "original"
                        : !tokens ? "tokens"
                                  : "evaluation");
    const tsr_clip_evaluate_settings s =
        settings ? *settings : tsr_clip_evaluate_settings_default();
    tsr_clip_evaluate_report own;
    if (!report) report = &own;
    *report = (tsr_clip_evaluate_report){0};
    memset(evaluation, 0, sizeof *evaluation);
    job j = {.ctx = ctx, .s = &s, .decode = tsr_decode_file_settings_default()};
    j.decode.decode = s.decode;
    j.decode.clip = s.clip;
    tsr_status status = open_clip(&j, tokens);
    if (!status) {
        snprintf(report->tokenizer, sizeof report->tokenizer, "%s", j.clip.header->tokenizer);
        snprintf(report->device, sizeof report->device, "%s", tsr_tokenizer_device(j.t));
        status = open_original(&j, original);
    }
    if (!status) status = compare(&j, original, frame, user, evaluation, report);
    tsr_frames_close(&j.a.frames);
    free(j.a.rgb);
    tsr_tokenizer_close(&j.t);
    tsr_token_file_close(&j.file);
    return status;
}
