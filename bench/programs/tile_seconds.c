/* SPDX-License-Identifier: MIT */
/* tile_seconds.c: what one tile costs a tokenizer on the cpu, in a process that has the model open:
 * for comparisons with other programs on the same pixels.
 *
 *     tile_seconds MODEL RGB WIDTH HEIGHT FRAMES ROUNDS THREADS IDS [fast]
 *
 * RGB holds the bytes of one tile, [FRAMES, HEIGHT, WIDTH, 3]; FRAMES 0 is a picture. The tile is
 * encoded and decoded ROUNDS + 1 times, the first to warm up. A line for each of the others:
 * seconds of the clock and of the processors to encode, then to decode. IDS gets the ids, u32.
 * `fast` allows 16-bit operands, as --precision does. */
#include <tessera/tessera.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct seconds {
    double clock, processors;
} seconds;

static double read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static seconds now(void) {
    return (seconds){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

static uint8_t *read_tile(const char *path, size_t size) {
    uint8_t *rgb = malloc(size);
    FILE *f = fopen(path, "rb");
    const int good = rgb && f && fread(rgb, 1, size, f) == size;
    if (f) fclose(f);
    if (good) return rgb;
    free(rgb);
    fprintf(stderr, "tile_seconds: %s: wanted %zu bytes\n", path, size);
    return NULL;
}

static tsr_status write_ids(const tsr_token_item *item, const char *path) {
    FILE *f = fopen(path, "wb");
    const size_t n = (size_t)tsr_token_item_total(item);
    const int good = f && item->ids && fwrite(item->ids, sizeof *item->ids, n, f) == n;
    return f && fclose(f) == 0 && good ? TSR_OK : TSR_ERROR_IO;
}

static tsr_status round_trip(tsr_tokenizer *t, const tsr_picture *tile, uint8_t *back,
                             const char *ids, int shown) {
    tsr_item *item = NULL;
    const seconds a = now();
    tsr_status status = tsr_tokenizer_encode(t, tile, 1, NULL, &item, NULL);
    const seconds b = now();
    if (!status)
        status = tsr_tokenizer_decode(t, tsr_item_header(item), tsr_item_tokens(item), 0, back);
    const seconds c = now();
    if (!status && !shown) status = write_ids(tsr_item_tokens(item), ids);
    if (!status && shown)
        printf("%.4f %.4f %.4f %.4f\n", b.clock - a.clock, b.processors - a.processors,
               c.clock - b.clock, c.processors - b.processors);
    fflush(stdout);
    tsr_item_close(&item);
    return status;
}

static int measure(char **argv, uint8_t *rgb, uint8_t *back, tsr_picture tile) {
    tsr_context_settings cs = tsr_context_settings_default();
    tsr_model_settings s = tsr_model_settings_default();
    tsr_context *ctx = NULL;
    tsr_tokenizer *t = NULL;
    cs.threads = atoi(argv[7]);
    s.model = argv[1];
    s.device = "cpu";
    if (argv[9]) s.precision = TSR_PRECISION_FAST;
    s.tile_width = (uint32_t)tile.width;
    s.tile_height = (uint32_t)tile.height;
    s.tile_frames = (uint32_t)tile.frames;
    tile.rgb = rgb;
    tsr_status status = tsr_context_open(&ctx, &cs);
    if (!status) status = tsr_tokenizer_open(ctx, &t, &s);
    for (int r = 0; r <= atoi(argv[6]) && !status; ++r)
        status = round_trip(t, &tile, back, argv[8], r);
    if (status) fprintf(stderr, "tile_seconds: %s: %s\n", tsr_status_text(status), tsr_detail(ctx));
    tsr_tokenizer_close(&t);
    tsr_context_close(&ctx);
    return status != TSR_OK;
}

int main(int argc, char **argv) {
    if (argc != 9 && (argc != 10 || strcmp(argv[9], "fast"))) {
        fprintf(stderr,
                "usage: tile_seconds MODEL RGB WIDTH HEIGHT FRAMES ROUNDS THREADS IDS [fast]\n");
        return 2;
    }
    const tsr_picture tile = {
        .width = atoi(argv[3]), .height = atoi(argv[4]), .frames = atoi(argv[5]), .key = "tile"};
    const size_t size =
        (size_t)tile.width * (size_t)tile.height * 3 * (size_t)(tile.frames > 0 ? tile.frames : 1);
    uint8_t *rgb = read_tile(argv[2], size), *back = malloc(size);
    const int code = rgb && back ? measure(argv, rgb, back, tile) : 3;
    free(rgb);
    free(back);
    return code;
}
