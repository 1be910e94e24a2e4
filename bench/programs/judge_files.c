/* SPDX-License-Identifier: MIT */
/* judge_files.c: a judge over pairs of picture files, for bench/rival_metrics.py, which compares
 * the numbers with those of the Python programs.
 *
 *   judge_files WEIGHTS DEVICE [PREPARATION] < pairs
 *   judge_files - DEVICE psnr|ssim|ssim_uniform|structure < pairs
 *   judge_files - DEVICE frechet ROWS COLUMNS < features
 *
 * Each line of the input is ORIGINAL<TAB>RECONSTRUCTION. A judge that compares prints a distance
 * for each line, a judge that reads the confidence and the text of each original, a judge that
 * embeds the Frechet distance of the two sides ("frechet"), KID and, where it has them, Inception
 * Score. "-" prints a number of pixels, or all forms of SSIM that one pass gives (structure), or
 * the Frechet distance of two sets of features, f32 one behind the other. The last line is the
 * seconds of the judging alone, the processors' seconds as user, and the peak of memory in MiB. */
#include <tessera/statistics.h>

#include "metrics/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST = 4096, LINE = 8192 };

static tsr_context *ctx;
static tsr_picture a[MOST], b[MOST];
static int count;

static void want(tsr_status status) {
    if (!status) return;
    fprintf(stderr, "judge_files: %s\n", tsr_detail(ctx));
    exit(1);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double user_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6;
}

static void read_picture(const char *path, tsr_picture *p) {
    uint8_t *rgb;
    want(tsr_picture_read(ctx, path, NULL, &rgb, &p->width, &p->height));
    p->rgb = rgb;
}

static void read_pairs(void) {
    char line[LINE];
    while (count < MOST && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *tab = strchr(line, '\t');
        if (!tab) continue;
        *tab = 0;
        read_picture(line, &a[count]);
        read_picture(tab + 1, &b[count++]);
    }
}

static void pixels(const char *what) {
    for (int i = 0; i < count; ++i) {
        const int width = a[i].width, height = a[i].height;
        tsr_pixel_error error;
        tsr_structure s;
        double value = 0;
        if (!strcmp(what, "psnr")) {
            want(tsr_psnr(ctx, a[i].rgb, b[i].rgb, width, height, &error));
            value = error.psnr;
        } else if (!strcmp(what, "ssim")) {
            want(tsr_ssim_gaussian(ctx, a[i].rgb, b[i].rgb, width, height, &value));
        } else if (!strcmp(what, "ssim_uniform")) {
            want(tsr_ssim_uniform(ctx, a[i].rgb, b[i].rgb, width, height, &value));
        } else {
            want(tsr_structure_measure(ctx, a[i].rgb, b[i].rgb, width, height, &s));
            printf("%.12g %.12g ", s.ms_ssim_torchmetrics, s.ms_ssim_piq);
            value = s.ssim_torchmetrics;
        }
        printf("%.12g\n", value);
    }
}

static void read_words(tsr_judge *judge) {
    tsr_reading *words = calloc((size_t)count, sizeof *words);
    want(tsr_judge_read(judge, a, count, NULL, words));
    for (int i = 0; i < count; ++i)
        printf("%.9g %s\n", words[i].confidence, words[i].text);
    free(words);
}

/* Two sets of as many rows; the time is of the distance alone. */
static void frechet_of_features(uint64_t rows, uint64_t columns, double *begin) {
    const size_t n = (size_t)(rows * columns);
    float *x = malloc(2 * n * sizeof *x);
    tsr_frechet f;
    if (!x || fread(x, sizeof *x, 2 * n, stdin) != 2 * n) {
        fprintf(stderr, "judge_files: wanted two sets of features\n");
        exit(1);
    }
    *begin = seconds();
    want(tsr_frechet_distance(ctx, x, rows, x + n, rows, columns, &f));
    printf("frechet %.12g\n", f.distance);
    free(x);
}

