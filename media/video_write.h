/* SPDX-License-Identifier: MIT */
/* video_write.h: what a kind of video file is when it is written. write_video.c chooses the kind,
 * decides about times and hands frames to its *sink*; a sink puts each frame it gets into the file
 * and knows nothing of rates. */
#ifndef MEDIA_VIDEO_WRITE_H
#define MEDIA_VIDEO_WRITE_H

#include <stdbool.h>
#include <tessera/media.h>
#include "../compute/context.h"

/* A codec and how it is asked for. */
typedef struct tsr_video_codec {
    const char *name;        /* "h264": what tsr_video_write_settings.codec says */
    const char *encoder;     /* FFmpeg's name: "libx264" */
    const char *rgb_encoder; /* the one that keeps R, G and B; NULL: it cannot be lossless */
    int crf, most_crf;       /* default and largest; 0: there is none */
    bool lossy;              /* has a form that is not lossless */
    bool presets;            /* knows x264's */
    bool even;               /* 4:2:0 wants even sides */
} tsr_video_codec;

typedef struct tsr_video_sink tsr_video_sink;

/* One video on its way into a file; all settings have their numbers. */
typedef struct tsr_video_job {
    tsr_context *ctx;
    const char *name;  /* the path */
    const char *muxer; /* FFmpeg's name: "matroska"; NULL: a folder */
    const tsr_video_codec *codec;
    uint32_t width, height;
    int crf;
    const char *preset;
    bool lossless;
    tsr_rational rate, time_base;
    bool rate_known; /* frames come at that rate, which is more than the guess an encoder needs */
    tsr_video_matrix matrix;
    tsr_video_range range;
} tsr_video_job;

struct tsr_video_sink {
    /* Begins the file. The state is closed also after a failure. `job` outlives the state. */
    tsr_status (*open)(const tsr_video_job *job, void **state);
    /* pts rises from frame to frame; duration is 1 or more, both in units of job->time_base. */
    tsr_status (*add)(void *state, const uint8_t *rgb, int64_t pts, int64_t duration);
    /* Completes the file under its name; sets bytes, coded size and samples of *report. */
    tsr_status (*finish)(void *state, tsr_video_write_report *report);
    /* Removes what is not finished and frees the state. */
    void (*close)(void *state);
};
extern const tsr_video_sink tsr_video_sink_coded, tsr_video_sink_gif, tsr_video_sink_folder;

#endif
