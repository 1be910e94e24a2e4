/* SPDX-License-Identifier: MIT */
/* video_speed.c: frames a second of reading, resizing and writing videos, as JSON on one line:
 *
 *     video_speed CLIP THREADS read
 *     video_speed CLIP THREADS resize WIDTH HEIGHT      Lanczos, as pictures are fitted to tiles
 *     video_speed CLIP THREADS write FILE.mp4           H.264, CRF 18, preset medium
 *
 * "cpu_seconds" are those of all threads. The clocks start before the file is opened.
 * bench/rival_video.py puts other readers beside it. */
#include <tessera/media.h>
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What is done with each frame. */
typedef struct work {
    tsr_context *ctx;
    int64_t width, height; /* to resize to; 0: no resizing */
    tsr_device *device;
    uint8_t *small;
    const char *output; /* NULL: nothing is written */
    tsr_video_writer *writer;
} work;

static void resize_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    const work *w = tsr_run_args(r);
    out[0] = tsr_resize(r, in[0], w->height, w->width, TSR_FILTER_LANCZOS);
}

static tsr_status resize(work *w, const tsr_video_frame *f) {
    const tsr_program program = {.fn = resize_program, .args = w, .name = "resize"};
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_U8, (void *)f->rgb, 3, (int64_t[]){f->height, f->width, 3});
    tsr_tensor out =
        tsr_host_tensor(TSR_DTYPE_U8, w->small, 3, (int64_t[]){w->height, w->width, 3});
    return tsr_execute(w->device, &program, &in, 1, &out, 1);
}

static tsr_status put(work *w, const tsr_video_frame *f, const tsr_video_info *info) {
    tsr_status s = TSR_OK;
    if (w->width) s = resize(w, f);
    if (!s && w->output && !w->writer) {
        const tsr_video_write_settings settings = {.rate = info->rate,
                                                   .time_base = info->time_base};
        s = tsr_video_writer_open(w->ctx, w->output, &settings, f->width, f->height, &w->writer);
    }
    if (!s && w->output) s = tsr_video_writer_add(w->writer, f->rgb, f->pts, f->duration);
    return s;
}

static tsr_status run(work *w, const char *clip, uint64_t *frames) {
    tsr_video *video = NULL;
    const tsr_video_frame *frame = NULL;
    tsr_status s = tsr_video_open(w->ctx, clip, NULL, &video);
    while (!s && !(s = tsr_video_next(video, &frame)) && frame) {
        s = put(w, frame, tsr_video_properties(video));
        ++*frames;
    }
    if (!s && w->writer) s = tsr_video_writer_finish(&w->writer, NULL);
    tsr_video_writer_abandon(&w->writer);
    tsr_video_close(&video);
    return s;
}

int main(int argc, char **argv) {
    work w = {0};
    const char *what = argc > 3 ? argv[3] : "";
    if (!strcmp(what, "resize") && argc == 6) {
        w.width = atoi(argv[4]);
        w.height = atoi(argv[5]);
    }
    if (!strcmp(what, "write") && argc == 5) w.output = argv[4];
    if (!w.width && !w.output && (strcmp(what, "read") || argc != 4)) {
        fprintf(stderr,
                "usage: video_speed CLIP THREADS read | resize WIDTH HEIGHT | write FILE\n");
        return 2;
    }
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = atoi(argv[2]);
    uint64_t frames = 0;
    tsr_status s = tsr_context_open(&w.ctx, &settings);
    const tsr_device_settings cpu = {.name = "cpu"};
    if (!s && w.width) s = tsr_device_open(w.ctx, &w.device, &cpu);
    if (!s && w.width && !(w.small = malloc((size_t)w.width * (size_t)w.height * 3)))
        s = TSR_ERROR_MEMORY;
    const double started = now(), cpu_started = (double)clock() / CLOCKS_PER_SEC;
    if (!s) s = run(&w, argv[1], &frames);
    if (s)
        fprintf(stderr, "video_speed: %s: %s\n", tsr_status_text(s),
                w.ctx ? tsr_detail(w.ctx) : "");
    else
        printf("{\"frames\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
               (unsigned long long)frames, now() - started,
               (double)clock() / CLOCKS_PER_SEC - cpu_started);
    free(w.small);
    tsr_device_close(&w.device);
    tsr_context_close(&w.ctx);
    return s ? 3 : 0;
}
