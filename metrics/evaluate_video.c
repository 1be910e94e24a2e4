/* SPDX-License-Identifier: MIT */
/* evaluate_video.c: two videos side by side. */
#include <tessera/evaluate.h>
#include "metrics.h"

#include <string.h>

static tsr_status next_frame(void *video, const tsr_video_frame **frame) {
    return tsr_video_next(video, frame);
}

static tsr_status open_side(tsr_context *ctx, const char *path, const tsr_video_settings *settings,
                            tsr_video **video, tsr_frame_stream *stream) {
    const tsr_status status = tsr_video_open(ctx, path, settings, video);
    if (status) return status;
    const tsr_video_info *info = tsr_video_properties(*video);
    *stream = (tsr_frame_stream){.path = path,
                                 .user = *video,
                                 .next = next_frame,
                                 .time_base = info->time_base,
                                 .rate = info->rate};
    return TSR_OK;
}

tsr_status tsr_video_evaluate(tsr_context *ctx, const char *original, const char *reconstruction,
                              const tsr_video_settings *settings, tsr_frame_score_fn frame,
                              void *user, tsr_video_evaluation *evaluation) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!original || !reconstruction || !evaluation)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "evaluate: %s: wanted an address, got NULL",
                        !original         ? "original"
                        : !reconstruction ? "reconstruction"
                                          : "evaluation");
    tsr_video *a = NULL, *b = NULL;
    tsr_frame_stream from_a, from_b;
    memset(evaluation, 0, sizeof *evaluation);
    tsr_status s = open_side(ctx, original, settings, &a, &from_a);
    if (!s) s = open_side(ctx, reconstruction, settings, &b, &from_b);
    if (!s)
        s = tsr_frame_streams_compare(ctx, &from_a, &from_b, false, frame, user, evaluation, NULL);
    tsr_video_close(&a);
    tsr_video_close(&b);
    return s;
}
