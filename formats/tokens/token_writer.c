/* SPDX-License-Identifier: MIT */
/* token_writer.c: a token file in one pass. An item is put together in memory, checked, and written
 * at once; its few index bytes wait in a spool. After a failed write the writer stays failed. */
#include "clip_times.h"
#include "frame_chain.h"
#include "token_layout.h"
#include "token_streams.h"
#include "../checksum.h"
#include "../file.h"
#include "../record_sort.h"

#include <stdio.h>
#include <stdlib.h>

struct tsr_token_writer {
    tsr_context *ctx;
    tsr_out out;
    bool to_memory;
    tsr_bytes memory; /* the file, if it goes to memory */
    char *name;       /* for messages */
    char *place;      /* the output beside which spools may lie; NULL: it has no folder */
    tsr_token_header header;
    tsr_token_writer_settings settings;
    tsr_token_coder *coder;
    uint64_t written, items;
    uint32_t minor;       /* version that was written at the start */
    bool started;         /* the header is written: with the first item, or at the end */
    bool has_attributes;  /* of an item */
    bool has_streams;     /* of an item */
    size_t gap_bytes;     /* behind HEAD or the last item, before the next one */
    tsr_bytes attributes; /* ATTR chunk of the file */
    tsr_spool index;      /* entries without their number */
    tsr_record_sort keys; /* hash and item of each key */
    tsr_bytes entry;      /* the entry being put together */
    tsr_bytes scratch;    /* the item being put together */
    tsr_attribute_order order;
    tsr_stream_coder streams;
    tsr_clip_record clip; /* the one that is open, or was last */
    bool clip_open;
    tsr_frame_chain chain; /* of items of that clip */
    tsr_bytes frame;       /* the item as the next of the chain */
    uint64_t clips;        /* that were written */
    uint32_t *lengths, *flat;
    size_t lengths_room, flat_room;
    tsr_status failed;
};

tsr_token_writer_settings tsr_token_writer_settings_default(void) {
    return (tsr_token_writer_settings){.layer_tokens = 0, .entropy = 1};
}

static void writer_free(tsr_token_writer **writer) {
    tsr_token_writer *w = *writer;
    tsr_token_coder_close(&w->coder);
    tsr_stream_coder_free(&w->streams);
    tsr_clip_times_free(&w->clip.times);
    tsr_frame_chain_free(&w->chain);
    tsr_bytes_free(&w->frame);
    tsr_bytes_free(&w->memory);
    tsr_spool_clear(&w->index);
    tsr_record_sort_free(&w->keys);
    tsr_bytes_free(&w->attributes);
    tsr_bytes_free(&w->entry);
    tsr_bytes_free(&w->scratch);
    free(w->order.at);
    free(w->place);
    free(w->lengths);
    free(w->flat);
    free(w->name);
    free(w);
    *writer = NULL;
}

static tsr_status emit(tsr_token_writer *w, const void *bytes, size_t size) {
    if (w->failed) return w->failed;
    if (w->to_memory) {
        tsr_bytes_put(&w->memory, bytes, size);
        if (w->memory.failed)
            w->failed = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu more bytes",
                                 w->name, size);
    } else {
        w->failed = tsr_out_write(w->ctx, &w->out, bytes, size);
    }
    if (!w->failed) w->written += size;
    return w->failed;
}

/* The 16 bytes of the start. */
static void put_start(tsr_bytes *b, uint32_t minor) {
    tsr_bytes_put(b, TSR_TESS_MAGIC, 8);
    tsr_bytes_u32(b, TSR_TESS_MAJOR | minor << 16);
    if (!b->failed) tsr_bytes_u32(b, tsr_crc32c(b->at, 12));
}

/* Writes what comes before the first item. The version says which chunks there are: as much of that
 * as is known now, and of a file the rest at the end. */
