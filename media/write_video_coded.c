/* SPDX-License-Identifier: MIT */
/* write_video_coded.c: the sink of mp4, mkv, webm, nut and y4m: pictures become samples, and
 * samples packets of a codec. */
#include "video_mux.h"
#include "video_samples.h"

#include <stdlib.h>
#include <string.h>

typedef struct coded {
    tsr_mux mux;
    tsr_sample_rule rule;
    AVFrame
        *frame; /* samples of one picture; its buffer is taken anew where the encoder keeps it */
} coded;

/* What a codec that keeps every pixel is fed with: its order of R, G and B. */
static enum AVPixelFormat rgb_samples(const char *encoder) {
    return !strcmp(encoder, "libvpx-vp9") ? AV_PIX_FMT_GBRP
           : !strcmp(encoder, "ffv1")     ? AV_PIX_FMT_BGR0
                                          : AV_PIX_FMT_RGB24;
}

static tsr_status open_coded(const tsr_video_job *job, void **state) {
    coded *c = *state = tsr_alloc(job->ctx, 1, sizeof *c, "video writer");
    if (!c) return TSR_ERROR_MEMORY;
    const char *encoder = job->lossless ? job->codec->rgb_encoder : job->codec->encoder;
    const enum AVPixelFormat samples = job->lossless ? rgb_samples(encoder) : AV_PIX_FMT_YUV420P;
    const bool even = job->codec->even && !job->lossless;
    const int width = (int)(even ? (job->width + 1) & ~1u : job->width),
              height = (int)(even ? (job->height + 1) & ~1u : job->height);
    c->rule = tsr_sample_rule_of(job->matrix, job->range);
    const tsr_status s = tsr_mux_open(&c->mux, job, encoder, samples, width, height);
    if (s) return s;
    c->frame = av_frame_alloc();
    if (!c->frame) return tsr_mux_fail(&c->mux, "frame", AVERROR(ENOMEM));
    c->frame->format = samples;
    c->frame->width = width;
    c->frame->height = height;
    c->frame->color_range = c->mux.encoder->color_range;
    c->frame->colorspace = c->mux.encoder->colorspace;
    c->frame->color_primaries = c->mux.encoder->color_primaries;
    c->frame->color_trc = c->mux.encoder->color_trc;
    c->frame->chroma_location = c->mux.encoder->chroma_sample_location;
    const int error = av_frame_get_buffer(c->frame, 0);
    return error < 0 ? tsr_mux_fail(&c->mux, "frame", error) : TSR_OK;
}

static void fill_rgb(const AVFrame *f, const uint8_t *rgb) {
    const size_t row = (size_t)f->width * 3;
    for (int y = 0; y < f->height; ++y, rgb += row) {
        uint8_t *to = f->data[0] + (ptrdiff_t)y * f->linesize[0];
        if (f->format == AV_PIX_FMT_RGB24) {
            memcpy(to, rgb, row);
        } else if (f->format == AV_PIX_FMT_BGR0) {
            for (int x = 0; x < f->width; ++x) {
                to[4 * x] = rgb[3 * x + 2];
                to[4 * x + 1] = rgb[3 * x + 1];
                to[4 * x + 2] = rgb[3 * x];
                to[4 * x + 3] = 255;
            }
        } else {
            uint8_t *blue = f->data[1] + (ptrdiff_t)y * f->linesize[1],
                    *red = f->data[2] + (ptrdiff_t)y * f->linesize[2];
            for (int x = 0; x < f->width; ++x) {
                red[x] = rgb[3 * x];
                to[x] = rgb[3 * x + 1];
                blue[x] = rgb[3 * x + 2];
            }
        }
    }
}

static tsr_status add_coded(void *state, const uint8_t *rgb, int64_t pts, int64_t duration) {
    coded *c = state;
    AVFrame *f = c->frame;
    const int error = av_frame_make_writable(f);
    if (error < 0) return tsr_mux_fail(&c->mux, "frame", error);
    if (f->format == AV_PIX_FMT_YUV420P) {
        const tsr_sample_planes planes = {f->data[0],     f->data[1],     f->data[2],
                                          f->linesize[0], f->linesize[1], f->linesize[2]};
        const tsr_video_job *job = c->mux.job;
        tsr_samples_420(&c->rule, rgb, job->width, job->height, job->codec->even, &planes);
    } else {
        fill_rgb(f, rgb);
    }
    f->pts = pts;
    return tsr_mux_put(&c->mux, f, duration);
}

static tsr_status finish_coded(void *state, tsr_video_write_report *report) {
    coded *c = state;
    return tsr_mux_finish(&c->mux, report);
}

static void close_coded(void *state) {
    coded *c = state;
    if (!c) return;
    av_frame_free(&c->frame);
    tsr_mux_close(&c->mux);
    free(c);
}

const tsr_video_sink tsr_video_sink_coded = {open_coded, add_coded, finish_coded, close_coded};
