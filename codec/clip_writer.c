/* SPDX-License-Identifier: MIT */
/* clip_writer.c: see clip_writer.h. */
#include "clip_writer.h"
#include "../compute/arena.h"
#include "../compute/sums.h"
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "../formats/tokens/token_streams.h"
#include "clip_make.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

tsr_clip_files_settings tsr_clip_files_settings_default(void) {
    return (tsr_clip_files_settings){.clip = tsr_clip_settings_default(),
                                     .codebook_type = TSR_CODEBOOK_F16,
                                     .file = tsr_token_writer_settings_default()};
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- clips
 * --------------------------------------------------------------------------------------- */

/* A clip as an item with one stream. The item's picture is the grid: a cell a pixel. */
static tsr_status add_item(tsr_clip_writer *w, const tsr_clip_input *in, const tsr_clip *clip) {
    static const uint32_t none[1] = {0};
    const tsr_token_stream stream = {.name = TSR_CLIP_STREAM,
                                     .source = in->source,
                                     .weights_hash = in->weights_hash,
                                     .frames = clip->frames,
                                     .rows = clip->rows,
                                     .columns = clip->columns,
                                     .codebook_size = clip->clusters,
                                     .ids = clip->ids,
                                     .channels = clip->channels,
                                     .codebook_type = w->s->codebook_type,
                                     .codebook = clip->codebook,
                                     .newline = in->newline,
                                     .gains = w->s->gains ? clip->gains : NULL};
    const tsr_token_item item = {.key = in->key,
                                 .source_width = clip->columns,
                                 .source_height = clip->rows,
                                 .orientation = 1,
                                 .width = clip->columns,
                                 .height = clip->rows,
                                 .tile_columns = 1,
                                 .tile_rows = 1,
                                 .counts = none,
                                 .ids = none,
                                 .streams = &stream,
                                 .stream_count = 1};
    return tsr_token_writer_add(w->writer, &item);
}

/* Mean cosine over the cells between features and the vectors that the file holds: a cluster's unit
 * vectors add up to count times their mean, which is what the clip's codebook is. */
static tsr_status measure_stored(const tsr_clip_writer *w, tsr_clip *clip) {
    const size_t d = clip->channels;
    float *row = tsr_alloc(w->ctx, d, sizeof *row, "clip: stored vector");
    double sum = 0, cells = 0;
    if (!row) return TSR_ERROR_MEMORY;
    for (uint32_t k = 0; k < clip->clusters; ++k) {
        const float *mean = clip->codebook + k * d;
        memcpy(row, mean, d * sizeof *row);
        tsr_stream_round_row(w->s->codebook_type, row, clip->channels);
        const double square = tsr_dot(row, row, (int64_t)d);
        if (square > 0) sum += clip->counts[k] * tsr_dot(mean, row, (int64_t)d) / sqrt(square);
        cells += clip->counts[k];
    }
    free(row);
    clip->cosine = sum / cells;
    return TSR_OK;
}

tsr_status tsr_clip_writer_add(tsr_clip_writer *w, const tsr_clip_input *in) {
    tsr_clip clip;
    char name[512];
    snprintf(name, sizeof name, "%.300s%s%.200s", in->file, *in->key ? ": " : "", in->key);
    tsr_status s =
        tsr_clip_make_on(w->device, name, in->features, in->grid, in->channels, &w->s->clip, &clip);
    if (!s) s = measure_stored(w, &clip);
    if (!s) s = add_item(w, in, &clip);
    if (!s) {
        tsr_clip_report *r = w->report;
        r->clips++;
        r->cells += (uint64_t)clip.frames * clip.rows * clip.columns;
        r->tokens += clip.clusters + (in->newline != NULL);
        r->cosine += clip.cosine;
        const tsr_encoded_clip done = {in->key, &clip, in->newline != NULL};
        if (w->s->encoded) w->s->encoded(w->s->encoded_user, &done);
    }
    tsr_clip_free(&clip);
    return s;
}

/* Is it this clip alone that cannot be encoded, or would the next one fail in the same way? */
static bool is_of_the_clip(tsr_status s) {
    return s == TSR_ERROR_ARGUMENT || s == TSR_ERROR_TOKENS || s == TSR_ERROR_UNSUPPORTED ||
           s == TSR_ERROR_TOO_LARGE || (s >= TSR_ERROR_IO && s <= TSR_ERROR_DAMAGED);
}

tsr_status tsr_clip_writer_bad(tsr_clip_writer *w, const char *input, tsr_status s) {
    if (!s || !is_of_the_clip(s) || s == TSR_ERROR_NO_SPACE || s == TSR_ERROR_EXISTS) return s;
    return tsr_bad_input_now(&w->bad, input, s);
}

/* ---- the file
 * ------------------------------------------------------------------------------------ */

tsr_status tsr_clip_writer_open(tsr_context *ctx, tsr_clip_writer *w, const char *const *inputs,
                                int count, const char *output,
                                const tsr_clip_files_settings *settings, tsr_clip_report *report) {
    *report = (tsr_clip_report){0};
    *w = (tsr_clip_writer){.ctx = ctx,
                           .s = settings,
                           .output = output,
                           .report = report,
                           .bad = {.ctx = ctx,
                                   .on_error = settings->on_error,
                                   .tell = settings->failed,
                                   .tell_user = settings->failed_user,
                                   .count = &report->failed},
                           .started = seconds()};
    tsr_status s = TSR_OK;
    if (!inputs || count < 1 || !w->output)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT,
                        "clips: wanted feature files and an output, got none");
    for (int i = 0; i < count && !s; ++i)
        s = inputs[i] ? tsr_out_not_input(w->ctx, w->output, inputs[i])
                      : tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "input: wanted a path, got NULL");
    if (!s) s = tsr_out_check(w->ctx, w->output);
    tsr_device_settings d = tsr_device_settings_default();
    d.name = w->s->clip.device ? w->s->clip.device : "cpu";
    if (!s) s = tsr_device_open(w->ctx, &w->device, &d);
    const tsr_token_header header = {.tokenizer = TSR_CLIP_TOKENIZER,
                                     .codebook_size = 1,
                                     .rows = 1,
                                     .columns = 1,
                                     .tile_width = 1,
                                     .tile_height = 1,
                                     .fit = TSR_FIT_STRETCH};
    if (s) return s;
    snprintf(w->report->device, sizeof w->report->device, "%s",
             tsr_device_properties(w->device)->name);
    return tsr_token_writer_open(w->ctx, &w->writer, w->output, &header, &w->s->file);
}