static tsr_status start(tsr_token_writer *w, bool with_attributes, bool with_streams) {
    if (w->started) return TSR_OK;
    tsr_bytes b = {0};
    w->started = true;
    w->minor = w->clip_open || w->header.tile_frames ? TSR_TESS_MINOR_FRAMES
               : with_streams                        ? TSR_TESS_MINOR_STREAMS
               : with_attributes || w->attributes.size || w->settings.key_index
                   ? TSR_TESS_MINOR_ATTRIBUTES
               : w->header.hints.present ? TSR_TESS_MINOR_HINT
                                         : 0;
    put_start(&b, w->minor);
    tsr_token_header_put(&b, &w->header, &w->settings);
    tsr_token_frames_put(&b, &w->header);
    w->gap_bytes = b.size;
    tsr_token_hints_put(&b, &w->header);
    tsr_bytes_put(&b, w->attributes.at, w->attributes.size);
    w->gap_bytes = b.size - w->gap_bytes;
    const tsr_status s = b.failed ? w->failed = tsr_fail(w->ctx, TSR_ERROR_MEMORY,
                                                         "%s: no memory for the header", w->name)
                                  : emit(w, b.at, b.size);
    tsr_bytes_free(&b);
    return s;
}

/* Attributes, streams and clips that came after the first item make the file one of a later version
 * than its start says. A pipe keeps what was written: readers go by the chunks. */
static tsr_status correct_start(tsr_token_writer *w) {
    tsr_bytes b = {0};
    const uint32_t minor = w->clips            ? TSR_TESS_MINOR_FRAMES
                           : w->has_streams    ? TSR_TESS_MINOR_STREAMS
                           : w->has_attributes ? TSR_TESS_MINOR_ATTRIBUTES
                                               : 0;
    if (w->minor >= minor) return TSR_OK;
    put_start(&b, minor);
    tsr_status s = TSR_OK;
    if (b.failed)
        s = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory for the start", w->name);
    else if (w->to_memory)
        memcpy(w->memory.at, b.at, b.size);
    else if (tsr_out_can_change(&w->out))
        s = tsr_out_change(w->ctx, &w->out, 0, b.at, b.size);
    tsr_bytes_free(&b);
    return s;
}

static tsr_status writer_open(tsr_context *ctx, tsr_token_writer **writer, const char *path,
                              const tsr_token_header *header,
                              const tsr_token_writer_settings *settings) {
    if (!writer)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token writer: writer: wanted an address, got NULL");
    *writer = NULL;
    if (!header)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "token writer: header: wanted one, got NULL");
    const char *name = path ? path : "token file in memory";
    tsr_token_writer_settings chosen = settings ? *settings : tsr_token_writer_settings_default();
    tsr_status s = tsr_token_header_check(ctx, TSR_ERROR_ARGUMENT, name, header, &chosen);
    if (s) return s;
    tsr_token_writer *w = tsr_alloc(ctx, 1, sizeof *w, "token writer");
    if (!w) return TSR_ERROR_MEMORY;
    w->ctx = w->streams.ctx = ctx;
    w->header = *header;
    w->settings = chosen;
    w->to_memory = path == NULL;
    w->out.fd = -1;
    w->name = strdup(name);
    if (!w->name) s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", name);
    if (!s) s = tsr_token_coder_open(ctx, &w->coder, &w->header);
    /* Last, so that nothing above leaves a temporary file behind. */
    if (!s && path) s = tsr_out_open(ctx, path, &w->out);
    if (s) {
        writer_free(&w);
        return s;
    }
    if (path && tsr_out_can_change(&w->out) && !(w->place = strdup(w->out.path))) {
        tsr_token_writer_abandon(&w);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", name);
    }
    w->index = w->keys.spool =
        (tsr_spool){.ctx = ctx, .beside = w->place, .in_memory = w->to_memory};
    *writer = w;
    return TSR_OK;
}

tsr_status tsr_token_writer_open(tsr_context *ctx, tsr_token_writer **writer, const char *path,
                                 const tsr_token_header *header,
                                 const tsr_token_writer_settings *settings) {
    if (!path) {
        if (writer) *writer = NULL;
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "token writer: path: wanted a name, got NULL");
    }
    return writer_open(ctx, writer, path, header, settings);
}

