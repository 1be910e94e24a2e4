/* SPDX-License-Identifier: MIT */
/* The library in a loop, beside which bench/serve_load.py puts the server: encode_loop PICTURE
 * COUNT reads one picture's bytes and parses and encodes them COUNT times, one after the other,
 * with the bundled tokenizer on the cpu. Prints "pictures wall-seconds cpu-seconds". */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <tessera/tessera.h>

static double wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static tsr_status encode(tsr_context *ctx, tsr_tokenizer *tokenizer, const void *bytes,
                         size_t size) {
    uint8_t *rgb = NULL;
    tsr_picture picture = {.key = "picture"};
    tsr_item *item = NULL;
    tsr_status s = tsr_picture_parse(ctx, NULL, bytes, size, NULL, 0, &rgb, &picture.width,
                                     &picture.height, &picture.orientation);
    picture.rgb = rgb;
    if (!s) s = tsr_tokenizer_encode(tokenizer, &picture, 1, NULL, &item, NULL);
    tsr_item_close(&item);
    free(rgb);
    return s;
}

int main(int argc, char **argv) {
    static uint8_t bytes[1 << 24];
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    const int count = argc == 3 ? atoi(argv[2]) : 0;
    if (!file || count < 1) {
        fprintf(stderr, "usage: encode_loop PICTURE COUNT\n");
        return 2;
    }
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    tsr_context *ctx = NULL;
    tsr_tokenizer *tokenizer = NULL;
    const tsr_model_settings cpu_alone = {.device = "cpu"};
    tsr_status s = tsr_context_open(&ctx, NULL);
    if (!s) s = tsr_tokenizer_open(ctx, &tokenizer, &cpu_alone);
    if (!s) s = encode(ctx, tokenizer, bytes, size); /* warm */
    const double wall_before = wall(), cpu_before = cpu();
    for (int i = 0; i < count && !s; ++i)
        s = encode(ctx, tokenizer, bytes, size);
    if (!s) printf("%d %.6f %.6f\n", count, wall() - wall_before, cpu() - cpu_before);
    if (s) fprintf(stderr, "encode_loop: %s: %s\n", tsr_status_text(s), tsr_detail(ctx));
    tsr_tokenizer_close(&tokenizer);
    tsr_context_close(&ctx);
    return s != TSR_OK;
}
