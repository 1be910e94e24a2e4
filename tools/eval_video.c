/* SPDX-License-Identifier: MIT */
/* eval_video.c: see eval_video.h. */
#include "eval_video.h"

#include <tessera/videos.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const protocols[][2] = {
    {"psnr_pooled", "8-bit RGB, range 255, of the mean squared error of all frames; dB"},
    {"psnr_mean", "mean of the frames' PSNR, over frames that are not equal; dB"},
    {"ssim_gaussian",
     "Wang et al. 2004: 11x11 gaussian, sigma 1.5, valid region; mean of channels and frames"},
    {"ssim_uniform", "7x7 uniform window, sample covariance (scikit-image's default)"},
    {"l1", "mean absolute error on the 0..1 scale"},
    {"mse", "mean squared error on the 0..255 scale"},
    {"flicker",
     "mean |(b_t - a_t) - (b_(t-1) - a_(t-1))|, a original, b reconstruction; 0..255 scale"},
};

/* Where the frames go while they come. */
typedef struct frames_out {
    tool *t;
    bool text, csv;
    FILE *file; /* of `list`; NULL without --json --per-frame */
    json_out list;
    char *bytes;
    size_t size;
    eval_metrics metrics;
    tsr_status status; /* of the metrics: it stopped the comparison */
} frames_out;

static void csv_number(double value, const char *after) {
    if (isnan(value))
        printf("%s", after); /* an empty cell */
    else
        printf("%.9g%s", value, after);
}

static void print_frame(const frames_out *o, const tsr_frame_score *s) {
    if (o->csv) {
        printf("%" PRIu64 ",", s->index);
        csv_number(s->seconds, ",");
        csv_number(s->psnr, ",");
        csv_number(s->ssim_gaussian, ",");
        csv_number(s->ssim_uniform, ",");
        csv_number(s->l1, ",");
        csv_number(s->mse, ",");
        csv_number(s->flicker, "\n");
    } else {
        printf("%8" PRIu64 " %10.4f %9.4f %9.6f %9.6f %9.6f %9.4f\n", s->index, s->seconds, s->psnr,
               s->ssim_gaussian, s->ssim_uniform, s->l1, s->flicker);
    }
}

static void json_frame(json_out *j, const tsr_frame_score *s) {
    json_object(j, NULL);
    json_uint(j, "index", s->index);
    json_real(j, "seconds", s->seconds);
    json_real(j, "psnr", s->psnr);
    json_real(j, "ssim_gaussian", s->ssim_gaussian);
    json_real(j, "ssim_uniform", s->ssim_uniform);
    json_real(j, "l1", s->l1);
    json_real(j, "mse", s->mse);
    json_real(j, "flicker", s->flicker);
    json_end(j, '}');
}

/* tsr_frame_score_fn */
static int take_frame(void *user, const tsr_frame_score *score) {
    frames_out *o = user;
    if (o->metrics.measure) o->status = tsr_clip_measure_add(o->metrics.measure, score);
    if (o->status) return 1;
    if (o->file) json_frame(&o->list, score);
    if (o->text || o->csv) {
        tool_progress_clear(o->t);
        print_frame(o, score);
    }
    return tool_progress(o->t, "comparing frames", score->index + 1, 0);
}

/* What is told when the frames are over. */
typedef struct outcome {
    const char *original, *reconstruction;
    tsr_video_evaluation e;
    const tsr_clip_evaluate_report *clip; /* of a clip of a token file; or NULL */
    const char *mismatch;                 /* or NULL */
} outcome;

static void print_json(tool *t, const outcome *o, frames_out *frames) {
    const tsr_video_evaluation *e = &o->e;
    json_out j;
    tool_json(t, &j);
    json_object(&j, "protocol");
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; ++i)
        json_text(&j, protocols[i][0], protocols[i][1]);
    eval_metrics_protocols(&frames->metrics, &j);
    json_end(&j, '}');
    json_text(&j, "original", o->original);
    json_text(&j, "reconstruction", o->reconstruction);
    if (o->mismatch) json_text(&j, "error", o->mismatch);
    if (o->clip) {
        json_text(&j, "tokenizer", o->clip->tokenizer);
        json_text(&j, "device", o->clip->device);
        json_text(&j, "compared_with", o->clip->fitted ? "the picture as fitted" : "the picture");
        json_uint(&j, "passed_over", o->clip->passed_over);
    }
    json_object(&j, "video");
    json_uint(&j, "width", e->width);
    json_uint(&j, "height", e->height);
    json_uint(&j, "frames", e->frames);
    json_uint(&j, "equal", e->equal);
    json_real(&j, "seconds", e->seconds);
    json_text(&j, "matched_by", e->by_index ? "place" : "time");
    json_real(&j, "psnr_pooled", e->psnr_pooled);
    json_real(&j, "psnr_mean", e->psnr_mean);
    json_real(&j, "ssim_gaussian", e->ssim_gaussian);
    json_real(&j, "ssim_uniform", e->ssim_uniform);
    json_real(&j, "l1", e->l1);
    json_real(&j, "mse", e->mse);
    json_real(&j, "flicker", e->flicker);
    json_end(&j, '}');
    eval_metrics_json(&frames->metrics, &j);
    if (frames->file) {
        fputs(frames->list.filled[0] ? "\n  ]" : "]", frames->file);
        const bool failed = fclose(frames->file) != 0;
        frames->file = NULL;
        if (!failed) json_raw(&j, "frames", frames->bytes);
    }
    json_close(&j);
}