tsr_status tsr_token_writer_open_memory(tsr_context *ctx, tsr_token_writer **writer,
                                        const tsr_token_header *header,
                                        const tsr_token_writer_settings *settings) {
    return writer_open(ctx, writer, NULL, header, settings);
}

/* ---- items ------------------------------------------------------------------------------ */

static tsr_status check_tokens(tsr_token_writer *w, const tsr_token_item *item, uint64_t *total,
                               uint32_t *most, bool *kept) {
    uint64_t number = w->items, sum = 0;
    uint32_t tiles = item->tile_columns * item->tile_rows;
    uint32_t positions = tsr_token_positions(&w->header);
    *most = 0;
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t n = item->counts[t];
        if (n > positions)
            return tsr_fail(w->ctx, TSR_ERROR_TOKENS,
                            "%s: item %llu: count of tile %u: wanted at most %u, got %u", w->name,
                            (unsigned long long)number, t, positions, n);
        if (n > *most) *most = n;
        sum += n;
    }
    const uint32_t channels = w->header.channels;
    const char *what = channels ? "vectors" : "ids";
    const uint64_t limit = TSR_TESS_MAX_IDS / (channels ? channels : 1);
    if (sum > limit)
        return tsr_fail(
            w->ctx, TSR_ERROR_TOKENS, "%s: item %llu: %s: wanted at most %llu, got %llu", w->name,
            (unsigned long long)number, what, (unsigned long long)limit, (unsigned long long)sum);
    if (sum && !(channels ? (const void *)item->latents : item->ids))
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: item %llu: %s: wanted %llu, got NULL",
                        w->name, (unsigned long long)number, what, (unsigned long long)sum);
    for (uint64_t i = 0; i < sum && !channels; ++i)
        if (item->ids[i] >= w->header.codebook_size)
            return tsr_fail(w->ctx, TSR_ERROR_TOKENS,
                            "%s: item %llu: id %llu: wanted below %u, got %u", w->name,
                            (unsigned long long)number, (unsigned long long)i,
                            w->header.codebook_size, item->ids[i]);
    *total = sum;
    *kept = false;
    if (!item->kept) return TSR_OK;
    size_t bytes = tsr_token_mask_bytes(positions);
    for (uint32_t t = 0; t < tiles; ++t) {
        const uint8_t *mask = item->kept + t * bytes;
        uint32_t set = tsr_mask_count(mask, positions), n = item->counts[t];
        bool beyond = positions % 8 && mask[bytes - 1] >> positions % 8;
        if (set != n || beyond)
            return tsr_fail(
                w->ctx, TSR_ERROR_TOKENS,
                "%s: item %llu: kept mask of tile %u: wanted %u bits below %u, got %u%s", w->name,
                (unsigned long long)number, t, n, positions, set, beyond ? ", some beyond" : "");
        /* A mask that says what is true without it is not written. */
        for (uint32_t i = 0; i < n / 8 && !*kept; ++i)
            *kept = mask[i] != 255;
        if (n % 8 && mask[n / 8] != (1u << n % 8) - 1) *kept = true;
    }
    return TSR_OK;
}

