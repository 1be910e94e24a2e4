/* SPDX-License-Identifier: MIT */
/* eval_video.c: see eval_video.h. */
#include "eval_video.h"

#include <tessera/evaluate.h>

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
    if (o->file) json_frame(&o->list, score);
    if (o->text || o->csv) {
        tool_progress_clear(o->t);
        print_frame(o, score);
    }
    return tool_progress(o->t, "comparing frames", score->index + 1, 0);
}

static void print_json(tool *t, const char *original, const char *reconstruction,
                       const tsr_video_evaluation *e, frames_out *frames, const char *mismatch) {
    json_out j;
    tool_json(t, &j);
    json_object(&j, "protocol");
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; ++i)
        json_text(&j, protocols[i][0], protocols[i][1]);
    json_end(&j, '}');
    json_text(&j, "original", original);
    json_text(&j, "reconstruction", reconstruction);
    if (mismatch) json_text(&j, "error", mismatch);
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
    if (frames->file) {
        fputs(frames->list.filled[0] ? "\n  ]" : "]", frames->file);
        const bool failed = fclose(frames->file) != 0;
        frames->file = NULL;
        if (!failed) json_raw(&j, "frames", frames->bytes);
    }
    json_close(&j);
}

static void print_table(const tsr_video_evaluation *e) {
    const double values[] = {e->psnr_pooled, e->psnr_mean, e->ssim_gaussian, e->ssim_uniform,
                             e->l1,          e->mse,       e->flicker};
    printf("%" PRIu64 " frames of %ux%u, %.3f s, matched by %s, %" PRIu64 " equal\n", e->frames,
           e->width, e->height, e->seconds, e->by_index ? "place" : "time", e->equal);
    for (size_t i = 0; i < sizeof values / sizeof *values; ++i)
        printf("%-13s %12.6f  # %s\n", protocols[i][0], values[i], protocols[i][1]);
}

int eval_videos(tool *t, const char *original, const char *reconstruction, bool per_frame,
                bool csv) {
    frames_out frames = {.t = t, .csv = csv, .text = per_frame && !t->o->json && !csv};
    if (t->o->json && per_frame && (frames.file = open_memstream(&frames.bytes, &frames.size))) {
        frames.list = (json_out){.file = frames.file};
        fputc('[', frames.file);
    }
    if (csv) printf("frame,seconds,psnr,ssim_gaussian,ssim_uniform,l1,mse,flicker\n");
    if (frames.text)
        printf("%8s %10s %9s %9s %9s %9s %9s\n", "frame", "seconds", "psnr", "ssim_gau", "ssim_uni",
               "l1", "flicker");
    tsr_video_evaluation e;
    const tsr_status s =
        tsr_video_evaluate(t->ctx, original, reconstruction, NULL, take_frame, &frames, &e);
    tool_progress_clear(t);
    int code = EXIT_DONE;
    if (s && s != TSR_ERROR_ARGUMENT) {
        code = tool_fail(t, s);
    } else {
        /* Clips that do not belong together are an answer, about the frames that do. */
        const char *mismatch = s ? tsr_detail(t->ctx) : NULL;
        if (t->o->json)
            print_json(t, original, reconstruction, &e, &frames, mismatch);
        else if (!csv && e.frames)
            print_table(&e);
        if (mismatch) tool_warn(t, "%s", mismatch);
        code = mismatch ? EXIT_NEGATIVE : EXIT_DONE;
    }
    if (frames.file) fclose(frames.file);
    free(frames.bytes);
    return code;
}
