/* SPDX-License-Identifier: MIT */
/* Any bytes as a video, and as the times of a folder of pictures: frames come out whole and within
 * the limits, or there is a status with a text. Inside the containers it is FFmpeg that is tried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tessera/media.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/tessera-fuzz-video-XXXXXX";

static void write_file(const char *name, const void *bytes, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) exit(1);
}

static void clear(void) {
    static const char *const names[] = {
        "bytes", "frames/1.ppm", "frames/2.ppm", "frames/timecodes.txt", "frames", ""};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (remove(path)) continue;
    }
}

static void prepare(void) {
    static const char picture[] = "P6\n1 1\n255\nabc";
    char path[256];
    if (!strstr(folder, "XXXXXX")) return;
    if (!mkdtemp(folder)) exit(1);
    snprintf(path, sizeof path, "%s/frames", folder);
    if (mkdir(path, 0700)) exit(1);
    write_file("frames/1.ppm", picture, sizeof picture - 1);
    write_file("frames/2.ppm", picture, sizeof picture - 1);
    atexit(clear);
}

static void read_all(tsr_context *ctx, const char *path, int lenient) {
    const tsr_video_settings s = {.max_pixels = 1 << 14, .max_frames = 20, .lenient = lenient};
    tsr_video *video = NULL;
    const tsr_video_frame *f = NULL;
    int remarks = 0;
    tsr_status status = tsr_video_open(ctx, path, &s, &video);
    if (status && (video || !*tsr_detail(ctx))) abort();
    for (uint64_t n = 0; !status && !(status = tsr_video_next(video, &f)) && f; ++n) {
        if (n >= s.max_frames || (uint64_t)f->width * f->height > s.max_pixels || !f->rgb) abort();
        const volatile uint8_t *p = f->rgb;
        for (size_t i = 0; i < (size_t)f->width * f->height * 3; ++i)
            (void)p[i];
        if (n == 5 && tsr_video_properties(video)->has_times && tsr_video_seek(video, f->pts))
            break;
    }
    if (video) tsr_video_remarks(video, &remarks);
    tsr_video_close(&video);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[256];
    tsr_context *ctx = NULL;
    prepare();
    if (size > 1 << 16 || tsr_context_open(&ctx, NULL)) return -1;
    write_file("bytes", data, size);
    snprintf(path, sizeof path, "%s/bytes", folder);
    read_all(ctx, path, size & 1);
    if (size && (*data == '#' || (*data >= '0' && *data <= '9'))) {
        write_file("frames/timecodes.txt", data, size);
        snprintf(path, sizeof path, "%s/frames", folder);
        read_all(ctx, path, 0);
    }
    tsr_context_close(&ctx);
    return 0;
}