static tsr_status put_layer(tsr_token_writer *w, const tsr_token_item *item, uint32_t layer,
                            uint32_t layers, uint64_t total, bool kept) {
    uint32_t tiles = item->tile_columns * item->tile_rows;
    uint32_t positions = tsr_token_positions(&w->header), step = w->settings.layer_tokens;
    uint32_t first = layer ? tsr_layer_end(step, layer - 1, positions) : 0;
    uint32_t end = tsr_layer_end(step, layer, positions);
    tsr_id_span span = {
        .lengths = item->counts, .tiles = tiles, .first = first, .total = total, .sequence = kept};
    const uint32_t *ids = item->ids;
    tsr_status s = TSR_OK;
    if (w->header.channels) { /* they have one layer */
        char name[512];
        snprintf(name, sizeof name, "%s: item %llu", w->name, (unsigned long long)w->items);
        s = tsr_token_coder_put_latents(w->coder, name, total, item->latents,
                                        w->settings.entropy != 0, &w->scratch);
        return w->scratch.failed ? w->failed = s : s;
    }
    if (layers > 1) {
        s = tsr_grow(w->ctx, &w->lengths, &w->lengths_room, tiles, sizeof *w->lengths, "layer");
        if (!s) s = tsr_grow(w->ctx, &w->flat, &w->flat_room, total, sizeof *w->flat, "layer");
        if (s) return s;
        span.lengths = w->lengths;
        span.total = 0;
        for (uint32_t t = 0; t < tiles; ids += item->counts[t++]) {
            uint32_t last = item->counts[t] < end ? item->counts[t] : end;
            w->lengths[t] = last > first ? last - first : 0;
            if (w->lengths[t])
                memcpy(w->flat + span.total, ids + first, w->lengths[t] * sizeof *ids);
            span.total += w->lengths[t];
        }
        ids = w->flat;
    }
    s = tsr_token_coder_put(w->coder, &span, ids, w->settings.entropy != 0, &w->scratch);
    return w->scratch.failed ? w->failed = s : s; /* half an item must not be written later */
}

static tsr_status earlier(tsr_token_writer *w) {
    return tsr_fail(w->ctx, w->failed, "%s: an earlier write failed", w->name);
}

tsr_status tsr_token_writer_attributes(tsr_token_writer *w, const tsr_attribute *attributes,
                                       uint32_t count) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (w->failed) return earlier(w);
    if (w->started)
        return tsr_fail(w->ctx, TSR_ERROR_STATE,
                        "%s: attributes of the file: wanted before its first item, got after it",
                        w->name);
    const tsr_status s =
        tsr_attributes_check(w->ctx, w->name, TSR_OWNER_FILE, attributes, count, &w->order);
    if (s) return s;
    w->attributes.size = 0;
    tsr_attributes_put(&w->attributes, TSR_OWNER_FILE, &w->order, count);
    if (!w->attributes.failed) return TSR_OK;
    return w->failed =
               tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory for its attributes", w->name);
}

/* An item of a clip is coded from the one before it where that takes less than the ITEM chunk in
 * w->scratch; otherwise it begins a chain. */
static tsr_status put_frame(tsr_token_writer *w, const tsr_token_item *item) {
    bool done = false;
    tsr_bytes *b = &w->scratch;
    if (!w->clip_open || !w->settings.entropy || w->header.channels || w->settings.layer_tokens ||
        b->failed)
        return TSR_OK;
    w->frame.size = 0;
    tsr_status s = tsr_frame_chain_put(w->ctx, &w->chain, &w->header, item, w->items,
                                       w->clip.clip.group, b->size, &w->frame, &done);
    if (s) return w->failed = s;
    if (!done)
        return w->failed = tsr_frame_chain_begin(w->ctx, &w->chain, &w->header, item, w->items);
    b->size = 0;
    tsr_bytes_put(b, w->frame.at, w->frame.size);
    return TSR_OK;
}

