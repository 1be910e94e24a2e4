/* SPDX-License-Identifier: MIT */
/* write_video_gif.c: the sink of animated GIF. One palette serves the whole clip, so that nothing
 * that stands still flickers: it is known at the end, and frames wait for it in a spool. FFmpeg's
 * filters palettegen and paletteuse make it and use it, the latter with an ordered (Bayer) dither,
 * whose pattern does not move either. */
#include "../formats/spool.h"
#include "av_filters.h"
#include "video_mux.h"

#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct filter {
    AVFilterGraph *graph;
    AVFilterContext *frames, *palette, *out; /* palette: second input; NULL without */
} filter;

typedef struct gif {
    tsr_mux mux;
    tsr_spool frames; /* {pts, duration, rgb} each */
    uint8_t *rgb;     /* [height, width, 3], of a frame that comes back */
    uint64_t count;
    tsr_av_filters av;
    filter make;
    AVFrame *frame; /* what goes into a filter */
} gif;

/* Opens the filters of `text`, whose inputs are called "frames" and "palette". */
static tsr_status open_filter(gif *g, const char *text, bool with_palette, filter *f) {
    const tsr_video_job *job = g->mux.job;
    char source[160], all[512];
    snprintf(source, sizeof source,
             "video_size=%ux%u:pix_fmt=bgra:time_base=1/100:pixel_aspect=1/1", job->width,
             job->height);
    snprintf(all, sizeof all, "buffer@frames=%s[frames];%s%s;[made]buffersink@out", source,
             with_palette ? "buffer@palette=video_size=16x16:pix_fmt=bgra:time_base=1/100:"
                            "pixel_aspect=1/1[palette];"
                          : "",
             text);
    AVFilterInOut *in = NULL, *out = NULL;
    if (!(f->graph = g->av.avfilter_graph_alloc()))
        return tsr_mux_fail(&g->mux, "palette", AVERROR(ENOMEM));
    f->graph->nb_threads = 1; /* a frame here and there: threads cost more than they give */
    int error = g->av.avfilter_graph_parse2(f->graph, all, &in, &out);
    if (error >= 0) error = g->av.avfilter_graph_config(f->graph, NULL);
    g->av.avfilter_inout_free(&in);
    g->av.avfilter_inout_free(&out);
    if (error < 0) return tsr_mux_fail(&g->mux, "palette", error);
    f->frames = g->av.avfilter_graph_get_filter(f->graph, "buffer@frames");
    f->palette = g->av.avfilter_graph_get_filter(f->graph, "buffer@palette");
    f->out = g->av.avfilter_graph_get_filter(f->graph, "buffersink@out");
    return f->frames && f->out ? TSR_OK
                               : tsr_mux_fail(&g->mux, "palette", AVERROR_FILTER_NOT_FOUND);
}

static tsr_status open_gif(const tsr_video_job *job, void **state) {
    gif *g = *state = tsr_alloc(job->ctx, 1, sizeof *g, "video writer");
    if (!g) return TSR_ERROR_MEMORY;
    tsr_status s = tsr_av_filters_open(job->ctx, job->name, "palette", &g->av);
    if (!s)
        s = tsr_mux_open(&g->mux, job, job->codec->encoder, AV_PIX_FMT_PAL8, (int)job->width,
                         (int)job->height);
    g->frames =
        (tsr_spool){.ctx = job->ctx, .beside = tsr_out_can_change(&g->mux.out) ? job->name : NULL};
    if (!s) s = open_filter(g, "[frames]palettegen=reserve_transparent=0[made]", false, &g->make);
    if (s) return s;
    g->rgb = tsr_alloc(job->ctx, (size_t)job->width * job->height, 3, "frame");
    if (!g->rgb) return TSR_ERROR_MEMORY;
    g->frame = av_frame_alloc();
    if (!g->frame) return tsr_mux_fail(&g->mux, "frame", AVERROR(ENOMEM));
    return TSR_OK;
}