static void print_table(const outcome *o, const frames_out *frames) {
    const tsr_video_evaluation *e = &o->e;
    const double values[] = {e->psnr_pooled, e->psnr_mean, e->ssim_gaussian, e->ssim_uniform,
                             e->l1,          e->mse,       e->flicker};
    printf("%" PRIu64 " frames of %ux%u, %.3f s, matched by %s, %" PRIu64 " equal\n", e->frames,
           e->width, e->height, e->seconds, e->by_index ? "place" : "time", e->equal);
    if (o->clip && o->clip->passed_over)
        printf("# %" PRIu64 " frames of the original are not in the clip\n", o->clip->passed_over);
    if (o->clip && o->clip->fitted) printf("# compared with the frames as they were fitted\n");
    for (size_t i = 0; i < sizeof values / sizeof *values; ++i)
        printf("%-13s %12.6f  # %s\n", protocols[i][0], values[i], protocols[i][1]);
    eval_metrics_print(&frames->metrics);
}

/* Errors: those of opening the metrics of clips. */
static tsr_status begin(tool *t, frames_out *frames, const eval_clip_choices *c) {
    *frames = (frames_out){.t = t, .csv = c->csv, .text = c->per_frame && !t->o->json && !c->csv};
    const tsr_status status = eval_metrics_open(t, c->m, &frames->metrics);
    if (status) return status;
    if (t->o->json && c->per_frame &&
        (frames->file = open_memstream(&frames->bytes, &frames->size))) {
        frames->list = (json_out){.file = frames->file};
        fputc('[', frames->file);
    }
    if (frames->csv) printf("frame,seconds,psnr,ssim_gaussian,ssim_uniform,l1,mse,flicker\n");
    if (frames->text)
        printf("%8s %10s %9s %9s %9s %9s %9s\n", "frame", "seconds", "psnr", "ssim_gau", "ssim_uni",
               "l1", "flicker");
    return TSR_OK;
}

/* Prints what came of it. Returns the exit code. */
static int end(tool *t, outcome *o, frames_out *frames, tsr_status s) {
    int code = EXIT_DONE;
    tool_progress_clear(t);
    if (frames->status) s = frames->status;
    if (frames->status ||
        (s && s != TSR_ERROR_ARGUMENT && !(s == TSR_ERROR_DAMAGED && o->e.frames))) {
        code = tool_fail(t, s);
    } else {
        /* Clips that do not belong together are an answer, about the frames that do. */
        o->mismatch = s ? tsr_detail(t->ctx) : NULL;
        if (t->o->json)
            print_json(t, o, frames);
        else if (!frames->csv && o->e.frames)
            print_table(o, frames);
        if (o->mismatch) tool_warn(t, "%s", o->mismatch);
        code = o->mismatch ? EXIT_NEGATIVE : EXIT_DONE;
    }
    if (frames->file) fclose(frames->file);
    free(frames->bytes);
    tsr_clip_measure_close(&frames->metrics.measure);
    return code;
}

int eval_videos(tool *t, const char *original, const char *reconstruction,
                const eval_clip_choices *choices) {
    frames_out frames;
    outcome o = {.original = original, .reconstruction = reconstruction};
    tsr_status s = begin(t, &frames, choices);
    if (s) return tool_fail(t, s);
    s = tsr_video_evaluate(t->ctx, original, reconstruction, NULL, take_frame, &frames, &o.e);
    return end(t, &o, &frames, s);
}

bool eval_is_clip(tool *t, const char *path) {
    const size_t n = strlen(path);
    tsr_token_file *file = NULL;
    if (n < 5 || strcmp(path + n - 5, ".tess")) return false;
    const bool clip =
        !tsr_token_file_open(t->ctx, &file, path) && tsr_token_file_properties(file)->clips > 0;
    tsr_token_file_close(&file);
    return clip;
}

int eval_clip(tool *t, const char *original, const char *tokens, const eval_clip_choices *c) {
    frames_out frames;
    tsr_clip_evaluate_report report;
    outcome o = {.original = original, .reconstruction = tokens, .clip = &report};
    tsr_clip_evaluate_settings s = tsr_clip_evaluate_settings_default();
    s.model = c->m->settings.model;
    s.model.model = c->m->model_count ? c->m->models[0] : NULL;
    s.clip = c->clip;
    s.square_pixels = c->square_pixels;
    tsr_status status = begin(t, &frames, c);
    if (status) return tool_fail(t, status);
    status = tsr_clip_evaluate(t->ctx, original, tokens, &s, take_frame, &frames, &o.e, &report);
    return end(t, &o, &frames, status);
}