/* Puts the chunks of a checked item together in w->scratch. */
static tsr_status put_item(tsr_token_writer *w, const tsr_token_item *item, uint64_t total,
                           uint32_t most, bool kept) {
    tsr_bytes *b = &w->scratch;
    tsr_status s;
    b->size = 0;
    size_t chunk = tsr_bytes_chunk_start(b);
    tsr_token_item_put(b, &w->header, w->items, item, kept);
    uint32_t layers = tsr_layer_count(w->settings.layer_tokens, most);
    if ((s = put_layer(w, item, 0, layers, total, kept))) return s;
    tsr_bytes_chunk_finish(b, chunk, TSR_TESS_ITEM, TSR_TESS_CRITICAL);
    if ((s = put_frame(w, item))) return s;
    for (uint32_t layer = 1; layer < layers; ++layer) {
        chunk = tsr_bytes_chunk_start(b);
        tsr_bytes_varint(b, w->items);
        tsr_bytes_varint(b, layer);
        if ((s = put_layer(w, item, layer, layers, total, kept))) return s;
        tsr_bytes_chunk_finish(b, chunk, TSR_TESS_LAYR, TSR_TESS_CRITICAL);
    }
    s = tsr_streams_put(&w->streams, w->name, w->items, item->streams, item->stream_count,
                        w->settings.entropy != 0, b);
    w->chain.open = w->chain.open && !s; /* an item that is not added is not coded from */
    if (s) return b->failed ? w->failed = s : s;
    tsr_attributes_put(b, w->items + 1, &w->order, item->attribute_count);
    if (!b->failed) return TSR_OK;
    return w->failed = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: item %llu: no memory", w->name,
                                (unsigned long long)w->items);
}

/* What is written at the end of the item in w->scratch. */
static tsr_status note_item(tsr_token_writer *w, const tsr_token_item *item, uint64_t total) {
    tsr_bytes *e = &w->entry;
    e->size = 0;
    tsr_bytes_varint(e, w->gap_bytes);
    tsr_bytes_varint(e, w->scratch.size);
    tsr_bytes_varint(e, total);
    tsr_status s = e->failed ? tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory", w->name)
                             : tsr_spool_put(&w->index, e->at, e->size);
    if (!s && w->settings.key_index)
        s = tsr_record_sort_add(&w->keys, tsr_token_key_hash(item->key), w->items);
    w->gap_bytes = 0;
    return w->failed = s;
}

static tsr_status add_item(tsr_token_writer *w, const tsr_token_item *item) {
    if (!item || !item->key || !item->counts)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT,
                        "%s: item %llu: wanted key and counts, got NULL", w->name,
                        (unsigned long long)w->items);
    tsr_status s =
        tsr_token_item_check(w->ctx, TSR_ERROR_ARGUMENT, w->name, &w->header, w->items, item);
    uint64_t total = 0;
    uint32_t most = 0;
    bool kept = false;
    if (!s) s = check_tokens(w, item, &total, &most, &kept);
    if (!s)
        s = tsr_attributes_check(w->ctx, w->name, w->items + 1, item->attributes,
                                 item->attribute_count, &w->order);
    if (!s) s = tsr_streams_check(w->ctx, w->name, w->items, item->streams, item->stream_count);
    if (!s) s = put_item(w, item, total, most, kept);
    if (!s) s = start(w, item->attribute_count > 0, item->stream_count > 0);
    if (!s) s = note_item(w, item, total);
    if (s) return s;
    w->has_attributes |= item->attribute_count > 0;
    w->has_streams |= item->stream_count > 0;
    ++w->items;
    return emit(w, w->scratch.at, w->scratch.size);
}

tsr_status tsr_token_writer_add(tsr_token_writer *w, const tsr_token_item *item) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (w->failed) return earlier(w);
    if (w->clip_open)
        return tsr_fail(w->ctx, TSR_ERROR_STATE,
                        "%s: item %llu: wanted a frame of the open clip, got an item without times",
                        w->name, (unsigned long long)w->items);
    return add_item(w, item);
}

/* ---- clips ------------------------------------------------------------------------------ */

static tsr_status no_clip(tsr_token_writer *w) {
    return tsr_fail(w->ctx, TSR_ERROR_STATE, "%s: clip: wanted an open one, got none", w->name);
}