/* Gives a frame to the filter `f`. */
static tsr_status feed(gif *g, const filter *f, const uint8_t *rgb, int64_t pts) {
    AVFrame *frame = g->frame;
    frame->format = AV_PIX_FMT_BGRA;
    frame->width = (int)g->mux.job->width;
    frame->height = (int)g->mux.job->height;
    frame->sample_aspect_ratio = (AVRational){1, 1};
    frame->pts = pts;
    int error = av_frame_get_buffer(frame, 0);
    if (error < 0) return tsr_mux_fail(&g->mux, "frame", error);
    for (int y = 0; y < frame->height; ++y) {
        uint8_t *to = frame->data[0] + (ptrdiff_t)y * frame->linesize[0];
        for (int x = 0; x < frame->width; ++x, rgb += 3, to += 4) {
            to[0] = rgb[2], to[1] = rgb[1], to[2] = rgb[0], to[3] = 255;
        }
    }
    /* Takes the frame and leaves an empty one; without PUSH frames would wait in the graph. */
    error = g->av.av_buffersrc_add_frame_flags(f->frames, frame, AV_BUFFERSRC_FLAG_PUSH);
    return error < 0 ? tsr_mux_fail(&g->mux, "palette", error) : TSR_OK;
}

static tsr_status add_gif(void *state, const uint8_t *rgb, int64_t pts, int64_t duration) {
    gif *g = state;
    const int64_t times[2] = {pts, duration};
    tsr_status s = tsr_spool_put(&g->frames, times, sizeof times);
    if (!s) s = tsr_spool_put(&g->frames, rgb, (size_t)g->mux.job->width * g->mux.job->height * 3);
    if (!s) s = feed(g, &g->make, rgb, pts);
    g->count++;
    return s;
}

/* Writes what comes out of the filter. */
static tsr_status drain(gif *g, const filter *f, AVFrame *made, int64_t duration) {
    for (;;) {
        const int error = g->av.av_buffersink_get_frame(f->out, made);
        if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return TSR_OK;
        if (error < 0) return tsr_mux_fail(&g->mux, "palette", error);
        const tsr_status s = tsr_mux_put(&g->mux, made, duration);
        av_frame_unref(made);
        if (s) return s;
    }
}

/* The second pass: frames from the spool through the palette into the file. */
static tsr_status write_frames(gif *g, const filter *use, AVFrame *made) {
    const size_t bytes = (size_t)g->mux.job->width * g->mux.job->height * 3;
    int64_t times[2] = {0, 0};
    tsr_status s = TSR_OK;
    for (uint64_t i = 0; !s && i < g->count; ++i) {
        const uint64_t at = i * (sizeof times + bytes);
        s = tsr_spool_read(&g->frames, at, times, sizeof times);
        if (!s) s = tsr_spool_read(&g->frames, at + sizeof times, g->rgb, bytes);
        if (!s) s = feed(g, use, g->rgb, times[0]);
        if (!s) s = drain(g, use, made, times[1]);
    }
    if (s) return s;
    av_opt_set_int(g->mux.format->priv_data, "final_delay", times[1], 0);
    const int error = g->av.av_buffersrc_add_frame(use->frames, NULL);
    if (error < 0) return tsr_mux_fail(&g->mux, "palette", error);
    return drain(g, use, made, times[1]);
}

static tsr_status finish_gif(void *state, tsr_video_write_report *report) {
    gif *g = state;
    filter use = {0};
    AVFrame *made = av_frame_alloc();
    int error = made ? g->av.av_buffersrc_add_frame(g->make.frames, NULL) : AVERROR(ENOMEM);
    if (error >= 0) error = g->av.av_buffersink_get_frame(g->make.out, made);
    tsr_status s = error < 0 ? tsr_mux_fail(&g->mux, "palette", error) : TSR_OK;
    if (!s)
        s = open_filter(g,
                        "[frames][palette]paletteuse=dither=bayer:bayer_scale=4:diff_mode=none"
                        "[made]",
                        true, &use);
    if (!s) {
        made->pts = 0;
        error = g->av.av_buffersrc_add_frame(use.palette, made);
        if (error >= 0) error = g->av.av_buffersrc_add_frame(use.palette, NULL);
        if (error < 0) s = tsr_mux_fail(&g->mux, "palette", error);
    }
    if (!s) s = write_frames(g, &use, made);
    if (!s) s = tsr_mux_finish(&g->mux, report);
    av_frame_free(&made);
    if (use.graph) g->av.avfilter_graph_free(&use.graph);
    return s;
}

static void close_gif(void *state) {
    gif *g = state;
    if (!g) return;
    tsr_spool_clear(&g->frames);
    if (g->make.graph) g->av.avfilter_graph_free(&g->make.graph);
    av_frame_free(&g->frame);
    free(g->rgb);
    tsr_mux_close(&g->mux);
    free(g);
}

const tsr_video_sink tsr_video_sink_gif = {open_gif, add_gif, finish_gif, close_gif};
