/* SPDX-License-Identifier: MIT */
/* set_streams.c: ids of token sets to streams of a token file's items, also of items that another
 * file has. */
#include "../compute/arena.h"
#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/clip.h>

#include "../formats/file.h"

#include <stdlib.h>
#include <string.h>

struct tsr_set_streams {
    tsr_context *ctx;
    tsr_set_streams_settings s;
    tsr_token_file *into; /* NULL: every set is an item of its own */
    uint8_t *done;        /* [items of `into`] 1: written */
    tsr_token_writer *writer;
};

tsr_set_streams_settings tsr_set_streams_settings_default(void) {
    return (tsr_set_streams_settings){.stream = "ids",
                                      .codebook_type = TSR_CODEBOOK_F16,
                                      .file = tsr_token_writer_settings_default()};
}

static tsr_status open_into(tsr_set_streams *w) {
    tsr_status status = tsr_token_file_open(w->ctx, &w->into, w->s.into);
    if (status) return status;
    const tsr_token_file_info *info = tsr_token_file_properties(w->into);
    if (info->damaged)
        return tsr_fail(w->ctx, TSR_ERROR_DAMAGED, "%s: wanted a whole file to add streams to",
                        w->s.into);
    if (info->clips)
        return tsr_fail(
            w->ctx, TSR_ERROR_UNSUPPORTED,
            "%s: wanted items without clips of videos to add streams to, got %llu clips", w->s.into,
            (unsigned long long)info->clips);
    w->done = tsr_alloc(w->ctx, info->items ? (size_t)info->items : 1, 1, "streams: items");
    return w->done ? TSR_OK : TSR_ERROR_MEMORY;
}

tsr_status tsr_set_streams_create(tsr_context *ctx, const char *path,
                                  const tsr_set_streams_settings *settings, tsr_set_streams **out) {
    static const tsr_token_header alone = {.tokenizer = "token-sets",
                                           .codebook_size = 1,
                                           .rows = 1,
                                           .columns = 1,
                                           .tile_width = 1,
                                           .tile_height = 1,
                                           .fit = TSR_FIT_STRETCH};
    tsr_set_streams *w = tsr_alloc(ctx, 1, sizeof *w, "streams");
    *out = w;
    if (!w) return TSR_ERROR_MEMORY;
    w->ctx = ctx;
    w->s = settings ? *settings : tsr_set_streams_settings_default();
    if (!w->s.stream) w->s.stream = "ids";
    tsr_status status = tsr_out_not_input(ctx, path, w->s.into);
    if (!status && w->s.into) status = open_into(w);
    if (!status)
        status = tsr_token_writer_open(
            ctx, &w->writer, path, w->into ? tsr_token_file_header(w->into) : &alone, &w->s.file);
    if (status) tsr_set_streams_abandon(out);
    return status;
}

/* ---- a set's stream ---- */

/* Ids of the tokens, as a grid where the set has one; `ids` has room for all of them. */
static tsr_status read_ids(const tsr_set_streams *w, const char *key, const tsr_token_set *set,
                           tsr_token_stream *stream, uint32_t *ids) {
    const tsr_token_array a = tsr_token_set_column(set, "ids"),
                          codes = tsr_token_set_column(set, "codes");
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    const bool grid = info.grid[0] > 0;
    const int32_t *from = a.data;
    if (!a.name || a.type != TSR_ARRAY_I32 || a.rank != 1 || a.dim[0] != info.count)
        return tsr_fail(w->ctx, TSR_ERROR_UNSUPPORTED,
                        "set \"%.200s\": wanted a column ids of %lld whole numbers (nearest-code "
                        "makes one), got none",
                        key, (long long)info.count);
    if (codes.name && codes.type == TSR_ARRAY_F32 && codes.rank == 2 && codes.dim[1] <= 65536) {
        stream->codebook_size = (uint32_t)codes.dim[0];
        stream->channels = (uint32_t)codes.dim[1];
        stream->codebook_type = w->s.codebook_type;
        stream->codebook = codes.data;
    }
    for (int64_t i = 0; i < info.count; ++i) {
        if (from[i] < 0 || (stream->channels && (uint32_t)from[i] >= stream->codebook_size))
            return tsr_fail(w->ctx, TSR_ERROR_TOKENS,
                            "set \"%.200s\": ids: token %lld: wanted an id of a code, got %d", key,
                            (long long)i, (int)from[i]);
        ids[i] = (uint32_t)from[i];
        if (!stream->channels && ids[i] >= stream->codebook_size)
            stream->codebook_size = ids[i] + 1;
    }
    stream->frames = grid ? (uint32_t)info.grid[0] : 1;
    stream->rows = grid ? (uint32_t)info.grid[1] : 1;
    stream->columns = grid ? (uint32_t)info.grid[2] : (uint32_t)info.count;
    stream->ids = ids;
    return TSR_OK;
}

