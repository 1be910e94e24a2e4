/* SPDX-License-Identifier: MIT */
/* prompt_speed.c: how many ids a second prompts are built with, and replies read: Emu3's layout, a
 * picture of 90 x 90 codes, in one thread.
 *
 *     build/release/prompt_speed [ROUNDS]    (default 2000)
 *
 * Prints ids, CPU seconds and millions of ids a second of both ways. Ends with 1 when a code does
 * not come back. */
#include <tessera/runner/prompt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIDE = 90 };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    static uint32_t codes[SIDE * SIDE];
    const int rounds = argc > 1 ? atoi(argv[1]) : 2000;
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
    const tsr_prompt_settings s = {
        .template_name = "image", .pictures = &picture, .picture_count = 1};
    double build = 0, read = 0;
    uint64_t ids = 0;
    int wrong = 0;
    for (int i = 0; i < rounds && !wrong; ++i) {
        tsr_prompt *prompt;
        tsr_reply reply = {0};
        uint64_t count = 0;
        const double start = cpu_seconds();
        wrong = tsr_prompt_build(ctx, map, &s, &prompt) != TSR_OK;
        const double middle = cpu_seconds();
        const uint32_t *list = wrong ? NULL : tsr_prompt_ids(prompt, &count);
        wrong = wrong || tsr_reply_read(ctx, map, list, count, NULL, &reply) || !reply.usable;
        read += cpu_seconds() - middle;
        build += middle - start;
        ids += count;
        wrong = wrong || memcmp(reply.codes, codes, sizeof codes) != 0;
        tsr_reply_free(&reply);
        tsr_prompt_close(&prompt);
    }
    if (wrong)
        fprintf(stderr, "the codes did not come back: %s\n", tsr_detail(ctx));
    else
        printf("%llu ids: prompts %.3f s, %.1f million a second; replies %.3f s, %.1f million a "
               "second (CPU time)\n",
               (unsigned long long)ids, build, (double)ids / build * 1e-6, read,
               (double)ids / read * 1e-6);
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
    return wrong;
}
