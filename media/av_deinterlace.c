/* SPDX-License-Identifier: MIT */
/* av_deinterlace.c: frames of two fields to whole ones, through FFmpeg's bwdif: one frame for each,
 * of the earlier field, at its own time. Frames that are not marked interlaced pass unchanged. */
#ifdef TESSERA_WITH_VIDEO
#include "av.h"
#include "av_filters.h"

#include <stdio.h>
#include <stdlib.h>

struct tsr_av_deinterlacer {
    tsr_av_filters av;
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    int width, height, format;
};

void tsr_av_deinterlacer_free(tsr_av_deinterlacer **d) {
    if (!*d) return;
    if ((*d)->graph) (*d)->av.avfilter_graph_free(&(*d)->graph);
    free(*d);
    *d = NULL;
}

/* No filter that changes samples may slip in between. */
static int build(tsr_av_deinterlacer *d, const AVFrame *f, AVRational base) {
    char text[160];
    AVFilterContext *bwdif = NULL;
    d->graph = d->av.avfilter_graph_alloc();
    if (!d->graph) return AVERROR(ENOMEM);
    d->graph->nb_threads = 1;
    d->av.avfilter_graph_set_auto_convert(d->graph, AVFILTER_AUTO_CONVERT_NONE);
    snprintf(text, sizeof text, "video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=1/1",
             f->width, f->height, f->format, base.num, base.den);
    int error = d->av.avfilter_graph_create_filter(&d->source, d->av.avfilter_get_by_name("buffer"),
                                                   "in", text, NULL, d->graph);
    if (error >= 0)
        error = d->av.avfilter_graph_create_filter(
            &bwdif, d->av.avfilter_get_by_name("bwdif"), "bwdif",
            "mode=send_frame:parity=auto:deint=interlaced", NULL, d->graph);
    if (error >= 0)
        error = d->av.avfilter_graph_create_filter(
            &d->sink, d->av.avfilter_get_by_name("buffersink"), "out", NULL, NULL, d->graph);
    if (error >= 0) error = d->av.avfilter_link(d->source, 0, bwdif, 0);
    if (error >= 0) error = d->av.avfilter_link(bwdif, 0, d->sink, 0);
    return error < 0 ? error : d->av.avfilter_graph_config(d->graph, NULL);
}

static tsr_status open_graph(tsr_context *ctx, const char *name, tsr_av_deinterlacer **made,
                             const AVFrame *f, AVRational base) {
    tsr_av_deinterlacer *d = *made = tsr_alloc(ctx, 1, sizeof *d, "deinterlacer");
    if (!d) return TSR_ERROR_MEMORY;
    d->width = f->width;
    d->height = f->height;
    d->format = f->format;
    const tsr_status s = tsr_av_filters_open(ctx, name, "deinterlacing", &d->av);
    if (s) return s;
    const int error = build(d, f, base);
    return error < 0 ? tsr_av_fail(ctx, TSR_ERROR_UNSUPPORTED, name, "deinterlacing", error)
                     : TSR_OK;
}

tsr_status tsr_av_deinterlace(tsr_context *ctx, const char *name, tsr_av_deinterlacer **d,
                              AVFrame *frame, bool end, AVRational base, bool *got) {
    *got = false;
    tsr_status s = TSR_OK;
    if (end && !*d) return TSR_OK;
    if (!*d) s = open_graph(ctx, name, d, frame, base);
    if (s) return s;
    if (!end && (frame->width != (*d)->width || frame->height != (*d)->height ||
                 frame->format != (*d)->format))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: deinterlacing: wanted frames of one size and format, got %dx%d behind "
                        "%dx%d",
                        name, frame->width, frame->height, (*d)->width, (*d)->height);
    int error = (*d)->av.av_buffersrc_add_frame((*d)->source, end ? NULL : frame);
    if (error == AVERROR_EOF) error = 0; /* the end was told before */
    if (error >= 0) error = (*d)->av.av_buffersink_get_frame((*d)->sink, frame);
    *got = error >= 0;
    if (error >= 0 || error == AVERROR(EAGAIN) || error == AVERROR_EOF) return TSR_OK;
    return tsr_av_fail(ctx, TSR_ERROR_MEMORY, name, "deinterlacing", error);
}
#else
typedef int tsr_av_deinterlace_is_left_out;
#endif
