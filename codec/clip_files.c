/* SPDX-License-Identifier: MIT */
/* clip_files.c: feature files to one token file of clips. */
#include "clip_codebook.h"
#include "../formats/arrays/npy.h"
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SOURCE_BYTES = 256 };

tsr_clip_files_settings tsr_clip_files_settings_default(void) {
    return (tsr_clip_files_settings){.clip = tsr_clip_settings_default(),
                                     .codebook_type = TSR_CODEBOOK_F16,
                                     .file = tsr_token_writer_settings_default()};
}

/* One call's work. */
typedef struct job {
    tsr_context *ctx;
    const tsr_clip_files_settings *s;
    const char *output;
    tsr_device *device;
    tsr_token_writer *writer;
    tsr_clip_report *report;
} job;

/* A clip's features as they were read. */
typedef struct input_clip {
    const char *file, *key;
    const float *features;
    uint32_t grid[3], channels;
    const float *newline; /* [channels] or NULL */
    const char *source;
    uint64_t weights_hash;
} input_clip;

/* ---- writing ----------------------------------------------------------------------------------
 */

/* A clip as an item with one stream. The item's picture is the grid: a cell a pixel. */
static tsr_status add_item(job *j, const input_clip *in, const tsr_clip *clip) {
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
                                     .codebook_type = j->s->codebook_type,
                                     .codebook = clip->codebook,
                                     .newline = in->newline,
                                     .gains = j->s->gains ? clip->gains : NULL};
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
    return tsr_token_writer_add(j->writer, &item);
}

static tsr_status encode_clip(job *j, const input_clip *in) {
    tsr_clip clip;
    char name[512];
    snprintf(name, sizeof name, "%.300s%s%.200s", in->file, *in->key ? ": " : "", in->key);
    tsr_status s =
        tsr_clip_make_on(j->device, name, in->features, in->grid, in->channels, &j->s->clip, &clip);
    if (!s) s = add_item(j, in, &clip);
    if (!s) {
        tsr_clip_report *r = j->report;
        r->clips++;
        r->cells += (uint64_t)clip.frames * clip.rows * clip.columns;
        r->tokens += clip.clusters + (in->newline != NULL);
        r->cosine += clip.cosine;
        const tsr_encoded_clip done = {in->key, &clip, in->newline != NULL};
        if (j->s->encoded) j->s->encoded(j->s->encoded_user, &done);
    }
    tsr_clip_free(&clip);
    return s;
}

/* Is it this clip alone that cannot be encoded, or would the next one fail in the same way? */
static bool is_of_the_clip(tsr_status s) {
    return s == TSR_ERROR_ARGUMENT || s == TSR_ERROR_TOKENS || s == TSR_ERROR_UNSUPPORTED ||
           s == TSR_ERROR_TOO_LARGE || (s >= TSR_ERROR_IO && s <= TSR_ERROR_DAMAGED);
}

/* Tells a clip that failed. With SKIP the others go on: TSR_OK. */
static tsr_status tell_bad(job *j, const char *input, tsr_status s) {
    if (!s || !is_of_the_clip(s) || s == TSR_ERROR_NO_SPACE || s == TSR_ERROR_EXISTS) return s;
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", tsr_detail(j->ctx));
    j->report->failed++;
    const tsr_encode_failure failure = {input, s, detail};
    if (j->s->failed) j->s->failed(j->s->failed_user, &failure);
    return j->s->on_error == TSR_ON_ERROR_SKIP ? TSR_OK : tsr_fail(j->ctx, s, "%.1000s", detail);
}

/* ---- inputs -----------------------------------------------------------------------------------
 */

/* The name of a file without folder and suffix. */
static void stem_of(const char *path, char *stem, size_t size) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const size_t n = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    snprintf(stem, size, "%.*s", (int)(n < TSR_TESS_MAX_KEY ? n : TSR_TESS_MAX_KEY), name);
}

static bool ends_with(const char *path, const char *suffix) {
    const size_t n = strlen(path), m = strlen(suffix);
    return n > m && !strcmp(path + n - m, suffix);
}

