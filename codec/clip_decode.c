/* SPDX-License-Identifier: MIT */
/* clip_decode.c: streams with codebooks back to features, as token sets. */
#define TESSERA_EXPERIMENTAL
#include <tessera/clip.h>

#include "../compute/arena.h"
#include "../compute/device.h"
#include "../formats/tokens/token_layout.h"
#include "../formats/weights/safetensors.h"
#include "../nn/load_weights.h"
#include "../nn/vq_attention.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* VQToken's attention layer, open. */
typedef struct attention {
    tsr_device *device;
    tsr_safetensors *file;
    tsr_weights *weights;
    tsr_vq_attention *layer;
} attention;

/* One call's work. */
typedef struct job {
    tsr_context *ctx;
    const tsr_clip_decode_settings *s;
    const char *input;
    tsr_token_file *file;
    tsr_token_sets_writer *writer;
    attention attention;
    tsr_clip_decode_report *report;
} job;

/* ---- the attention layer ----------------------------------------------------------------------
 */

static tsr_status open_attention(job *j) {
    attention *a = &j->attention;
    const char *path = j->s->vq_attention;
    if (!path) return TSR_OK;
    tsr_device_settings d = tsr_device_settings_default();
    d.name = j->s->device ? j->s->device : "cpu";
    tsr_status s = tsr_device_open(j->ctx, &a->device, &d);
    if (!s) s = tsr_safetensors_open(j->ctx, path, &a->file);
    if (!s) s = tsr_file_weights(j->ctx, a->file, &a->weights);
    if (!s) s = tsr_vq_attention_open(a->device, a->weights, path, &a->layer);
    return s;
}

static void close_attention(attention *a) {
    tsr_vq_attention_close(&a->layer);
    tsr_weights_close(&a->weights);
    tsr_safetensors_close(&a->file);
    tsr_device_close(&a->device);
}

/* Adds the column "vq_tokens" [max(T, K), 896]. */
static tsr_status add_attention(job *j, const char *key, const tsr_token_stream *stream,
                                tsr_token_set *set) {
    const int64_t frames = stream->frames, clusters = stream->codebook_size;
    const int64_t dim[2] = {frames > clusters ? frames : clusters, TSR_VQ_WIDTH};
    if ((uint64_t)stream->rows * stream->columns != TSR_VQ_CELLS ||
        stream->channels != TSR_VQ_WIDTH)
        return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: %s: wanted frames of %d cells and %d channels for the attention "
                        "layer, got %u x %u and %u",
                        j->input, key, TSR_VQ_CELLS, TSR_VQ_WIDTH, stream->rows, stream->columns,
                        stream->channels);
    float *tokens = tsr_alloc(j->ctx, (size_t)(dim[0] * dim[1]), sizeof *tokens, "vq tokens");
    if (!tokens) return TSR_ERROR_MEMORY;
    /* ids are below 2^26, so they are the same numbers as int32 */
    tsr_status s = tsr_vq_attention_run(j->attention.layer, (const int32_t *)stream->ids, frames,
                                        stream->codebook, clusters, tokens);
    const tsr_token_array a = {.name = "vq_tokens",
                               .type = TSR_ARRAY_F32,
                               .axis = TSR_TOKEN_AXIS_NONE,
                               .rank = 2,
                               .dim = {dim[0], dim[1]},
                               .data = tokens};
    if (!s) s = tsr_token_set_add(set, &a);
    free(tokens);
    return s;
}

/* ---- one stream -------------------------------------------------------------------------------
 */

static void paint(const tsr_token_stream *s, uint64_t cells, float *features) {
    for (uint64_t i = 0; i < cells; ++i) {
        const float *row = s->codebook + (size_t)s->ids[i] * s->channels;
        double scale = 1;
        if (s->gains) {
            double square = 0;
            for (uint32_t d = 0; d < s->channels; ++d)
                square += (double)row[d] * row[d];
            scale = square > 0 ? s->gains[i] / sqrt(square) : 0;
        }
        for (uint32_t d = 0; d < s->channels; ++d)
            features[i * s->channels + d] = (float)(row[d] * scale);
    }
}

static tsr_status add_column(tsr_token_set *set, const char *name, tsr_array_type type,
                             tsr_token_axis axis, int rank, int64_t first, int64_t second,
                             const void *data) {
    const tsr_token_array a = {.name = name,
                               .type = type,
                               .axis = axis,
                               .rank = rank,
                               .dim = {first, second},
                               .data = data};
    return data ? tsr_token_set_add(set, &a) : TSR_OK;
}

static tsr_status add_columns(const tsr_token_stream *s, uint64_t cells, tsr_token_set *set) {
    const int64_t n = (int64_t)cells, d = s->channels;
    tsr_status status =
        add_column(set, "ids", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, n, 0, s->ids);
    if (!status)
        status = add_column(set, "codebook", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 2,
                            s->codebook_size, d, s->codebook);
    if (!status)
        status = add_column(set, "gains", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, n, 0, s->gains);
    if (!status)
        status = add_column(set, "image_newline", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, d, 0,
                            s->newline);
    return status;
}