static void compare(tsr_judge *judge) {
    double *distances = malloc((size_t)count * sizeof *distances);
    want(tsr_judge_compare(judge, a, b, count, distances));
    for (int i = 0; i < count; ++i)
        printf("%.12g\n", distances[i]);
    free(distances);
}

static void embed(tsr_judge *judge, const char *preparation) {
    const tsr_judge_info *info = tsr_judge_properties(judge);
    const uint32_t d = info->outputs[0].channels, k = info->outputs[1].channels;
    float *x = malloc((size_t)count * (d + k) * 2 * sizeof *x);
    float *side[2][2] = {{x, x + (size_t)count * d}, {NULL, NULL}};
    side[1][0] = side[0][1] + (size_t)count * k;
    side[1][1] = side[1][0] + (size_t)count * d;
    const tsr_embed_request q = {.preparation = preparation,
                                 .outputs = {info->outputs[0].name, info->outputs[1].name},
                                 .output_count = 2};
    tsr_frechet f;
    tsr_spread kid, score;
    const uint64_t n = (uint64_t)count;
    want(tsr_judge_embed(judge, a, count, &q, side[0]));
    want(tsr_judge_embed(judge, b, count, &q, side[1]));
    want(tsr_frechet_distance(ctx, side[0][0], n, side[1][0], n, d, &f));
    want(tsr_kid(ctx, side[0][0], n, side[1][0], n, d, 10, (uint32_t)(n / 2), 2020, &kid, NULL,
                 NULL));
    want(tsr_inception_score(ctx, side[1][1], n, k, n < 10 ? (uint32_t)n : 10, 2020, &score, NULL,
                             NULL));
    printf("frechet %.12g\nkid %.12g %.12g\nscore %.12g %.12g\n", f.distance, kid.mean,
           kid.deviation, score.mean, score.deviation);
    free(x);
}

/* Of this program alone: what getrusage says counts the parent's memory before exec. */
static double peak_mib(void) {
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6)) kib = atof(line + 6);
    if (status) fclose(status);
    return kib / 1024;
}

int main(int argc, char **argv) {
    const bool network = argc > 1 && strcmp(argv[1], "-") != 0;
    if (argc < 3 || (!network && argc < 4)) {
        fprintf(stderr, "usage: judge_files WEIGHTS DEVICE [PREPARATION] < pairs\n"
                        "       judge_files - DEVICE psnr|ssim|ssim_uniform|structure < pairs\n"
                        "       judge_files - DEVICE frechet ROWS COLUMNS < features\n");
        return 2;
    }
    tsr_model_settings s = tsr_model_settings_default();
    tsr_judge *judge = NULL;
    if (tsr_context_open(&ctx, NULL)) return 1;
    s.model = argv[1];
    s.device = argv[2];
    const bool features = !network && argc > 5 && !strcmp(argv[3], "frechet");
    if (!features) read_pairs();
    if (network) want(tsr_judge_open(ctx, &judge, &s));
    const double before = user_seconds();
    double begin = seconds();
    if (features)
        frechet_of_features(strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10), &begin);
    else if (!network)
        pixels(argv[3]);
    else if (tsr_judge_properties(judge)->abilities & TSR_JUDGE_COMPARES)
        compare(judge);
    else if (tsr_judge_properties(judge)->abilities & TSR_JUDGE_READS)
        read_words(judge);
    else
        embed(judge, argc > 3 ? argv[3] : NULL);
    const double taken = seconds() - begin;
    printf("seconds %.3f user %.3f peak_mib %.0f\n", taken, user_seconds() - before, peak_mib());
    tsr_judge_close(&judge);
    for (int i = 0; i < count; ++i) {
        free((void *)(uintptr_t)a[i].rgb);
        free((void *)(uintptr_t)b[i].rgb);
    }
    tsr_context_close(&ctx);
    return 0;
}
