/* SPDX-License-Identifier: MIT */
/* write_video_folder.c: the sink of folders: frame_000001.png ..., and frames.json with their
 * times (frames_list.h). */
#include "../formats/file.h"
#include "../formats/out_folder.h"
#include "frames_list.h"
#include "image.h"
#include "video_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct folder {
    const tsr_video_job *job;
    tsr_out_folder out;
    tsr_out times; /* frames.json, inside */
    char *inside;  /* its path, and room for those of the pictures */
    size_t room;
    uint64_t frames;
} folder;

static tsr_status open_folder(const tsr_video_job *job, void **state) {
    folder *f = *state = tsr_alloc(job->ctx, 1, sizeof *f, "video writer");
    if (!f) return TSR_ERROR_MEMORY;
    f->job = job;
    f->times.fd = -1;
    tsr_status s = tsr_out_folder_open(job->ctx, job->name, TSR_VIDEO_FRAMES_FILE, &f->out);
    if (s) return s;
    const size_t room = snprintf(NULL, 0, "%s/frame_%020d.png", f->out.temporary, 0) + 1;
    f->inside = tsr_alloc(job->ctx, room, 1, "path");
    if (!f->inside) return TSR_ERROR_MEMORY;
    f->room = room;
    snprintf(f->inside, room, "%s/" TSR_VIDEO_FRAMES_FILE, f->out.temporary);
    s = tsr_out_open(job->ctx, f->inside, &f->times);
    if (s) return s;
    char text[300];
    const tsr_rational rate = job->rate_known ? job->rate : (tsr_rational){0, 0};
    const int size = snprintf(text, sizeof text,
                              "{\"time_base\": \"%" PRId64 "/%" PRId64 "\", \"rate\": \"%" PRId64
                              "/%" PRId64 "\", \"width\": %u, \"height\": %u,\n \"frames\": [",
                              job->time_base.num, job->time_base.den, rate.num, rate.den,
                              job->width, job->height);
    return tsr_out_write(job->ctx, &f->times, text, (size_t)size);
}

static tsr_status add_folder(void *state, const uint8_t *rgb, int64_t pts, int64_t duration) {
    folder *f = state;
    const tsr_video_job *job = f->job;
    char text[200];
    f->frames++;
    snprintf(f->inside, f->room, "%s/frame_%06" PRIu64 ".png", f->out.temporary, f->frames);
    tsr_status s = tsr_png_write(job->ctx, f->inside, (int)job->width, (int)job->height, rgb);
    const int size = snprintf(text, sizeof text,
                              "%s\n  {\"file\": \"frame_%06" PRIu64 ".png\", \"pts\": %" PRId64
                              ", \"duration\": %" PRId64 "}",
                              f->frames > 1 ? "," : "", f->frames, pts, duration);
    if (!s) s = tsr_out_write(job->ctx, &f->times, text, (size_t)size);
    return s;
}

static tsr_status finish_folder(void *state, tsr_video_write_report *report) {
    folder *f = state;
    tsr_status s = tsr_out_write(f->job->ctx, &f->times, "\n ]}\n", 5);
    if (!s) s = tsr_out_commit(f->job->ctx, &f->times);
    if (!s) s = tsr_out_folder_commit(&f->out);
    report->coded_width = f->job->width;
    report->coded_height = f->job->height;
    snprintf(report->samples, sizeof report->samples, "rgb24");
    return s;
}

static void close_folder(void *state) {
    folder *f = state;
    if (!f) return;
    tsr_out_abandon(&f->times);
    tsr_out_folder_abandon(&f->out);
    free(f->inside);
    free(f);
}

const tsr_video_sink tsr_video_sink_folder = {open_folder, add_folder, finish_folder, close_folder};