tsr_status tsr_token_writer_clip_begin(tsr_token_writer *w, const tsr_token_clip *clip) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (w->failed) return earlier(w);
    if (!clip) return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: clip: got NULL", w->name);
    if (w->clip_open)
        return tsr_fail(w->ctx, TSR_ERROR_STATE, "%s: clip: wanted the last one ended, got another",
                        w->name);
    const tsr_status s = tsr_clip_check(w->ctx, TSR_ERROR_ARGUMENT, w->name, clip);
    if (s) return s;
    tsr_clip_record *r = &w->clip;
    r->clip = *clip;
    snprintf(r->name, sizeof r->name, "%s", clip->name ? clip->name : "");
    r->clip.name = r->name;
    if (!r->clip.group) r->clip.group = TSR_CLIP_GROUP;
    r->number = w->clips;
    r->first_item = w->items;
    tsr_clip_times_clear(&r->times, clip->start);
    w->chain.open = false;
    w->clip_open = true;
    return TSR_OK;
}

tsr_status tsr_token_writer_clip_add(tsr_token_writer *w, const tsr_token_item *item,
                                     const tsr_clip_frame *frames, uint32_t count, uint32_t skip) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (w->failed) return earlier(w);
    if (!w->clip_open) return no_clip(w);
    if (!item || !frames)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: frames of item %llu: got NULL", w->name,
                        (unsigned long long)w->items);
    tsr_status s = tsr_clip_check_frames(w->ctx, TSR_ERROR_ARGUMENT, w->name, frames, count, skip);
    if (s) return s;
    tsr_token_item timed = *item;
    timed.time = frames[0].pts == TSR_NO_PTS ? 0 : tsr_clip_seconds(&w->clip.clip, frames[0].pts);
    s = add_item(w, &timed);
    if (s) return s;
    s = tsr_clip_times_add(w->ctx, &w->clip.times, frames, count, skip);
    return s ? w->failed = s : TSR_OK; /* the item is in the file */
}

static tsr_status end_clip(tsr_token_writer *w) {
    if (!w->clip_open) return TSR_OK;
    w->clip_open = false;
    if (!w->clip.times.items) return TSR_OK;
    tsr_bytes *b = &w->scratch;
    b->size = 0;
    tsr_clip_put(b, &w->clip);
    if (b->failed)
        return w->failed = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory for a clip", w->name);
    w->gap_bytes = b->size;
    ++w->clips;
    return emit(w, b->at, b->size);
}

tsr_status tsr_token_writer_clip_end(tsr_token_writer *w) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (w->failed) return earlier(w);
    return w->clip_open ? end_clip(w) : no_clip(w);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* Writes the header of a chunk whose payload follows in pieces. */
static tsr_status emit_chunk(tsr_token_writer *w, uint32_t type, uint64_t size, uint32_t crc) {
    uint8_t head[TSR_TESS_CHUNK_BYTES];
    tsr_set_u32(head, type);
    tsr_set_u32(head + 4, 0);
    tsr_set_u64(head + 8, size);
    tsr_set_u32(head + 16, crc);
    tsr_set_u32(head + 20, tsr_crc32c(head, 20));
    return emit(w, head, sizeof head);
}

/* KEYS is walked twice: its checksum comes before it. */
typedef struct key_walk {
    tsr_token_writer *writer;
    bool write;
    uint32_t crc;
    size_t used;
    uint8_t bytes[1024 * TSR_TESS_RECORD_BYTES];
} key_walk;

static tsr_status flush_keys(key_walk *k) {
    tsr_status s = TSR_OK;
    if (k->write)
        s = emit(k->writer, k->bytes, k->used);
    else
        k->crc = tsr_crc32c_add(k->crc, k->bytes, k->used);
    k->used = 0;
    return s;
}

static tsr_status add_key(void *user, const tsr_record *record) {
    key_walk *k = user;
    tsr_set_u64(k->bytes + k->used, record->first);
    tsr_set_u64(k->bytes + k->used + 8, record->second);
    k->used += TSR_TESS_RECORD_BYTES;
    return k->used == sizeof k->bytes ? flush_keys(k) : TSR_OK;
}

