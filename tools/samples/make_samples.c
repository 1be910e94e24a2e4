/* SPDX-License-Identifier: MIT */
/* make_samples.c: draws the samples: make_samples FOLDER writes five PNG files and, in a build with
 * video, clip.mkv, which keeps every pixel; make_samples FOLDER COUNT writes so many JPEG files.
 * They are made rather than kept: the repository stays small, and nobody's rights are touched. */
#include <tessera/tessera.h>
#include "stroke_font.h"
#include "canvas.h"
#include "moving.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Paper with a printed field on it; the letters come on top. */
colour scene_paper(double x, double y, int width, int height) {
    double fibre = fractal2(x * 0.05, y * 0.6, 3, 1), cloud = fractal2(x * 0.011, y * 0.011, 3, 2);
    colour paper =
        colour_mix(colour_hex(0xf4ecdb), colour_hex(0xe7dbc3), 0.5 * fibre + 0.6 * cloud);
    double wear = 0.93 + 0.07 * smooth(0.25, 0.5, fractal2(x * 0.5, y * 0.5, 3, 4));
    if (y > height * 0.055 && y < height * 0.43 && x > width * 0.045 && x < width * 0.955)
        return colour_mix(paper, colour_hex(0xb3311f), wear);
    return paper;
}

static void centred(const stroke_picture *p, double baseline, double size, double pen,
                    uint32_t paint, const char *text) {
    const uint8_t colour[3] = {(uint8_t)(paint >> 16), (uint8_t)(paint >> 8), (uint8_t)paint};
    stroke_text(p, (p->width - stroke_text_width(text, size)) / 2, baseline, size, pen, colour,
                text);
}

static void letter(const stroke_picture *p) {
    const uint32_t ink = 0x1d1b1a, cream = 0xf6efdf;
    centred(p, 146, 84, 13, cream, "TESSERA");
    centred(p, 178, 14, 2.2, cream, "PICTURES TO TOKENS AND BACK");
    centred(p, 248, 28, 4.2, ink, "Sphinx of black quartz,");
    centred(p, 292, 28, 4.2, ink, "judge my vow.");
    centred(p, 340, 20, 2.6, 0x1f4a77, "0123456789  (a+b)=c  50% & more?");
    centred(p, 372, 14, 1.8, ink, "The small print tells how much of a picture was kept:");
    centred(p, 396, 10, 1.4, ink,
            "what a reader still reads was not lost. Vowels, commas; 1/2 and 3/4.");
    centred(p, 416, 7.5, 1.1, ink,
            "pack my box with five dozen liquor jugs / how quickly daft jumping zebras vex");
    centred(p, 432, 5.5, 0.9, ink,
            "THE FIVE BOXING WIZARDS JUMP QUICKLY AT DAWN, AND NOBODY SEES THEM LAND AGAIN");
}

typedef struct sample {
    const char *name;
    scene_fn scene;
    int width, height, grid;
    void (*finish)(const stroke_picture *);
} sample;

static const sample samples[] = {
    {"hills", scene_hills, 768, 512, 2, NULL},       {"spheres", scene_spheres, 640, 448, 2, NULL},
    {"weave", scene_weave, 512, 384, 2, NULL},       {"mosaic", scene_mosaic, 512, 512, 2, NULL},
    {"lettering", scene_paper, 640, 448, 1, letter},
};

static tsr_status make(tsr_context *ctx, const char *folder, const sample *s) {
    char path[4096];
    uint8_t *rgb = malloc((size_t)s->width * (size_t)s->height * 3);
    if (!rgb) return TSR_ERROR_MEMORY;
    canvas_render(s->scene, s->width, s->height, s->grid, rgb);
    if (s->finish) s->finish(&(stroke_picture){rgb, s->width, s->height});
    snprintf(path, sizeof path, "%s/%s.png", folder, s->name);
    tsr_status status = tsr_picture_write_png(ctx, path, s->width, s->height, rgb);
    free(rgb);
    return status;
}

static tsr_status make_clip(tsr_context *ctx, const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/clip.mkv", folder);
    const tsr_video_write_settings settings = {.lossless = 1, .rate = {8, 1}};
    uint8_t *ground = malloc((size_t)MOVING_GROUND * MOVING_HEIGHT * 3),
            *rgb = malloc((size_t)MOVING_WIDTH * MOVING_HEIGHT * 3);
    tsr_video_writer *writer = NULL;
    tsr_status status = ground && rgb ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status)
        status = tsr_video_writer_open(ctx, path, &settings, MOVING_WIDTH, MOVING_HEIGHT, &writer);
    if (!status) moving_ground(ground);
    for (int i = 0; !status && i < MOVING_FRAMES; ++i) {
        moving_frame(ground, i, rgb);
        status = tsr_video_writer_add(writer, rgb, TSR_NO_TIME, 0);
    }
    if (!status)
        status = tsr_video_writer_finish(&writer, NULL);
    else
        tsr_video_writer_abandon(&writer);
    free(ground);
    free(rgb);
    return status == TSR_ERROR_UNSUPPORTED ? TSR_OK : status; /* a build without video */
}

/* jpeg-000.jpg and so on: windows of 500 x 375 into larger drawings, no two alike. */
static tsr_status make_jpegs(tsr_context *ctx, const char *folder, int count) {
    enum { WIDTH = 500, HEIGHT = 375, MARGIN = 128, SCENES = sizeof samples / sizeof *samples };
    const int wide = WIDTH + MARGIN, high = HEIGHT + MARGIN;
    uint8_t *whole = malloc((size_t)wide * (size_t)high * 3),
            *rgb = malloc((size_t)WIDTH * HEIGHT * 3);
    tsr_status status = whole && rgb ? TSR_OK : TSR_ERROR_MEMORY;
    for (int s = 0; s < SCENES && !status; ++s) {
        canvas_render(samples[s].scene, wide, high, 1, whole);
        for (int i = s; i < count && !status; i += SCENES) {
            char path[4096];
            const int left = i * 37 % MARGIN, top = i * 53 % MARGIN;
            for (int y = 0; y < HEIGHT; ++y)
                memcpy(rgb + (size_t)y * WIDTH * 3,
                       whole + ((size_t)(top + y) * (size_t)wide + (size_t)left) * 3,
                       (size_t)WIDTH * 3);
            snprintf(path, sizeof path, "%s/jpeg-%03d.jpg", folder, i);
            status = tsr_picture_write(ctx, path, WIDTH, HEIGHT, rgb, NULL);
        }
    }
    free(whole);
    free(rgb);
    return status;
}

int main(int argc, char **argv) {
    const int jpegs = argc == 3 ? atoi(argv[2]) : 0;
    if (argc != 2 && jpegs < 1) {
        fprintf(stderr, "usage: make_samples FOLDER [COUNT of JPEG files instead]\n");
        return 2;
    }
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "make_samples: %s: %s\n", argv[1], strerror(errno));
        return 3;
    }
    tsr_context *ctx = NULL;
    tsr_status status = tsr_context_open(&ctx, NULL);
    if (!status && jpegs) status = make_jpegs(ctx, argv[1], jpegs);
    for (size_t i = 0; !status && !jpegs && i < sizeof samples / sizeof *samples; ++i)
        status = make(ctx, argv[1], &samples[i]);
    if (!status && !jpegs) status = make_clip(ctx, argv[1]);
    if (status)
        fprintf(stderr, "make_samples: %s: %s\n", tsr_status_text(status),
                ctx ? tsr_detail(ctx) : "");
    tsr_context_close(&ctx);
    return status ? 3 : 0;
}