/* The column of a set's learned newline, or NULL. */
static tsr_status find_newline(const job *j, const char *path, const tsr_token_set *set,
                               int64_t channels, const float **newline) {
    const tsr_token_array a = tsr_token_set_column(set, "image_newline");
    *newline = a.name ? a.data : NULL;
    if (!a.name || (a.type == TSR_ARRAY_F32 && a.rank == 1 && a.dim[0] == channels)) return TSR_OK;
    return tsr_fail(j->ctx, TSR_ERROR_FORMAT,
                    "%s: image_newline: wanted %lld numbers of f32, got rank %d with %lld", path,
                    (long long)channels, a.rank, (long long)a.dim[0]);
}

/* What made the features, from the metadata of a file: "NAME, layer 26". */
static void find_source(const tsr_token_sets *sets, char source[SOURCE_BYTES], uint64_t *hash) {
    const char *tower = tsr_token_sets_metadata(sets, "tower");
    const char *layer = tsr_token_sets_metadata(sets, "layer");
    const char *weights = tsr_token_sets_metadata(sets, "weights");
    char *end = NULL;
    if (!tower) tower = tsr_token_sets_metadata(sets, "tessera.tower");
    if (!layer) layer = tsr_token_sets_metadata(sets, "tessera.layer");
    if (!weights) weights = tsr_token_sets_metadata(sets, "tessera.weights");
    *source = 0;
    if (tower)
        snprintf(source, SOURCE_BYTES, "%.180s%s%.60s", tower, layer ? ", layer " : "",
                 layer ? layer : "");
    const unsigned long long value = weights ? strtoull(weights, &end, 16) : 0;
    *hash = end && end - weights == 16 && !*end ? value : 0;
}

static tsr_status encode_set(job *j, const char *path, tsr_token_sets *sets, int64_t index) {
    tsr_token_set *set = NULL;
    tsr_token_set_info info;
    char stem[TSR_TESS_MAX_KEY + 1], source[SOURCE_BYTES];
    const char *key = tsr_token_sets_key(sets, index);
    tsr_status s = tsr_token_sets_read(sets, index, &set);
    if (s) return s;
    tsr_token_set_info_get(set, &info);
    stem_of(path, stem, sizeof stem);
    input_clip in = {.file = path,
                     .key = *key ? key : stem,
                     .features = info.features,
                     .channels = (uint32_t)info.channels};
    find_source(sets, source, &in.weights_hash);
    in.source = j->s->source ? j->s->source : source;
    for (int i = 0; i < 3; ++i)
        in.grid[i] = (uint32_t)info.grid[i];
    if (!info.grid[0])
        s = tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: set \"%s\": wanted tokens on a grid of frames, rows and columns "
                     "(tessera.grid), got %lld tokens without one",
                     path, key, (long long)info.count);
    if (!s) s = find_newline(j, path, set, info.channels, &in.newline);
    if (!s) s = encode_clip(j, &in);
    tsr_token_set_close(&set);
    return s;
}

static tsr_status encode_array(job *j, const char *path) {
    tsr_tensor t = {0};
    char stem[TSR_TESS_MAX_KEY + 1];
    tsr_status s = tsr_npy_read(j->ctx, path, &t);
    if (s) return s;
    stem_of(path, stem, sizeof stem);
    bool good = t.dtype == TSR_DTYPE_F32 && (t.rank == 3 || t.rank == 4);
    for (int i = 0; i < t.rank && good; ++i)
        good = t.dim[i] >= 1 && t.dim[i] <= INT32_MAX;
    if (!good)
        s = tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: wanted f32 or f64 features [frames, rows, columns, channels] or [frames, "
                     "cells, channels], got rank %d",
                     path, t.rank);
    if (!s) {
        const bool cells = t.rank == 3;
        const input_clip in = {.file = path,
                               .key = stem,
                               .features = t.data,
                               .grid = {(uint32_t)t.dim[0], cells ? 1 : (uint32_t)t.dim[1],
                                        (uint32_t)t.dim[cells ? 1 : 2]},
                               .channels = (uint32_t)t.dim[t.rank - 1],
                               .source = j->s->source ? j->s->source : ""};
        s = encode_clip(j, &in);
    }
    free(t.data);
    return s;
}

