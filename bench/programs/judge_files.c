/* SPDX-License-Identifier: MIT */
/* judge_files.c: a judge over pairs of picture files, for bench/rival_metrics.py, which compares
 * the numbers with those of the Python programs.
 *
 *   judge_files WEIGHTS DEVICE [PREPARATION] < pairs
 *   judge_files - DEVICE < pairs
 *
 * Each line of the input is ORIGINAL<TAB>RECONSTRUCTION. A judge that compares prints a distance
 * for each line, a judge that embeds the Frechet distance of the two sides ("frechet"), KID and,
 * where it has them, Inception Score; "-" prints PSNR and the forms of SSIM. The last line is the
 * seconds of the judging alone and the peak of memory in MiB. */
#include <tessera/statistics.h>

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

static void pixels(void) {
    for (int i = 0; i < count; ++i) {
        tsr_evaluation e;
        tsr_structure s;
        want(tsr_evaluate(ctx, a[i].rgb, b[i].rgb, a[i].width, a[i].height, &e));
        want(tsr_structure_measure(ctx, a[i].rgb, b[i].rgb, a[i].width, a[i].height, &s));
        printf("%.12g %.12g %.12g %.12g %.12g %.12g\n", e.psnr, s.ssim_gaussian, e.ssim_uniform,
               s.ssim_torchmetrics, s.ms_ssim_piq, s.ms_ssim_torchmetrics);
    }
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
    if (argc < 3) {
        fprintf(stderr, "usage: judge_files WEIGHTS|- DEVICE [PREPARATION] < pairs\n");
        return 2;
    }
    tsr_model_settings s = tsr_model_settings_default();
    tsr_judge *judge = NULL;
    struct rusage used;
    if (tsr_context_open(&ctx, NULL)) return 1;
    s.model = argv[1];
    s.device = argv[2];
    read_pairs();
    if (strcmp(argv[1], "-")) want(tsr_judge_open(ctx, &judge, &s));
    const double begin = seconds();
    if (!judge)
        pixels();
    else if (tsr_judge_properties(judge)->abilities & TSR_JUDGE_COMPARES)
        compare(judge);
    else
        embed(judge, argc > 3 ? argv[3] : NULL);
    const double taken = seconds() - begin;
    getrusage(RUSAGE_SELF, &used);
    printf("seconds %.3f cpu %.3f peak_mib %.0f\n", taken,
           (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6, peak_mib());
    tsr_judge_close(&judge);
    for (int i = 0; i < count; ++i) {
        free((void *)(uintptr_t)a[i].rgb);
        free((void *)(uintptr_t)b[i].rgb);
    }
    tsr_context_close(&ctx);
    return 0;
}
