/* SPDX-License-Identifier: MIT */
/* stream_sample.c: see stream_sample.h. */
#include "stream_sample.h"

#include <string.h>

static uint32_t next(uint32_t *state, uint32_t below) { /* minimal standard, Park and Miller 1988 */
    *state = (uint32_t)((uint64_t)*state * 48271 % 2147483647);
    return *state % below;
}

/* Ids that mostly stay from frame to frame. */
static void fill_ids(uint32_t *state, uint32_t *ids, uint32_t n, uint32_t frame, uint32_t codes) {
    for (uint32_t i = 0; i < n; ++i)
        ids[i] = i >= frame && next(state, 8) ? ids[i - frame] : next(state, codes);
}

void stream_sample_fill(stream_sample *s, uint32_t number) {
    uint32_t state = 7 + number;
    memset(s, 0, sizeof *s);
    fill_ids(&state, s->ids, STREAM_SAMPLE_CELLS, 20, STREAM_SAMPLE_CODES);
    fill_ids(&state, s->coarse, 12, 6, 300);
    fill_ids(&state, s->few, 4, 4, 3);
    for (uint32_t i = 0; i < STREAM_SAMPLE_CELLS; ++i) {
        const uint32_t cell = next(&state, 5);
        s->map[i] = cell == 4 ? TSR_NO_CELL : cell;
        s->gains[i] = (float)next(&state, 100) / 8;
    }
    for (uint32_t i = 0; i < 4; ++i)
        s->counting[i] = i;
    for (uint32_t i = 0; i < STREAM_SAMPLE_CODES * STREAM_SAMPLE_CHANNELS; ++i) {
        /* each row holds 127/1024, the rest are multiples of 1/1024 below it */
        const bool most = i % STREAM_SAMPLE_CHANNELS == i / STREAM_SAMPLE_CHANNELS % 6;
        s->codebook[i] = (float)(most ? 127 : (int)next(&state, 254) - 127) / 1024;
    }
    for (uint32_t i = 0; i < STREAM_SAMPLE_CHANNELS; ++i)
        s->newline[i] = (float)(i ? (int)next(&state, 100) - 50 : -127) / 64;
    static const char *const names[] = {"clip", "half", "bytes"};
    for (int i = 0; i < 3; ++i)
        s->stream[i] = (tsr_token_stream){.name = names[i],
                                          .source = "siglip, layer 26, mlp2x_gelu \xc3\xa4",
                                          .weights_hash = 0xfedcba9876543210u + number,
                                          .frames = 3,
                                          .rows = 4,
                                          .columns = 5,
                                          .codebook_size = STREAM_SAMPLE_CODES,
                                          .ids = s->ids,
                                          .channels = STREAM_SAMPLE_CHANNELS,
                                          .codebook_type = (tsr_codebook_type)i,
                                          .codebook = s->codebook,
                                          .newline = i != 1 ? s->newline : NULL,
                                          .gains = i != 2 ? s->gains : NULL};
    s->stream[3] = (tsr_token_stream){.name = "coarse", /* 3 x 4 x 5 in windows of 2 x 2 x 2 */
                                      .source = "",
                                      .frames = 2,
                                      .rows = 2,
                                      .columns = 3,
                                      .codebook_size = 300,
                                      .ids = s->coarse,
                                      .finer = 1,
                                      .finer_frames = 3,
                                      .finer_rows = 4,
                                      .finer_columns = 5,
                                      .window = {2, 2, 2}};
    s->stream[4] = (tsr_token_stream){.name = "", /* four merged tokens and where they came from */
                                      .source = "merged",
                                      .frames = 1,
                                      .rows = 1,
                                      .columns = 4,
                                      .codebook_size = 3,
                                      .ids = s->few,
                                      .finer = 2,
                                      .finer_frames = 3,
                                      .finer_rows = 4,
                                      .finer_columns = 5,
                                      .map = s->map};
    s->stream[5] = (tsr_token_stream){.name = "features", /* a row for each cell */
                                      .source = "",
                                      .frames = 1,
                                      .rows = 2,
                                      .columns = 2,
                                      .codebook_size = 4,
                                      .ids = s->counting,
                                      .channels = STREAM_SAMPLE_CHANNELS,
                                      .codebook_type = TSR_CODEBOOK_F16,
                                      .codebook = s->codebook};
}

tsr_token_item stream_sample_item(const stream_sample *s, const char *key) {
    static const uint32_t none[1] = {0};
    return (tsr_token_item){.key = key,
                            .source_width = 5,
                            .source_height = 4,
                            .orientation = 1,
                            .width = 5,
                            .height = 4,
                            .tile_columns = 1,
                            .tile_rows = 1,
                            .counts = none,
                            .ids = none,
                            .streams = s->stream,
                            .stream_count = STREAM_SAMPLE_STREAMS};
}

tsr_token_header stream_sample_header(void) {
    return (tsr_token_header){.tokenizer = "streams",
                              .codebook_size = 1,
                              .rows = 1,
                              .columns = 1,
                              .tile_width = 1,
                              .tile_height = 1,
                              .fit = TSR_FIT_STRETCH};
}

static bool same(const void *got, const void *want, size_t bytes) {
    return !got == !want && (!want || !memcmp(got, want, bytes));
}

const char *stream_difference(const tsr_token_stream *a, const tsr_token_stream *b) {
    const size_t cells = (size_t)a->frames * a->rows * a->columns;
    const size_t finer = (size_t)a->finer_frames * a->finer_rows * a->finer_columns;
    const size_t row = a->channels * sizeof(float);
    if (strcmp(a->name, b->name) || strcmp(a->source, b->source)) return "texts";
    if (a->weights_hash != b->weights_hash) return "hash";
    if (a->frames != b->frames || a->rows != b->rows || a->columns != b->columns) return "grid";
    if (a->codebook_size != b->codebook_size || a->channels != b->channels ||
        a->codebook_type != b->codebook_type)
        return "sizes";
    if (!same(a->ids, b->ids, cells * 4)) return "ids";
    if (!same(a->codebook, b->codebook, row * a->codebook_size)) return "codebook";
    if (!same(a->newline, b->newline, row)) return "newline";
    if (!same(a->gains, b->gains, cells * 4)) return "gains";
    if (a->finer != b->finer || a->finer_frames != b->finer_frames ||
        a->finer_rows != b->finer_rows || a->finer_columns != b->finer_columns ||
        memcmp(a->window, b->window, sizeof a->window))
        return "finer stream";
    return same(a->map, b->map, finer * 4) ? NULL : "map";
}

const char *streams_difference(const tsr_token_item *got, const tsr_token_item *want) {
    const char *d = NULL;
    if (got->stream_count != want->stream_count) return "number of streams";
    for (uint32_t i = 0; i < got->stream_count && !d; ++i)
        d = stream_difference(&got->streams[i], &want->streams[i]);
    return d;
}
