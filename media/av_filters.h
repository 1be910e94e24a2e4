/* SPDX-License-Identifier: MIT */
/* av_filters.h: libavfilter, opened when a filter is wanted. Being linked with it would load some
 * forty libraries (speech synthesis, subtitles, shaders of its filters) at the start of every
 * program, a third of the time that takes, for two uses: frames of two fields and palettes of GIFs.
 * For files that stand under TESSERA_WITH_VIDEO. */
#ifndef MEDIA_AV_FILTERS_H
#define MEDIA_AV_FILTERS_H

#include <tessera/tessera.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>

/* What is called of it, by its own names. */
#define TSR_AV_FILTER_FUNCTIONS(X)                                                                 \
    X(avfilter_version)                                                                            \
    X(avfilter_graph_alloc)                                                                        \
    X(avfilter_graph_free)                                                                         \
    X(avfilter_graph_set_auto_convert)                                                             \
    X(avfilter_graph_create_filter)                                                                \
    X(avfilter_graph_parse2)                                                                       \
    X(avfilter_graph_config)                                                                       \
    X(avfilter_graph_get_filter)                                                                   \
    X(avfilter_get_by_name)                                                                        \
    X(avfilter_inout_free)                                                                         \
    X(avfilter_link)                                                                               \
    X(av_buffersrc_add_frame)                                                                      \
    X(av_buffersrc_add_frame_flags)                                                                \
    X(av_buffersink_get_frame)

typedef struct tsr_av_filters {
#define X(name) __typeof__(&name) name;
    TSR_AV_FILTER_FUNCTIONS(X)
#undef X
} tsr_av_filters;

/* Fills the table; the library stays loaded until the process ends. Any thread. Errors: UNSUPPORTED
 * ("NAME: <what>: ..."), where there is no libavfilter of the version this was compiled with. */
tsr_status tsr_av_filters_open(tsr_context *ctx, const char *name, const char *what,
                               tsr_av_filters *filters);

#endif
