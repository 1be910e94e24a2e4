/* SPDX-License-Identifier: MIT */
/* info_streams.c: see info_streams.h. */
#include "info_streams.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *type_name(const tsr_token_stream *s) {
    static const char *const names[] = {"f32", "f16", "int8"};
    return (unsigned)s->codebook_type < 3 ? names[s->codebook_type] : "unknown";
}

static uint64_t cells_of(const tsr_token_stream *s) {
    return (uint64_t)s->frames * s->rows * s->columns;
}

/* exp of the entropy of how often each id comes: the number of ids that would say as much if all
 * came alike. NaN without memory, and for codebooks too large to count. */
static double perplexity_of(const tsr_token_stream *s) {
    if (s->codebook_size > 1u << 26) return (double)NAN;
    const uint64_t n = cells_of(s);
    uint64_t *uses = calloc(s->codebook_size, sizeof *uses);
    double entropy = 0;
    if (!uses) return (double)NAN;
    for (uint64_t i = 0; i < n; ++i)
        uses[s->ids[i]]++;
    for (uint32_t c = 0; c < s->codebook_size; ++c)
        if (uses[c]) entropy -= (double)uses[c] / (double)n * log((double)uses[c] / (double)n);
    free(uses);
    return exp(entropy);
}

void stream_totals_add(stream_totals *sum, const tsr_token_item *item) {
    sum->items += item->stream_count > 0;
    for (uint32_t i = 0; i < item->stream_count; ++i) {
        const tsr_token_stream *s = &item->streams[i];
        sum->streams++;
        sum->all += s->bytes.all;
        sum->codebook += s->bytes.codebook;
        sum->ids += s->bytes.ids;
        sum->gains += s->bytes.gains;
        sum->map += s->bytes.map;
        if (!s->channels) continue;
        sum->clips++;
        sum->rows += s->codebook_size;
        sum->newlines += s->newline != NULL;
        sum->cells += cells_of(s);
        sum->frames += s->frames;
        sum->clip_bytes += s->bytes.all;
        sum->perplexity += perplexity_of(s);
    }
}

/* Accuracy in percent for each token that a language model gets, newlines not counted: the measure
 * of VQToken's paper. */
static double density(const stream_totals *sum, double accuracy) {
    return accuracy / ((double)sum->rows / (double)sum->clips);
}

void stream_totals_print(const stream_totals *sum, double accuracy) {
    if (!sum->streams) return;
    printf("streams     %" PRIu64 " in %" PRIu64 " items, %" PRIu64 " bytes: codebooks %" PRIu64
           ", ids %" PRIu64 ", gains %" PRIu64 ", maps %" PRIu64 "\n",
           sum->streams, sum->items, sum->all, sum->codebook, sum->ids, sum->gains, sum->map);
    if (!sum->clips) return;
    const double tokens = (double)(sum->rows + sum->newlines);
    printf("clip tokens %" PRIu64 " + %" PRIu64 " %s of %" PRIu64 " cells, %.4g a frame\n",
           sum->rows, sum->newlines, sum->newlines == 1 ? "newline" : "newlines", sum->cells,
           (double)sum->rows / (double)sum->frames);
    printf("clip bits   %.4g a token, %.4g a cell\n", 8 * (double)sum->clip_bytes / tokens,
           8 * (double)sum->clip_bytes / (double)sum->cells);
    printf("perplexity  %.4g codes of %.4g, mean over %" PRIu64 " clips\n",
           sum->perplexity / (double)sum->clips, (double)sum->rows / (double)sum->clips,
           sum->clips);
    if (accuracy > 0)
        printf("density     %.4g %% of accuracy a token (TokDense)\n", density(sum, accuracy));
}

void stream_totals_json(json_out *j, const stream_totals *sum, double accuracy) {
    if (!sum->streams) return;
    json_object(j, "streams");
    json_uint(j, "count", sum->streams);
    json_uint(j, "items", sum->items);
    json_uint(j, "bytes", sum->all);
    json_uint(j, "codebook_bytes", sum->codebook);
    json_uint(j, "ids_bytes", sum->ids);
    json_uint(j, "gains_bytes", sum->gains);
    json_uint(j, "map_bytes", sum->map);
    json_uint(j, "clips", sum->clips);
    if (sum->clips) {
        json_uint(j, "tokens", sum->rows + sum->newlines);
        json_uint(j, "newlines", sum->newlines);
        json_uint(j, "cells", sum->cells);
        json_uint(j, "frames", sum->frames);
        json_real(j, "tokens_per_frame", (double)sum->rows / (double)sum->frames);
        json_real(j, "bits_per_token",
                  8 * (double)sum->clip_bytes / (double)(sum->rows + sum->newlines));
        json_real(j, "bits_per_cell", 8 * (double)sum->clip_bytes / (double)sum->cells);
        json_real(j, "perplexity", sum->perplexity / (double)sum->clips);
        if (accuracy > 0) json_real(j, "token_density", density(sum, accuracy));
    }
    json_end(j, '}');
}

void stream_lines(const char *before, const tsr_token_item *item) {
    char clean[256], source[300];
    for (uint32_t i = 0; i < item->stream_count; ++i) {
        const tsr_token_stream *s = &item->streams[i];
        printf("%sstream %s: %ux%ux%u cells below %u", before,
               tool_clean(s->name, clean, sizeof clean), s->frames, s->rows, s->columns,
               s->codebook_size);
        if (s->channels)
            printf(", codebook of %u numbers in %s%s%s", s->channels, type_name(s),
                   s->newline ? ", a newline" : "", s->gains ? ", gains" : "");
        if (s->finer) printf(", %s stream %u", s->map ? "mapped to" : "pooled of", s->finer);
        printf(", %" PRIu64 " bytes%s%s\n", s->bytes.all, *s->source ? ", of " : "",
               tool_clean(s->source, source, sizeof source));
    }
}

void stream_json(json_out *j, const tsr_token_item *item) {
    if (!item->stream_count) return;
    json_array(j, "streams");
    for (uint32_t i = 0; i < item->stream_count; ++i) {
        const tsr_token_stream *s = &item->streams[i];
        json_object(j, NULL);
        json_text(j, "name", s->name);
        json_text(j, "source", s->source);
        json_hash(j, "weights_hash", s->weights_hash);
        json_uint(j, "frames", s->frames);
        json_uint(j, "rows", s->rows);
        json_uint(j, "columns", s->columns);
        json_uint(j, "codebook_size", s->codebook_size);
        json_uint(j, "channels", s->channels);
        json_text(j, "codebook_type", s->channels ? type_name(s) : NULL);
        json_bool(j, "newline", s->newline != NULL);
        json_bool(j, "gains", s->gains != NULL);
        json_uint(j, "finer", s->finer);
        json_numbers(j, "window", s->window, s->finer && !s->map ? 3 : 0);
        json_bool(j, "map", s->map != NULL);
        json_uint(j, "bytes", s->bytes.all);
        json_uint(j, "codebook_bytes", s->bytes.codebook);
        json_uint(j, "ids_bytes", s->bytes.ids);
        json_uint(j, "gains_bytes", s->bytes.gains);
        json_uint(j, "map_bytes", s->bytes.map);
        json_real(j, "perplexity", perplexity_of(s));
        json_end(j, '}');
    }
    json_end(j, ']');
}