static tsr_status encode_input(job *j, const char *path) {
    if (ends_with(path, ".npy")) return tell_bad(j, path, encode_array(j, path));
    tsr_token_sets *sets = NULL;
    tsr_status s = tell_bad(j, path, tsr_token_sets_open(j->ctx, path, &sets));
    for (int64_t i = 0; i < tsr_token_sets_count(sets) && !s; ++i) {
        const char *key = tsr_token_sets_key(sets, i);
        s = tell_bad(j, *key ? key : path, encode_set(j, path, sets, i));
    }
    tsr_token_sets_close(&sets);
    return s;
}

/* ---- the call ---------------------------------------------------------------------------------
 */

/* What the parts of the finished file take. */
static tsr_status measure(job *j) {
    tsr_token_file *file = NULL;
    tsr_token_stream stream;
    if (tsr_in_is_stream(j->output)) return TSR_OK;
    tsr_status s = tsr_token_file_open(j->ctx, &file, j->output);
    if (s) return s;
    j->report->bytes = tsr_token_file_properties(file)->bytes;
    for (uint64_t i = 0; i < j->report->clips && !s; ++i) {
        s = tsr_token_file_stream(file, i, TSR_CLIP_STREAM, &stream);
        j->report->codebook_bytes += stream.bytes.codebook;
        j->report->map_bytes += stream.bytes.ids;
        j->report->gains_bytes += stream.bytes.gains;
    }
    tsr_token_file_close(&file);
    return s;
}

static tsr_status open_job(job *j, const char *const *inputs, int count) {
    tsr_status s = TSR_OK;
    if (!inputs || count < 1 || !j->output)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "clips: wanted feature files and an output, got none");
    for (int i = 0; i < count && !s; ++i)
        s = inputs[i] ? tsr_out_not_input(j->ctx, j->output, inputs[i])
                      : tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "input: wanted a path, got NULL");
    if (!s) s = tsr_out_check(j->ctx, j->output);
    tsr_device_settings d = tsr_device_settings_default();
    d.name = j->s->clip.device ? j->s->clip.device : "cpu";
    if (!s) s = tsr_device_open(j->ctx, &j->device, &d);
    const tsr_token_header header = {.tokenizer = TSR_CLIP_TOKENIZER,
                                     .codebook_size = 1,
                                     .rows = 1,
                                     .columns = 1,
                                     .tile_width = 1,
                                     .tile_height = 1,
                                     .fit = TSR_FIT_STRETCH};
    if (s) return s;
    snprintf(j->report->device, sizeof j->report->device, "%s",
             tsr_device_properties(j->device)->name);
    return tsr_token_writer_open(j->ctx, &j->writer, j->output, &header, &j->s->file);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

tsr_status tsr_clip_encode_files(tsr_context *ctx, const char *const *inputs, int count,
                                 const char *output, const tsr_clip_files_settings *settings,
                                 tsr_clip_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_clip_files_settings s = settings ? *settings : tsr_clip_files_settings_default();
    tsr_clip_report own;
    if (!report) report = &own;
    *report = (tsr_clip_report){0};
    job j = {.ctx = ctx, .s = &s, .output = output, .report = report};
    const double start = seconds();
    tsr_status status = open_job(&j, inputs, count);
    for (int i = 0; i < count && !status; ++i)
        status = encode_input(&j, inputs[i]);
    if (!status && !report->clips)
        status = tsr_fail(ctx, TSR_ERROR_FORMAT,
                          "clips: wanted one that can be encoded, got %llu "
                          "that cannot",
                          (unsigned long long)report->failed);
    if (!status) status = tsr_token_writer_close(&j.writer);
    tsr_token_writer_abandon(&j.writer);
    tsr_device_close(&j.device);
    if (report->clips) report->cosine /= (double)report->clips;
    report->seconds = seconds() - start;
    return status ? status : measure(&j);
}
