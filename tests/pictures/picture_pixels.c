/* SPDX-License-Identifier: MIT */
/* picture_pixels.c: what the library reads from pictures, to the byte, for the tests that compare
 * it with other readers. picture_pixels [--drop-alpha] [--pillow-grey16] [--as-stored]
 * [--max-pixels N] [--time N] FILE... writes for each file one line, "ok WIDTH HEIGHT ORIENTATION"
 * or "STATUS words", and after an "ok" line WIDTH*HEIGHT*3 bytes of RGB. With --time it writes no
 * pixels but, at the end, the seconds of the fastest of N rounds over all files, each opened, read
 * and closed. */
#include "media/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int show(tsr_context *ctx, const char *path, const tsr_image_settings *settings) {
    tsr_image image;
    tsr_status status = tsr_image_read(ctx, path, settings, &image);
    if (status) {
        printf("%d %s\n", (int)status, tsr_detail(ctx));
        return 0;
    }
    printf("ok %d %d %d\n", image.width, image.height, image.orientation);
    size_t size = (size_t)image.width * (size_t)image.height * 3;
    bool written = fwrite(image.rgb, 1, size, stdout) == size;
    tsr_image_free(&image);
    return written ? 0 : 1;
}

static int measure(tsr_context *ctx, char **paths, int count, int rounds,
                   const tsr_image_settings *settings) {
    double best = 1e30;
    for (int round = 0; round < rounds; ++round) {
        double start = now();
        for (int i = 0; i < count; ++i) {
            tsr_image image;
            if (tsr_image_read(ctx, paths[i], settings, &image)) {
                fprintf(stderr, "%s\n", tsr_detail(ctx));
                return 1;
            }
            tsr_image_free(&image);
        }
        double seconds = now() - start;
        if (seconds < best) best = seconds;
    }
    printf("%.6f\n", best);
    return 0;
}

int main(int argc, char **argv) {
    tsr_image_settings settings = tsr_image_settings_default();
    int at = 1, rounds = 0, failed = 0;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; ++at) {
        if (strcmp(argv[at], "--drop-alpha") == 0)
            settings.drop_alpha = true;
        else if (strcmp(argv[at], "--pillow-grey16") == 0)
            settings.pillow_grey16 = true;
        else if (strcmp(argv[at], "--as-stored") == 0)
            settings.apply_orientation = false;
        else if (strcmp(argv[at], "--max-pixels") == 0 && at + 1 < argc)
            settings.max_pixels = strtoull(argv[++at], NULL, 10);
        else if (strcmp(argv[at], "--time") == 0 && at + 1 < argc)
            rounds = atoi(argv[++at]);
        else
            return 2;
    }
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 1;
    if (rounds > 0)
        failed = measure(ctx, argv + at, argc - at, rounds, &settings);
    else
        for (; at < argc && !failed; ++at)
            failed = show(ctx, argv[at], &settings);
    tsr_context_close(&ctx);
    return failed;
}
