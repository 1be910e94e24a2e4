/* SPDX-License-Identifier: MIT */
/* stream_sample.h: streams of an item that use every field: a clip codebook of each type, a pooled
 * grid over a finer one, a map, ids of a foreign codebook; and their comparison. */
#ifndef TESTS_STREAM_SAMPLE_H
#define TESTS_STREAM_SAMPLE_H

#include <stdbool.h>
#include <tessera/tokens.h>

enum {
    STREAM_SAMPLE_STREAMS = 6,
    STREAM_SAMPLE_CELLS = 3 * 4 * 5,
    STREAM_SAMPLE_CODES = 7,
    STREAM_SAMPLE_CHANNELS = 6
};

typedef struct stream_sample {
    tsr_token_stream stream[STREAM_SAMPLE_STREAMS]; /* arrays below */
    uint32_t ids[STREAM_SAMPLE_CELLS], coarse[2 * 2 * 3], few[4], map[STREAM_SAMPLE_CELLS],
        counting[4];
    float codebook[STREAM_SAMPLE_CODES * STREAM_SAMPLE_CHANNELS], newline[STREAM_SAMPLE_CHANNELS];
    float gains[STREAM_SAMPLE_CELLS];
} stream_sample;

/* Fills a sample, the same for the same number. Every number is one that f16 holds, and every row
 * one that int8 holds, so that all types give back what went in. */
void stream_sample_fill(stream_sample *sample, uint32_t number);
/* An item of these streams alone. */
tsr_token_item stream_sample_item(const stream_sample *sample, const char *key);
/* Header of files of such items. */
tsr_token_header stream_sample_header(void);
/* The first difference in words, or NULL. */
const char *stream_difference(const tsr_token_stream *got, const tsr_token_stream *want);
const char *streams_difference(const tsr_token_item *got, const tsr_token_item *want);

#endif
