/* SPDX-License-Identifier: MIT */
/* clip_files.c: feature files to one token file of clips. */
#include "../formats/arrays/npy.h"
#include "../formats/tokens/token_layout.h"
#include "clip_writer.h"

#include <stdio.h>
#include <stdlib.h>

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
static tsr_status find_newline(const tsr_clip_writer *w, const char *path, const tsr_token_set *set,
                               int64_t channels, const float **newline) {
    const tsr_token_array a = tsr_token_set_column(set, "image_newline");
    *newline = a.name ? a.data : NULL;
    if (!a.name || (a.type == TSR_ARRAY_F32 && a.rank == 1 && a.dim[0] == channels)) return TSR_OK;
    return tsr_fail(w->ctx, TSR_ERROR_FORMAT,
                    "%s: image_newline: wanted %lld numbers of f32, got rank %d with %lld", path,
                    (long long)channels, a.rank, (long long)a.dim[0]);
}

/* What made the features, from the metadata of a file: "NAME, layer 26". */
static void find_source(const tsr_token_sets *sets, char source[TSR_CLIP_SOURCE_BYTES],
                        uint64_t *hash) {
    const char *tower = tsr_token_sets_metadata(sets, "tower");
    const char *layer = tsr_token_sets_metadata(sets, "layer");
    const char *weights = tsr_token_sets_metadata(sets, "weights");
    const char *kind = tsr_token_sets_metadata(sets, "features"); /* "hidden", "projected" ... */
    char *end = NULL;
    if (!tower) tower = tsr_token_sets_metadata(sets, "tessera.tower");
    if (!layer) layer = tsr_token_sets_metadata(sets, "tessera.layer");
    if (!weights) weights = tsr_token_sets_metadata(sets, "tessera.weights");
    *source = 0;
    if (tower)
        snprintf(source, TSR_CLIP_SOURCE_BYTES, "%.160s%s%.40s%s%.20s", tower,
                 layer ? ", layer " : "", layer ? layer : "", kind ? ", " : "", kind ? kind : "");
    const unsigned long long value = weights ? strtoull(weights, &end, 16) : 0;
    *hash = end && end - weights == 16 && !*end ? value : 0;
}

static tsr_status encode_set(tsr_clip_writer *w, const char *path, tsr_token_sets *sets,
                             int64_t index) {
    tsr_token_set *set = NULL;
    tsr_token_set_info info;
    char stem[TSR_TESS_MAX_KEY + 1], source[TSR_CLIP_SOURCE_BYTES];
    const char *key = tsr_token_sets_key(sets, index);
    tsr_status s = tsr_token_sets_read(sets, index, &set);
    if (s) return s;
    tsr_token_set_info_get(set, &info);
    stem_of(path, stem, sizeof stem);
    tsr_clip_input in = {.file = path,
                         .key = *key ? key : stem,
                         .features = info.features,
                         .channels = (uint32_t)info.channels};
    find_source(sets, source, &in.weights_hash);
    in.source = w->s->source ? w->s->source : source;
    for (int i = 0; i < 3; ++i)
        in.grid[i] = (uint32_t)info.grid[i];
    if (!info.grid[0])
        s = tsr_fail(w->ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: set \"%s\": wanted tokens on a grid of frames, rows and columns "
                     "(tessera.grid), got %lld tokens without one",
                     path, key, (long long)info.count);
    if (!s) s = find_newline(w, path, set, info.channels, &in.newline);
    if (!s) s = tsr_clip_writer_add(w, &in);
    tsr_token_set_close(&set);
    return s;
}

static tsr_status encode_array(tsr_clip_writer *w, const char *path) {
    tsr_tensor t = {0};
    char stem[TSR_TESS_MAX_KEY + 1];
    tsr_status s = tsr_npy_read(w->ctx, path, &t);
    if (s) return s;
    stem_of(path, stem, sizeof stem);
    bool good = t.dtype == TSR_DTYPE_F32 && (t.rank == 3 || t.rank == 4);
    for (int i = 0; i < t.rank && good; ++i)
        good = t.dim[i] >= 1 && t.dim[i] <= INT32_MAX;
    if (!good)
        s = tsr_fail(w->ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: wanted f32 or f64 features [frames, rows, columns, channels] or [frames, "
                     "cells, channels], got rank %d",
                     path, t.rank);
    if (!s) {
        const bool cells = t.rank == 3;
        const tsr_clip_input in = {.file = path,
                                   .key = stem,
                                   .features = t.data,
                                   .grid = {(uint32_t)t.dim[0], cells ? 1 : (uint32_t)t.dim[1],
                                            (uint32_t)t.dim[cells ? 1 : 2]},
                                   .channels = (uint32_t)t.dim[t.rank - 1],
                                   .source = w->s->source ? w->s->source : ""};
        s = tsr_clip_writer_add(w, &in);
    }
    free(t.data);
    return s;
}

static tsr_status encode_input(tsr_clip_writer *w, const char *path) {
    if (ends_with(path, ".npy")) return tsr_clip_writer_bad(w, path, encode_array(w, path));
    tsr_token_sets *sets = NULL;
    tsr_status s = tsr_clip_writer_bad(w, path, tsr_token_sets_open(w->ctx, path, &sets));
    for (int64_t i = 0; i < tsr_token_sets_count(sets) && !s; ++i) {
        const char *key = tsr_token_sets_key(sets, i);
        s = tsr_clip_writer_bad(w, *key ? key : path, encode_set(w, path, sets, i));
    }
    tsr_token_sets_close(&sets);
    return s;
}

/* ---- the call ---------------------------------------------------------------------------------
 */

tsr_status tsr_clip_encode_files(tsr_context *ctx, const char *const *inputs, int count,
                                 const char *output, const tsr_clip_files_settings *settings,
                                 tsr_clip_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_clip_files_settings s = settings ? *settings : tsr_clip_files_settings_default();
    tsr_clip_report own;
    tsr_clip_writer w;
    tsr_status status =
        tsr_clip_writer_open(ctx, &w, inputs, count, output, &s, report ? report : &own);
    for (int i = 0; i < count && !status; ++i)
        status = encode_input(&w, inputs[i]);
    return tsr_clip_writer_close(&w, status);
}