/* Writes `item` with one stream more. */
static tsr_status add_with(tsr_set_streams *w, tsr_token_item item, const tsr_token_stream *more) {
    tsr_token_stream all[TSR_MAX_STREAMS];
    for (uint32_t i = 0; i < item.stream_count; ++i)
        if (!strcmp(item.streams[i].name, more->name))
            return tsr_fail(
                w->ctx, TSR_ERROR_ARGUMENT,
                "item \"%.200s\": wanted another name than that of a stream it has, got "
                "%s",
                item.key, more->name);
    if (item.stream_count == TSR_MAX_STREAMS)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "item \"%.200s\": wanted at most %u streams",
                        item.key, TSR_MAX_STREAMS);
    if (item.stream_count) memcpy(all, item.streams, item.stream_count * sizeof *all);
    all[item.stream_count++] = *more;
    item.streams = all;
    return tsr_token_writer_add(w->writer, &item);
}

static tsr_status write_set(tsr_set_streams *w, const char *key, const tsr_token_stream *stream) {
    static const uint32_t none[1] = {0};
    tsr_token_item item = {.key = key,
                           .source_width = stream->columns,
                           .source_height = stream->rows,
                           .orientation = 1,
                           .width = stream->columns,
                           .height = stream->rows,
                           .tile_columns = 1,
                           .tile_rows = 1,
                           .counts = none,
                           .ids = none};
    if (!w->into) return add_with(w, item, stream);
    uint64_t index = 0;
    tsr_status status = tsr_token_file_find(w->into, key, &index);
    if (!status && w->done[index])
        status =
            tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "item \"%.200s\": wanted one set, got two", key);
    if (!status) status = tsr_token_file_item(w->into, index, &item);
    if (!status) status = add_with(w, item, stream);
    if (!status) w->done[index] = 1;
    return status;
}

tsr_status tsr_set_streams_append(tsr_set_streams *w, const char *key, const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    tsr_scratch s = {.ctx = w->ctx};
    tsr_token_stream stream = {
        .name = w->s.stream, .source = w->s.source, .weights_hash = w->s.weights_hash};
    uint32_t *ids = tsr_scratch_take(&s, (size_t)info.count, sizeof *ids, "streams: ids");
    tsr_status status = s.status;
    if (!status) status = read_ids(w, key, set, &stream, ids);
    if (!status) status = write_set(w, key, &stream);
    tsr_scratch_free(&s);
    return status;
}

/* ---- the end ---- */

tsr_status tsr_set_streams_finish(tsr_set_streams **streams) {
    tsr_set_streams *w = *streams;
    const uint64_t items = w->into ? tsr_token_file_properties(w->into)->items : 0;
    tsr_status status = TSR_OK;
    for (uint64_t i = 0; i < items && !status; ++i) { /* those that no set was of */
        tsr_token_item item;
        if (w->done[i]) continue;
        status = tsr_token_file_item(w->into, i, &item);
        if (!status) status = tsr_token_writer_add(w->writer, &item);
    }
    if (!status) status = tsr_token_writer_close(&w->writer);
    tsr_set_streams_abandon(streams);
    return status;
}

void tsr_set_streams_abandon(tsr_set_streams **streams) {
    tsr_set_streams *w = streams ? *streams : NULL;
    if (!w) return;
    tsr_token_writer_abandon(&w->writer);
    tsr_token_file_close(&w->into);
    free(w->done);
    free(w);
    *streams = NULL;
}