/* Writes what made the features beside the first set that says so. */
static tsr_status describe(job *j, const tsr_token_stream *s) {
    char hash[24];
    if (j->report->streams || !*s->source) return TSR_OK;
    snprintf(hash, sizeof hash, "%016" PRIx64, s->weights_hash);
    tsr_status status = tsr_token_sets_describe(j->writer, "source", s->source);
    if (!status && s->weights_hash) status = tsr_token_sets_describe(j->writer, "weights", hash);
    return status;
}

static tsr_status decode_stream(job *j, const char *key, const tsr_token_stream *stream) {
    const uint64_t cells = (uint64_t)stream->frames * stream->rows * stream->columns;
    const int64_t grid[3] = {stream->frames, stream->rows, stream->columns};
    char name[TSR_TESS_MAX_KEY + 80];
    tsr_token_set *set = NULL;
    const bool clip = !strcmp(stream->name, TSR_CLIP_STREAM);
    snprintf(name, sizeof name, "%s%s%s", key, *key && !clip ? "/" : "",
             clip            ? ""
             : *stream->name ? stream->name
                             : "unnamed");
    float *features =
        tsr_alloc(j->ctx, (size_t)cells * stream->channels, sizeof *features, "features of a clip");
    if (!features) return TSR_ERROR_MEMORY;
    paint(stream, cells, features);
    tsr_status s =
        tsr_token_set_create(j->ctx, features, (int64_t)cells, stream->channels, grid, &set);
    free(features);
    if (!s) s = add_columns(stream, cells, set);
    if (!s && j->attention.layer && clip) s = add_attention(j, name, stream, set);
    if (!s) s = describe(j, stream);
    if (!s) s = tsr_token_sets_append(j->writer, name, set);
    if (!s) j->report->streams++;
    tsr_token_set_close(&set);
    return s;
}

/* ---- the call ---------------------------------------------------------------------------------
 */

static void tell(const job *j, const tsr_token_damage *damage) {
    if (j->s->damaged) j->s->damaged(j->s->damaged_user, damage);
}

static tsr_status decode_item(job *j, uint64_t index) {
    tsr_token_item item;
    tsr_token_damage damage;
    tsr_status s = tsr_token_file_item(j->file, index, &item);
    if (s == TSR_ERROR_MEMORY) return s;
    if (s) {
        tsr_token_file_item_damage(j->file, index, s, &damage);
        tell(j, &damage);
        j->report->unreadable++;
        return TSR_OK;
    }
    for (uint32_t i = 0; i < item.stream_count && !s; ++i)
        if (item.streams[i].codebook) s = decode_stream(j, item.key, &item.streams[i]);
    return s;
}

static tsr_status decode_all(job *j, const uint64_t *indexes, uint64_t count) {
    tsr_clip_decode_report *r = j->report;
    tsr_token_damage damage;
    tsr_status s = TSR_OK;
    for (int i = 0; i < r->damaged && !tsr_token_file_damage(j->file, i, &damage); ++i)
        tell(j, &damage);
    for (uint64_t i = 0; i < count && !s; ++i)
        s = decode_item(j, indexes[i]);
    if (!s && !r->streams)
        s = tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: wanted an item with a stream that has a codebook, got none in %llu items",
                     j->input, (unsigned long long)count);
    if (!s) s = tsr_token_sets_finish(&j->writer);
    if (s || !(r->recovered || r->damaged || r->unreadable)) return s;
    return tsr_fail(j->ctx, TSR_ERROR_DAMAGED, "%s: the file is cut or damaged: %llu clips written",
                    j->input, (unsigned long long)r->streams);
}

tsr_status tsr_clip_decode_file(tsr_context *ctx, const char *input, const char *output,
                                const tsr_clip_decode_settings *settings,
                                tsr_clip_decode_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_clip_decode_settings s = settings ? *settings : (tsr_clip_decode_settings){0};
    tsr_clip_decode_report own;
    if (!report) report = &own;
    *report = (tsr_clip_decode_report){0};
    if (!input || !output)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a path, got NULL",
                        input ? "output" : "input");
    job j = {.ctx = ctx, .s = &s, .input = input, .report = report};
    uint64_t *indexes = NULL;
    tsr_status status = tsr_token_file_open(ctx, &j.file, input);
    if (!status)
        status = tsr_token_file_select(j.file, s.items, s.item_count, &indexes, &report->items);
    if (!status) {
        report->recovered = tsr_token_file_properties(j.file)->recovered;
        report->damaged = tsr_token_file_properties(j.file)->damaged;
        status = open_attention(&j);
    }
    if (!status) status = tsr_token_sets_create(ctx, output, &j.writer);
    if (!status) status = decode_all(&j, indexes, report->items);
    tsr_token_sets_abandon(&j.writer);
    close_attention(&j.attention);
    tsr_token_file_close(&j.file);
    free(indexes);
    return status;
}
