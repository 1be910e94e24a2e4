/* SPDX-License-Identifier: MIT */
/* prompt_speed.c: how many ids a second prompts are built with, and replies read: Emu3's layout, a
 * picture of 90 x 90 codes, in one thread.
 *
 *     build/release/prompt_speed [ROUNDS [REPEATS]]    (default 2000 and 5)
 *
 * Prints two rows of a table: millions of ids a second of CPU time, median (least to most) of the
 * repeats. Ends with 1 when a code does not come back. */
#include <tessera/runner/prompt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIDE = 90, REPEATS_MOST = 101 };

/* What one repeat took. */
typedef struct seconds {
    double build, read;
    uint64_t ids;
} seconds;

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Builds and reads back one picture; false when its codes did not come back. */
static int once(tsr_context *ctx, const tsr_vocab_map *map, const tsr_codes *picture, seconds *s) {
    const tsr_prompt_settings settings = {
        .template_name = "image", .pictures = picture, .picture_count = 1};
    tsr_prompt *prompt = NULL;
    tsr_reply reply = {0};
    uint64_t count = 0;
    const double start = cpu_seconds();
    int good = tsr_prompt_build(ctx, map, &settings, &prompt) == TSR_OK;
    const double middle = cpu_seconds();
    const uint32_t *list = good ? tsr_prompt_ids(prompt, &count) : NULL;
    good = good && !tsr_reply_read(ctx, map, list, count, NULL, &reply) && reply.usable;
    s->read += cpu_seconds() - middle;
    s->build += middle - start;
    s->ids += count;
    good = good && !memcmp(reply.codes, picture->codes, SIDE * SIDE * sizeof *picture->codes);
    tsr_reply_free(&reply);
    tsr_prompt_close(&prompt);
    return good;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_row(const char *what, double *rates, int count) {
    qsort(rates, (size_t)count, sizeof *rates, by_value);
    printf("| %s | %.0f (%.0f to %.0f) |\n", what, rates[count / 2], rates[0], rates[count - 1]);
}

int main(int argc, char **argv) {
    static uint32_t codes[SIDE * SIDE];
    static double rates[2][REPEATS_MOST];
    const int rounds = argc > 1 ? atoi(argv[1]) : 2000;
    int repeats = argc > 2 ? atoi(argv[2]) : 5;
    if (repeats < 1 || repeats > REPEATS_MOST) repeats = 5;
    tsr_context *ctx;
    tsr_vocab_map *map = NULL;
    if (tsr_context_open(&ctx, NULL) || tsr_vocab_map_open(ctx, "emu3", &map)) {
        fprintf(stderr, "%s\n", tsr_detail(ctx));
        return 1;
    }
    for (uint32_t i = 0; i < SIDE * SIDE; ++i)
        codes[i] = i * 7919 % 32768;
    const tsr_codes picture = {.codes = codes,
                               .geometry = TSR_GEOMETRY_GRID,
                               .rows = SIDE,
                               .columns = SIDE,
                               .codebook_size = 32768};
    int good = 1;
    seconds warm = {0};
    good = once(ctx, map, &picture, &warm);
    for (int k = 0; k < repeats && good; ++k) {
        seconds s = {0};
        for (int i = 0; i < rounds && good; ++i)
            good = once(ctx, map, &picture, &s);
        rates[0][k] = (double)s.ids / s.build * 1e-6;
        rates[1][k] = (double)s.ids / s.read * 1e-6;
    }
    if (good) {
        printf("| Emu3, 90 x 90 codes, one thread, %d x %d pictures | million ids a second of CPU "
               "time |\n|---|---|\n",
               repeats, rounds);
        print_row("prompts built", rates[0], repeats);
        print_row("replies read", rates[1], repeats);
    } else {
        fprintf(stderr, "the codes did not come back: %s\n", tsr_detail(ctx));
    }
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
    return !good;
}