static tsr_status put_keys(tsr_token_writer *w) {
    key_walk *k = tsr_alloc(w->ctx, 1, sizeof *k, "index of keys");
    if (!k) return TSR_ERROR_MEMORY;
    k->writer = w;
    tsr_status s = tsr_record_sort_walk(&w->keys, add_key, k);
    if (!s) s = flush_keys(k);
    if (!s) s = emit_chunk(w, TSR_TESS_KEYS, w->items * TSR_TESS_RECORD_BYTES, k->crc);
    k->write = true;
    if (!s) s = tsr_record_sort_walk(&w->keys, add_key, k);
    if (!s) s = flush_keys(k);
    free(k);
    return s;
}

/* Hands the spooled entries to emit, or their checksum to *crc. */
static tsr_status walk_index(tsr_token_writer *w, uint32_t *crc) {
    uint8_t piece[16384];
    tsr_status s = TSR_OK;
    for (uint64_t at = 0; at < w->index.size && !s;) {
        const uint64_t left = w->index.size - at;
        const size_t n = left < sizeof piece ? (size_t)left : sizeof piece;
        s = tsr_spool_read(&w->index, at, piece, n);
        if (!s && crc)
            *crc = tsr_crc32c_add(*crc, piece, n);
        else if (!s)
            s = emit(w, piece, n);
        at += n;
    }
    return s;
}

static tsr_status put_end(tsr_token_writer *w) {
    tsr_status s = end_clip(w);
    if (!s) s = start(w, false, false);
    if (!s && w->settings.key_index) s = put_keys(w);
    const uint64_t at = w->written;
    tsr_bytes *b = &w->scratch;
    b->size = 0;
    tsr_bytes_varint(b, w->items);
    uint32_t crc = b->failed ? 0 : tsr_crc32c(b->at, b->size);
    if (!s && b->failed)
        s = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory for the index", w->name);
    if (!s) s = walk_index(w, &crc);
    if (!s) s = emit_chunk(w, TSR_TESS_INDX, b->size + w->index.size, crc);
    if (!s) s = emit(w, b->at, b->size);
    if (!s) s = walk_index(w, NULL);
    b->size = 0;
    const size_t end = tsr_bytes_chunk_start(b);
    tsr_bytes_u64(b, at);
    tsr_bytes_chunk_finish(b, end, TSR_TESS_TEND, 0);
    if (!s && b->failed)
        s = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: no memory for the index", w->name);
    if (!s) s = emit(w, b->at, b->size);
    return s ? s : correct_start(w);
}

tsr_status tsr_token_writer_close(tsr_token_writer **writer) {
    if (!writer || !*writer) return TSR_ERROR_ARGUMENT;
    tsr_token_writer *w = *writer;
    tsr_status s = w->failed;
    if (!s) s = put_end(w);
    if (!s && !w->to_memory) s = tsr_out_commit(w->ctx, &w->out);
    if (!s)
        writer_free(writer);
    else
        tsr_token_writer_abandon(writer);
    return s;
}

tsr_status tsr_token_writer_close_partial(tsr_token_writer **writer, char *name, size_t size) {
    tsr_token_writer *w = *writer;
    const char *path = NULL;
    if (w->failed || !w->items || w->to_memory) return TSR_ERROR_STATE;
    const tsr_status s = tsr_out_rename(w->ctx, &w->out, ".partial", ".tess", &path);
    if (s) return s;
    snprintf(name, size, "%s", path);
    return tsr_token_writer_close(writer);
}

tsr_status tsr_token_writer_close_memory(tsr_token_writer **writer, uint8_t **bytes, size_t *size) {
    *bytes = NULL;
    *size = 0;
    tsr_token_writer *w = *writer;
    tsr_status s = w->failed ? w->failed : put_end(w);
    if (!s) {
        *bytes = w->memory.at;
        *size = w->memory.size;
        w->memory = (tsr_bytes){0};
    }
    writer_free(writer);
    return s;
}

void tsr_token_writer_abandon(tsr_token_writer **writer) {
    if (!writer || !*writer) return;
    if (!(*writer)->to_memory) tsr_out_abandon(&(*writer)->out);
    writer_free(writer);
}