/* What the parts of the finished file take. */
static tsr_status measure(tsr_clip_writer *w) {
    tsr_token_file *file = NULL;
    tsr_token_stream stream;
    if (tsr_in_is_stream(w->output)) return TSR_OK;
    tsr_status s = tsr_token_file_open(w->ctx, &file, w->output);
    if (s) return s;
    w->report->bytes = tsr_token_file_properties(file)->bytes;
    for (uint64_t i = 0; i < w->report->clips && !s; ++i) {
        s = tsr_token_file_stream(file, i, TSR_CLIP_STREAM, &stream);
        w->report->codebook_bytes += stream.bytes.codebook;
        w->report->map_bytes += stream.bytes.ids;
        w->report->gains_bytes += stream.bytes.gains;
    }
    tsr_token_file_close(&file);
    return s;
}

tsr_status tsr_clip_writer_close(tsr_clip_writer *w, tsr_status s) {
    tsr_clip_report *r = w->report;
    if (!s && !r->clips)
        s = tsr_fail(w->ctx, TSR_ERROR_FORMAT,
                     "clips: wanted one that can be encoded, got %llu "
                     "that cannot",
                     (unsigned long long)r->failed);
    if (!s) s = tsr_token_writer_close(&w->writer);
    tsr_token_writer_abandon(&w->writer);
    tsr_device_close(&w->device);
    if (r->clips) r->cosine /= (double)r->clips;
    r->seconds = seconds() - w->started;
    return s ? s : measure(w);
}
